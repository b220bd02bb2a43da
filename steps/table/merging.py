"""Merge statistics of parts into those of a partition, and of partitions into those of the table.

- Rows, missing, zeros, low, high and text lengths are exact.
- Mean and squared deviations use the pairwise formula of Chan, Golub and LeVeque, "Updating
  formulae and a pairwise algorithm for computing sample variances", 1979, in the order of parts.
- Distinct counts use sketches, see ``kmv``.
- Quantiles, buckets and most frequent values are those of the first part: the rows with the
  smallest hashes, which are a uniform sample of the distinct rows, each with all its copies. The
  first of several parts has about half a million rows or more, so the rank of a quantile and the
  share of a value are off by less than 0.3 % (three standard errors: 3 * sqrt(0.25 / 500,000)).

The table's quantiles, buckets and most frequent values come from its own sample, see ``sample``.
The most frequent values are exact if a column has few enough to count, see ``summaries``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pyarrow as pa

from steps.runtime.parallel import map_ordered
from steps.table.grid import numbers_of
from steps.table.group_stats import BUCKETS, QUANTILES, Floats, bounds_of, finite
from steps.table.hashing import Hashes
from steps.table.kmv import KmvUnion, estimate, is_exact, union
from steps.table.sample import Counts, Sample
from steps.table.statistics import (
    TOP_VALUES,
    GroupStatistics,
    Statistics,
    Top,
    canonical_texts,
    is_lossy,
    texts_of,
)

Levels = Mapping[str, Mapping[str, int] | None]
"""All values with their counts, by column; None if there are too many."""


def merge_parts(parts: Sequence[GroupStatistics]) -> GroupStatistics:
    """Return the statistics of a partition from those of its parts, in order; at least one."""
    if len(parts) == 1:
        return parts[0]
    sketches = tuple(map(union, zip(*(part.sketches for part in parts), strict=True)))
    first, *others = [part.groups[0] for part in parts]
    total = first
    for other in others:
        total = _add_exact(total, other)
    share = (total.rows - total.missing) / np.maximum(first.rows - first.missing, 1)
    bounds = first.bounds.copy()
    bounds[:, 0], bounds[:, -1] = total.low, total.high
    whole = replace(
        _with_sketches(total, sketches),
        bounds=bounds,
        buckets=first.buckets * share[:, None],
        top=tuple(
            tuple((text, count * factor) for text, count in top)
            for top, factor in zip(first.top, share.tolist(), strict=True)
        ),
    )
    return GroupStatistics((whole,), sketches)


def _add_exact(one: Statistics, other: Statistics) -> Statistics:
    """Return the first statistics with the exact values and moments of both.

    The moments follow equations 2.1 of Chan, Golub and LeVeque; an empty side has no effect.
    """
    count_one, count_other = one.rows - one.missing, other.rows - other.missing
    share = count_other / np.maximum(count_one + count_other, 1)
    with np.errstate(over="ignore", invalid="ignore"):
        difference = other.mean - one.mean  # NaN if a side has no values
        mean = finite(one.mean + difference * share)
        squares = finite(
            one.squares + other.squares + difference * difference * (count_one * share)
        )
    only_one, only_other = count_other == 0, count_one == 0
    return replace(
        one,
        rows=one.rows + other.rows,
        missing=one.missing + other.missing,
        zeros=one.zeros + other.zeros,
        low=np.fmin(one.low, other.low),
        high=np.fmax(one.high, other.high),
        mean=np.where(only_one, one.mean, np.where(only_other, other.mean, mean)),
        squares=np.where(only_one, one.squares, np.where(only_other, other.squares, squares)),
        letters=one.letters + other.letters,
    )


def _with_sketches(statistics: Statistics, sketches: tuple[Hashes, ...]) -> Statistics:
    return replace(
        statistics,
        distinct=np.array([estimate(sketch) for sketch in sketches], np.int64),
        exact=np.array([is_exact(sketch) for sketch in sketches], np.bool_),
    )


class WholeTable:
    """The statistics of a table, collected from its partitions in order.

    Args:
        columns: number of columns.
    """

    def __init__(self, columns: int) -> None:
        self._total: Statistics | None = None
        self._union = KmvUnion(columns)

    def add(self, partition: Statistics) -> None:
        """Add the next partition."""
        self._total = _add_exact(self._total, partition) if self._total else partition

    def add_values(self, sketches: Sequence[Hashes]) -> None:
        """Add the values of partitions, in any order."""
        self._union.add(sketches)

    def statistics(self, sample: Sample, levels: Levels) -> Statistics:
        """Return the statistics of the table.

        Args:
            sample: sample of the table.
            levels: levels of the table's columns.

        Raises:
            ValueError: no partition was added.
        """
        if self._total is None:
            raise ValueError("a table without partitions has no statistics")
        total = replace(self._total, bounds=bounds_of(self._total.low, self._total.high))
        total = _with_sketches(total, self._union.sketches())
        positions = range(len(total.missing))
        shapes = list(map_ordered(partial(_shape, sample, levels, total), positions))
        return replace(
            total,
            quantiles=np.stack([shape.quantiles for shape in shapes]),
            buckets=np.stack([shape.buckets for shape in shapes]),
            top=tuple(shape.top for shape in shapes),
        )


@dataclass(frozen=True)
class _Shape:
    """Quantiles, buckets and most frequent values of one column."""

    quantiles: Floats
    buckets: Floats
    top: Top


def _shape(sample: Sample, levels: Levels, total: Statistics, position: int) -> _Shape:
    """Return quantiles, buckets and most frequent values of the column at a position."""
    field = sample.rows.schema.field(position)
    column = sample.rows.column(position).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    weights = sample.counts[column.is_valid().to_numpy(zero_copy_only=False)]
    column = column.drop_null()
    factor = (total.rows - int(total.missing[position])) / max(1, int(weights.sum()))
    numbers = None
    quantiles, buckets = np.full(len(QUANTILES), np.nan), np.zeros(BUCKETS)
    if not pa.types.is_string(field.type) and len(column):
        values = numbers_of(column)
        if (weights == 1).all():  # the usual case, in which a plain sort is many times faster
            ascending, cumulative = np.sort(values), np.arange(1, len(values) + 1)
        else:
            order = np.argsort(values, kind="stable")
            ascending, cumulative = values[order], np.cumsum(weights[order])
        numbers = ascending, cumulative
        ranks = np.floor(np.asarray(QUANTILES) * (cumulative[-1] - 1))
        quantiles = ascending[np.searchsorted(cumulative, ranks, side="right")]
        inner = np.searchsorted(ascending, total.bounds[position, 1:-1], side="left")
        below = np.concatenate([[0.0], np.append(0, cumulative)[inner], [float(cumulative[-1])]])
        buckets = np.diff(below) * factor
    counted = levels[field.name]
    if counted is None:
        return _Shape(quantiles, buckets, _sampled_top(column, weights, numbers, factor))
    is_number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
    ranked = sorted(
        counted.items(),
        key=lambda each: (-each[1], float(each[0]) if is_number else 0.0, each[0]),
    )
    return _Shape(quantiles, buckets, tuple(ranked[:TOP_VALUES]))


def _sampled_top(
    column: pa.Array, weights: Counts, numbers: tuple[Floats, Counts] | None, factor: float
) -> Top:
    """Return the most frequent values of a column of the sample.

    Args:
        column: the values.
        weights: rows of each value.
        numbers: if there are any, the values as numbers, ascending, and the rows up to each.
        factor: rows of the table per row of the sample.
    """
    if numbers is None or is_lossy(column.type, numbers[0]):
        encoded = column.dictionary_encode()
        by_value = pa.compute.sort_indices(encoded.dictionary).to_numpy()
        counts = np.bincount(encoded.indices.to_numpy(), weights, len(by_value))[by_value]
        chosen = np.argsort(-counts, kind="stable")[:TOP_VALUES]
        texts = canonical_texts(encoded.dictionary.take(pa.array(by_value[chosen])))
    else:
        ascending, cumulative = numbers
        last = np.append(ascending[1:] != ascending[:-1], True)
        values, counts = ascending[last], np.diff(cumulative[last], prepend=0)
        chosen = np.argsort(-counts, kind="stable")[:TOP_VALUES]
        texts = texts_of(values[chosen], column.type)
    return tuple(zip(texts, (counts[chosen] * factor).tolist(), strict=True))
