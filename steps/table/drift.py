"""Measure how columns differ between partitions, from the statistics tables alone.

The computation streams: rows of the tables arrive a few at a time, and only a few numbers per
column are stored. The share of a column's variance between partitions is epsilon squared (Kelley,
"An unbiased correlation ratio measure", *PNAS* 21, 1935): 1 - (W / (n - k)) / (T / (n - 1)), where
n values in k partitions have the sum of squared deviations T from their mean, and W from the means
of their partitions. It is the adjusted R2 of the partition as a predictor: 0 if partitions differ
only by chance, for any number of partitions. Applied to the indicator of missing values, it shows
whether missing values depend on the partition.

For levels the measure is Goodman and Kruskal's lambda (*JASA* 49, 1954): the relative reduction of
errors of the most frequent level as a guess, if the partition is known.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class PartitionVariance:
    """Sums of the partitions' statistics; arrays are by column.

    Args:
        columns: names of the columns.

    Attributes:
        partitions: number of partitions in the tables.
        rows: number of rows of all partitions.
        known: number of rows in which the column is not missing.
        groups: number of partitions in which the column has a value.
        constant: number of compared partitions in which the column has a single value.
        compared: number of partitions in which the column has values in two rows or more.
        least_missing: smallest share of missing values in a partition.
        most_missing: largest share of missing values in a partition.
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
        """Add rows of ``column_statistics``; rows for the whole table are ignored."""
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
        _add(self.constant, at, several & (numbers(statistics, "distinct") == 1) & (missing == 0))
        with np.errstate(over="ignore"):
            squares = (known - 1) * numbers(statistics, "sd") ** 2
            _add(self._within, at, np.where(several, squares, 0))
        _add(self._missing_within, at, rows * share * (1 - share))
        np.minimum.at(self.least_missing, at, share)
        np.maximum.at(self.most_missing, at, share)

    def add_values(self, top_values: pa.Table) -> None:
        """Add rows of ``column_top_values``; only a partition's most frequent value is used."""
        first = pc.and_(pc.equal(top_values["scope"], "partition"), pc.equal(top_values["rank"], 1))
        top_values = top_values.filter(first)
        _add(self._largest, self._columns(top_values), numbers(top_values, "count"))

    def _columns(self, table: pa.Table) -> NDArray[np.intp]:
        positions = pc.index_in(table["column"].combine_chunks(), value_set=self._names)
        return np.asarray(positions.to_numpy(zero_copy_only=False), np.intp)

    def between(self, column: int, deviation: float) -> float:
        """Return epsilon squared of a column from its standard deviation in the table; or NaN."""
        known = self.known[column]
        with np.errstate(over="ignore", invalid="ignore"):
            total = (known - 1) * deviation**2
        return _epsilon(self._within[column], total, known, self.groups[column])

    def missing_between(self, column: int) -> float:
        """Return epsilon squared of the indicator that a value is missing; or NaN."""
        rows = self.rows[column]
        share = 1 - self.known[column] / max(rows, 1)
        total = rows * share * (1 - share)
        return _epsilon(self._missing_within[column], total, rows, self.partitions[column])

    def levels_between(self, column: int, largest: float) -> float:
        """Return lambda of a column from the rows of its most frequent level; or NaN."""
        rest = self.known[column] - largest
        return float((self._largest[column] - largest) / rest) if rest > 0 else float("nan")


def _epsilon(within: float, total: float, values: float, groups: float) -> float:
    if groups < 2 or values <= groups or not np.isfinite(total) or total <= 0:  # noqa: PLR2004
        return float("nan")
    share = 1 - (within / (values - groups)) / (total / (values - 1))
    return float(np.clip(share, 0, 1)) if np.isfinite(share) else float("nan")


def _add(to: Floats, at: NDArray[np.intp], values: NDArray[np.float64] | NDArray[np.bool_]) -> None:
    to += np.bincount(at, values, len(to))


def numbers(table: pa.Table, name: str) -> Floats:
    """Return a column as floats, with NaN for empty cells."""
    column = table[name].cast(pa.float64()).combine_chunks()
    return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)
