"""A warm worker process: trains one partition after the other in one thread."""

from __future__ import annotations

import contextlib
import ctypes
import re
import signal
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from steps.contract import RunAddress
from steps.errors import (
    DamagedError,
    LostArtifactError,
    MissingInputError,
    OutputError,
    SpecError,
    TrainerError,
    TransientError,
)
from steps.records import (
    PartitionEntry,
    PartitionIndex,
    PartitionRecord,
    Reason,
    RunRequest,
)
from steps.runtime.attempts import Attempt
from steps.runtime.log import writer_name
from steps.runtime.lost_artifacts import rebuild_if_lost
from steps.segments.run_results import cache_of
from steps.storage.base import read_parsed, storage_for
from steps.table.grid import Grid
from steps.train.context import TrainContext
from steps.train.partition import Cached, Inputs, Trained, train_partition
from steps.train.registry import (
    conflicts,
    data_shape,
    library_versions,
    load_class,
    make_trainer,
)
from steps.train.workers.host import Spent, cpu_model_name, peak_memory_mib


@dataclass(frozen=True)
class WorkerTask:
    """One partition to train.

    Attributes:
        partition_id: ID of the partition.
        attempt: number of the attempt within the run, from 1.
        shard: name of the shard that it belongs to.
        class_offset: how many resource classes larger than the shard's own this pod is.
        alone: no other partition is trained at the same time; the last attempt in this pod.
        can_use_larger_class: a later pod may retry with more memory.
        can_retry_later: a later pod may retry after a transient error.
    """

    partition_id: str
    attempt: int
    shard: str = ""
    class_offset: int = 0
    alone: bool = False
    can_use_larger_class: bool = False
    can_retry_later: bool = False

    def again(self) -> WorkerTask:
        """Return the next attempt, alone."""
        return replace(self, attempt=self.attempt + 1, alone=True)

    def ended(
        self,
        outcome: str,
        cached: Cached = "none",
        worker: str = "",
        spent: Spent = Spent(0.0, 0.0, 0.0),  # noqa: B008 - immutable
    ) -> Attempt:
        """Return the end of this attempt, with the peak memory of this process.

        Args:
            outcome: see ``Attempt``.
            cached: see ``Attempt``.
            worker: the pod or process that made it; empty for this one.
            spent: time that it took.
        """
        return Attempt(
            partition_id=self.partition_id,
            attempt=self.attempt,
            outcome=outcome,
            cached=cached,
            seconds=round(spent.seconds, 4),
            peak_memory_mib=0.0 if worker else round(peak_memory_mib(), 1),
            worker=worker or writer_name(),
            cpu="" if worker else cpu_model_name() or "unknown",
            shard=self.shard,
            class_offset=self.class_offset,
            alone=self.alone,
            cpu_seconds=round(spent.cpu_seconds, 4),
            queued_seconds=round(spent.queued_seconds, 4),
        )


@dataclass(frozen=True)
class TaskResult:
    """Result of a task.

    Attributes:
        task: the task.
        trained: record and new members.
        attempt: the end of the attempt.
        retry: another attempt is needed, alone in a fresh process.
        detail: the traceback of the trainer's exception, for the log.
    """

    task: WorkerTask
    trained: Trained
    attempt: Attempt
    retry: bool = False
    detail: str = ""


def open_context(address: RunAddress) -> TrainContext:
    """Read the inputs that all partitions of a run share.

    Raises:
        MissingInputError: the run does not exist.
        LostArtifactError: its dataset was deleted or damaged.
        SpecError: the trainer is not installed here, or does not fit the data.
        TrainerError: the run began with other versions.
    """
    storage = storage_for(address.root)
    request = read_parsed(storage, address.run_layout.request, RunRequest.from_json)
    for library, version in library_versions(load_class(request.trainer["name"])).items():
        recorded = request.versions.get(library)
        if recorded != version:  # cache keys and tables name the recorded version
            raise TrainerError(
                f"The run started with {library} {recorded}, but {version} is installed: its "
                "models would not be comparable.",
                hint=f"Install {library} {recorded} to resume this run, or start a new one.",
            )
    name, params = request.trainer["name"], request.trainer["params"]
    problems = conflicts(name, params, data_shape(request.task, request.roles, request.classes))
    if problems:
        raise SpecError("the spec", problems)
    dataset = address.layout.dataset(request.dataset)
    with rebuild_if_lost(dataset, storage):
        index = read_parsed(storage, dataset.index, PartitionIndex.from_json)
        grid = read_parsed(storage, dataset.grid(request.grid), Grid.from_json)
    return TrainContext(
        request=request,
        index=index,
        grid=grid,
        trainer=make_trainer(name, params),
        dataset=dataset,
        storage=storage,
        cache=cache_of(address, request),
    )


