"""Statistics of columns: counts, moments, quantiles, buckets, frequent values, distinct values.

Of many small groups of rows at once, as partitions are, in one pass over arrays: each group's
columns are sorted, after which whatever is asked for lies at a position or between two. So all that
is said of a group held in memory is exact, and the same in whatever order its rows came and
whichever groups it was looked at with. How statistics of parts become those of a partition, and
these become those of the table, is in ``merging``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from steps.table.grid import numbers_of
from steps.table.group_stats import Floats, Groups, Positions, number_facts, sorted_groups
from steps.table.hashing import Hashes, value_hashes
from steps.table.kmv import sketch_of
from steps.table.sample import Counts
from steps.table.types import canonical_text

Bools = NDArray[np.bool_]
Top = tuple[tuple[str, float], ...]
"""The most frequent values as text and the rows that have them: falling frequency, then value."""

TOP_VALUES = 5
"""Most frequent values that are kept."""

_WIDE = 2.0**53
"""Beyond it two whole numbers may be one float64."""


@dataclass(frozen=True)
class Statistics:
    """Facts about each column of some rows, in the order of the schema; arrays by column.

    Numbers are as ``numbers_of`` gives them: days of dates, seconds of timestamps, 0 and 1 of
    booleans. What a text column does not have is NaN or 0.

    Attributes:
        rows: rows seen.
        missing: nulls among them; shape (columns,), like all arrays but quantiles and buckets.
        zeros: values that are 0, 0.0 or false.
        low: smallest number.
        high: largest number.
        mean: of the values that are not missing.
        squares: sum of squared deviations from the mean; like it NaN where it is too large.
        letters: bytes of text, in UTF-8.
        distinct: different values.
        exact: whether ``distinct`` is exact.
        quantiles: shape (columns, len(QUANTILES)).
        bounds: of the buckets; shape (columns, BUCKETS + 1).
        buckets: values in each; shape (columns, BUCKETS). Estimates where only a sample was seen.
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
        """Sample standard deviation: n - 1 in the denominator; NaN below two values."""
        known = (self.rows - self.missing).astype(np.float64)
        variance = np.full(len(known), np.nan)
        np.divide(self.squares, known - 1, out=variance, where=known > 1)
        deviation: Floats = np.sqrt(variance)
        return deviation


@dataclass(frozen=True)
class GroupStatistics:
    """What one pass over some groups of rows found.

    Attributes:
        groups: statistics of each.
        sketches: of each column's values in all groups together; see ``distinct``.
    """

    groups: tuple[Statistics, ...]
    sketches: tuple[Hashes, ...]


def group_statistics(rows: pa.RecordBatch, starts: Positions) -> GroupStatistics:
    """Exact statistics of groups of rows that are held in memory.

    Args:
        rows: of all groups, one group after the other.
        starts: position of each group's first row, ascending from 0; no group is empty.
    """
    looks = [look for some in _blocks(rows) for look in _look(some, starts)]
    by_name = {name: np.stack([look.facts[name] for look in looks], 1) for name in looks[0].facts}
    tops = list(zip(*(look.top for look in looks), strict=True))
    sizes = np.diff(np.append(starts, rows.num_rows))
    groups = tuple(
        Statistics(
            rows=int(size), top=tops[i], **{name: found[i] for name, found in by_name.items()}
        )
        for i, size in enumerate(sizes)
    )
    return GroupStatistics(groups, tuple(look.sketch for look in looks))


_BLOCK_CELLS = 1 << 17
"""Cells that are looked at together: more cost the cache, less cost calls."""


