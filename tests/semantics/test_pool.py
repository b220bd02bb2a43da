"""A worker that dies between two partitions costs nothing."""

from __future__ import annotations

from multiprocessing import Pipe, get_context

from steps.train.partition import Inputs
from steps.train.workers.pool import _Worker
from steps.train.workers.worker import WorkerTask


def test_task_given_to_a_dead_worker_is_noticed_at_the_next_poll() -> None:
    process = get_context("forkserver").Process(target=int)
    process.start()
    ours, theirs = Pipe()
    theirs.close()
    worker = _Worker(process, ours)
    order = WorkerTask("a", 1)
    worker.give(order, Inputs())
    assert worker.task == order  # so that it is buried as the one under which its worker died
    worker.dismiss()
    assert process.exitcode == 0
