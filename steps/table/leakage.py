"""Measure how well a single feature predicts the target, to detect leakage.

The feature is divided into cells: its levels, or 50 intervals with equally many rows; missing is a
cell too. Each row of one half is predicted by the mean of its cell in the other half. The measure
is the share of the target's variance that this explains: Pearson's correlation ratio ("On the
general theory of skew correlation", 1905), but on held-out rows, so a feature with a distinct value
in each row explains nothing. For classes, each as an indicator, it is Goodman and Kruskal's tau
(*JASA* 49, 1954), also on held-out rows. A few large values can dominate a variance, so for numbers
it is the larger of two shares: that of the values' variance, and that of their ranks' variance.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from steps.table.grid import level_texts, numbers_of

Floats = NDArray[np.float64]
Cells = NDArray[np.intp]

LEAKAGE = 0.75
"""Share of the target's variance above which a feature is probably the target itself."""
FEWEST = 100
"""Minimum number of rows with a target."""

_BINS = 50


class Target:
    """The target, for comparison with features.

    Args:
        column: the target's values, without missing ones.
        task: regression, binary or multiclass.
        weights: weight of each row; shape (rows,).
        half: True for rows of the training half; shape (rows,).
    """

    def __init__(
        self, column: pa.Array, task: str, weights: Floats, half: NDArray[np.bool_]
    ) -> None:
        self._weights, self._half = weights, half
        if task == "regression":
            numbers = numbers_of(column)
            _, codes = np.unique(numbers, return_inverse=True)
            rows = np.bincount(codes, weights)
            mean_ranks = (np.cumsum(rows) - (rows - 1) / 2)[codes]
            self._values = [numbers[:, None], mean_ranks[:, None]]
        else:
            texts = level_texts(column)
            codes = texts.indices.to_numpy(zero_copy_only=False)
            self._values = [np.eye(len(texts.dictionary))[codes]]

    def explained_by(self, feature: pa.Array, *, categorical: bool) -> float:
        """Return the explained share of variance, at most 1; negative for a misleading feature."""
        cells = cells_of(feature, categorical=categorical)
        with np.errstate(over="ignore", invalid="ignore"):
            return max(self._explained(cells, values) for values in self._values)

    def _explained(self, cells: Cells, values: Floats) -> float:
        half, weights = self._half, self._weights[:, None]
        if not half.any() or half.all():
            return 0.0
        cell, training, weight = cells[half], values[half], weights[half]
        count = int(cells.max()) + 1
        size = np.bincount(cell, weight[:, 0], count)[:, None]
        weighted = training * weight
        totals = np.stack([np.bincount(cell, each, count) for each in weighted.T], axis=1)
        overall = weighted.sum(axis=0) / weight.sum()
        # A cell without training rows has the mean of all of them.
        means = np.where(size > 0, totals / np.maximum(size, 1e-300), overall)
        held_out, counts = values[~half], weights[~half]
        center = (held_out * counts).sum(axis=0) / counts.sum()
        total = float((counts * (held_out - center) ** 2).sum())
        residual = float((counts * (held_out - means[cells[~half]]) ** 2).sum())
        return 1 - residual / total if total and np.isfinite(residual) else 0.0


def cells_of(column: pa.Array, *, categorical: bool) -> Cells:
    """Return the cell of each row: its level, or its interval out of 50."""
    if categorical or pa.types.is_string(column.type):
        texts = level_texts(column)
        cells: Cells = texts.indices.fill_null(len(texts.dictionary)).to_numpy(zero_copy_only=False)
        return cells
    numbers = numbers_of(column)
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        return np.zeros(len(numbers), np.intp)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1], method="lower"))
    return np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers))
