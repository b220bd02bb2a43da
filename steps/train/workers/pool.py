"""A pool of warm workers whose deaths are noticed one by one.

Workers are forked from a server process that has imported the trainer already, so a new one is
ready in milliseconds. A partition whose worker dies is suspect: it is tried again after all
others, alone and in a fresh process. If that process dies too, the partition fails with a typed
reason, and no other partition is affected.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Protocol

from steps.contract import RunAddress
from steps.errors import PreemptedError, RefeedError
from steps.train.partition import Inputs
from steps.train.workers.server import CONTEXT, environment_of_workers
from steps.train.workers.worker import TaskResult, WorkerTask, worker_main

_GONE = (BrokenPipeError, ConnectionResetError)
"""Errors of sending a message to a worker that has died."""

_POLL_SECONDS = 0.5


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: WorkerTask | None = None

    def give(self, task: WorkerTask, inputs: Inputs) -> None:
        self.task = task
        with suppress(*_GONE):  # its death is noticed at the next poll
            self.connection.send((task, inputs))

    def dismiss(self) -> None:
        with suppress(*_GONE):
            self.connection.send(None)
        self.process.join()
        self.connection.close()

    def stop(self) -> None:
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.connection.close()


class PoolEvents(Protocol):
    """What the pool calls for its owner."""

    def prepare(self, task: WorkerTask) -> Inputs:
        """Return the inputs of a partition that a worker is about to train."""

    def on_result(self, result: TaskResult) -> None:
        """Receive the result of a partition."""

    def on_retry(self, result: TaskResult) -> None:
        """Receive the end of an attempt after which the pool makes another."""

    def on_death(self, task: WorkerTask, exit_code: int) -> None:
        """Receive a partition whose worker died."""

    def on_drop(self, task: WorkerTask) -> None:
        """Receive a partition that is dropped because the pod has to stop."""

    def on_poll(self) -> None:
        """Do what is due; called at least twice a second."""


class Pool:
    """Trains partitions in ``workers`` processes.

    Args:
        address: address of the run.
        workers: number of processes at once.
        events: receives what happens.
        stop: request to stop, with its deadline.
        threads: number of threads of a process.
    """

    def __init__(
        self,
        address: RunAddress,
        workers: int,
        events: PoolEvents,
        stop: Stop,
        threads: int = 1,
    ) -> None:
        self.address, self.size, self.threads = address, workers, threads
        self.events, self.stop = events, stop
        self._suspects: list[WorkerTask] = []

    def run(self, tasks: Iterable[WorkerTask]) -> None:
        """Train all partitions in the given order; suspects, old and new, last and alone.

        Raises:
            PreemptedError: the pod has to stop; what is finished is recorded.
            RefeedError: a worker could not even begin, or the disk is full, or an artifact damaged.
        """
        given = list(tasks)
        self._run_together(deque(task for task in given if not task.alone))
        suspects = [
            *(task for task in given if task.alone),
            *(task.again() for task in self._suspects),
        ]
        for suspect in sorted(suspects, key=lambda task: task.partition_id):
            self._run_together(deque([suspect]))

    def _run_together(self, tasks: deque[WorkerTask]) -> None:
        workers: list[_Worker] = []
        try:
            workers += [self._start() for _ in range(min(self.size, len(tasks)))]
            while workers:
                self._check_stop(tasks, workers)
                # Workers that have a result or are dead; possibly none yet.
                by_connection = {worker.connection: worker for worker in workers}
                for connection in wait(list(by_connection), _POLL_SECONDS):
                    self._serve(by_connection[connection], tasks, workers)  # type: ignore[index]
                self.events.on_poll()
        finally:
            for worker in workers:
                worker.stop()

        if self.stop.asked:
            raise PreemptedError(
                "The pod was stopped. Finished partitions are saved; the next pod trains the rest."
            )

    def _check_stop(self, tasks: deque[WorkerTask], workers: list[_Worker]) -> None:
        """Start no partition once the pod has to stop; drop the running ones at the end."""
        if self.stop.asked:
            tasks.clear()
        if self.stop.over:
            for worker in workers:
                worker.stop()
                if worker.task is not None:
                    self.events.on_drop(worker.task)
            workers.clear()

    def _start(self) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        process = CONTEXT.Process(target=worker_main, args=(self.address, theirs), daemon=True)
        with environment_of_workers(self.threads):
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _serve(self, worker: _Worker, tasks: deque[WorkerTask], workers: list[_Worker]) -> None:
        """Receive a message, or notice a death; then hand out the next partition."""
        try:
            self._take(worker.connection.recv())
            worker.task = None
        except (EOFError, ConnectionResetError):
            workers.remove(worker)
            self._reap(worker)
            if tasks:
                workers.append(self._start())
            return
        if tasks:
            task = tasks.popleft()
            worker.give(task, self.events.prepare(task))
        else:
            workers.remove(worker)
            worker.dismiss()

    def _take(self, result: TaskResult | RefeedError | None) -> None:
        """Receive a result; None means that the worker is ready, an error ends the step."""
        if isinstance(result, RefeedError):
            raise result
        if result is not None and result.retry and not result.task.alone:
            self._suspects.append(result.task)
            self.events.on_retry(result)
        elif result is not None:
            self.events.on_result(result)

    def _reap(self, worker: _Worker) -> None:
        worker.process.join()
        worker.connection.close()
        code = worker.process.exitcode or 0
        if worker.task is None:
            killed = code < 0
            how = f"was ended by {signal.Signals(-code).name}" if killed else f"failed with {code}"
            raise RefeedError(
                f"A training process {how} while it started, before it trained a partition.",
                hint="Often the system ran out of memory. Free some, and run again to resume."
                if killed
                else "Its output above shows the reason. Run again to resume.",
            )
        if not worker.task.alone:
            self._suspects.append(worker.task)
        self.events.on_death(worker.task, code)


class Stop:
    """A request to stop: after SIGTERM the pod has a few seconds left.

    Args:
        seconds: between the signal and the moment when all work is dropped.
    """

    def __init__(self, seconds: float = 10.0) -> None:
        self._seconds = seconds
        self._deadline: float | None = None

    def ask(self, *_: object) -> None:
        """Request the stop; can be a signal handler."""
        self._deadline = self._deadline or time.monotonic() + self._seconds

    @property
    def asked(self) -> bool:
        """No new partition may start."""
        return self._deadline is not None

    @property
    def over(self) -> bool:
        """The running partitions must be dropped."""
        return self._deadline is not None and time.monotonic() > self._deadline


def death_message(exit_code: int) -> str:
    """Return the message for a partition whose worker died twice."""
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        cause = " Often the system ran out of memory." if name == "SIGKILL" else ""
        return f"The training process was ended by {name}, also when tried alone.{cause}"
    return f"The training process ended with exit code {exit_code}, also when tried alone."
