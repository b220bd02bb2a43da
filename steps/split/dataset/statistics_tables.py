"""Convert statistics to rows of tidy tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from steps.records import Column, PartitionEntry
from steps.results.schema import BUCKETS_TABLE, COLUMN_STATISTICS, TOP_VALUES_TABLE
from steps.table.group_stats import BUCKETS, QUANTILES
from steps.table.statistics import Statistics

Items = Sequence[tuple[PartitionEntry | None, Statistics]]
"""Partitions with their statistics; None stands for the whole table."""
Rows = Mapping[str, NDArray[Any] | pa.Array]
"""Cells by column. Text is an Arrow array, which repeats values ten times as fast as Python."""


def rows_of(items: Items, columns: Sequence[Column]) -> dict[str, Rows]:
    """Return the rows of all items by table; NaN stands for an empty cell."""
    if not items:
        return {}
    return {
        COLUMN_STATISTICS.name: _statistics(items, columns),
        TOP_VALUES_TABLE.name: _top_values(items, columns),
        BUCKETS_TABLE.name: _buckets(items, columns),
    }


def _key_cells(items: Items, names: Sequence[str], repeats: Sequence[NDArray[np.intp]]) -> Rows:
    """Return the cells that identify a row.

    Args:
        items: partitions and their statistics, in order.
        names: names of the columns.
        repeats: for each item, the number of rows per column; shape (columns,).
    """
    rows = np.repeat(np.arange(len(items)), [int(counts.sum()) for counts in repeats])
    columns = np.repeat(np.tile(np.arange(len(names)), len(items)), np.concatenate(repeats))
    by_item = {
        "scope": ["table" if entry is None else "partition" for entry, _ in items],
        "partition_id": ["" if entry is None else entry.key.partition_id for entry, _ in items],
        "partition": ["" if entry is None else entry.key.text for entry, _ in items],
    }
    cells = {name: _texts(each, rows) for name, each in by_item.items()}
    return {**cells, "column": _texts(names, columns)}


def _texts(texts: Sequence[str], positions: NDArray[np.intp]) -> pa.Array:
    """Return the texts at the given positions."""
    return pa.array(texts, pa.string()).take(pa.array(positions))


def _statistics(items: Items, columns: Sequence[Column]) -> Rows:
    names = [column.name for column in columns]
    statistics = [each for _, each in items]

    def concatenated(attribute: str) -> NDArray[Any]:
        return np.concatenate([getattr(each, attribute) for each in statistics])

    rows = np.repeat([each.rows for each in statistics], len(names))
    quantiles = np.concatenate([each.quantiles for each in statistics])
    known = np.maximum(rows - concatenated("missing"), 1)
    types = [column.type for column in columns]
    text = np.array([kind == "string" for kind in types] * len(statistics))
    return {
        **_key_cells(items, names, [np.ones(len(names), np.intp)] * len(items)),
        "type": _texts(types, np.tile(np.arange(len(types)), len(statistics))),
        "rows": rows,
        "missing": concatenated("missing"),
        "zeros": concatenated("zeros"),
        "min": concatenated("low"),
        "max": concatenated("high"),
        "mean": concatenated("mean"),
        "sd": concatenated("deviation"),
        "mean_length": np.where(text, concatenated("letters") / known, np.nan),
        "distinct": concatenated("distinct"),
        "distinct_exact": concatenated("exact"),
        **{quantile_name(share): quantiles[:, i] for i, share in enumerate(QUANTILES)},
    }


def quantile_name(share: float) -> str:
    """Return the column name of a quantile, such as ``q05`` for 0.05."""
    return f"q{round(share * 100):02d}"


def _top_values(items: Items, columns: Sequence[Column]) -> Rows:
    tops = [statistics.top for _, statistics in items]
    repeats = [np.array([len(top) for top in each], np.intp) for each in tops]
    pairs = [pair for each in tops for top in each for pair in top]
    known = [statistics.rows - statistics.missing for _, statistics in items]
    counts = np.array([count for _, count in pairs], np.float64)
    totals = np.concatenate([np.repeat(a, b) for a, b in zip(known, repeats, strict=True)])
    lengths = np.concatenate(repeats)
    ranks = np.arange(1, len(pairs) + 1) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return {
        **_key_cells(items, [column.name for column in columns], repeats),
        "rank": ranks,
        "value": pa.array([text for text, _ in pairs], pa.string()),
        "count": counts,
        "share": counts / np.maximum(totals, 1),
    }


def _buckets(items: Items, columns: Sequence[Column]) -> Rows:
    has = [~np.isnan(statistics.low) for _, statistics in items]
    bounds = np.concatenate([each.bounds[h] for (_, each), h in zip(items, has, strict=True)])
    counts = np.concatenate([each.buckets[h] for (_, each), h in zip(items, has, strict=True)])
    names = [column.name for column in columns]
    return {
        **_key_cells(items, names, [each.astype(np.intp) * BUCKETS for each in has]),
        "bucket": np.tile(np.arange(BUCKETS), len(bounds)),
        "low": bounds[:, :-1].ravel(),
        "high": bounds[:, 1:].ravel(),
        "count": counts.ravel(),
    }
