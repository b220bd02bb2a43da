"""Generate results of partitions without training, and the tables that contain them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from steps.contract import RunLayout
from steps.records import PartitionKey
from steps.results.partition_result import PartitionResult
from steps.results.run_tables import PER_PARTITION
from steps.results.schema import TABLES
from steps.results.writer import TableWriter
from steps.storage.base import Storage

_KEY = ("partition_id", "partition")


def some_results(
    keys: Sequence[str],
    features: Sequence[str] = ("number", "level"),
    grid: int = 3,
    classes: Sequence[str] = ("",),
    seed: int = 0,
) -> list[PartitionResult]:
    """Return one result per key; every third partition is skipped and only in ``partitions``."""
    random = np.random.default_rng(seed)
    return [
        _result(number, key, features, grid, classes, random) for number, key in enumerate(keys)
    ]


def _result(
    number: int,
    key: str,
    features: Sequence[str],
    grid: int,
    classes: Sequence[str],
    random: np.random.Generator,
) -> PartitionResult:
    skipped = number % 3 == 2
    known = {
        "partition_id": PartitionKey("string", key).partition_id,
        "partition": key,
        "status": "skipped" if skipped else "trained",
        "reason": "too_few_rows" if skipped else "",
    }
    row: dict[str, Any] = {name: known.get(name) for name in TABLES["partitions"].names}
    row |= {"message": "", "rows": 100 + number, "rows_without_target": 0}
    if skipped:
        return PartitionResult(row, {})
    row |= {"folds": 5, "metric": "rmse", "value": 0.1 + number, "rank": number + 1}
    return PartitionResult(row, _tables(features, grid, classes, random))


def _tables(
    features: Sequence[str], grid: int, classes: Sequence[str], random: np.random.Generator
) -> dict[str, dict[str, list[Any]]]:
    cells = [(f, c, i) for f in features for c in classes for i in range(grid)]
    pairs = [(f, c, 0) for f in features for c in classes]
    singles = [(f, "", 0) for f in features]
    rows = {"importance": singles, "shap_summary": pairs}
    rows |= dict.fromkeys(("partial_dependence", "shap_by_value"), cells)
    rows["metrics"] = [("", "", i) for i in range(6)]
    rows["own_or_base"] = [("", "", 0)]
    return {name: _columns(name, rows[name], random) for name in PER_PARTITION}


def _columns(
    table: str, rows: Sequence[tuple[str, str, int]], random: np.random.Generator
) -> dict[str, list[Any]]:
    """Return columns of the schema's types, with some missing values."""
    known: dict[str, list[Any]] = {
        "feature": [feature for feature, _, _ in rows],
        "class": [each for _, each, _ in rows],
        "grid_index": [index for _, _, index in rows],
        "scope": ["pooled" if index == 5 else "fold" for _, _, index in rows],
        "rank": [number + 1 for number in range(len(rows))],
    }
    columns = [column for column in TABLES[table].columns if column.name not in _KEY]
    return {
        column.name: known.get(column.name) or _values(column.type, len(rows), random)
        for column in columns
    }


def _values(kind: str, count: int, random: np.random.Generator) -> list[Any]:
    if kind == "text":
        return ["permutation"] * count
    if kind == "boolean":
        return [bool(each) for each in random.random(count) < 0.5]
    if kind == "integer":
        return [int(each) for each in random.integers(0, 1000, count)]
    return [None if each < -1 else float(each) for each in random.normal(size=count)]


def write_tables(run: RunLayout, storage: Storage, results: Sequence[PartitionResult]) -> None:
    """Write the tables of a run as the collect step does."""
    for name in PER_PARTITION:
        with TableWriter(TABLES[name], partial(run.table, name), storage) as writer:
            for each in results:
                key = {column: each.row[column] for column in _KEY}
                writer.add(each.tables.get(name, {}), **key)
    columns = {name: [each.row[name] for each in results] for name in TABLES["partitions"].names}
    with TableWriter(TABLES["partitions"], partial(run.table, "partitions"), storage) as writer:
        writer.add(columns)
