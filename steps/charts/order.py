"""The order in which like stands beside like."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import pdist

from steps.charts.curves import Floats

MOST_OPTIMAL = 300
"""Rows up to which the leaves are ordered optimally: its time grows with their cube."""

MOST_CLUSTERED = 4000
"""Rows up to which they are clustered: the distances take 8 n^2 / 2 bytes, 64 MB here."""


def clustered_order(matrix: Floats) -> list[int]:
    """Row numbers of ``matrix`` in the order of an average-linkage dendrogram's leaves.

    A missing value counts as 0, no importance. Of the two directions, the one is taken that has
    the larger sums first. Beyond ``MOST_CLUSTERED`` rows it is the order of the sums alone.
    """
    values = np.nan_to_num(matrix, nan=0.0, posinf=0.0, neginf=0.0)
    sums = values.sum(axis=1)
    rows = len(values)
    if rows <= 2 or rows > MOST_CLUSTERED or not values.any():  # noqa: PLR2004 - no tree to draw
        return [int(index) for index in np.argsort(-sums, kind="stable")]
    gaps = pdist(values)
    tree = linkage(gaps, "average")
    if rows <= MOST_OPTIMAL:
        tree = optimal_leaf_ordering(tree, gaps)
    leaves = [int(index) for index in leaves_list(tree)]
    half = rows // 2
    return leaves[::-1] if sums[leaves[:half]].mean() < sums[leaves[-half:]].mean() else leaves
