"""How much of a target one feature tells, alone: what is nearly all is probably the target itself.

The feature is cut into cells: its levels, or 50 intervals that hold equally many rows; a missing
value is a cell too. Each row of one half is predicted by the mean of its cell in the other half.
What is told is the share of the target's variance that this explains: Pearson's correlation ratio
("On the general theory of skew correlation", 1905), but on rows that have not been looked at, so
that a feature with a value of its own in each row tells nothing. For classes, each an indicator, it
is Goodman and Kruskal's tau (*JASA* 49, 1954), likewise. A few large values can rule a variance, so
for numbers it is the larger of two shares: of the values' variance, and of that of their ranks.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from steps.table.grid import level_texts, numbers_of

Floats = NDArray[np.float64]
Cells = NDArray[np.intp]

LEAKAGE = 0.75
"""A feature that alone explains so much of the target's variance is probably the target itself."""
FEWEST = 100
"""Fewer rows with a target are too few to tell."""

_BINS = 50


class Target:
    """What features are held against.

    Args:
        column: the target's values, none of them missing.
        task: regression, binary or multiclass.
        weights: how much each row counts; shape (rows,).
        half: the rows that are learnt from; shape (rows,).
    """

    def __init__(
        self, column: pa.Array, task: str, weights: Floats, half: NDArray[np.bool_]
    ) -> None:
        self._weights, self._half = weights, half
        if task == "regression":
            numbers = numbers_of(column)
            self._values = [numbers[:, None], _ranks(numbers, weights)[:, None]]
        else:
            texts = level_texts(column)
            codes = texts.indices.to_numpy(zero_copy_only=False)
            self._values = [np.eye(len(texts.dictionary))[codes]]

    def explained_by(self, feature: pa.Array, *, categorical: bool) -> float:
        """Share of the target's variance, at most 1; below 0 where the feature misleads."""
        cells = cells_of(feature, categorical=categorical)
        with np.errstate(over="ignore", invalid="ignore"):
            return max(self._explained(cells, values) for values in self._values)

    def _explained(self, cells: Cells, values: Floats) -> float:
        half, weights = self._half, self._weights[:, None]
        if not half.any() or half.all():
            return 0.0
        means = _means(cells[half], values[half], weights[half], int(cells.max()) + 1)
        told, counts = values[~half], weights[~half]
        centre = (told * counts).sum(axis=0) / counts.sum()
        spread = float((counts * (told - centre) ** 2).sum())
        missed = float((counts * (told - means[cells[~half]]) ** 2).sum())
        return 1 - missed / spread if spread and np.isfinite(missed) else 0.0


def _means(cells: Cells, values: Floats, weights: Floats, count: int) -> Floats:
    """Mean of each cell, and of all rows for a cell without rows; shape (count, values)."""
    size = np.bincount(cells, weights[:, 0], count)[:, None]
    total = np.stack([np.bincount(cells, each, count) for each in (values * weights).T], axis=1)
    overall = (values * weights).sum(axis=0) / weights.sum()
    return np.where(size > 0, total / np.maximum(size, 1e-300), overall)


def _ranks(numbers: Floats, weights: Floats) -> Floats:
    """Mean rank of each number, in rows."""
    _, which = np.unique(numbers, return_inverse=True)
    rows = np.bincount(which, weights)
    ranks: Floats = (np.cumsum(rows) - (rows - 1) / 2)[which]
    return ranks


def cells_of(column: pa.Array, *, categorical: bool) -> Cells:
    """A coarse version of a feature: its level, or which 50th of the values it is in."""
    if categorical or pa.types.is_string(column.type):
        texts = level_texts(column)
        found: Cells = texts.indices.fill_null(len(texts.dictionary)).to_numpy(zero_copy_only=False)
        return found
    numbers = numbers_of(column)
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        return np.zeros(len(numbers), np.intp)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1], method="lower"))
    return np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers))
