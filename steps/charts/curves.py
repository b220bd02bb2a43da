"""Distance of a partition's curve from the consensus, in units of the spread between folds.

Curves are rows of an array of shape (partitions, cells); the cells of a feature's grid are the same
in all partitions. A partial-dependence curve says nothing where a partition has no rows, so two
curves are compared on the support that they share, and nowhere else.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

MINIMUM_COVERAGE = 0.5
"""Share of a partition's rows that must be in common cells for a distance to be computed."""

MINIMUM_CELLS = 2
"""With one common cell, re-centring leaves nothing to compare."""


def usable_cells(centred: Floats, support: Floats, extrapolated: Bools) -> Bools:
    """Return cells in which a partition's curve may be read: rows in it, within range, a value."""
    result: Bools = (support > 0) & ~extrapolated & np.isfinite(centred)
    return result


def common_cells(usable: Bools) -> Bools:
    """Return cells that partition p shares with enough others.

    Enough is at least half of the *other* partitions that have a curve at all, and at least one:
    then the median over them cannot be the view of a minority, and p has no vote on its own case.
    """
    others = usable.any(axis=1).sum() - 1
    having = usable.sum(axis=0) - usable  # others that can be read in the cell, for each p
    common: Bools = usable & (having >= max(others / 2, 1))
    return common


def consensus(centred: Floats, usable: Bools) -> Floats:
    """Return median over the partitions that can be read in a cell; NaN where none can.

    A median, so that the unusual do not move what they are measured against.
    """
    result = np.full(centred.shape[1], np.nan)
    for cell in np.flatnonzero(usable.any(axis=0)):
        result[cell] = np.median(centred[usable[:, cell], cell])
    return result


def spread_floor(fold_sd: Floats, usable: Bools) -> float:
    """Return the feature's typical spread between folds: the median over all readable cells.

    It keeps a fold_sd that is tiny by accident (five folds are few) from making a discovery. Where
    most models ignore the feature the median is 0; then it is the median of those above 0. NaN if
    there is none, as with a single fold.
    """
    seen = fold_sd[usable & np.isfinite(fold_sd)]
    positive = seen[seen > 0]
    if not positive.size:
        return float("nan")
    return float(np.median(seen)) or float(np.median(positive))


def distances(centred: Floats, fold_sd: Floats, support: Floats, usable: Bools) -> Floats:
    """Return weighted distance of each partition's curve to the consensus, in units of fold_sd.

    For partition p and its common cells j (``common_cells``), with n_pj rows in a cell::

        w_pj = n_pj / sum_j n_pj
        g_pj = (c_pj - m_j) - sum_j w_pj (c_pj - m_j)      both curves re-centred on common cells
        s_pj = sqrt(centred_fold_sd_pj^2 + floor^2)        floor: ``spread_floor``
        d_p  = sqrt(sum_j w_pj (g_pj / s_pj)^2)

    c is ``centred`` and m the ``consensus``. A distance of 3 says: where the partition has its
    rows, the gap is three times what its own folds disagree by. It is a yardstick and no test.

    Returns:
        Shape (partitions,). NaN where a partition is not judged: fewer than ``MINIMUM_CELLS``
        common cells, less than ``MINIMUM_COVERAGE`` of its rows in them, or no fold_sd anywhere.
    """
    cells = common_cells(usable)
    rows = np.where(cells, support, 0.0)
    total = rows.sum(axis=1)
    share = rows / np.where(total > 0, total, 1.0)[:, None]
    gap = np.where(cells, centred - consensus(centred, usable), 0.0)
    gap = np.where(cells, gap - (share * gap).sum(axis=1, keepdims=True), 0.0)
    spread = np.hypot(np.nan_to_num(fold_sd), spread_floor(fold_sd, usable))
    result: Floats = np.sqrt((share * (gap / spread) ** 2).sum(axis=1))
    covered = total >= MINIMUM_COVERAGE * np.nansum(support, axis=1)
    judged = covered & (total > 0) & (cells.sum(axis=1) >= MINIMUM_CELLS)
    return np.where(judged, result, np.nan)
