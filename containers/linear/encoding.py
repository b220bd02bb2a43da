"""How features become the numbers that a linear model weighs. Numpy only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from refeed import Features

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class NumericColumn:
    """One term: ``(value - mean) / scale``, a missing value replaced by the training median.

    Attributes:
        median: median of the known training values (the lower one of two); 0 without any.
        mean: mean of the training values, missing ones replaced.
        scale: their standard deviation (divisor n); 0 if they are all the same, and then the term
            is always 0.
    """

    median: float
    mean: float
    scale: float

    @property
    def terms(self) -> int:
        """Number of terms."""
        return 1

    def encode(self, values: Floats) -> Floats:
        """Return the term of each value; shape (values, 1)."""
        if not self.scale:
            return np.zeros((len(values), 1))
        filled = np.where(np.isnan(values), self.median, values)
        return ((filled - self.mean) / self.scale)[:, None]


@dataclass(frozen=True)
class CategoricalColumn:
    """One 0/1 term per level of the partition, and a last one for a missing value.

    That a value is missing can so have an effect of its own. Where training saw none missing, the
    penalty keeps that effect at 0, as it does for levels that the fold lacks. A level that the
    partition does not have is all zeros.

    Attributes:
        levels: levels of the partition, in the order of their codes.
    """

    levels: tuple[str, ...]

    @property
    def terms(self) -> int:
        """Number of terms."""
        return len(self.levels) + 1

    def encode(self, values: Floats) -> Floats:
        """Return the terms of each value; shape (values, terms)."""
        missing = np.isnan(values)
        codes = np.arange(float(len(self.levels)))
        return np.column_stack([values[:, None] == codes, missing]).astype(np.float64)


Column = NumericColumn | CategoricalColumn


@dataclass(frozen=True)
class Encoding:
    """The columns of a feature matrix, in its order."""

    columns: tuple[Column, ...]

    @property
    def terms(self) -> int:
        """Number of terms of all columns."""
        return sum(column.terms for column in self.columns)

    @property
    def slices(self) -> tuple[slice, ...]:
        """The terms of each column."""
        stops = np.cumsum([column.terms for column in self.columns]).tolist()
        starts = [0, *stops[:-1]]
        return tuple(slice(start, stop) for start, stop in zip(starts, stops, strict=True))

    def encode(self, values: Floats) -> Floats:
        """Return the terms of rows of shape (rows, columns); shape (rows, terms)."""
        terms = np.empty((len(values), self.terms))
        for position, own in enumerate(self.slices):
            terms[:, own] = self.columns[position].encode(values[:, position])
        return terms


def learn_encoding(features: Features, weight: Floats) -> Encoding:
    """Return medians and scales of the training rows; a row of weight 2 counts as two rows.

    Args:
        features: features of the training rows.
        weight: weights above 0; shape (rows,).
    """
    columns = [
        _numeric(features.values[:, position], weight)
        if levels is None
        else CategoricalColumn(levels)
        for position, levels in enumerate(features.levels)
    ]
    return Encoding(tuple(columns))


def _numeric(values: Floats, weight: Floats) -> NumericColumn:
    is_known = ~np.isnan(values)
    if not is_known.any():
        return NumericColumn(median=0.0, mean=0.0, scale=0.0)
    known = values[is_known]
    median = np.quantile(known, 0.5, weights=weight[is_known], method="inverted_cdf")
    if known.min() == known.max():  # rounding would give a tiny scale, and huge terms
        return NumericColumn(median=float(median), mean=float(median), scale=0.0)
    filled = np.where(np.isnan(values), median, values)
    mean = np.average(filled, weights=weight)
    variance = np.average((filled - mean) ** 2, weights=weight)
    return NumericColumn(median=float(median), mean=float(mean), scale=float(np.sqrt(variance)))
