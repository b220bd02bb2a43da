"""A warm worker process: trains the partitions it is handed, one after the other, in one thread."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection

from steps.contract import RunAddress, RunLayout
from steps.errors import (
    DamagedError,
    LostArtifactError,
    MissingInputError,
    OutputError,
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
from steps.runtime.attempts import BEGUN, Attempt, record_attempt
from steps.runtime.lost_artifacts import rebuild_if_lost
from steps.storage.base import read_parsed, storage_for, write_text
from steps.table.grid import Grid
from steps.train.partition import Cached, TrainContext, train_partition
from steps.train.registry import library_versions, load_class, make_trainer
from steps.train.workers.host import cpu_model_name


@dataclass(frozen=True)
class WorkerTask:
    """One partition to train.

    Attributes:
        partition_id: which one.
        attempt: which try this is within the run, from 1.
        shard: that it belongs to.
        class_offset: by how many resource classes this pod is larger than the shard's own.
        alone: no other partition is being trained at the same time: the last chance in this pod.
        may_grow: a later pod may try again with more memory.
        may_wait: a later pod may try again what failed for a passing reason.
    """

    partition_id: str
    attempt: int
    shard: str = ""
    class_offset: int = 0
    alone: bool = False
    can_use_larger_class: bool = False
    can_retry_later: bool = False

    def again(self) -> WorkerTask:
        """The next try, alone."""
        return replace(self, attempt=self.attempt + 1, alone=True)


@dataclass(frozen=True)
class TaskResult:
    """What became of an order; ``retry`` asks for another try, alone in a fresh process.

    ``detail`` is for the log: where in its code a trainer raised.
    """

    task: WorkerTask
    status: str
    reason: str
    cached: Cached
    seconds: float
    retry: bool = False
    message: str = ""
    detail: str = ""


def open_context(address: RunAddress) -> TrainContext:
    """Read what all partitions of a run have in common.

    Raises:
        MissingInputError: the run does not exist.
        LostArtifactError: its dataset was deleted or damaged.
        SpecError: the trainer is not installed here.
        TrainerError: the run was begun with other versions.
    """
    storage = storage_for(address.root)
    request = read_parsed(storage, address.run_layout.request, RunRequest.from_json)
    _check_versions(request)
    dataset = address.layout.dataset(request.dataset)
    with rebuild_if_lost(dataset, storage):
        index = read_parsed(storage, dataset.index, PartitionIndex.from_json)
        grid = read_parsed(storage, dataset.grid(request.grid), Grid.from_json)
    return TrainContext(
        request=request,
        index=index,
        grid=grid,
        trainer=make_trainer(request.trainer["name"], request.trainer["params"]),
        dataset=dataset,
        cache=address.run_layout.cache if request.force else address.layout.cache,
        storage=storage,
    )


def _check_versions(request: RunRequest) -> None:
    """Refuse to train with other libraries than the run was begun with: keys and tables name them.

    Raises:
        TrainerError: with both versions.
    """
    here = library_versions(load_class(request.trainer["name"]))
    for name, version in here.items():
        begun = request.versions.get(name)
        if begun != version:
            raise TrainerError(
                f"The run was begun with {name} {begun}, and this is {version}: its models would "
                "not be comparable.",
                hint="Begin a new run; what the cache holds for these versions is found again.",
            )


def worker_main(address: RunAddress, connection: Connection) -> None:
    """The main function of a worker process: orders in, reports out, until None comes."""
    _die_with_parent()
    for number in (signal.SIGINT, signal.SIGTERM):  # both are the supervisor's affair
        signal.signal(number, signal.SIG_IGN)
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more
        try:
            _work(address, connection)
        except (*_OURS, TransientError) as error:  # of the storage; a trainer's is a try's affair
            connection.send(error)


def _work(address: RunAddress, connection: Connection) -> None:
    work = open_context(address)
    connection.send(None)  # ready
    entries = {entry.key.partition_id: entry for entry in work.index.entries}
    for task in _orders(connection):
        connection.send(_carry_out(work, address.run_layout, entries[task.partition_id], task))


def _orders(connection: Connection) -> Iterator[WorkerTask]:
    with contextlib.suppress(EOFError, ConnectionResetError):
        while (task := connection.recv()) is not None:
            yield task


def _die_with_parent() -> None:
    """Linux: be killed when the parent is, so that no orphan goes on training."""
    if sys.platform == "linux":
        prctl_set_death_signal = 1  # PR_SET_PDEATHSIG, <sys/prctl.h>
        ctypes.CDLL(None).prctl(prctl_set_death_signal, signal.SIGKILL)


def _carry_out(
    work: TrainContext, run: RunLayout, entry: PartitionEntry, task: WorkerTask
) -> TaskResult:
    """Train one partition; that it was begun is written down first, for if the pod is killed."""
    began = time.monotonic()
    note_attempt(work, run, task, BEGUN, "none", 0.0)
    outcome = _try(work, entry, task)
    seconds = time.monotonic() - began
    record = outcome.record
    told = record.reason if outcome.retry else record.status
    note_attempt(work, run, task, told, outcome.cached, seconds)
    if not outcome.retry:
        write_record(work, run, record)
    return TaskResult(
        task,
        record.status,
        record.reason,
        outcome.cached,
        seconds,
        outcome.retry,
        record.message,
        outcome.detail,
    )


def note_attempt(
    work: TrainContext,
    run: RunLayout,
    task: WorkerTask,
    outcome: str,
    cached: Cached,
    seconds: float,
) -> None:
    """Write down one try at a partition, for ``operations/``."""
    attempt = Attempt(
        partition_id=task.partition_id,
        attempt=task.attempt,
        outcome=outcome,
        cached=cached,
        seconds=round(seconds, 4),
        peak_memory_mib=round(_peak(), 1),
        worker=os.environ.get(POD_VARIABLE) or str(os.getpid()),
        cpu=cpu_model_name() or "unknown",
        shard=task.shard,
        class_offset=task.class_offset,
        alone=task.alone,
    )
    record_attempt(work.storage, run, attempt)


def write_record(work: TrainContext, run: RunLayout, record: PartitionRecord) -> None:
    """The commit marker of a partition: written after everything it refers to."""
    write_text(work.storage, run.record(record.key.partition_id), record.to_json())


@dataclass(frozen=True)
class _Outcome:
    """Of one try; ``retry`` says that another one is worth it."""

    record: PartitionRecord
    cached: Cached = "none"
    retry: bool = False
    detail: str = ""


def _try(work: TrainContext, entry: PartitionEntry, task: WorkerTask) -> _Outcome:
    try:
        return _Outcome(*train_partition(work, entry))
    except MemoryError:
        failed = _failed(entry, "out_of_memory", OUT_OF_MEMORY)
        return _Outcome(failed, retry=not task.alone or task.can_use_larger_class)
    except _OURS:
        raise
    except TransientError as error:  # passes by itself, or not: again, after all others
        failed = _failed(entry, "trainer_error", describe(error))
        return _Outcome(failed, retry=not task.alone or task.can_retry_later)
    except Exception as error:  # noqa: BLE001 - a trainer may raise anything; the others go on
        failed = _failed(entry, "trainer_error", describe(error))
        return _Outcome(failed, detail=traceback.format_exc())


_OURS = (OutputError, MissingInputError, DamagedError, LostArtifactError)
"""A full disk or a damaged artifact is no fault of the partition: the step ends, nothing is
recorded, and the next try goes on from there."""

POD_VARIABLE = "REFEED_POD"
"""Names the environment variable with the pod's name; it is not set on a laptop."""

OUT_OF_MEMORY = "The trainer ran out of memory, also when it was tried again alone."


def _failed(entry: PartitionEntry, reason: Reason, message: str) -> PartitionRecord:
    return PartitionRecord(entry.key, "failed", reason, message)


_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_PATH = re.compile(r"(?<![\w.])(?:/[\w.+@-]+){2,}/?|[A-Za-z]:\\[^\s'\"]+")
_LONGEST_MESSAGE = 500


def describe(error: BaseException) -> str:
    """Type and message of an exception, without what differs from run to run: paths, addresses."""
    text = traceback.format_exception_only(error)[-1].strip()
    text = _PATH.sub("<path>", _ADDRESS.sub("<address>", text))
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"


def _peak() -> float:
    """Largest resident set of this process so far, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
