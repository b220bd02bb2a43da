"""A pool of warm workers whose deaths are noticed one by one.

Workers are forked from a server process that has imported the trainer already, so a new one is
ready in milliseconds. A partition whose worker dies is suspect: it is tried again after all
others, alone and in a fresh process, and fails by type if that one dies too. So one poison
partition costs nobody else anything.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from steps.errors import RefeedError
from steps.train.worker import Order, Report, WorkerSetup, work_until_told

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    order: Order | None = None

    def give(self, order: Order) -> None:
        self.order = order
        self.connection.send(order)

    def stop(self) -> None:
        if self.process.is_alive():
            self.process.kill()
        self.process.join()
        self.connection.close()


class Pool:
    """Trains partitions in ``workers`` processes.

    Args:
        setup: of every worker.
        preload: modules that the workers' server imports once.
        workers: processes at once.
        on_report: called for every partition that is done with.
        on_death: called for a partition whose worker died under it, with the exit code.
    """

    def __init__(
        self,
        setup: WorkerSetup,
        preload: list[str],
        workers: int,
        on_report: Callable[[Report], None],
        on_death: Callable[[Order, int], None],
    ) -> None:
        self.setup, self.size = setup, workers
        self.on_report, self.on_death = on_report, on_death
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["__main__", *preload])
        self._suspects: list[Order] = []

    def run(self, orders: Iterable[Order]) -> None:
        """Train all partitions, in the given order, suspects last and alone.

        Raises:
            RefeedError: a worker could not even begin, or the disk is full, or an artifact damaged.
        """
        self._run_together(deque(orders))
        for suspect in sorted(self._suspects, key=lambda order: order.partition_id):
            self._run_together(
                deque([Order(suspect.partition_id, suspect.attempt + 1, alone=True)])
            )

    def _run_together(self, orders: deque[Order]) -> None:
        workers: list[_Worker] = []
        try:
            workers += [self._start() for _ in range(min(self.size, len(orders)))]
            while workers:
                for worker in list(_ready(workers)):
                    self._serve(worker, orders, workers)
        finally:
            for worker in workers:
                worker.stop()

    def _start(self) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        process = self._context.Process(
            target=work_until_told, args=(self.setup, theirs), daemon=True
        )
        with _one_thread_each(), _interrupts_ignored():
            process.start()
        theirs.close()
        return _Worker(process, ours)

    def _serve(self, worker: _Worker, orders: deque[Order], workers: list[_Worker]) -> None:
        """Take a message, or notice a death; then hand out the next partition."""
        try:
            self._take(worker.connection.recv())
        except (EOFError, ConnectionResetError):
            workers.remove(worker)
            self._bury(worker)
            if orders:
                workers.append(self._start())
            return
        if orders:
            worker.give(orders.popleft())
        else:
            workers.remove(worker)
            worker.connection.send(None)
            worker.process.join()
            worker.connection.close()

    def _take(self, report: Report | RefeedError | None) -> None:
        """A report; None says that the worker is ready, an error that the step cannot go on."""
        if isinstance(report, RefeedError):
            raise report
        if report is not None and report.retry:
            self._suspects.append(report.order)
        elif report is not None:
            self.on_report(report)

    def _bury(self, worker: _Worker) -> None:
        worker.process.join()
        worker.connection.close()
        code = worker.process.exitcode or 0
        if worker.order is None:
            raise RefeedError(
                f"A training process ended with exit code {code} before it could begin.",
                hint="What it printed above says why; run again to go on where this run stopped.",
            )
        if not worker.order.alone:
            self._suspects.append(worker.order)
        self.on_death(worker.order, code)


def _ready(workers: list[_Worker]) -> Iterator[_Worker]:
    """Workers that have a report, or are dead."""
    by_connection = {worker.connection: worker for worker in workers}
    for connection in wait(list(by_connection)):
        yield by_connection[connection]  # type: ignore[index]


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes started inside compute in one thread: the pool is the parallelism."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(_ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes started inside ignore Ctrl-C from their first instruction: it is ours to handle."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals belong to the main thread
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def death_message(exit_code: int) -> str:
    """What to say of a partition whose worker died twice."""
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        cause = " Often the system ran out of memory." if name == "SIGKILL" else ""
        return f"The training process was ended by {name}, also when tried alone.{cause}"
    return f"The training process ended with exit code {exit_code}, also when tried alone."
