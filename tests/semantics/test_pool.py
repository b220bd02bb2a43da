"""A worker that dies between two partitions costs nothing."""

from __future__ import annotations

from multiprocessing import Pipe, get_context

from steps.train.workers.pool import _Worker
from steps.train.workers.worker import Order


def test_an_order_to_a_worker_that_has_died_is_noticed_at_the_next_look() -> None:
    process = get_context("forkserver").Process(target=int)
    process.start()
    ours, theirs = Pipe()
    theirs.close()
    worker = _Worker(process, ours)
    order = Order("a", 1)
    worker.give(order)
    assert worker.order == order  # so that it is buried as the one under which its worker died
    worker.dismiss()
    assert process.exitcode == 0
