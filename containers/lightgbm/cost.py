"""The predicted cost of a fit, from measured constants.

They are fitted to the tables of the field suite and to six generated ones, on an AMD EPYC of 2025.
``benchmarks/cost.py`` compares predictions with measured times.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refeed import FitCost, FitSize

if TYPE_CHECKING:
    from containers.lightgbm.params import LightGBMParams

_FIT = 2.3e-3
"""CPU seconds of a fit, whatever its size: bins, and the text of the model."""
_CELL = 2e-9
"""The same, per row and feature: bins."""
_TREE, _TREE_CELL = 2.8e-7, 9.1e-9
"""CPU seconds of a tree, and per row and feature: histograms."""
_LEAF, _LEAF_FEATURE = 3.7e-7, 7.8e-7
"""CPU seconds of a leaf, and per feature: the search for its split in ``_BINS`` bins."""
_BINS = 255
_EXPLAINED_FEATURE, _EXPLAINED_LEAF, _EXPLAINED_LEAF_ROW = 3.8e-4, 5.3e-6, 5.3e-8
"""CPU seconds of explanations per feature, per leaf, and per leaf and explained row."""
_CELL_BYTES, _SCORE_BYTES = 40, 48
"""Memory per row and feature (bins, and the copy that they are made from), and per row and output
(scores, gradients). Measured with 20 features: about 40 bytes per cell at 100,000 rows."""

_ROWS_PER_LEAF = 25
"""Rows per leaf, which limit the leaves in a small partition: LightGBM needs 20."""
_AUTO_ROUNDS = 100
"""Rounds that early stopping is expected to choose."""


def fit_cost(params: LightGBMParams, size: FitSize) -> FitCost:
    """Return the predicted cost of a fit."""
    trees = size.outputs * _trees(params)
    most = int(params.for_rows(int(size.rows)).num_leaves)
    leaves = min(most, max(size.rows / _ROWS_PER_LEAF, 1))
    cells = size.rows * size.features
    bins = _LEAF_FEATURE * size.features * min(params.max_bin / _BINS, 1)
    tree = _TREE + _TREE_CELL * cells + leaves * (_LEAF + bins)
    # An explained model was fitted to about four times as many rows as are explained.
    explained = size.outputs * _rounds(params)
    explained *= min(most, max(4 * size.rows / _ROWS_PER_LEAF, 1))
    return FitCost(
        seconds=_FIT + _CELL * cells + trees * tree,
        explain_seconds=_EXPLAINED_FEATURE * size.features
        + explained * (_EXPLAINED_LEAF + _EXPLAINED_LEAF_ROW * size.rows),
        memory_mib=(_CELL_BYTES * cells + _SCORE_BYTES * size.rows * size.outputs) / 2**20,
    )


def _rounds(params: LightGBMParams) -> int:
    """Return the rounds of the model."""
    if params.rounds == "auto":
        return min(_AUTO_ROUNDS, params.max_rounds)
    return params.rounds


def _trees(params: LightGBMParams) -> int:
    """Return the trees per output: with rounds auto, each inner fold grows as many."""
    return _rounds(params) * (1 + params.inner_folds if params.rounds == "auto" else 1)
