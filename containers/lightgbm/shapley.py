r"""SHAP values of a forest: path-dependent TreeSHAP, from one small table per leaf.

The value of a set S of known features is the mean of the tree over its training rows, except that
splits on S follow the row (Lundberg et al. 2018, arXiv:1802.03888, algorithm 1): what LightGBM's
``pred_contrib`` computes. It is a sum over the leaves; for one leaf of value v, let

    z_k = product of the shares of training rows that follow the path at its splits on feature k,
    o_k = 1 if the row meets all of the path's conditions on feature k, else 0.

The Shapley value of feature j among the m features of the path is then

    v (o_j - z_j) sum_S |S|! (m - 1 - |S|)! / m! prod_{k in S} o_k prod_{k not in S} z_k

over the sets S of other features. The weights are integrals, t^s (1 - t)^(m-1-s) over [0, 1], so

    = v (o_j - z_j) int_0^1 prod_{k != j} (t o_k + (1 - t) z_k) dt,

a polynomial of degree m - 1 that Gauss-Legendre quadrature with ceil(m / 2) points integrates
exactly. A row enters by its m bits o_k only: 2^m cases per leaf, tabled once and looked up per row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from containers.lightgbm.curves import decide

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from containers.lightgbm.forest import Forest

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

# So that what is in use at a time fits into a processor's cache.
_TABLE_ENTRIES = 2**18
_CHUNK_LEAVES = 256
_BLOCK_ROWS = 512

# With long paths and few rows the tables cost more than the look-ups save; LightGBM's own TreeSHAP
# is then as fast. Measured: both take the same time at about 12 operations per look-up.
_MAX_FEATURES = 16
_MAX_OPERATIONS_PER_LOOK_UP = 8


@dataclass(frozen=True)
class _Paths:
    """The conditions on the way to each leaf, merged by feature.

    A pair is a leaf and a feature of its path; pairs are in the order of the leaves.

    Attributes:
        column: column of each pair; shape (pairs,).
        share: z of each pair.
        features: m of each leaf, shape (leaves,).
        first: the first pair of each leaf.
        node: node of each condition, in the order of the pairs; shape (conditions,).
        right: True if the path leaves that node to the right.
        start: the first condition of each pair, and an end, shape (pairs + 1,).
    """

    column: Ints
    share: Floats
    features: Ints
    first: Ints
    node: Ints
    right: Bools
    start: Ints


class Shapley:
    """The paths of a forest, from which the SHAP values of any rows are computed."""

    def __init__(self, forest: Forest) -> None:
        self._forest = forest
        self._paths = _paths(forest)

    def worthwhile(self, rows: int) -> bool:
        """Return whether the tables cost less than they save against LightGBM's own TreeSHAP."""
        count = self._paths.features.astype(np.float64)
        operations = (count * 2.0**count * np.ceil(count / 2)).sum()
        affordable = operations <= _MAX_OPERATIONS_PER_LOOK_UP * rows * count.sum()
        return bool(affordable and count.max() <= _MAX_FEATURES)

    def base(self) -> Floats:
        """Return each tree's mean over the training rows, summed by output; shape (outputs,)."""
        forest = self._forest
        value = forest.leaf_value * forest.leaf_cover
        base = np.zeros(forest.outputs)
        np.add.at(base, forest.leaf_output, value)
        return base

    def values(self, values: Floats) -> Floats:
        """Return SHAP values, shape (rows, columns) to (rows, columns, outputs)."""
        forest = self._forest
        phi = np.zeros((forest.columns, forest.outputs, len(values)))
        blocks = [slice(at, at + _BLOCK_ROWS) for at in range(0, len(values), _BLOCK_ROWS)]
        right = [decide(forest, values[rows]) for rows in blocks]
        for leaves in self._chunks():
            tables = self._tables(leaves)
            for rows, decided in zip(blocks, right, strict=True):
                self._add(leaves, tables, self._cases(leaves, decided), phi[:, :, rows])
        return phi.transpose(2, 0, 1)

    def _chunks(self) -> Iterator[Ints]:
        """Yield leaves of equally many features, few enough that the cache holds their tables."""
        for count in np.unique(self._paths.features[self._paths.features > 0]):
            leaves = np.flatnonzero(self._paths.features == count)
            size = min(_CHUNK_LEAVES, max(1, _TABLE_ENTRIES // int(count * 2**count)))
            yield from (leaves[at : at + size] for at in range(0, len(leaves), size))

    def _tables(self, leaves: Ints) -> Floats:
        """Return tables of shape (leaves, m, 2^m); bit k of the last position is o of feature k."""
        share = self._paths.share[self._pairs(leaves)]
        count = share.shape[1]
        points, weights = np.polynomial.legendre.leggauss((count + 1) // 2)
        t = (points + 1) / 2
        fails = share[:, :, None] * (1 - t)  # above 0, as no leaf is without training rows
        holds = fails + t
        product = self._forest.leaf_value[leaves, None, None] * (weights / 2)
        for k in range(count):
            parts = [product * fails[:, None, k], product * holds[:, None, k]]
            product = np.concatenate(parts, axis=1)
        bits = (np.arange(2**count) >> np.arange(count)[:, None] & 1).astype(np.bool_)
        # The integral without feature j: its factor is divided out of the product again.
        through = (1 / holds * (1 - share[:, :, None])) @ product.transpose(0, 2, 1)
        past = (1 / fails * -share[:, :, None]) @ product.transpose(0, 2, 1)
        return np.where(bits, through, past)

    def _pairs(self, leaves: Ints) -> Ints:
        """Return the pairs of leaves that have m features each; shape (leaves, m)."""
        count = int(self._paths.features[leaves[0]])
        return self._paths.first[leaves, None] + np.arange(count)

    def _cases(self, leaves: Ints, right: Bools) -> Ints:
        """Return the bits of each row as a number, shape (leaves, rows).

        Args:
            leaves: leaves whose paths have equally many features.
            right: True where a row goes right; shape (nodes, rows).
        """
        paths = self._paths
        cases = np.zeros((len(leaves), right.shape[1]), dtype=np.int64)
        for k, pairs in enumerate(self._pairs(leaves).T):
            # A row meets a pair if it meets all of the path's conditions on that feature.
            at, stop = paths.start[pairs], paths.start[pairs + 1]
            met = right[paths.node[at]] == paths.right[at, None]
            while len(more := np.flatnonzero((at := at + 1) < stop)):
                condition = at[more]
                met[more] &= right[paths.node[condition]] == paths.right[condition, None]
            cases |= met.astype(np.int64) << k
        return cases

    def _add(self, leaves: Ints, tables: Floats, cases: Ints, phi: Floats) -> None:
        """Look up and add to ``phi``, of shape (columns, outputs, rows)."""
        count, size = tables.shape[1:]
        column = self._paths.column[self._pairs(leaves)].ravel()
        target = column * self._forest.outputs + self._forest.leaf_output[leaves].repeat(count)
        order = np.argsort(target, kind="stable")
        targets, starts = np.unique(target[order], return_index=True)
        for which, pairs in zip(targets, np.split(order, starts[1:]), strict=True):
            found = tables.ravel().take(cases[pairs // count] + (pairs * size)[:, None])
            phi[which // self._forest.outputs, which % self._forest.outputs] += found.sum(axis=0)


def _paths(forest: Forest) -> _Paths:
    slots = forest.nodes + len(forest.leaf_value)
    parent, is_right = np.full(slots, -1), np.zeros(slots, dtype=np.bool_)
    for child in (forest.left, forest.right):
        parent[child] = np.arange(forest.nodes)
        is_right[child] = child is forest.right
    # Climb from all leaves at once: leaf, node, side and share of training rows per condition.
    climbing = np.arange(len(forest.leaf_value))
    slot = forest.nodes + climbing
    climbed = []
    while len(slot):
        above = parent[slot] >= 0
        climbing, slot = climbing[above], slot[above]
        climbed.append((climbing, parent[slot], is_right[slot], forest.share[slot]))
        slot = parent[slot]
    leaf, node, right, share = (np.concatenate(each) for each in zip(*climbed, strict=True))
    column = forest.splits.column[node]
    order = np.lexsort((column, leaf))
    key = (leaf * forest.columns + column)[order]
    pairs, start = np.unique(key, return_index=True)
    owner = pairs // forest.columns
    features = np.bincount(owner, minlength=len(forest.leaf_value))
    return _Paths(
        column=pairs % forest.columns,
        share=np.multiply.reduceat(share[order], start) if len(start) else share,
        features=features,
        first=np.cumsum(features) - features,
        node=node[order],
        right=right[order],
        start=np.append(start, len(key)),
    )
