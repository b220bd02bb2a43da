"""Train the models of a table, and check what can be computed without Refeed."""

from __future__ import annotations

import math
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow.parquet as pq
import yaml

from steps.contract import RunAddress
from steps.errors import RefeedError
from steps.train.config import EvaluateConfig
from steps.train.workers.pool import PoolEvents
from steps.train.workers.worker import WorkerTask, _run_task, open_context
from tests.fuzz.expectation import Partition, expect
from tests.fuzz.folds import dealt_targets
from tests.fuzz.generator import generate
from tests.fuzz.sources import write_source
from tests.fuzz.splitting import MEMORY, build, dataset_section
from tests.fuzz.table import Cell, Table, Variant
from workflows.local import RunSummary, run

MIN_ROWS = 8
_ROWS = 120
_NEXT = 1_000_000
_TRAINERS: tuple[dict[str, Any], ...] = (
    {"name": "lightgbm", "params": {"rounds": 5, "num_leaves": 4, "min_data_in_leaf": 2}},
    {"name": "linear", "params": {"alpha": 0.1, "tol": 0.0001}},
)


@dataclass(frozen=True)
class _InProcessPool:
    """A pool without processes: loading a trainer in each would take most of the time."""

    events: PoolEvents
    address: RunAddress
    size: int = 1

    def run(self, tasks: Sequence[WorkerTask]) -> None:
        """Train the partitions one after the other."""
        context = open_context(self.address)
        entries = {entry.key.partition_id: entry for entry in context.index.entries}
        for task in tasks:
            entry = entries[task.partition_id]
            self.events.on_result(_run_task(context, entry, task, self.events.prepare(task)))


@contextmanager
def in_process() -> Iterator[None]:
    """Train in this process within the block."""

    def make_pool(
        address: RunAddress, _workers: int, events: PoolEvents, *_: object
    ) -> _InProcessPool:
        return _InProcessPool(events, address)

    with (
        patch("steps.train.step.Pool", make_pool),
        patch("steps.train.step.start_server", lambda *_: None),
    ):
        yield


def training_problems(seed: int) -> list[str]:
    """Return what is wrong with the results of the table of a seed."""
    table = generate(seed, _ROWS)
    while _squares_overflow(table):
        table = generate(table.seed + _NEXT, _ROWS)
    folder = Path(tempfile.mkdtemp(prefix="fuzz", dir=MEMORY))
    try:
        trainer = _TRAINERS[seed % len(_TRAINERS)]
        return [f"table {table.seed}: {each}" for each in _problems(table, trainer, folder)]
    finally:
        shutil.rmtree(folder)


def _squares_overflow(table: Table) -> bool:
    """Return True for numbers whose squares a float64 cannot hold: no loss can be computed."""
    numbers = [cell for each in table.columns for cell in each.cells if isinstance(cell, float)]
    return any(abs(number) > _LARGEST for number in numbers)


_LARGEST = 1e100


def _problems(table: Table, trainer: dict[str, Any], folder: Path) -> Iterator[str]:
    runs = []
    for number, variant in enumerate(table.variants[:2]):
        try:
            runs.append(_run(table, variant, trainer, folder / str(number)))
        except RefeedError as error:
            yield f"variant {number}: {type(error).__name__}: {error}"
            return
    first, second = (Path(each.layout.base, "tables") for each in runs)
    partitions, metrics = (read_table(runs[0], name) for name in ("partitions", "metrics"))
    for path in sorted(first.iterdir()):
        if path.read_bytes() != (second / path.name).read_bytes():
            yield f"{path.name} differs between two ways to write the table"
    yield from _partition_problems(table, partitions)
    yield from _constant_problems(table, metrics, folder)


def _run(table: Table, variant: Variant, trainer: dict[str, Any], folder: Path) -> RunSummary:
    source = write_source(table, variant, folder)
    spec = {
        "name": "fuzz",
        "project": "fuzz",
        "dataset": {**dataset_section(table, source.settings), "min_rows": MIN_ROWS},
        "trainer": trainer,
        "evaluate": {**table.evaluation, "group": table.group or None, "time": table.time or None},
        "explain": {"partial_dependence": {"grid": 4}, "rows": 20},
        "execution": {"workers": 1, "max_failed_fraction": 1},
        "output": str(folder.parent / f"root-{folder.name}"),
    }
    path = folder.parent / f"{folder.name}.yaml"
    path.write_text(yaml.safe_dump(spec, allow_unicode=True), encoding="utf-8")
    with in_process():
        return run(path)


