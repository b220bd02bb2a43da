"""The predicted cost of a fit, from measured constants.

They are fitted to the tables of the field suite and to six generated ones, on an AMD EPYC of 2025.
``benchmarks/cost.py`` compares predictions with measured times.
"""

from __future__ import annotations

from refeed import FitCost, FitSize

_FIT, _CELL, _CELL_FEATURE = 2.5e-3, 1.8e-7, 6e-11
"""CPU seconds of a fit whatever its size, per row and feature, and per row and pair of features."""
_EXPLAINED_FEATURE, _EXPLAINED_CELL = 2.9e-4, 1.7e-7
"""CPU seconds of explanations per feature, and per explained row and feature."""
_CELL_BYTES = 40
"""Memory per row and feature: the terms and the copies of the solver."""


def fit_cost(size: FitSize) -> FitCost:
    """Return the predicted cost of a fit. Levels count as one feature."""
    cells = size.rows * size.features
    return FitCost(
        seconds=_FIT + size.outputs * cells * (_CELL + _CELL_FEATURE * size.features),
        explain_seconds=_EXPLAINED_FEATURE * size.features + _EXPLAINED_CELL * cells,
        memory_mib=_CELL_BYTES * cells / 2**20,
    )
