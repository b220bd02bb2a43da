"""The base step: fits the base models of a run, unless an earlier run has stored them.

The fit has a process of its own, like those of partitions: a trainer that crashes does not take the
step with it, and its libraries get their settings before they are loaded.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from steps.contract import RunAddress
from steps.errors import OutOfMemoryError, RefeedError
from steps.records import RunRequest
from steps.runtime.progress import Progress
from steps.segments.run_results import cache_of
from steps.storage.base import read_parsed, storage_for
from steps.train.workers.server import CONTEXT, environment_of_workers, start_server


@dataclass(frozen=True)
class BaseResult:
    """Result of the step.

    Attributes:
        fits: number of models fitted; 0 if they were stored.
        rows: rows that they were fitted on.
        reason: why there are no base models; empty if there are some, or if they were stored.
        detail: the traceback of the trainer's exception, for the log.
    """

    fits: int = 0
    rows: int = 0
    reason: str = ""
    detail: str = ""


def fit_base(address: RunAddress, threads: int, progress: Progress) -> BaseResult:
    """Fit the base models of a run on rows of all its partitions.

    An exception of the trainer is a reason to have no base models; partitions are trained anyway.

    Args:
        address: address of the run.
        threads: threads that a fit may use, if the trainer gains from them; the models are the same
            whatever the number.
        progress: advances with each partition that is read.

    Raises:
        MissingInputError: the run does not exist.
        LostArtifactError: part of the dataset was deleted or damaged.
        TrainerError: the run began with other versions.
        SpecError: the trainer is not installed here.
        OutOfMemoryError: the process was killed, as a rule for lack of memory.
    """
    storage = storage_for(address.root)
    request = read_parsed(storage, address.run_layout.request, RunRequest.from_json)
    if not request.base:
        return BaseResult()
    if storage.exists(cache_of(address, request).base_models(request.base_key)):
        return BaseResult()
    start_server(request.trainer["name"], address.root)
    ours, theirs = Pipe()
    process = CONTEXT.Process(target=_fit_and_store, args=(address, threads, theirs), daemon=True)
    with environment_of_workers():
        process.start()
    theirs.close()
    try:
        return _follow(ours, process, progress)
    finally:
        process.kill()
        process.join()
        ours.close()


def _follow(connection: Connection, process: Any, progress: Progress) -> BaseResult:  # noqa: ANN401
    while True:
        try:
            message = connection.recv()
        except (EOFError, ConnectionResetError):
            process.join()
            raise _died(process.exitcode or 0) from None
        if isinstance(message, RefeedError):
            raise message
        if isinstance(message, BaseResult):
            return message
        name, arguments = message
        getattr(progress, name)(*arguments)


def _died(code: int) -> RefeedError:
    if code == -signal.SIGKILL:
        return _out_of_memory()
    return RefeedError(
        f"The process that fits the base model ended with exit code {code}.",
        hint="Its output above shows the reason. With base: none, no base model is fitted.",
    )


def _out_of_memory() -> OutOfMemoryError:
    return OutOfMemoryError(
        "The process that fits the base model ran out of memory.",
        hint="Set base.max_rows to a smaller number, or base: none for no base model.",
    )


class _RemoteProgress:
    """Progress that the parent process shows."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, step: str, unit: str, total: int | None) -> None:
        self._connection.send(("begin", (step, unit, total)))

    def advance(self, units: int, note: str = "", *, failed: int = 0) -> None:
        del failed
        self._connection.send(("advance", (units, note)))

    def end(self) -> None:
        self._connection.send(("end", ()))


def _fit_and_store(address: RunAddress, threads: int, connection: Connection) -> None:
    """Fit the models in a process of its own, store them, and send the result or an error."""
    for number in (signal.SIGINT, signal.SIGTERM):  # the parent handles both
        signal.signal(number, signal.SIG_IGN)
    with suppress(BrokenPipeError):  # the parent has ended
        connection.send(_result(lambda: _fit(address, threads, _RemoteProgress(connection))))


def _result(fit: Callable[[], BaseResult]) -> BaseResult | RefeedError:
    try:
        return fit()
    except RefeedError as error:
        return error


def _fit(address: RunAddress, threads: int, progress: Progress) -> BaseResult:
    # Only the process that fits loads the libraries of training.
    import traceback  # noqa: PLC0415

    from steps.base.fit import fit_base_models, no_models  # noqa: PLC0415
    from steps.base.rows import sample_rows  # noqa: PLC0415
    from steps.train.workers.worker import open_context  # noqa: PLC0415

    context = open_context(address)
    context.trainer.threads = threads if context.trainer.uses_threads else 1
    rows, total = sample_rows(context, context.request.base["max_rows"], progress)
    detail = ""
    try:
        models = fit_base_models(context, rows, total)
    except RefeedError:
        raise
    except MemoryError:
        raise _out_of_memory() from None
    except Exception:  # noqa: BLE001 - a trainer may raise anything
        models, detail = no_models(context, total, "trainer_error"), traceback.format_exc()
    uri = context.cache.base_models(context.request.base_key)
    context.storage.write(uri, models.save(context.trainer))
    return BaseResult(len(models.models), models.rows, models.reason, detail)
