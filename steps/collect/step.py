"""The collect step: from one record per partition to result tables, a report and an outcome.

It streams: one partition's record and explanation are held at a time, and one short line for each.
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pyarrow as pa

from steps.collect.data_tables import put_statistics, reader_of, write_data_tables
from steps.collect.operations import found_models, pods, read_attempts, write_attempts
from steps.collect.outcome import Outcome, notable
from steps.collect.ranking import PartitionRow, ranked
from steps.collect.report import RunInfo, build_report
from steps.contract import DatasetLayout, ProjectLayout, RunLayout
from steps.errors import MissingInputError
from steps.records import (
    PartitionEntry,
    PartitionIndex,
    PartitionRecord,
    RunRecord,
    RunRequest,
    canonical_json,
)
from steps.results.run_tables import PER_PARTITION, results_of
from steps.results.schema import SCHEMA_VERSION, TABLES
from steps.results.writer import TableWriter
from steps.runtime.attempts import Attempt
from steps.runtime.progress import Progress
from steps.storage.base import Storage, read_parsed
from steps.stores.base import ExperimentStore
from steps.table.grid import Grid
from steps.table.sample import Sample

_READERS = 16


@dataclass(frozen=True)
class CollectResult:
    """What came of a run.

    Attributes:
        counts: partitions by status.
        reasons: skipped and failed partitions by reason.
        rows_without_target: rows that could not be used.
        ranking: trained partitions, best first, as ``ranked`` orders them.
        metric: the headline metric.
        too_many_failed: a larger share failed than the spec allows.
        outcome: the same in a few lines, as it is kept.
    """

    counts: dict[str, int]
    reasons: dict[str, int]
    rows_without_target: int
    ranking: list[PartitionRow]
    metric: str
    too_many_failed: bool
    outcome: Outcome


def collect(
    project: ProjectLayout,
    run: RunLayout,
    storage: Storage,
    store: ExperimentStore,
    progress: Progress,
    source: str,
) -> CollectResult:
    """Write the tables, operations and report of a run, and tell the store.

    Args:
        project: where the project's artifacts lie.
        run: where the run's artifacts lie.
        storage: of both.
        store: is told the outcome.
        progress: told of every partition.
        source: where the data came from, for people.

    Raises:
        MissingInputError: the run is not there.
        OutputError: the artifact root cannot be written.
    """
    request = read_parsed(storage, run.request, RunRequest.from_json)
    dataset = project.dataset(request.dataset)
    index = read_parsed(storage, dataset.index, PartitionIndex.from_json)
    progress.begin("collect", "partitions", len(index.entries))
    lines = _write_partition_tables(_Reader(project, run, storage, request, index), progress)
    progress.end()
    _write_small_tables(request, index, dataset, run, storage, lines)
    write_data_tables(request, dataset, run, storage)
    attempts = read_attempts(run, storage)
    facts = _facts(request, run, storage, lines, attempts, source)
    result = _result(
        request, run, lines, facts, index.rows, found_models(attempts), pods(run, storage)
    )
    _write_operations(request, run, storage, facts, result, attempts)
    write_report(project, run, storage, facts)
    store.put_results(request.experiment, request.run, results_of(run, storage))
    put_statistics(store, dataset, request.dataset, storage)
    _finish(request, run, storage, store, facts, result)
    return result


def write_report(project: ProjectLayout, run: RunLayout, storage: Storage, facts: RunInfo) -> None:
    """Make the report anew from the tables of a run, and of its data set."""
    request = read_parsed(storage, run.request, RunRequest.from_json)
    html = build_report(reader_of(project.dataset(request.dataset), run, storage), facts)
    storage.write(run.report, html.encode("utf-8", "surrogatepass"))


def read_facts(run: RunLayout, storage: Storage) -> RunInfo:
    """What a finished run said of itself.

    Raises:
        MissingInputError: there is no finished run.
    """
    return RunInfo(**read_parsed(storage, run.operations("run.json"), json.loads)["facts"])


# --- reading --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Reader:
    project: ProjectLayout
    run: RunLayout
    storage: Storage
    request: RunRequest
    index: PartitionIndex

    def read_ahead(self) -> Iterator[tuple[PartitionEntry, PartitionRecord, dict[str, Any]]]:
        """All partitions of the index in its order, with their tables; a few are read at once."""
        entries = self.index.entries
        with ThreadPoolExecutor(_READERS) as pool:
            for start in range(0, len(entries), _READERS):
                yield from pool.map(self._read, entries[start : start + _READERS])

    def _read(
        self, entry: PartitionEntry
    ) -> tuple[PartitionEntry, PartitionRecord, dict[str, Any]]:
        record = self._record(entry)
        return entry, record, self.tables_of(record) if record.status == "trained" else {}

    def _record(self, entry: PartitionEntry) -> PartitionRecord:
        """What became of a partition; one without a record has failed."""
        uri = self.run.record(entry.key.partition_id)
        try:
            return read_parsed(self.storage, uri, PartitionRecord.from_json)
        except MissingInputError:
            message = "The train step left no record of it."
            return PartitionRecord(entry.key, "failed", "no_record", message)

    def tables_of(self, record: PartitionRecord) -> dict[str, Any]:
        """A trained partition's rows by table, and how many folds it had."""
        cache = self.run.cache if self.request.force else self.project.cache
        fit = read_parsed(self.storage, cache.fit(record.fit), json.loads)
        explanation = read_parsed(self.storage, cache.explanation(record.explanation), json.loads)
        return {**explanation, **fit}