def _blocks(rows: pa.RecordBatch) -> Iterator[list[pa.Array]]:
    """Neighbours of one type that are few enough to be looked at together; each text alone."""
    most = max(1, _BLOCK_CELLS // rows.num_rows)
    for kind, same in itertools.groupby(rows.columns, key=lambda column: column.type):
        columns = list(same)
        step = 1 if pa.types.is_string(kind) else most
        yield from (columns[i : i + step] for i in range(0, len(columns), step))


@dataclass(frozen=True)
class _Look:
    """At one column: arrays by attribute, shape (groups, ...); what is frequent, by group."""

    facts: dict[str, NDArray[Any]]
    top: list[Top]
    sketch: Hashes


def _look(columns: Sequence[pa.Array], starts: Positions) -> list[_Look]:
    """At columns of one type; the groups of the second follow those of the first, and so on."""
    kind = columns[0].type
    if pa.types.is_string(kind):
        return [_look_at_values(columns[0], np.full(len(columns[0]), np.nan), starts)]
    numbers = np.concatenate([numbers_of(column) for column in columns])
    if is_lossy(kind, numbers):
        pairs = zip(columns, np.split(numbers, len(columns)), strict=True)
        return [_look_at_values(column, its_numbers, starts) for column, its_numbers in pairs]
    return _look_at_numbers(columns, numbers, starts)


def _look_at_numbers(
    columns: Sequence[pa.Array], numbers: Floats, starts: Positions
) -> list[_Look]:
    """Where each number is one value; those of all columns, one column after the other."""
    kind, count = columns[0].type, len(starts)
    firsts = np.arange(len(columns))[:, None] * len(columns[0]) + starts
    groups = sorted_groups(numbers, firsts.ravel())
    runs = _Runs.of(groups)
    top = runs.top(lambda found: texts_of(found, kind))
    facts = number_facts(groups) | {"distinct": runs.distinct}
    last = np.cumsum(runs.distinct)[count - 1 :: count]
    hashes = np.split(_number_hashes(runs.values, kind), last[:-1])
    return [
        _Look(
            _facts_of(column, starts) | {n: each[i : i + count] for n, each in facts.items()},
            top[i : i + count],
            sketch_of(own),
        )
        for i, column, own in zip(range(0, len(top), count), columns, hashes, strict=True)
    ]


def _look_at_values(column: pa.Array, numbers: Floats, starts: Positions) -> _Look:
    """Where two values may be one number, or have none."""
    ranks, values = _ranked(column)
    runs = _Runs.of(sorted_groups(ranks, starts))
    facts = number_facts(sorted_groups(numbers, starts)) | {"distinct": runs.distinct}
    top = runs.top(lambda ranks: canonical_texts(values.take(pa.array(ranks, pa.int64()))))
    return _Look(_facts_of(column, starts) | facts, top, sketch_of(value_hashes(values)))


def _facts_of(column: pa.Array, starts: Positions) -> dict[str, NDArray[Any]]:
    """What a column has whatever its type."""
    none = np.zeros(len(starts), np.int64)
    text = pa.types.is_string(column.type)
    return {
        "missing": _missing(column, starts) if column.null_count else none,
        "letters": _letters(column, starts) if text else none,
        "exact": np.ones(len(starts), np.bool_),
    }


def _missing(column: pa.Array, starts: Positions) -> Counts:
    nulls = column.is_null().to_numpy(zero_copy_only=False)
    missing: Counts = np.add.reduceat(nulls, starts, dtype=np.int64)
    return missing


# --- values ---------------------------------------------------------------------------------


def is_lossy(kind: pa.DataType, numbers: Floats) -> bool:
    """Whether two values of a column may be one of its numbers."""
    if pa.types.is_integer(kind):
        return bool((np.abs(numbers) >= _WIDE).any())
    return bool(pa.types.is_string(kind) or pa.types.is_timestamp(kind))


def _ranked(column: pa.Array) -> tuple[Floats, pa.Array]:
    """For each row the rank of its value, NaN where missing; and the values by rank."""
    encoded = column.dictionary_encode()
    order = pc.sort_indices(encoded.dictionary)
    ranks = np.empty(len(order) + 1)
    ranks[order.to_numpy()] = np.arange(len(order))
    ranks[-1] = np.nan
    codes = encoded.indices.fill_null(len(order)).to_numpy(zero_copy_only=False)
    return ranks[codes], encoded.dictionary.take(order)


def _letters(column: pa.Array, starts: Positions) -> Counts:
    lengths = pc.binary_length(column).fill_null(0).to_numpy(zero_copy_only=False)
    letters: Counts = np.add.reduceat(lengths, starts, dtype=np.int64)
    return letters


def _number_hashes(numbers: Floats, kind: pa.DataType) -> Hashes:
    """Of numbers, as the values that they stand for."""
    whole = pa.types.is_integer(kind)
    return value_hashes(pa.array(numbers.astype(np.int64) if whole else numbers))


@dataclass(frozen=True)
class _Runs:
    """The different numbers of each group.

    Attributes:
        values: group after group; shape (runs,).
        counts: rows that have that number; shape (runs,).
        distinct: runs of each group; shape (groups,).
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
        places = np.flatnonzero(first)
        ends = np.minimum(np.append(places[1:], len(numbers)), np.repeat(groups.ends, distinct))
        return cls(numbers[places], ends - places, distinct)

    def top(self, texts: Callable[[Floats], list[str]]) -> list[Top]:
        """The most frequent values of each group; ``texts`` turns them into text."""
        chosen = self._most_frequent()
        kept = chosen >= 0
        names = iter(texts(self.values[chosen[kept]]))
        counts = iter(self.counts[chosen[kept]].tolist())
        pairs = zip(names, counts, strict=True)
        return [tuple(itertools.islice(pairs, count)) for count in kept.sum(axis=1).tolist()]

    def _most_frequent(self) -> Positions:
        """Runs by falling count, then value; shape (groups, TOP_VALUES), -1 where there is none."""
        chosen = np.full((len(self.distinct), TOP_VALUES), -1, np.intp)
        some = np.flatnonzero(self.distinct)
        if not len(some):
            return chosen
        starts = (np.cumsum(self.distinct) - self.distinct)[some]
        if self.counts.max() == 1:
            ranks = np.arange(TOP_VALUES)
            first = np.where(ranks < self.distinct[some, None], starts[:, None] + ranks, -1)
            chosen[some] = first
            return chosen
        # One number by which the most frequent run, and of these the first, is the largest.
        order = (self.counts << _HALF) | (_LAST - np.arange(len(self.counts)))
        for rank in range(TOP_VALUES):
            largest = np.maximum.reduceat(order, starts)
            found = np.where(largest < 0, -1, _LAST - (largest & _LAST))
            chosen[some, rank] = found
            order[found[found >= 0]] = -1
        return chosen


_HALF = 32
_LAST = (1 << _HALF) - 1


def canonical_texts(values: pa.Array) -> list[str]:
    """Texts of values that are not null."""
    return [canonical_text(value) for value in values.to_pylist()]


def texts_of(numbers: Floats, kind: pa.DataType) -> list[str]:
    """Canonical texts of what ``numbers_of`` made of a column of this type; of no timestamps."""
    if pa.types.is_floating(kind):
        return [repr(number) for number in numbers.tolist()]
    if pa.types.is_boolean(kind):
        return canonical_texts(pa.array(numbers.astype(np.bool_)))
    if pa.types.is_date(kind):
        return canonical_texts(pa.array(numbers.astype(np.int32)).cast(kind))
    return [str(int(number)) for number in numbers.tolist()]
