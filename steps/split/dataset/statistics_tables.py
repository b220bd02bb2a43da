"""Statistics as rows of tidy tables: by table, the columns of some partitions' rows."""

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
"""Cells by column; text as Arrow has it, whose repeats take a tenth of the time of Python's."""


def rows_of(items: Items, columns: Sequence[Column]) -> dict[str, Rows]:
    """Rows of all items, by table; floats that are NaN stand for empty cells."""
    if not items:
        return {}
    return {
        COLUMN_STATISTICS.name: _statistics(items, columns),
        TOP_VALUES_TABLE.name: _top_values(items, columns),
        BUCKETS_TABLE.name: _buckets(items, columns),
    }


def _named(items: Items, names: Sequence[str], repeats: Sequence[NDArray[np.intp]]) -> Rows:
    """The cells that say what a row is about.

    Args:
        items: in order.
        names: of the columns.
        repeats: for each item, rows per column; shape (columns,).
    """
    rows = np.repeat(np.arange(len(items)), [int(counts.sum()) for counts in repeats])
    columns = np.repeat(np.tile(np.arange(len(names)), len(items)), np.concatenate(repeats))
    of = {
        "scope": ["table" if entry is None else "partition" for entry, _ in items],
        "partition_id": ["" if entry is None else entry.key.partition_id for entry, _ in items],
        "partition": ["" if entry is None else entry.key.text for entry, _ in items],
    }
    cells = {name: _texts(each, rows) for name, each in of.items()}
    return {**cells, "column": _texts(names, columns)}


def _texts(texts: Sequence[str], positions: NDArray[np.intp]) -> pa.Array:
    """Some texts, each as often as its position comes."""
    return pa.array(texts, pa.string()).take(pa.array(positions))


def _once(items: Items, count: int) -> list[NDArray[np.intp]]:
    return [np.ones(count, np.intp)] * len(items)


def _statistics(items: Items, columns: Sequence[Column]) -> Rows:
    names = [column.name for column in columns]
    found = [statistics for _, statistics in items]

    def every(attribute: str) -> NDArray[Any]:
        return np.concatenate([getattr(each, attribute) for each in found])

    rows = np.repeat([each.rows for each in found], len(names))
    quantiles = np.concatenate([each.quantiles for each in found])
    known = np.maximum(rows - every("missing"), 1)
    types = [column.type for column in columns]
    text = np.array([kind == "string" for kind in types] * len(found))
    return {
        **_named(items, names, _once(items, len(names))),
        "type": _texts(types, np.tile(np.arange(len(types)), len(found))),
        "rows": rows,
        "missing": every("missing"),
        "zeros": every("zeros"),
        "min": every("low"),
        "max": every("high"),
        "mean": every("mean"),
        "sd": every("deviation"),
        "mean_length": np.where(text, every("letters") / known, np.nan),
        "distinct": every("distinct"),
        "distinct_exact": every("exact"),
        **{quantile_name(share): quantiles[:, i] for i, share in enumerate(QUANTILES)},
    }


def quantile_name(share: float) -> str:
    """``q05`` of 0.05."""
    return f"q{round(share * 100):02d}"


def _top_values(items: Items, columns: Sequence[Column]) -> Rows:
    tops = [statistics.top for _, statistics in items]
    repeats = [np.array([len(top) for top in each], np.intp) for each in tops]
    pairs = [pair for each in tops for top in each for pair in top]
    known = [statistics.rows - statistics.missing for _, statistics in items]
    counts = np.array([count for _, count in pairs], np.float64)
    of = np.concatenate([np.repeat(a, b) for a, b in zip(known, repeats, strict=True)])
    lengths = np.concatenate(repeats)
    ranks = np.arange(1, len(pairs) + 1) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    return {
        **_named(items, [column.name for column in columns], repeats),
        "rank": ranks,
        "value": pa.array([text for text, _ in pairs], pa.string()),
        "count": counts,
        "share": counts / np.maximum(of, 1),
    }


def _buckets(items: Items, columns: Sequence[Column]) -> Rows:
    has = [~np.isnan(statistics.low) for _, statistics in items]
    bounds = np.concatenate([each.bounds[h] for (_, each), h in zip(items, has, strict=True)])
    counts = np.concatenate([each.buckets[h] for (_, each), h in zip(items, has, strict=True)])
    names = [column.name for column in columns]
    return {
        **_named(items, names, [each.astype(np.intp) * BUCKETS for each in has]),
        "bucket": np.tile(np.arange(BUCKETS), len(bounds)),
        "low": bounds[:, :-1].ravel(),
        "high": bounds[:, 1:].ravel(),
        "count": counts.ravel(),
    }