# --- tables ---------------------------------------------------------------------------------


def _write_partition_tables(reader: _Reader, progress: Progress) -> list[PartitionRow]:
    target = reader.index.column_position(reader.request.roles.target)
    lines = []
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(
                TableWriter(TABLES[name], partial(reader.run.table, name), reader.storage)
            )
            for name in PER_PARTITION
        }
        for entry, record, tables in reader.read_ahead():
            for name, writer in writers.items():
                writer.add(
                    tables.get(name, {}),
                    partition_id=entry.key.partition_id,
                    partition=entry.key.text,
                )
            lines.append(PartitionRow.of(record, entry.rows, entry.missing[target], tables))
            progress.advance(1)
    return lines


def _write_small_tables(
    request: RunRequest,
    index: PartitionIndex,
    dataset: DatasetLayout,
    run: RunLayout,
    storage: Storage,
    lines: list[PartitionRow],
) -> None:
    ranks = {line.partition_id: i + 1 for i, line in enumerate(ranked(lines))}
    rows = [line.cells() | {"rank": ranks.get(line.partition_id)} for line in lines]
    _write_table("partitions", rows, run, storage)
    statistics = read_parsed(storage, dataset.statistics, json.loads)
    grid = read_parsed(storage, dataset.grid(request.grid), Grid.from_json)
    sample = read_parsed(storage, dataset.sample, Sample.from_ipc).rows
    types = {column.name: column.type for column in index.columns}
    features = [
        _feature_row(name, types[name], statistics[name], sample, grid, request)
        for name in request.roles.features
    ]
    _write_table("features", features, run, storage)
    _write_table("experiment", [_experiment_row(request, index, lines)], run, storage)


def _write_table(name: str, rows: list[dict[str, Any]], run: RunLayout, storage: Storage) -> None:
    columns = {column: [row[column] for row in rows] for column in TABLES[name].names}
    with TableWriter(TABLES[name], partial(run.table, name), storage) as writer:
        writer.add(columns)


def _feature_row(
    name: str, kind: str, summary: dict[str, Any], sample: pa.Table, grid: Grid, request: RunRequest
) -> dict[str, Any]:
    return {
        "feature": name,
        "type": kind,
        "categorical": name in request.roles.categorical,
        "rows": summary["rows"],
        "missing": summary["missing"],
        "min": summary["low"],
        "max": summary["high"],
        "mean": summary["mean"],
        "sampled_distinct": len(sample.column(name).drop_null().unique()),
        "grid_size": len(grid[name].values),
    }


