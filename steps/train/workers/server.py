"""The server from which workers are forked: it imports the trainer's libraries once.

Only the standard library is imported here, so that the server can load libraries while its parent
still loads its own.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import forkserver, resource_tracker

from steps.train.registry import load_class
from steps.train.workers.host import portable_cpu_env

CONTEXT = multiprocessing.get_context("forkserver")
"""The context in which workers are started."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


def start_server(trainer: str, root: str) -> None:
    """Start the server, which loads what workers need while the caller goes on.

    If it runs already, nothing happens: workers of another trainer then load its libraries
    themselves.

    Args:
        trainer: name of the trainer.
        root: the artifact root.

    Raises:
        SpecError: the trainer is not installed here.
    """
    plug_in = load_class(trainer)
    remote = ["steps.storage.gcs"] if "://" in root else []
    worker = "steps.train.workers.worker"
    modules = ["__main__", worker, plug_in.__module__, *plug_in.preload, *remote]
    CONTEXT.set_forkserver_preload(modules)
    with environment_of_workers(plug_in.threads_per_fit):
        forkserver.ensure_running()


@contextmanager
def environment_of_workers(threads: int = 1) -> Iterator[None]:
    """Start processes that use so many threads each, and never get Ctrl-C or SIGTERM."""
    with _library_settings(threads), _signals_withheld():
        yield


@contextmanager
def _library_settings(threads: int) -> Iterator[None]:
    """Start processes that use so many threads each, and portable instructions.

    A trainer that may use more threads for a large partition says so to its library. Threads that
    spin while they wait would take the processors from other fits, hence the policy.
    """
    ours = dict.fromkeys(_THREADS, str(threads)) | portable_cpu_env()
    ours["OMP_WAIT_POLICY"] = "passive"
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
