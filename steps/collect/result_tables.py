"""The result tables of a run, written partition by partition."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from steps.collect.partition_results import PartitionArtifacts
from steps.collect.ranking import PartitionRow, ranked
from steps.findings.own_or_base import Overall, OwnOrBase
from steps.records import PartitionIndex, Roles, RunRequest, canonical_json
from steps.results.run_tables import STREAMED
from steps.results.schema import SCHEMA_VERSION, TABLES
from steps.results.writer import TableWriter
from steps.run_context import RunContext
from steps.runtime.progress import Progress
from steps.storage.base import read_parsed
from steps.table.grid import Grid
from steps.table.sample import Sample


def write_partition_tables(
    context: RunContext,
    results: Iterable[PartitionArtifacts],
    roles: Roles,
    target: int,
    progress: Progress,
) -> tuple[list[PartitionRow], OwnOrBase]:
    """Write the tables with any number of rows per partition.

    Args:
        context: context of the run.
        results: one partition at a time, in the order of the index.
        roles: roles of the columns.
        target: position of the target among the dataset's columns.
        progress: advances with each partition.

    Returns:
        One row of ``partitions`` per partition, and the comparisons with the base model.
    """
    rows = []
    own_or_base = OwnOrBase()
    with ExitStack() as stack:
        writers = {
            name: stack.enter_context(
                TableWriter(
                    TABLES[name],
                    partial(context.run.table, name),
                    context.storage,
                    keys=roles.keys,
                )
            )
            for name in STREAMED
        }
        for each in results:
            key = each.entry.key
            for name, writer in writers.items():
                writer.add(
                    each.tables.get(name, {}), partition_id=key.partition_id, partition=key.text
                )
            entry = each.entry
            if each.comparison is not None:
                own_or_base.add(key.partition_id, key.text, each.comparison)
            rows.append(
                PartitionRow.of(each.record, entry.rows, entry.missing[target], each.tables)
            )
            progress.advance(1)
    return rows, own_or_base


def write_run_tables(
    context: RunContext,
    request: RunRequest,
    index: PartitionIndex,
    rows: list[PartitionRow],
    own_or_base: OwnOrBase,
) -> None:
    """Write ``partitions``, ``own_or_base``, ``features`` and ``experiment``.

    Args:
        context: context of the run.
        request: the request that started the run.
        index: partition index of its dataset.
        rows: one per partition.
        own_or_base: the comparisons with the base model.

    Raises:
        MissingInputError: the dataset lost an artifact.
        DamagedError: an artifact of the dataset cannot be parsed.
    """
    storage, dataset = context.storage, context.dataset(request)
    ranks = {row.partition_id: i + 1 for i, row in enumerate(ranked(rows))}
    partitions = [row.as_row() | {"rank": ranks.get(row.partition_id)} for row in rows]
    _write_table(context, "partitions", partitions, request.roles.keys)
    compared, overall = own_or_base.judge()
    _write_table(context, "own_or_base", compared, request.roles.keys)
    statistics = read_parsed(storage, dataset.statistics, json.loads)
    grid = read_parsed(storage, dataset.grid(request.grid), Grid.from_json)
    sample = read_parsed(storage, dataset.sample, Sample.from_ipc).rows
    types = {column.name: column.type for column in index.columns}
    features = [
        {
            "feature": name,
            "type": types[name],
            "categorical": name in request.roles.categorical,
            "rows": statistics[name]["rows"],
            "missing": statistics[name]["missing"],
            "min": statistics[name]["low"],
            "max": statistics[name]["high"],
            "mean": statistics[name]["mean"],
            "sampled_distinct": len(sample.column(name).drop_null().unique()),
            "grid_size": len(grid[name].values),
        }
        for name in request.roles.features
    ]
    _write_table(context, "features", features)
    _write_table(context, "experiment", [_experiment_row(request, index, rows, overall)])


def _write_table(
    context: RunContext, name: str, rows: list[dict[str, Any]], keys: Sequence[str] = ()
) -> None:
    columns = {column: [row[column] for row in rows] for column in TABLES[name].names}
    place = partial(context.run.table, name)
    with TableWriter(TABLES[name], place, context.storage, keys=keys) as writer:
        writer.add(columns)


def _experiment_row(
    request: RunRequest,
    index: PartitionIndex,
    rows: list[PartitionRow],
    overall: Overall | None,
) -> dict[str, Any]:
    counts = Counter(row.status for row in rows)
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
        "base": canonical_json(request.base) if request.base else None,
        "base_partitions": overall.partitions if overall else None,
        "base_gain": overall.gain if overall else None,
        "base_gain_low": overall.low if overall else None,
        "base_gain_high": overall.high if overall else None,
        "versions": canonical_json(request.versions),
        "rows": index.rows,
        "rows_without_target": sum(row.rows_without_target for row in rows),
        "partitions": len(rows),
        **{status: counts[status] for status in ("trained", "skipped", "failed")},
    }