def _partition_problems(table: Table, partitions: list[dict[str, Any]]) -> Iterator[str]:
    """Yield partitions without a row, or with another status than they should have."""
    rows = {row["partition_id"]: row for row in partitions}
    if len(rows) != len(expect(table).partitions):
        yield f"{len(rows)} partitions instead of {len(expect(table).partitions)}"
    by_key = {(each.kind == "null", each.key): each for each in expect(table).partitions}
    for row in rows.values():
        partition = by_key[row["reason"] == "null_key", row["partition"] or ""]
        targets = _targets(table, partition)
        where = f"partition {partition.key!r}"
        if (row["rows"], row["rows_without_target"]) != (
            partition.rows,
            partition.rows - len(targets),
        ):
            yield f"{where}: {row}"
        wanted = _reason(table, partition, targets)
        if wanted and row["reason"] != wanted:
            yield f"{where} is {row['status']} ({row['reason']}), not skipped ({wanted})"
        if row["status"] == "failed":
            yield f"{where} failed: {row['reason']}: {row['message']}"
        grouped = table.group or table.time
        if not wanted and not grouped and row["status"] != "trained":
            yield f"{where} is not trained: {row['reason']}: {row['message']}"


def _targets(table: Table, partition: Partition) -> list[Cell]:
    position = sorted(column.name for column in table.columns).index(table.target)
    return [row[position] for row in partition.cells if row[position] is not None]


def _reason(table: Table, partition: Partition, targets: list[Cell]) -> str:
    """Return why a partition cannot be trained; empty if the table says nothing against it."""
    if partition.kind == "null":
        return "null_key"
    if not targets:
        return "target_missing"
    if len(targets) < MIN_ROWS:
        return "too_few_rows"
    if len(set(targets)) == 1:
        known = set(table.column(table.target).known)
        classes = len(known) == 2 or isinstance(targets[0], (bool, str))
        return "one_class" if classes else "constant_target"
    return ""


def _constant_problems(table: Table, metrics: list[dict[str, Any]], folder: Path) -> Iterator[str]:
    """Yield metrics of the constant prediction that numpy computes otherwise."""
    source = write_source(table, table.variants[0], folder / "again")
    dataset = build(
        dataset_section(table, source.settings), table.group, table.time, folder / "datasets"
    )
    config = EvaluateConfig(**table.evaluation, group=table.group or None, time=table.time or None)
    pooled = {
        (row["partition_id"], row["metric"]): row for row in metrics if row["scope"] == "pooled"
    }
    for position, entry in enumerate(dataset.result.index.entries):
        name = entry.key.partition_id
        if (name, "rmse") not in pooled:
            continue
        pairs = dealt_targets(table, dataset, position, config)
        squares = [(held - np.mean(train)) ** 2 for train, held in pairs]
        # Of an even number of rows, the lower of the two medians: it is a value that occurs.
        absolute = [
            abs(held - np.quantile(train, 0.5, method="inverted_cdf")) for train, held in pairs
        ]
        rmse = math.sqrt(np.concatenate(squares).mean())
        mae = float(np.concatenate(absolute).mean())
        for metric, value in (("rmse", rmse), ("mae", mae)):
            row = pooled[name, metric]
            if not math.isclose(row["constant_value"], value, rel_tol=1e-9):
                yield f"{metric} of the constant is {row['constant_value']}, not {value}"
            if row["rows"] != sum(len(held) for _, held in pairs):
                yield f"{metric} is about {row['rows']} rows"
            skill = 1 - row["value"] / row["constant_value"]
            if row["skill"] is not None and not math.isclose(row["skill"], skill, abs_tol=1e-9):
                yield f"skill of {metric} is {row['skill']}, not {skill}"


def read_table(summary: RunSummary, name: str) -> list[dict[str, Any]]:
    """Return the rows of a result table."""
    path = Path(summary.layout.base, "tables", f"{name}.parquet")
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows
