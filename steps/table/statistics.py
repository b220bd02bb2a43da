"""Statistics of columns: counts, moments, quantiles, buckets, frequent values, distinct values.

Many small groups of rows, such as partitions, are processed at once in a single pass over arrays.
Each group's columns are sorted, so every statistic can be read at a position or between two. The
statistics of a group in memory are exact, and independent of the order of its rows and of the other
groups. ``merging`` merges statistics of parts into those of a partition and of the table.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from steps.table.grid import numbers_of
from steps.table.group_stats import Floats, Groups, Positions, number_statistics, sorted_groups
from steps.table.hashing import Hashes, value_hashes
from steps.table.kmv import sketch_of
from steps.table.sample import Counts
from steps.table.types import canonical_text

Bools = NDArray[np.bool_]
Top = tuple[tuple[str, float], ...]
"""The most frequent values as text and their row counts, by falling frequency, then value."""

TOP_VALUES = 5
"""Number of most frequent values that are stored."""

_WIDE = 2.0**53
"""Limit beyond which two integers can have the same float64."""


@dataclass(frozen=True)
class Statistics:
    """The statistics of each column of a set of rows, in the order of the schema.

    Numbers are those of ``numbers_of``: days for dates, seconds for timestamps, 0 and 1 for
    booleans. Statistics that text columns do not have are NaN or 0.

    Attributes:
        rows: number of rows.
        missing: number of nulls; shape (columns,), like all arrays except quantiles and buckets.
        zeros: number of values that are 0, 0.0 or false.
        low: smallest number.
        high: largest number.
        mean: mean of the values that are not missing.
        squares: sum of squared deviations from the mean; NaN if it or the mean is too large.
        letters: bytes of text, in UTF-8.
        distinct: number of distinct values.
        exact: True if ``distinct`` is exact.
        quantiles: quantiles; shape (columns, len(QUANTILES)).
        bounds: bounds of the buckets; shape (columns, BUCKETS + 1).
        buckets: values per bucket; shape (columns, BUCKETS). Estimates if based on a sample.
        top: most frequent values of each column.
    """

    rows: int
    missing: Counts
    zeros: Counts
    low: Floats
    high: Floats
    mean: Floats
    squares: Floats
    letters: Counts
    distinct: Counts
    exact: Bools
    quantiles: Floats
    bounds: Floats
    buckets: Floats
    top: tuple[Top, ...]

    @property
    def deviation(self) -> Floats:
        """Sample standard deviation, with denominator n - 1; NaN for fewer than two values."""
        known = (self.rows - self.missing).astype(np.float64)
        variance = np.full(len(known), np.nan)
        np.divide(self.squares, known - 1, out=variance, where=known > 1)
        deviation: Floats = np.sqrt(variance)
        return deviation


@dataclass(frozen=True)
class GroupStatistics:
    """The statistics of several groups of rows.

    Attributes:
        groups: statistics of each group.
        sketches: sketch of the values of each column in all groups; see ``kmv``.
    """

    groups: tuple[Statistics, ...]
    sketches: tuple[Hashes, ...]


def group_statistics(rows: pa.RecordBatch, starts: Positions) -> GroupStatistics:
    """Compute exact statistics of groups of rows in memory.

    Args:
        rows: rows of all groups, one group after another.
        starts: position of each group's first row, ascending from 0; no group is empty.
    """
    columns: list[_ColumnStatistics] = []
    most = max(1, _BLOCK_CELLS // rows.num_rows)
    for kind, same in itertools.groupby(rows.columns, key=lambda column: column.type):
        neighbors = list(same)
        step = 1 if pa.types.is_string(kind) else most  # each text column is a block by itself
        for i in range(0, len(neighbors), step):
            columns += _column_statistics(neighbors[i : i + step], starts)
    names = columns[0].arrays
    arrays = {name: np.stack([column.arrays[name] for column in columns], 1) for name in names}
    tops = list(zip(*(column.top for column in columns), strict=True))
    sizes = np.diff(np.append(starts, rows.num_rows))
    groups = tuple(
        Statistics(
            rows=int(size), top=tops[i], **{name: array[i] for name, array in arrays.items()}
        )
        for i, size in enumerate(sizes)
    )
    return GroupStatistics(groups, tuple(column.sketch for column in columns))


_BLOCK_CELLS = 1 << 17
"""Cells that are processed together, as a balance between cache misses and calls."""


@dataclass(frozen=True)
class _ColumnStatistics:
    """The statistics of one column: arrays by attribute, shape (groups, ...), and top by group."""

    arrays: dict[str, NDArray[Any]]
    top: list[Top]
    sketch: Hashes


def _column_statistics(columns: Sequence[pa.Array], starts: Positions) -> list[_ColumnStatistics]:
    """Compute the statistics of columns of one type."""
    kind = columns[0].type
    if pa.types.is_string(kind):
        return [_from_values(columns[0], np.full(len(columns[0]), np.nan), starts)]
    numbers = np.concatenate([numbers_of(column) for column in columns])
    if is_lossy(kind, numbers):
        pairs = zip(columns, np.split(numbers, len(columns)), strict=True)
        return [_from_values(column, column_numbers, starts) for column, column_numbers in pairs]
    return _from_numbers(columns, numbers, starts)


def _from_numbers(
    columns: Sequence[pa.Array], numbers: Floats, starts: Positions
) -> list[_ColumnStatistics]:
    """Compute statistics of columns whose numbers identify values, one column after another."""
    kind, count = columns[0].type, len(starts)
    firsts = np.arange(len(columns))[:, None] * len(columns[0]) + starts
    groups = sorted_groups(numbers, firsts.ravel())
    runs = _Runs.of(groups)
    top = runs.top(lambda values: texts_of(values, kind))
    arrays = number_statistics(groups) | {"distinct": runs.distinct}
    last = np.cumsum(runs.distinct)[count - 1 :: count]
    values = runs.values.astype(np.int64) if pa.types.is_integer(kind) else runs.values
    hashes = np.split(value_hashes(pa.array(values)), last[:-1])
    return [
        _ColumnStatistics(
            _common_statistics(column, starts)
            | {name: array[i : i + count] for name, array in arrays.items()},
            top[i : i + count],
            sketch_of(column_hashes),
        )
        for i, column, column_hashes in zip(range(0, len(top), count), columns, hashes, strict=True)
    ]


def _from_values(column: pa.Array, numbers: Floats, starts: Positions) -> _ColumnStatistics:
    """Compute statistics of a column whose numbers do not identify values."""
    encoded = column.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    values = encoded.dictionary.take(order)
    ranks = np.empty(len(order) + 1)
    ranks[order.to_numpy()] = np.arange(len(order))
    ranks[-1] = np.nan  # the rank of a missing value
    codes = encoded.indices.fill_null(len(order)).to_numpy(zero_copy_only=False)
    runs = _Runs.of(sorted_groups(ranks[codes], starts))
    arrays = number_statistics(sorted_groups(numbers, starts)) | {"distinct": runs.distinct}
    top = runs.top(lambda ranks: canonical_texts(values.take(pa.array(ranks, pa.int64()))))
    arrays = _common_statistics(column, starts) | arrays
    return _ColumnStatistics(arrays, top, sketch_of(value_hashes(values)))


def _common_statistics(column: pa.Array, starts: Positions) -> dict[str, NDArray[Any]]:
    """Return the statistics of any type of column."""
    missing = letters = np.zeros(len(starts), np.int64)
    if column.null_count:
        nulls = column.is_null().to_numpy(zero_copy_only=False)
        missing = np.add.reduceat(nulls, starts, dtype=np.int64)
    if pa.types.is_string(column.type):
        lengths = pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False)
        letters = np.add.reduceat(lengths, starts, dtype=np.int64)
    return {"missing": missing, "letters": letters, "exact": np.ones(len(starts), np.bool_)}


# --- values ---------------------------------------------------------------------------------


def is_lossy(kind: pa.DataType, numbers: Floats) -> bool:
    """Return True if two values of a column can have the same number."""
    if pa.types.is_integer(kind):
        return bool((np.abs(numbers) >= _WIDE).any())
    return bool(pa.types.is_string(kind) or pa.types.is_timestamp(kind))


@dataclass(frozen=True)
class _Runs:
    """The distinct numbers of each group.

    Attributes:
        values: distinct numbers, group after group; shape (runs,).
        counts: rows with that number; shape (runs,).
        distinct: number of runs of each group; shape (groups,).
    """

    values: Floats
    counts: Counts
    distinct: Counts

    @classmethod
    def of(cls, groups: Groups) -> _Runs:
        numbers = groups.numbers
        first = np.ones(len(numbers), np.bool_)
        np.not_equal(numbers[1:], numbers[:-1], out=first[1:])
        first[groups.starts] = True
        if first.all() and groups.complete:
            return cls(numbers, np.ones(len(numbers), np.int64), groups.sizes)
        first &= ~np.isnan(numbers)
        distinct = np.add.reduceat(first, groups.starts, dtype=np.int64)
        positions = np.flatnonzero(first)
        ends = np.minimum(np.append(positions[1:], len(numbers)), np.repeat(groups.ends, distinct))
        return cls(numbers[positions], ends - positions, distinct)

    def top(self, texts: Callable[[Floats], list[str]]) -> list[Top]:
        """Return the most frequent values of each group, converted to text by ``texts``."""
        chosen = self._most_frequent()
        kept = chosen >= 0
        runs = chosen[kept]
        pairs = list(zip(texts(self.values[runs]), self.counts[runs].tolist(), strict=True))
        ends = np.cumsum(kept.sum(axis=1)).tolist()
        return [tuple(pairs[a:b]) for a, b in zip([0, *ends], ends, strict=False)]

    def _most_frequent(self) -> Positions:
        """Return runs by falling count, then value; shape (groups, TOP_VALUES), -1 for none."""
        chosen = np.full((len(self.distinct), TOP_VALUES), -1, np.intp)
        nonempty = np.flatnonzero(self.distinct)
        if not len(nonempty):
            return chosen
        starts = (np.cumsum(self.distinct) - self.distinct)[nonempty]
        if self.counts.max() == 1:
            ranks = np.arange(TOP_VALUES)
            first = np.where(ranks < self.distinct[nonempty, None], starts[:, None] + ranks, -1)
            chosen[nonempty] = first
            return chosen
        # Combine count and position, so the largest number is the first of the most frequent runs.
        order = (self.counts << _HALF) | (_LAST - np.arange(len(self.counts)))
        for rank in range(TOP_VALUES):
            largest = np.maximum.reduceat(order, starts)
            runs = np.where(largest < 0, -1, _LAST - (largest & _LAST))
            chosen[nonempty, rank] = runs
            order[runs[runs >= 0]] = -1
        return chosen


_HALF = 32
_LAST = (1 << _HALF) - 1


def canonical_texts(values: pa.Array) -> list[str]:
    """Return the canonical texts of values that are not null."""
    return [canonical_text(value) for value in values.to_pylist()]


def texts_of(numbers: Floats, kind: pa.DataType) -> list[str]:
    """Return the canonical texts of a column's numbers from ``numbers_of``; not for timestamps."""
    if pa.types.is_floating(kind):
        return list(map(repr, numbers.tolist()))
    if pa.types.is_boolean(kind):
        return canonical_texts(pa.array(numbers.astype(np.bool_)))
    if pa.types.is_date(kind):
        return canonical_texts(pa.array(numbers.astype(np.int32)).cast(kind))
    return list(map(str, map(int, numbers.tolist())))
