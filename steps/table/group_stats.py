"""Compute moments, quantiles and buckets of many groups of rows at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steps.table.sample import Counts

Floats = NDArray[np.float64]
Positions = NDArray[np.intp]

QUANTILES = (0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99)
"""Quantile levels: the quantile s of n values is the one with rank floor(s * (n - 1)), from 0."""
BUCKETS = 10
"""Number of buckets of equal width. A bucket includes its lower bound, the last one both."""


@dataclass(frozen=True)
class Groups:
    """Numbers of groups of rows, ascending within each group, NaN last.

    Attributes:
        numbers: the numbers; shape (rows,).
        starts: position of each group's first row; shape (groups,).
        ends: position after each group's last number; shape (groups,).
        sizes: number of rows of each group; shape (groups,).
    """

    numbers: Floats
    starts: Positions
    ends: Positions
    sizes: Counts

    @property
    def known(self) -> Counts:
        """Count of numbers in each group."""
        return self.ends - self.starts

    @property
    def complete(self) -> bool:
        """True if no number is missing, which is usual and enables a fast path."""
        return bool((self.known == self.sizes).all())


def sorted_groups(numbers: Floats, starts: Positions) -> Groups:
    """Sort the numbers of each group.

    Args:
        numbers: numbers of all groups, one group after another; NaN if missing.
        starts: position of each group's first number.
    """
    ascending = numbers.copy()
    stops = np.append(starts[1:], len(numbers))
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        ascending[start:stop].sort()
    ends = stops
    if np.isnan(ascending[stops - 1]).any():
        ends = starts + np.add.reduceat(~np.isnan(ascending), starts, dtype=np.int64)
    return Groups(ascending, starts, ends, stops - starts)


def number_statistics(groups: Groups) -> dict[str, NDArray[Any]]:
    """Return the statistics that a column of numbers has, but a column of text does not."""
    numbers, has = groups.numbers, groups.known > 0
    low = numbers[groups.starts]
    high = np.where(has, numbers[np.maximum(groups.ends - 1, 0)], np.nan)
    mean, squares = _moments(groups)
    ranks = np.floor(np.asarray(QUANTILES) * (groups.known - 1)[:, None]).astype(np.intp)
    bounds = bounds_of(low, high)
    values = np.empty((len(low), BUCKETS + 1))
    values[:, :-2], values[:, -2:] = bounds[:, 1:-1], _AROUND_ZERO
    positions = _positions(groups, values)
    edges = np.empty((len(low), BUCKETS + 1), np.intp)  # position of each bucket's first row
    edges[:, 0], edges[:, -1] = groups.starts, groups.ends
    edges[:, 1:-1] = positions[:, :-2]
    return {
        "zeros": positions[:, -1] - positions[:, -2],
        "low": low,
        "high": high,
        "mean": mean,
        "squares": squares,
        "quantiles": numbers[groups.starts[:, None] + np.maximum(ranks, 0)],
        "bounds": bounds,
        "buckets": np.diff(edges, axis=1).astype(np.float64),
    }


_AROUND_ZERO = np.array([0.0, np.nextafter(0.0, 1.0)])


def _moments(groups: Groups) -> tuple[Floats, Floats]:
    """Compute mean and sum of squared deviations, in two passes."""
    numbers, starts, known = groups.numbers, groups.starts, groups.known
    mean = np.full(len(starts), np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.add.reduceat(_zero_for_nan(numbers, groups), starts)
        np.divide(total, known, out=mean, where=known > 0)
        deviations = _zero_for_nan(numbers - np.repeat(mean, groups.sizes), groups)
        squares = np.add.reduceat(deviations * deviations, starts)
    return finite(mean), finite(np.where(np.isfinite(mean), squares, np.nan))


def finite(numbers: Floats) -> Floats:
    """Replace infinite numbers by NaN."""
    return np.where(np.isfinite(numbers), numbers, np.nan)


def _zero_for_nan(numbers: Floats, groups: Groups) -> Floats:
    return numbers if groups.complete else np.where(np.isnan(numbers), 0.0, numbers)


def bounds_of(low: Floats, high: Floats) -> Floats:
    """Return the bounds of buckets, shape (columns, BUCKETS + 1), without an overflow."""
    steps = np.arange(BUCKETS + 1) / BUCKETS
    bounds = low[:, None] * (1 - steps) + high[:, None] * steps
    bounds[:, 0], bounds[:, -1] = low, high
    ascending: Floats = np.minimum(np.maximum.accumulate(bounds, axis=1), high[:, None])
    return ascending


def _positions(groups: Groups, values: Floats) -> Positions:
    """Find the insertion position of each value, shape (groups, any), by binary search.

    All searches take steps of the same lengths: each is half of the one before. A position is
    moved past a step if the number before it is smaller than the value.
    """
    numbers = groups.numbers
    found = np.repeat(groups.starts, values.shape[1])
    last = np.repeat(groups.ends - 1, values.shape[1])
    flat = values.ravel()
    step = 1 << int(groups.known.max(initial=0)).bit_length() >> 1
    while step:
        ahead = found + (step - 1)
        smaller = numbers.take(np.minimum(ahead, last), mode="clip") < flat
        smaller &= ahead <= last
        found += smaller * step
        step >>= 1
    return found.reshape(values.shape)
