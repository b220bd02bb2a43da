"""A warm worker process: trains the partitions it is handed, one after the other, in one thread."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import re
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from steps.contract import ProjectLayout, RunLayout
from steps.errors import DamagedError, MissingInputError, OutputError, TransientError
from steps.records import (
    Attempt,
    PartitionEntry,
    PartitionIndex,
    PartitionRecord,
    Reason,
    RunRequest,
)
from steps.storage import read_parsed, storage_for
from steps.table.grid import Grid
from steps.train.partition import Cached, Work, train_partition
from steps.train.registry import make_trainer


@dataclass(frozen=True)
class WorkerSetup:
    """All that a worker needs to begin; small, since it is sent to another process.

    Attributes:
        root: the artifact root.
        project: of the run.
        experiment: of the run.
        run: its id.
    """

    root: str
    project: str
    experiment: str
    run: str

    @property
    def layout(self) -> ProjectLayout:
        """Where the project's artifacts lie."""
        return ProjectLayout(self.root, self.project)

    @property
    def run_layout(self) -> RunLayout:
        """Where the run's artifacts lie."""
        return self.layout.run(self.experiment, self.run)


@dataclass(frozen=True)
class Order:
    """One partition to train.

    Attributes:
        partition_id: which one.
        attempt: which try this is within the run, from 1.
        alone: no other partition is being trained at the same time; the last chance.
    """

    partition_id: str
    attempt: int
    alone: bool = False


@dataclass(frozen=True)
class Report:
    """What became of an order; ``retry`` asks for another try, alone in a fresh process."""

    order: Order
    status: str
    reason: str
    cached: Cached
    seconds: float
    retry: bool = False


def open_work(setup: WorkerSetup) -> Work:
    """Read what all partitions of a run have in common.

    Raises:
        MissingInputError: the run or its data set is not there.
        SpecError: the trainer is not installed here.
    """
    storage = storage_for(setup.root)
    request = read_parsed(storage, setup.run_layout.request, RunRequest.from_json)
    dataset = setup.layout.dataset(request.dataset)
    return Work(
        request=request,
        index=read_parsed(storage, dataset.index, PartitionIndex.from_json),
        grid=read_parsed(storage, dataset.grid(request.grid), Grid.from_json),
        trainer=make_trainer(request.trainer["name"], request.trainer["params"]),
        dataset=dataset,
        cache=setup.layout.cache,
        storage=storage,
    )


def work_until_told(setup: WorkerSetup, connection: Connection) -> None:
    """The main function of a worker process: orders in, reports out, until None comes."""
    _die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the supervisor's affair
    work = open_work(setup)
    connection.send(None)  # ready
    entries = {entry.key.partition_id: entry for entry in work.index.entries}
    with contextlib.suppress(BrokenPipeError):  # nobody listens any more
        for order in _orders(connection):
            entry = entries[order.partition_id]
            try:
                connection.send(_carry_out(work, setup.run_layout, entry, order))
            except _OURS as error:
                connection.send(error)
                return


def _orders(connection: Connection) -> Iterator[Order]:
    with contextlib.suppress(EOFError, ConnectionResetError):
        while (order := connection.recv()) is not None:
            yield order


def _die_with_parent() -> None:
    """Linux: be killed when the parent is, so that no orphan goes on training."""
    if sys.platform == "linux":
        prctl_set_death_signal = 1  # PR_SET_PDEATHSIG, <sys/prctl.h>
        ctypes.CDLL(None).prctl(prctl_set_death_signal, signal.SIGKILL)


def _carry_out(work: Work, run: RunLayout, entry: PartitionEntry, order: Order) -> Report:
    began = time.monotonic()
    record, cached, retry = _try(work, entry, order)
    seconds = time.monotonic() - began
    note_attempt(work, run, order, record.reason if retry else record.status, cached, seconds)
    if not retry:
        write_record(work, run, record)
    return Report(order, record.status, record.reason, cached, seconds, retry)


def note_attempt(
    work: Work, run: RunLayout, order: Order, outcome: str, cached: Cached, seconds: float
) -> None:
    """Write down one try at a partition, for ``operations/``."""
    attempt = Attempt(
        partition_id=order.partition_id,
        attempt=order.attempt,
        outcome=outcome,
        cached=cached,
        seconds=round(seconds, 4),
        peak_memory_mib=round(_peak(), 1),
        worker=str(os.getpid()),
        cpu=_cpu(),
    )
    work.storage.write(run.attempt(order.partition_id, order.attempt), attempt.to_json().encode())


def write_record(work: Work, run: RunLayout, record: PartitionRecord) -> None:
    """The commit marker of a partition: written after everything it refers to."""
    content = record.to_json().encode("utf-8", "surrogatepass")
    work.storage.write(run.record(record.key.partition_id), content)


def _try(work: Work, entry: PartitionEntry, order: Order) -> tuple[PartitionRecord, Cached, bool]:
    """Record, cached, and whether another try is worth it."""
    try:
        record, cached = train_partition(work, entry)
    except MemoryError:
        return _failed(entry, "out_of_memory", OUT_OF_MEMORY), "none", not order.alone
    except _OURS:
        raise
    except TransientError as error:  # passes by itself, or not: once more, after all others
        return _failed(entry, "trainer_error", describe(error)), "none", not order.alone
    except Exception as error:  # noqa: BLE001 - a trainer may raise anything; the others go on
        return _failed(entry, "trainer_error", describe(error)), "none", False
    return record, cached, False


_OURS = (OutputError, MissingInputError, DamagedError)
"""A full disk or a damaged artifact is no fault of the partition: the step ends, nothing is
recorded, and the next try goes on from there."""

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


@functools.cache
def _cpu() -> str:
    """The processor's model name: floating point may differ in the last bits between two."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return "unknown"
