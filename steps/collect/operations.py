"""Facts that differ from run to run, so they are not in the tables: attempts and pods."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import asdict

import pyarrow as pa

from steps.contract import RunLayout
from steps.errors import MissingInputError
from steps.records import PodRecord
from steps.results.writer import csv_of
from steps.runtime.attempts import Attempt
from steps.runtime.parallel import REQUESTS, map_ordered
from steps.storage.base import Storage, read_parsed


def count_by_cache(attempts: list[Attempt]) -> dict[str, int]:
    """Return trained partitions by how much of them was found in the cache."""
    last = {attempt.partition_id: attempt for attempt in attempts}
    return dict(Counter(a.cached for a in last.values() if a.outcome == "trained"))


def write_attempts(run: RunLayout, storage: Storage, run_id: str, attempts: list[Attempt]) -> None:
    """Write ``operations/attempts.csv``, empty if there were none."""
    table = pa.Table.from_pylist([{"run": run_id, **asdict(attempt)} for attempt in attempts])
    storage.write(run.attempts_table, csv_of(table) if attempts else b"")


def compare_costs(run: RunLayout, storage: Storage, attempts: list[Attempt]) -> dict[str, float]:
    """Return predicted and actual cost of the partitions that were trained without the cache.

    Returns:
        Number of partitions, seconds (without waiting for a CPU that other processes used), CPU
        seconds, and the largest memory of a worker; empty without a prediction.
    """
    try:
        predicted = _predictions(storage.read(run.predictions))
    except MissingInputError:  # a run of an earlier version
        return {}
    trained = [
        each
        for each in attempts
        if (each.outcome, each.cached) == ("trained", "none") and each.partition_id in predicted
    ]
    if not trained:
        return {}
    stated = [predicted[each.partition_id] for each in trained]
    return {
        "partitions": len(trained),
        "predicted_seconds": round(sum(each["seconds"] for each in stated), 3),
        "seconds": round(sum(each.busy_seconds for each in trained), 3),
        "cpu_seconds": round(sum(each.cpu_seconds for each in trained), 3),
        "predicted_memory_mib": max(each["memory_mib"] for each in stated),
        "memory_mib": max(each.peak_memory_mib for each in trained),
    }


def _predictions(content: bytes) -> dict[str, dict[str, float]]:
    """Return predicted seconds and memory by partition id."""
    rows = csv.DictReader(io.StringIO(content.decode()))
    names = ("seconds", "memory_mib")
    return {row["partition_id"]: {name: float(row[name]) for name in names} for row in rows}


def count_pods(run: RunLayout, storage: Storage) -> dict[str, int]:
    """Return pods that have ended, by cause."""
    uris = [f"{run.pods}/{name}" for name in storage.names(run.pods)]
    records = map_ordered(
        lambda uri: read_parsed(storage, uri, PodRecord.from_json), uris, REQUESTS
    )
    return dict(sorted(Counter(record.cause for record in records if record.cause).items()))
