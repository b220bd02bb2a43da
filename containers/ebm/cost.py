"""The predicted cost of a fit, from measured constants.

They are fitted to the tables of the field suite and to four generated ones, on an AMD EPYC of 2025.
``benchmarks/cost.py`` compares predictions with measured times.

Early stopping decides the time, so a table may take a third or three times as long: only measured
times of an earlier run say more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from refeed import FitCost, FitSize

if TYPE_CHECKING:
    from containers.ebm.params import EBMParams

_FIT, _BAG_FEATURE, _BAG_CELL = 4.5e-2, 3.1e-4, 1e-6
"""CPU seconds of a fit whatever its size, per bag and feature, and per bag, row and feature."""
_EXPLAINED_FEATURE, _EXPLAINED_CELL = 8.3e-5, 1.7e-8
"""CPU seconds of explanations per feature, and per explained row and feature."""
_CELL_BYTES = 40
"""Memory per row and feature: bins, and the copies of each bag."""


def fit_cost(params: EBMParams, size: FitSize) -> FitCost:
    """Return the predicted cost of a fit."""
    cells = size.rows * size.features
    bag = _BAG_FEATURE * size.features + _BAG_CELL * cells
    return FitCost(
        seconds=_FIT + size.outputs * params.bags * bag,
        explain_seconds=_EXPLAINED_FEATURE * size.features + _EXPLAINED_CELL * cells,
        memory_mib=_CELL_BYTES * cells / 2**20,
    )