def worker_main(address: RunAddress, connection: Connection) -> None:
    """Receive tasks and send results until None comes, in a worker process."""
    if sys.platform == "linux":  # die with the parent, so that no orphan keeps training
        prctl_set_death_signal = 1  # PR_SET_PDEATHSIG, <sys/prctl.h>
        ctypes.CDLL(None).prctl(prctl_set_death_signal, signal.SIGKILL)
    for number in (signal.SIGINT, signal.SIGTERM):  # the supervisor handles both
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError):  # the supervisor has ended
        try:
            context = open_context(address)
            connection.send(None)  # ready
            entries = {entry.key.partition_id: entry for entry in context.index.entries}
            for task, inputs in _tasks(connection):
                connection.send(_run_task(context, entries[task.partition_id], task, inputs))
        # Errors of the storage end the step; ``_attempt`` handles errors of the trainer.
        except (*_STEP_ERRORS, TransientError) as error:
            connection.send(error)


def _tasks(connection: Connection) -> Iterator[tuple[WorkerTask, Inputs]]:
    """Yield tasks and their inputs until None comes or the supervisor ends."""
    with contextlib.suppress(EOFError, ConnectionResetError):
        while (message := connection.recv()) is not None:
            yield message


def _run_task(
    context: TrainContext, entry: PartitionEntry, task: WorkerTask, inputs: Inputs
) -> TaskResult:
    """Train one partition, and describe the attempt."""
    began = Spent.now()
    trained, retry, detail = _attempt(context, entry, task, inputs)
    record = trained.record
    outcome = record.reason if retry else record.status
    attempt = task.ended(outcome, trained.cached, spent=Spent.now().since(began))
    return TaskResult(task, trained, attempt, retry, detail)


def _attempt(
    context: TrainContext, entry: PartitionEntry, task: WorkerTask, inputs: Inputs
) -> tuple[Trained, bool, str]:
    """Return the result, whether another attempt may succeed, and details for the log."""
    try:
        return train_partition(context, entry, inputs), False, ""
    except MemoryError:
        failed = _failed(entry, "out_of_memory", OUT_OF_MEMORY)
        return failed, not task.alone or task.can_use_larger_class, ""
    except _STEP_ERRORS:
        raise
    except TransientError as error:  # it may pass: retry after all other partitions
        failed = _failed(entry, "trainer_error", describe(error))
        return failed, not task.alone or task.can_retry_later, ""
    except Exception as error:  # noqa: BLE001 - a trainer may raise anything; the others continue
        return _failed(entry, "trainer_error", describe(error)), False, traceback.format_exc()


_STEP_ERRORS = (OutputError, MissingInputError, DamagedError, LostArtifactError)
"""A full disk or a damaged artifact is not the partition's fault: the step ends without a record,
and the next attempt resumes."""

OUT_OF_MEMORY = "The trainer ran out of memory, also when it was tried again alone."


def _failed(entry: PartitionEntry, reason: Reason, message: str) -> Trained:
    return Trained(PartitionRecord(entry.key, "failed", reason, message))


_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_PATH = re.compile(r"(?<![\w.])(?:/[\w.+@-]+){2,}/?|[A-Za-z]:\\[^\s'\"]+")
_LONGEST_MESSAGE = 500


def describe(error: BaseException) -> str:
    """Return type and message of an exception without paths and addresses, which differ per run."""
    text = traceback.format_exception_only(error)[-1].strip()
    text = _PATH.sub("<path>", _ADDRESS.sub("<address>", text))
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"