def _experiment_row(
    request: RunRequest, index: PartitionIndex, lines: list[PartitionRow]
) -> dict[str, Any]:
    counts = Counter(line.status for line in lines)
    return {
        "schema_version": SCHEMA_VERSION,
        "project": request.project,
        "experiment": request.experiment,
        "spec_hash": request.spec_hash,
        "dataset": index.content,
        "partition_by": request.roles.partition_by,
        "target": request.roles.target,
        "task": request.task,
        "positive_class": request.classes[-1] if request.task == "binary" else None,
        "trainer": request.trainer["name"],
        "trainer_params": canonical_json(request.trainer["params"]),
        "evaluate": canonical_json(request.evaluate),
        "explain": canonical_json(request.explain),
        "versions": canonical_json(request.versions),
        "rows": index.rows,
        "rows_without_target": sum(line.rows_without_target for line in lines),
        "partitions": len(lines),
        **{status: counts[status] for status in ("trained", "skipped", "failed")},
    }


# --- outcome --------------------------------------------------------------------------------


def _result(
    request: RunRequest,
    run: RunLayout,
    lines: list[PartitionRow],
    facts: RunInfo,
    rows: int,
    cached: dict[str, int],
    pods: dict[str, int],
) -> CollectResult:
    counts = Counter(line.status for line in lines)
    ranking = ranked(lines)
    best, worst = notable(ranking)
    outcome = Outcome(
        run=request.run,
        partitions=len(lines),
        rows=rows,
        rows_without_target=sum(line.rows_without_target for line in lines),
        counts={status: counts[status] for status in ("trained", "skipped", "failed")},
        reasons=dict(sorted(Counter(line.reason for line in lines if line.reason).items())),
        metric=ranking[0].metric or "" if ranking else "",
        best=best,
        worst=worst,
        cached=cached,
        too_many_failed=counts["failed"] > request.max_failed_fraction * len(lines),
        seconds=facts.seconds,
        report=run.report,
        tables=facts.tables,
        attempts=pods,
    )
    return CollectResult(
        counts=outcome.counts,
        reasons=outcome.reasons,
        rows_without_target=outcome.rows_without_target,
        ranking=ranking,
        metric=outcome.metric,
        too_many_failed=outcome.too_many_failed,
        outcome=outcome,
    )


def _facts(
    request: RunRequest,
    run: RunLayout,
    storage: Storage,
    lines: list[PartitionRow],
    attempts: list[Attempt],
    source: str,
) -> RunInfo:
    started = read_parsed(storage, run.operations("started.json"), json.loads)["started"]
    ended = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    cached = sum(count for kind, count in found_models(attempts).items() if kind != "none")
    seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
    return RunInfo(
        run=request.run,
        started=started,
        ended=ended,
        seconds=seconds,
        cached=cached,
        fitted=sum(line.status == "trained" for line in lines) - cached,
        source=source,
        tables=f"{run.base}/tables",
        version=request.versions["refeed"],
    )


def _write_operations(
    request: RunRequest,
    run: RunLayout,
    storage: Storage,
    facts: RunInfo,
    result: CollectResult,
    attempts: list[Attempt],
) -> None:
    about = {"facts": asdict(facts), "counts": result.counts, "machine": platform.machine()}
    storage.write(
        run.operations("run.json"), canonical_json(about).encode("utf-8", "surrogatepass")
    )
    storage.write(run.outcome, result.outcome.to_json().encode("utf-8", "surrogatepass"))
    write_attempts(run, storage, request.run, attempts)


def _finish(
    request: RunRequest,
    run: RunLayout,
    storage: Storage,
    store: ExperimentStore,
    facts: RunInfo,
    result: CollectResult,
) -> None:
    record = RunRecord(
        project=request.project,
        experiment=request.experiment,
        run=request.run,
        spec_hash=request.spec_hash,
        dataset=request.dataset,
        status="failed" if result.too_many_failed else "finished",
        started=facts.started,
        ended=facts.ended,
        counts=result.counts,
        label=request.label,
        message=_why(result),
    )
    storage.write(run.done, record.to_json().encode())
    store.put(record)


def _why(result: CollectResult) -> str:
    if not result.too_many_failed:
        return ""
    return f"{result.counts['failed']} of {result.outcome.partitions} partitions failed."
