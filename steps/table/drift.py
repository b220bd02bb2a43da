"""How the columns of a table differ between its partitions, from the tables of statistics alone.

It streams: rows of the tables come a few at a time, and a few numbers per column are kept. The
share of a column's variance that lies between partitions is epsilon squared (Kelley, "An unbiased
correlation ratio measure", *PNAS* 21, 1935): 1 - (W / (n - k)) / (T / (n - 1)), where n values in k
partitions have the sum of squared deviations T from their mean, and W from those of their
partitions. It is the adjusted R2 of the partition as a predictor: 0 where partitions differ by
chance only, however many they are. The same of the indicator of missing values tells whether these
go by partition.

For levels it is Goodman and Kruskal's lambda (*JASA* 49, 1954): by which share the guess of the
most frequent level errs less often where the partition is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class PartitionVariance:
    """What the partitions' statistics add up to; arrays are by column.

    Args:
        columns: their names.

    Attributes:
        partitions: that have a row in the tables.
        rows: of all partitions.
        known: rows in which the column is not missing.
        groups: partitions in which it has a value.
        constant: of these, partitions in which it has one value only, in two rows or more.
        compared: partitions in which it has values in two rows or more.
        least_missing: smallest share of missing values in a partition.
        most_missing: largest such share.
    """

    def __init__(self, columns: Sequence[str]) -> None:
        self._names = pa.array(list(columns), pa.string())
        size = len(columns)
        self.partitions, self.rows, self.known = np.zeros(size), np.zeros(size), np.zeros(size)
        self.groups, self.constant, self.compared = np.zeros(size), np.zeros(size), np.zeros(size)
        self.least_missing, self.most_missing = np.full(size, np.inf), np.full(size, -np.inf)
        self._within, self._missing_within = np.zeros(size), np.zeros(size)
        self._largest = np.zeros(size)

    def add(self, statistics: pa.Table) -> None:
        """Take in rows of ``column_statistics``; those of the whole table do not matter."""
        statistics = statistics.filter(pc.equal(statistics["scope"], "partition"))
        at = self._columns(statistics)
        rows, missing = numbers(statistics, "rows"), numbers(statistics, "missing")
        known, share = rows - missing, missing / np.maximum(rows, 1)
        several = known > 1
        _add(self.partitions, at, np.ones(len(at)))
        _add(self.rows, at, rows)
        _add(self.known, at, known)
        _add(self.groups, at, known > 0)
        _add(self.compared, at, several)
        _add(self.constant, at, several & (numbers(statistics, "distinct") == 1))
        with np.errstate(over="ignore"):
            squares = (known - 1) * numbers(statistics, "sd") ** 2
            _add(self._within, at, np.where(several, squares, 0))
        _add(self._missing_within, at, rows * share * (1 - share))
        np.minimum.at(self.least_missing, at, share)
        np.maximum.at(self.most_missing, at, share)

    def add_values(self, top_values: pa.Table) -> None:
        """Take in rows of ``column_top_values``; only the most frequent of a partition matter."""
        first = pc.and_(pc.equal(top_values["scope"], "partition"), pc.equal(top_values["rank"], 1))
        top_values = top_values.filter(first)
        _add(self._largest, self._columns(top_values), numbers(top_values, "count"))

    def _columns(self, table: pa.Table) -> NDArray[np.intp]:
        found = pc.index_in(table["column"].combine_chunks(), value_set=self._names)
        return np.asarray(found.to_numpy(zero_copy_only=False), np.intp)

    def between(self, column: int, deviation: float) -> float:
        """Epsilon squared of a column whose standard deviation in the table is known; or NaN."""
        known = self.known[column]
        with np.errstate(over="ignore", invalid="ignore"):
            total = (known - 1) * deviation**2
        return _epsilon(self._within[column], total, known, self.groups[column])

    def missing_between(self, column: int) -> float:
        """Epsilon squared of the indicator that a value is missing; or NaN."""
        rows = self.rows[column]
        share = 1 - self.known[column] / max(rows, 1)
        total = rows * share * (1 - share)
        return _epsilon(self._missing_within[column], total, rows, self.partitions[column])

    def levels_between(self, column: int, largest: float) -> float:
        """Lambda of a column whose most frequent level has so many rows in the table; or NaN."""
        rest = self.known[column] - largest
        return float((self._largest[column] - largest) / rest) if rest > 0 else float("nan")


def _epsilon(within: float, total: float, values: float, groups: float) -> float:
    if groups < 2 or values <= groups or not np.isfinite(total) or total <= 0:  # noqa: PLR2004
        return float("nan")
    found = 1 - (within / (values - groups)) / (total / (values - 1))
    return float(np.clip(found, 0, 1)) if np.isfinite(found) else float("nan")


def _add(to: Floats, at: NDArray[np.intp], values: NDArray[np.float64] | NDArray[np.bool_]) -> None:
    to += np.bincount(at, values, len(to))


def numbers(table: pa.Table, name: str) -> Floats:
    """A column as floats, NaN where it is empty."""
    column = table[name].cast(pa.float64()).combine_chunks()
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
