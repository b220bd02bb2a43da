"""Facts that differ from run to run, so they are not in the tables: attempts and pods."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict

import pyarrow as pa

from steps.contract import RunLayout
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


def count_pods(run: RunLayout, storage: Storage) -> dict[str, int]:
    """Return pods that have ended, by cause."""
    uris = [f"{run.pods}/{name}" for name in storage.names(run.pods)]
    records = map_ordered(
        lambda uri: read_parsed(storage, uri, PodRecord.from_json), uris, REQUESTS
    )
    return dict(sorted(Counter(record.cause for record in records if record.cause).items()))
