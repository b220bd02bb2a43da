r"""Response curves of a forest from one walk over its trees.

Let V_n(x) be the value of the subtree at node n for row x. Setting column c of x to p changes the
score by what happens at the nodes n that split on c:

    F(x, c := p) = F(x) + sum_n  I_n(p) E_n(x) (V_child(n, p)(x) - V_n(x))

where I_n(p) says whether p meets the conditions on c above n, E_n(x) whether x meets all other
conditions above n, and child(n, p) is the child that p leads to. (Cut the trees at the nodes of c.
Each piece adds the value of x in it, less the values of the pieces that it leads to; the sum
telescopes.) With D_n = V_right(n) - V_left(n), and R_n whether a value goes right,

    V_child(n, p)(x) - V_n(x) = D_n(x) (R_n(p) - R_n(x)).

E_n D_n and R_n(x) do not depend on p and serve all columns, since n has one column. A curve then
costs two small matrix products over the nodes of its column alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from containers.lightgbm.forest import Forest

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

# Blocks that fit into a processor's cache are several times faster than large ones.
_WORKING_BYTES = 8 * 2**20
_KEPT_BYTES = 48 * 2**20
_MIN_BLOCK = 8


@dataclass(frozen=True)
class _Block:
    """Some rows' part of the formula; see the module.

    Attributes:
        score: F, shape (outputs, rows).
        step: E_n D_n, shape (nodes, rows).
        right: R_n of the rows, shape (nodes, rows).
    """

    score: Floats
    step: Floats
    right: Bools


@dataclass(frozen=True)
class _Detours:
    """The conditions that make E_n of the nodes below another node of their own column.

    Attributes:
        nodes: those nodes, shape (nested,).
        steps: going up one ancestor at a time: which of the nested nodes still have an ancestor
            that splits on another column, that ancestor, and whether they lie right of it.
    """

    nodes: Ints
    steps: tuple[tuple[Ints, Ints, Bools], ...]


class Walk:
    """The trees walked for some rows, which then answers for every column.

    Rows are taken in blocks. Up to 48 MB of blocks are kept (that is about 4,000 rows of 100 trees
    with 15 leaves); those beyond are walked again for every column.
    """

    def __init__(self, forest: Forest, values: Floats) -> None:
        """Prepare; nothing is walked yet.

        Args:
            forest: the trees.
            values: shape (rows, columns), not to be changed afterwards.
        """
        self.values = values
        self._forest = forest
        self._detours = _detours(forest)
        self._kept: dict[int, _Block] = {}
        slots = 2 * forest.nodes + len(forest.leaf_value) + 1
        self._rows = max(_MIN_BLOCK, _WORKING_BYTES // (8 * slots))
        kept_per_row = 9 * forest.nodes + 8 * forest.outputs
        self._keepable = _KEPT_BYTES // (kept_per_row * self._rows)

    def curves(self, column: int, points: Floats) -> Floats:
        """Return the scores of every row with one column set to each point.

        Returns:
            Shape (rows, points, outputs).
        """
        forest = self._forest
        nodes = forest.nodes_of(column)
        right = forest.splits.right(nodes, points)
        inside = _inside(forest, nodes, right)
        # Rows vary fastest in memory: that suits the products here and a mean over the rows.
        scores = np.empty((forest.outputs, len(points), len(self.values)))
        for number, start in enumerate(range(0, len(self.values), self._rows)):
            rows = slice(start, start + self._rows)
            block = self._kept.get(number)
            if block is None:
                block = _walk(forest, self._detours, self.values[rows])
                if len(self._kept) < self._keepable:
                    self._kept[number] = block
            for output in range(forest.outputs):
                own = forest.nodes_of(column, output)
                at = slice(own.start - nodes.start, own.stop - nodes.start)
                nested = int(np.searchsorted(forest.same_depth[own], 1))
                change = _change(block, own, right[at], inside[at], nested)
                np.add(block.score[output], change, out=scores[output, :, rows])
        return scores.transpose(2, 1, 0)


def _change(block: _Block, own: slice, right: Bools, inside: Bools, nested: int) -> Floats:
    """Return the sum over a column's nodes; shape (points, rows).

    Args:
        block: the rows.
        own: the nodes.
        right: R_n of the points, shape (nodes, points).
        inside: I_n of the points, shape (nodes, points).
        nested: position of the first node that has an ancestor of its column; before it, I_n is 1.
    """
    step = block.step[own]
    present = step * block.right[own]
    change: Floats = (right & inside).T.astype(np.float64) @ step
    change -= present[:nested].sum(axis=0)
    if nested < len(step):
        change -= inside[nested:].T.astype(np.float64) @ present[nested:]
    return change


def _inside(forest: Forest, nodes: slice, right: Bools) -> Bools:
    """Return I_n of the points, shape (nodes, points): the column's conditions above n hold."""
    inside = np.ones_like(right)
    depth = forest.same_depth[nodes]
    for level in range(1, depth.max(initial=0) + 1):
        below = np.flatnonzero(depth == level)
        above = forest.same[nodes][below] - nodes.start
        side = forest.same_right[nodes][below]
        inside[below] = inside[above] & (right[above] == side[:, None])
    return inside


def decide(forest: Forest, values: Floats) -> Bools:
    """Return whether each row would go right at each node, shape (nodes, rows)."""
    right = np.empty((forest.nodes, len(values)), dtype=np.bool_)
    for column in range(forest.columns):
        nodes = forest.nodes_of(column)
        right[nodes] = forest.splits.right(nodes, values[:, column])
    return right


def _walk(forest: Forest, detours: _Detours, values: Floats) -> _Block:
    """Decide every node for every row, then sum up the trees from their leaves to the roots."""
    right = decide(forest, values)
    value = np.empty((forest.nodes + len(forest.leaf_value), len(values)))
    value[forest.nodes :] = forest.leaf_value[:, None]
    step = np.empty((forest.nodes, len(values)))
    for nodes_of_level in reversed(forest.levels):
        left_value = value[forest.left[nodes_of_level]]
        right_value = value[forest.right[nodes_of_level]]
        value[nodes_of_level] = np.where(right[nodes_of_level], right_value, left_value)
        step[nodes_of_level] = np.subtract(right_value, left_value, out=right_value)
    # E_n: whether the other columns' conditions above n hold.
    hold = np.ones_like(right)
    for level in forest.levels[1:]:
        parent = forest.parent[level]
        hold[level] = hold[parent] & (right[parent] == forest.is_right[level, None])
    apart = np.ones((len(detours.nodes), right.shape[1]), dtype=np.bool_)
    for which, ancestor, side in detours.steps:
        apart[which] &= right[ancestor] == side[:, None]
    hold[detours.nodes] = apart
    step *= hold
    score = np.stack([value[roots].sum(axis=0) for roots in forest.roots])
    return _Block(score=score, step=step, right=right)


def _detours(forest: Forest) -> _Detours:
    column = forest.splits.column
    nodes = np.flatnonzero(forest.same >= 0)
    steps = []
    which, below = np.arange(len(nodes)), nodes
    while len(which):
        ancestor = forest.parent[below]
        other = column[ancestor] != column[nodes[which]]
        steps.append((which[other], ancestor[other], forest.is_right[below[other]]))
        inner = forest.parent[ancestor] >= 0
        which, below = which[inner], ancestor[inner]
    return _Detours(nodes=nodes, steps=tuple(steps))
