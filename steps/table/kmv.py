"""Distinct counts in bounded memory: the k smallest hashes of the values (k-minimum values).

A sketch depends on the set of values alone, and the sketches of two sets merge into that of their
union, so the order of rows, parts and machines changes nothing.

With fewer than k values the count is exact. Otherwise the k-th smallest of n hashes, evenly spread
over [0, 1), is near k / n, and (k - 1) / h_k is an unbiased estimate of n with a relative standard
error below 1 / sqrt(k - 2): 2.2 % for k = 2,048. Source: Beyer, Haas, Reinwald, Sismanis and
Gemulla, "On synopses for distinct-value estimation under multiset operations", SIGMOD 2007.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from steps.table.hashing import Hashes

SKETCH_SIZE = 2048
"""Number of hashes in a sketch, called k above."""

_HASHES = 2.0**64
_BUFFERED = 16 * SKETCH_SIZE

_ATTEMPTS = (SKETCH_SIZE + SKETCH_SIZE // 4, 4 * SKETCH_SIZE)
"""Approximate number of hashes to sort in each attempt, before all hashes are sorted."""


def sketch_of(hashes: Hashes) -> Hashes:
    """Return the sketch of values from their hashes; ascending, shape (at most k,).

    Hashes are evenly spread, so slightly more than k of them are expected below a computable bound.
    Only those are sorted, unless too few of them are distinct.
    """
    for count in _ATTEMPTS:
        if len(hashes) > count:
            below = np.flatnonzero(hashes < np.uint64(_HASHES / len(hashes) * count))
            sketch = _smallest(hashes[below])
            if len(sketch) == SKETCH_SIZE:
                return sketch
    return _smallest(hashes)


def _smallest(hashes: Hashes) -> Hashes:
    """Return the k smallest distinct hashes, ascending, in a third of the time of ``np.unique``."""
    ascending = np.sort(hashes)
    first = np.append(True, ascending[1:] != ascending[:-1])[: len(hashes)]
    distinct: Hashes = ascending[first][:SKETCH_SIZE]
    return distinct


def union(sketches: Sequence[Hashes]) -> Hashes:
    """Return the sketch of all values together."""
    return _smallest(np.concatenate(sketches))


def is_exact(sketch: Hashes) -> bool:
    """Return True if the sketch contains every value."""
    return len(sketch) < SKETCH_SIZE


def estimate(sketch: Hashes) -> int:
    """Return the estimated number of distinct values; exact if ``is_exact``."""
    if is_exact(sketch):
        return len(sketch)
    return round((SKETCH_SIZE - 1) / (float(sketch[-1]) / _HASHES))


class KmvUnion:
    """The union of the sketches of many parts, column by column, in bounded memory.

    Args:
        columns: number of columns.
    """

    def __init__(self, columns: int) -> None:
        self._sketches: list[list[Hashes]] = [[] for _ in range(columns)]
        self._buffered = [0] * columns
        self._limits = [np.uint64(2**64 - 1)] * columns

    def add(self, sketches: Iterable[Hashes]) -> None:
        """Add the sketches of a part, one per column."""
        for column, sketch in enumerate(sketches):
            below = sketch[: np.searchsorted(sketch, self._limits[column], side="right")]
            if len(below):
                self._sketches[column].append(below)
                self._buffered[column] += len(below)
                if self._buffered[column] > _BUFFERED:
                    self._cut(column)

    def _cut(self, column: int) -> Hashes:
        merged = union(self._sketches[column] or [np.empty(0, np.uint64)])
        self._sketches[column], self._buffered[column] = [merged], len(merged)
        if not is_exact(merged):
            self._limits[column] = merged[-1]
        return merged

    def sketches(self) -> tuple[Hashes, ...]:
        """Return the sketch of each column."""
        return tuple(self._cut(column) for column in range(len(self._sketches)))
