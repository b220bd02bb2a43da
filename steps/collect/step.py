"""The collect step: from one record per partition to result tables, a report and an outcome.

It streams: records and explanations of a few partitions are held at a time, and one row of the
table ``partitions`` for each partition.
"""

from __future__ import annotations

import json
import platform
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from steps.collect.data_tables import put_statistics, reader_of, write_data_tables
from steps.collect.operations import compare_costs, count_by_cache, count_pods, write_attempts
from steps.collect.outcome import Outcome
from steps.collect.partition_results import PartitionResultReader
from steps.collect.ranking import PartitionRow, ranked
from steps.collect.report import RunInfo, build_report
from steps.collect.result_tables import write_partition_tables, write_run_tables
from steps.records import PartitionIndex, RunRecord, RunRequest, canonical_json
from steps.results.run_tables import results_of
from steps.run_context import RunContext
from steps.runtime.attempts import Attempt
from steps.runtime.lost_artifacts import rebuild_if_lost
from steps.runtime.progress import Progress
from steps.segments.compaction import compact
from steps.segments.run_results import RunResults
from steps.storage.base import read_parsed, write_text
from steps.table.data_warnings import DataWarning


@dataclass(frozen=True)
class CollectResult:
    """Outcome of a run.

    Attributes:
        outcome: counts, reasons, and the best and worst partitions.
        ranking: trained partitions, best first.
    """

    outcome: Outcome
    ranking: list[PartitionRow]


def collect(
    context: RunContext,
    source: str,
    progress: Progress,
    expected: AbstractSet[str] = frozenset(),
) -> CollectResult:
    """Write the tables, operations and report of a run, and store its outcome.

    Args:
        context: context of the run.
        source: name of the source, as the report shows it.
        progress: advances with each partition.
        expected: ids of partitions that train has recorded. A record that is missing was lost; of
            all other partitions without a record, train has failed.

    Raises:
        MissingInputError: the run does not exist.
        LostArtifactError: results or an artifact of the dataset were deleted or damaged, and are
            scheduled to be computed again.
        OutputError: the artifact root cannot be written.
    """
    request = context.request()
    results = context.results(request)
    with rebuild_if_lost(context.dataset(request), context.storage):
        rows, index, warnings = _write_tables(context, request, results, progress, expected)
        attempts = results.attempts(all_generations=True)
        info = _run_info(context, request, rows, attempts, source)
        outcome = Outcome.of(
            request,
            rows,
            index.rows,
            seconds=info.seconds,
            report=context.run.report,
            tables=info.tables,
            cached=count_by_cache(attempts),
            attempts=count_pods(context.run, context.storage),
            warnings=[each.message for each in warnings],
            costs=compare_costs(context.run, context.storage, attempts),
        )
        _write_operations(context, outcome, info, attempts)
        write_report(context, info)
        tables = results_of(context.run, context.storage)
        context.store.put_results(request.experiment, request.run, tables)
        put_statistics(context.store, context.dataset(request), request.dataset, context.storage)
    _finish(context, request, outcome, info)
    compact(context.storage, results.segments)
    return CollectResult(outcome, ranked(rows))


def write_report(context: RunContext, info: RunInfo) -> None:
    """Write the report again from the tables of a run and of its dataset.

    Raises:
        MissingInputError: the run has no tables.
    """
    dataset = context.dataset(context.request())
    html = build_report(reader_of(dataset, context.run, context.storage), info)
    write_text(context.storage, context.run.report, html)


def read_run_info(context: RunContext) -> RunInfo:
    """Read when and how a finished run was made.

    Raises:
        MissingInputError: the run has not finished.
    """
    uri = context.run.info
    return RunInfo(**read_parsed(context.storage, uri, json.loads)["facts"])


def _write_tables(
    context: RunContext,
    request: RunRequest,
    results: RunResults,
    progress: Progress,
    expected: AbstractSet[str],
) -> tuple[list[PartitionRow], PartitionIndex, list[DataWarning]]:
    dataset = context.dataset(request)
    index = read_parsed(context.storage, dataset.index, PartitionIndex.from_json)
    partitions = PartitionResultReader(results, index, expected).read()
    target = index.column_position(request.roles.target)
    progress.begin("collect", "partitions", len(index.entries))
    rows, own_or_base = write_partition_tables(context, partitions, request.roles, target, progress)
    progress.end()
    write_run_tables(context, request, index, rows, own_or_base)
    warnings = write_data_tables(request, dataset, context.run, context.storage)
    return rows, index, warnings


def _run_info(
    context: RunContext,
    request: RunRequest,
    rows: list[PartitionRow],
    attempts: list[Attempt],
    source: str,
) -> RunInfo:
    uri = context.run.started
    started = read_parsed(context.storage, uri, json.loads)["started"]
    ended = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    cached = sum(count for kind, count in count_by_cache(attempts).items() if kind != "none")
    seconds = (datetime.fromisoformat(ended) - datetime.fromisoformat(started)).total_seconds()
    return RunInfo(
        run=request.run,
        started=started,
        ended=ended,
        seconds=seconds,
        cached=cached,
        fitted=Counter(row.status for row in rows)["trained"] - cached,
        source=source,
        tables=context.run.tables,
        version=request.versions["refeed"],
    )


def _write_operations(
    context: RunContext, outcome: Outcome, info: RunInfo, attempts: list[Attempt]
) -> None:
    run, storage = context.run, context.storage
    about = {"facts": asdict(info), "counts": outcome.counts, "machine": platform.machine()}
    write_text(storage, run.info, canonical_json(about))
    write_text(storage, run.outcome, outcome.to_json())
    write_attempts(run, storage, outcome.run, attempts)


def _finish(context: RunContext, request: RunRequest, outcome: Outcome, info: RunInfo) -> None:
    record = RunRecord(
        project=request.project,
        experiment=request.experiment,
        run=request.run,
        spec_hash=request.spec_hash,
        dataset=request.dataset,
        status="failed" if outcome.failed else "finished",
        started=info.started,
        ended=info.ended,
        counts=outcome.counts,
        label=request.label,
        message=outcome.failure,
    )
    context.storage.write(context.run.done, record.to_json().encode())
    context.store.put(record)
