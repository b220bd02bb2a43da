"""A pool of warm workers whose deaths are noticed one by one.

Workers are forked from a server process that has imported the trainer already, so a new one is
ready in milliseconds. A partition whose worker dies is suspect: it is tried again after all
others, alone and in a fresh process. If that process dies too, the partition fails with a typed
reason, and no other partition is affected.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from steps.contract import RunAddress
from steps.errors import PreemptedError, RefeedError
from steps.train.workers.host import portable_cpu_env
from steps.train.workers.worker import TaskResult, WorkerTask, worker_main

_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1"
)
_GONE = (BrokenPipeError, ConnectionResetError)
"""Errors of sending a message to a worker that has died."""

_POLL_SECONDS = 0.5


@dataclass
class _Worker:
    process: BaseProcess
    connection: Connection
    task: WorkerTask | None = None

    def give(self, task: WorkerTask) -> None:
        self.task = task
        with suppress(*_GONE):  # its death is noticed at the next poll
            self.connection.send(task)

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


class Pool:
    """Trains partitions in ``workers`` processes.

    Args:
        address: address of the run.
        preload: modules that the workers' server imports once.
        workers: number of processes at once.
        on_result: called with the result of a partition.
        on_death: called for a partition whose worker died, with the exit code.
        on_drop: called for a partition that is dropped because the pod has to stop.
        stop: request to stop, with its deadline.
    """

    def __init__(
        self,
        address: RunAddress,
        preload: list[str],
        workers: int,
        on_result: Callable[[TaskResult], None],
        on_death: Callable[[WorkerTask, int], None],
        on_drop: Callable[[WorkerTask], None],
        stop: Stop,
    ) -> None:
        self.address, self.size = address, workers
        self.on_result, self.on_death, self.on_drop = on_result, on_death, on_drop
        self.stop = stop
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["__main__", *preload])
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
                    self.on_drop(worker.task)
            workers.clear()

    def _start(self) -> _Worker:
        ours, theirs = multiprocessing.Pipe()
        process = self._context.Process(
            target=worker_main, args=(self.address, theirs), daemon=True
        )
        with _worker_env(), _signals_withheld():
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
            worker.give(tasks.popleft())
        else:
            workers.remove(worker)
            worker.dismiss()

    def _take(self, result: TaskResult | RefeedError | None) -> None:
        """Receive a result; None means that the worker is ready, an error ends the step."""
        if isinstance(result, RefeedError):
            raise result
        if result is not None and result.retry and not result.task.alone:
            self._suspects.append(result.task)
        elif result is not None:
            self.on_result(result)

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
        self.on_death(worker.task, code)


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


@contextmanager
def _worker_env() -> Iterator[None]:
    """Start processes that use one thread, as the pool is parallel, and portable instructions."""
    ours = _ONE_THREAD | portable_cpu_env()
    before = {name: os.environ.get(name) for name in ours}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _signals_withheld() -> Iterator[None]:
    """Start processes that never get Ctrl-C or SIGTERM; this process gets them afterwards.

    Both are ours to handle, and a pod's or terminal's reach all processes at once. Blocked signals
    are inherited by new processes and programs until they unblock them; ignoring signals here would
    lose a SIGTERM that comes while the workers' server loads its libraries.
    """
    resource_tracker.ensure_running()  # first, since starting it unblocks both
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def death_message(exit_code: int) -> str:
    """Return the message for a partition whose worker died twice."""
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        cause = " Often the system ran out of memory." if name == "SIGKILL" else ""
        return f"The training process was ended by {name}, also when tried alone.{cause}"
    return f"The training process ended with exit code {exit_code}, also when tried alone."
