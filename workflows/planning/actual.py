"""Measured costs of an earlier run, from ``operations/attempts.csv``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from steps.contract import ProjectLayout
from steps.records import PartitionIndex, RunRequest
from steps.runtime.attempts import busy_seconds
from steps.storage.base import Storage, read_parsed


@dataclass(frozen=True)
class ActualPartition:
    """A partition that was trained without the cache.

    Attributes:
        rows: its rows with a target.
        seconds: time that its worker needed, without waiting for a CPU that others used.
    """

    rows: int
    seconds: float


@dataclass(frozen=True)
class Peak:
    """The largest memory of a worker.

    Attributes:
        rows: rows of its largest partition.
        memory_mib: resident memory.
    """

    rows: int
    memory_mib: float


@dataclass(frozen=True)
class Actual:
    """Measured costs of a run.

    Attributes:
        run: its id.
        partitions: partitions that were trained without the cache.
        peaks: peaks of memory by worker.
    """

    run: str
    partitions: tuple[ActualPartition, ...]
    peaks: tuple[Peak, ...]


def actual_costs(request: RunRequest, project: ProjectLayout, storage: Storage) -> Actual | None:
    """Return the measured costs of a run, or None if it has trained nothing.

    Raises:
        MissingInputError: the run or its dataset was removed.
        DamagedError: a file cannot be read.
    """
    layout = project.run(request.experiment, request.run)
    index = read_parsed(storage, project.dataset(request.dataset).index, PartitionIndex.from_json)
    attempts = _attempts(storage.read(layout.attempts_table))
    at = index.column_position(request.roles.target)
    rows = {each.key.partition_id: (each.rows, each.missing[at]) for each in index.entries}
    trained = [
        each
        for each in attempts
        if each["outcome"] == "trained"
        and each["cached"] == "none"
        and each["partition_id"] in rows
    ]
    if not trained:
        return None
    partitions = [
        ActualPartition(all_rows - missing, _busy(each))
        for each in trained
        for all_rows, missing in [rows[each["partition_id"]]]
    ]
    largest: dict[str, Peak] = {}
    for each in trained:
        count, peak = rows[each["partition_id"]][0], float(each["peak_memory_mib"])
        before = largest.get(str(each["worker"]), Peak(0, 0.0))
        largest[str(each["worker"])] = Peak(max(count, before.rows), max(peak, before.memory_mib))
    return Actual(request.run, tuple(partitions), tuple(largest.values()))


def _busy(attempt: Mapping[str, Any]) -> float:
    """Return the seconds of an attempt without waiting for a CPU; earlier versions: wall time."""
    names = ("seconds", "cpu_seconds", "queued_seconds")
    return busy_seconds(*(float(attempt.get(name, 0.0)) for name in names))


_COLUMNS = {"partition_id", "outcome", "cached", "seconds", "peak_memory_mib", "worker"}


def _attempts(content: bytes) -> list[dict[str, Any]]:
    if not content:
        return []
    try:
        table = pa_csv.read_csv(pa.BufferReader(content))
    except pa.ArrowException:
        return []
    return table.to_pylist() if set(table.column_names) >= _COLUMNS else []
