"""The trees of a LightGBM model as arrays, read from its text format.

Plain numpy, so that partial dependence (`containers.lightgbm.curves`) walks the trees once instead
of predicting again for every grid value. Nodes of all trees share one numbering, in which the nodes
that split on a column lie next to each other.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Bools = NDArray[np.bool_]

# include/LightGBM/meta.h: `const float kZeroThreshold = 1e-35f`; smaller values count as zero.
ZERO_THRESHOLD = float(np.float32(1e-35))

# include/LightGBM/tree.h: the bits of decision_type.
_CATEGORICAL = 1
_DEFAULT_LEFT = 2
_MISSING_SHIFT = 2
_MISSING_BITS = 3
_MISSING_ZERO = 1
_MISSING_NAN = 2


@dataclass(frozen=True)
class Splits:
    """The conditions of all nodes on their columns; all arrays have one entry per node.

    Attributes:
        column: position of the column.
        threshold: a number of at most this goes left (numeric nodes).
        categorical: True if the column holds codes.
        default_right: True if the missing values of the node go right (numeric nodes).
        zero_missing: True if zero and NaN are the missing values (numeric nodes).
        nan_missing: True if NaN is the missing value (numeric nodes).
        members: codes that go left (categorical nodes); shape (nodes, codes).
    """

    column: Ints
    threshold: Floats
    categorical: Bools
    default_right: Bools
    zero_missing: Bools
    nan_missing: Bools
    members: Bools

    def right(self, nodes: slice, values: Floats) -> Bools:
        """Return whether each value of one column goes right.

        Args:
            nodes: nodes that all split on this column.
            values: values of the column; shape (values,).

        Returns:
            Shape (nodes, values), as ``Tree::Decision`` of include/LightGBM/tree.h decides.
        """
        if nodes.start == nodes.stop:
            return np.zeros((0, len(values)), dtype=np.bool_)
        if self.categorical[nodes.start]:
            width = self.members.shape[1]
            # NaN, negative and unknown codes belong to no set, so they share one more column.
            known = (values > -1) & (values < width)
            codes = np.where(known, values, width).astype(np.int64)
            members = np.pad(self.members[nodes], ((0, 0), (0, 1)))
            return np.logical_not(members[:, codes])
        return self._right_of_numbers(nodes, values)

    def _right_of_numbers(self, nodes: slice, values: Floats) -> Bools:
        missing = np.isnan(values)
        # The predictor passes on no values of at most kZeroThreshold; a node to which NaN is not a
        # missing value reads it as zero.
        zero = missing | (np.abs(values) <= ZERO_THRESHOLD)
        right = np.where(zero, 0.0, values) > self.threshold[nodes, None]
        default = self.default_right[nodes, None]
        if missing.any() and self.nan_missing[nodes].any():
            np.copyto(right, default, where=self.nan_missing[nodes, None] & missing)
        if self.zero_missing[nodes].any():
            np.copyto(right, default, where=self.zero_missing[nodes, None] & zero)
        return right


@dataclass(frozen=True)
class Forest:
    """All trees of a model.

    Nodes are numbered by column, then output, then by how many ancestors split on the same column.
    A slot is a node, or ``nodes`` plus the number of a leaf.

    Attributes:
        outputs: scores per row.
        leaf_value: value of each leaf; shape (leaves,).
        leaf_output: the output that each leaf adds to.
        leaf_cover: share of the tree's training rows in each leaf.
        share: share of the parent's training rows in each slot; 1 at a root.
        splits: conditions of the nodes.
        left: slot of each node's left child; ``right`` alike.
        right: see ``left``.
        parent: the parent of each node, -1 at a root.
        is_right: True for a node that is the right child of its parent.
        levels: the nodes at each depth, the roots first.
        roots: root slots of the trees of each output.
        same: the nearest ancestor that splits on the same column, or -1.
        same_right: True for a node right of that ancestor.
        same_depth: how many ancestors split on the same column.
        bounds: shape (columns + 1, outputs): the nodes of column c and output o start at
            ``bounds[c, o]``; they end where the next ones start.
    """

    outputs: int
    leaf_value: Floats
    leaf_output: Ints
    leaf_cover: Floats
    share: Floats
    splits: Splits
    left: Ints
    right: Ints
    parent: Ints
    is_right: Bools
    levels: tuple[Ints, ...]
    roots: tuple[Ints, ...]
    same: Ints
    same_right: Bools
    same_depth: Ints
    bounds: Ints

    @property
    def nodes(self) -> int:
        """Number of nodes, leaves not counted."""
        return len(self.left)

    @property
    def columns(self) -> int:
        """Number of columns of the feature matrix."""
        return len(self.bounds) - 1

    def nodes_of(self, column: int, output: int | None = None) -> slice:
        """Return the nodes that split on a column, in the trees of one output or of all."""
        flat = self.bounds.ravel()
        if output is None:
            return slice(int(self.bounds[column, 0]), int(self.bounds[column + 1, 0]))
        at = column * self.outputs + output
        return slice(int(flat[at]), int(flat[at + 1]))


def parse_forest(text: str) -> Forest:
    """Read LightGBM's text format (``Tree::ToString`` of src/io/tree.cpp, version v4).

    Raises:
        ValueError: the model has linear trees, which no trainer of ours makes.
    """
    header, _, rest = text.partition("\nTree=")
    trees = rest.partition("\nend of trees")[0]
    if re.search(r"^is_linear=1$", trees, re.MULTILINE):
        raise ValueError("linear trees have no constant leaves; train with linear_tree=false")
    outputs = int(_lines(header, "num_tree_per_iteration")[0])
    columns = int(_lines(header, "max_feature_idx")[0]) + 1
    raw = _RawTrees(trees, outputs)
    return raw.forest(columns)


class _RawTrees:
    """The trees as LightGBM numbers them: tree by tree, nodes in the order of their splits."""

    def __init__(self, trees: str, outputs: int) -> None:
        self.outputs = outputs
        self.leaves = _ints(trees, "num_leaves")
        self.column = _ints(trees, "split_feature")
        self.threshold = _floats(trees, "threshold")
        self.decision = _ints(trees, "decision_type")
        self.leaf_value = _floats(trees, "leaf_value")
        counts = self.leaves - 1
        self.first_node = np.concatenate([[0], np.cumsum(counts)])
        self.first_leaf = np.concatenate([[0], np.cumsum(self.leaves)])
        self.tree = np.repeat(np.arange(len(counts)), counts)
        self.left = self._slots(_ints(trees, "left_child"))
        self.right = self._slots(_ints(trees, "right_child"))
        self.members = self._members(trees)
        inner_rows, self.leaf_rows = _floats(trees, "internal_count"), _floats(trees, "leaf_count")
        self.rows = np.concatenate([inner_rows, self.leaf_rows])
        self.share = np.ones(len(self.rows))  # of each slot, in its parent's training rows
        self.parent = np.full(len(self.column), -1)
        self.is_right = np.zeros(len(self.column), dtype=np.bool_)
        for child in (self.left, self.right):
            self.share[child] = self.rows[child] / inner_rows
            inner = np.flatnonzero(child < len(self.column))
            self.parent[child[inner]] = inner
            self.is_right[child[inner]] = child is self.right

    def _slots(self, child: Ints) -> Ints:
        """Return children as slots; LightGBM writes leaf i of a tree as ``~i``, that is -1 - i."""
        leaf = len(self.column) + self.first_leaf[self.tree] + ~child
        return np.where(child < 0, leaf, self.first_node[self.tree] + child)

    def _members(self, trees: str) -> Bools:
        """Return the bit sets of the categorical nodes, one bit per code; shape (nodes, codes)."""
        nodes = np.flatnonzero(self.decision & _CATEGORICAL)
        if not len(nodes):
            return np.zeros((len(self.column), 0), dtype=np.bool_)
        # One line per tree with categorical nodes; `threshold` counts a tree's sets from zero.
        bounds = [
            np.array(line.split(), dtype=np.int64) for line in _lines(trees, "cat_boundaries")
        ]
        words = [np.array(line.split(), dtype="<u4") for line in _lines(trees, "cat_threshold")]
        sets = [
            tree_words[start:stop]
            for tree_bounds, tree_words in zip(bounds, words, strict=True)
            for start, stop in pairwise(tree_bounds)
        ]
        tree_of_set = np.repeat(np.unique(self.tree[nodes]), [len(b) - 1 for b in bounds])
        first_set = np.searchsorted(tree_of_set, self.tree[nodes])
        packed = np.zeros((len(self.column), max(map(len, sets))), dtype="<u4")
        for node, at in zip(nodes, first_set + self.threshold[nodes].astype(np.int64), strict=True):
            packed[node, : len(sets[at])] = sets[at]
        return np.unpackbits(packed.view(np.uint8), axis=1, bitorder="little").astype(np.bool_)

    def forest(self, columns: int) -> Forest:
        """Number the nodes by column, output and same-column depth."""
        count = len(self.column)
        same, same_right = _same_column(self.column, self.parent, self.is_right)
        same_depth = _depths(same)
        output = self.tree % self.outputs
        order = np.lexsort((same_depth, output, self.column))
        rank = np.empty(count + 1, dtype=np.int64)
        rank[order] = np.arange(count)
        rank[-1] = -1  # so that "no ancestor" stays -1
        slots = np.concatenate([rank[:-1], np.arange(count, count + len(self.leaf_value))])
        depth = _depths(self.parent)[order]
        keys = self.column[order] * self.outputs + output[order]
        edges = np.arange((columns + 1) * self.outputs)
        root = np.where(self.leaves > 1, self.first_node[:-1], count + self.first_leaf[:-1])
        # A tree that is a single leaf may count no training rows.
        single = np.repeat(self.leaves == 1, self.leaves)
        whole = np.where(single, 1.0, np.repeat(self.rows[root], self.leaves))
        return Forest(
            outputs=self.outputs,
            leaf_value=self.leaf_value,
            leaf_output=np.repeat(np.arange(len(self.leaves)) % self.outputs, self.leaves),
            leaf_cover=np.where(single, 1.0, self.leaf_rows / whole),
            share=np.concatenate([self.share[order], self.share[count:]]),
            splits=self._splits(order),
            left=slots[self.left[order]],
            right=slots[self.right[order]],
            parent=rank[self.parent[order]],
            is_right=self.is_right[order],
            levels=tuple(
                np.flatnonzero(depth == level) for level in range(depth.max(initial=-1) + 1)
            ),
            roots=tuple(slots[root[output :: self.outputs]] for output in range(self.outputs)),
            same=rank[same[order]],
            same_right=same_right[order],
            same_depth=same_depth[order],
            bounds=np.searchsorted(keys, edges).reshape(columns + 1, self.outputs),
        )

    def _splits(self, order: Ints) -> Splits:
        decision = self.decision[order]
        missing = (decision >> _MISSING_SHIFT) & _MISSING_BITS
        return Splits(
            column=self.column[order],
            threshold=self.threshold[order],
            categorical=(decision & _CATEGORICAL).astype(np.bool_),
            default_right=(decision & _DEFAULT_LEFT) == 0,
            zero_missing=missing == _MISSING_ZERO,
            nan_missing=missing == _MISSING_NAN,
            members=self.members[order],
        )


def _same_column(column: Ints, parent: Ints, is_right: Bools) -> tuple[Ints, Bools]:
    """Return the nearest ancestor on the same column (or -1), and True for a node right of it."""
    ancestor, right = parent.copy(), is_right.copy()
    open_ = np.flatnonzero(ancestor >= 0)
    while len(open_):
        open_ = open_[column[ancestor[open_]] != column[open_]]
        right[open_] = is_right[ancestor[open_]]
        ancestor[open_] = parent[ancestor[open_]]
        open_ = open_[ancestor[open_] >= 0]
    return ancestor, right


def _depths(ancestor: Ints) -> Ints:
    """Return how often one can go to the ancestor, which is -1 at the end."""
    depth = np.zeros(len(ancestor), dtype=np.int64)
    at = ancestor.copy()
    while (above := at >= 0).any():
        depth += above
        at = np.where(above, ancestor[at], -1)
    return depth


def _lines(text: str, key: str) -> list[str]:
    """Return the text after ``key=`` of every line that starts with it."""
    return re.findall(rf"^{key}=(.*)$", text, re.MULTILINE)


def _ints(text: str, key: str) -> Ints:
    return np.array(" ".join(_lines(text, key)).split(), dtype=np.int64)


def _floats(text: str, key: str) -> Floats:
    return np.array(list(map(float, " ".join(_lines(text, key)).split())), dtype=np.float64)
