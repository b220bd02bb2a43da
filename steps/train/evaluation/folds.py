"""Folds: rows that are held out together. They follow from identity and seed, not from position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steps.table.hashing import Hashes, seeded
from steps.train.config import EvaluateConfig
from steps.train.frame import Frame, Integers

Booleans = NDArray[np.bool_]

_FEWEST_FOLDS = 2
"""Fewest folds that a partition with groups is evaluated on."""
_FEWEST_GROUPS = 3
"""Fewest groups of a partition: with one held out, two are left to train on."""


@dataclass(frozen=True)
class Fold:
    """Positions of the rows that a fold's model is trained on, and of its held-out rows.

    Attributes:
        train: positions of the training rows.
        held_out: positions of the held-out rows.
        number: number of the fold. With groups, it is the same fold in every partition.
    """

    train: Integers
    held_out: Integers
    number: int = 0


@dataclass(frozen=True)
class Folds:
    """The folds of a partition.

    Attributes:
        parts: the folds that have rows on both sides; empty if the partition cannot be evaluated.
        own: True if the groups of this partition were dealt to folds of their own, because the
            folds that all partitions share leave too few groups to train on.
    """

    parts: list[Fold]
    own: bool = False

    @property
    def largest_share(self) -> float:
        """The largest fold's share of all held-out rows."""
        sizes = [len(part.held_out) for part in self.parts]
        return max(sizes) / sum(sizes)


def make_folds(frame: Frame, config: EvaluateConfig) -> Folds:
    """Return the folds of a partition.

    There are none where there are fewer rows (or times) than folds, or fewer than three groups.
    """
    if config.method == "time":
        return Folds(_time_folds(frame, config.folds))
    if frame.groups is None:
        return Folds(_folds_of_rows(frame, config))
    return _folds_of_groups(frame.groups, config)


def _folds_of_rows(frame: Frame, config: EvaluateConfig) -> list[Fold]:
    """Deal the rows round robin in the order of their seeded keys, class by class.

    Fold sizes differ by one row at most, and so do each class's shares of them.
    """
    rows = len(frame.target)
    if rows < (config.folds if config.method == "kfold" else _FEWEST_FOLDS):
        return []
    rank = np.empty(rows, np.intp)
    shuffled = seeded(frame.keys, config.seed)
    order = np.lexsort((shuffled, frame.target)) if frame.classes else np.argsort(shuffled)
    rank[order] = np.arange(rows)
    return _parts_of(_deal(rank, config, config.folds))


def _deal(rank: Integers, config: EvaluateConfig, folds: int) -> Integers:
    """Return the fold of each rank; for a holdout, 0 is held out and -1 is not."""
    if config.method == "kfold":
        return rank % folds
    # Every 1/fraction-th in the order: equal shares of every class.
    share = config.fraction
    return np.where(np.floor((rank + 1) * share) > np.floor(rank * share), 0, -1)


def _folds_of_groups(groups: Hashes, config: EvaluateConfig) -> Folds:
    """Return the folds of grouped rows: fold = hash(seed, group) modulo the number of folds.

    It depends on nothing else, so a group is in the same fold in every partition, and new rows
    move no group. A partition has a part of the folds only, and they are not balanced. If its
    groups are so few that fewer than two folds leave two groups to train on, they are dealt round
    robin in the order of the same hash.
    """
    distinct, members = np.unique(groups, return_inverse=True)
    shuffled = seeded(distinct, config.seed)
    count = len(distinct)
    if config.method == "kfold":
        shared = (shuffled % np.uint64(config.folds)).astype(np.intp)
    else:
        shared = np.where(shuffled / 2.0**64 < config.fraction, 0, -1)
    parts = _parts_of(shared[members])
    held = np.bincount(shared[shared >= 0])
    largest = int(held.max(initial=0))
    enough = len(parts) >= (_FEWEST_FOLDS if config.method == "kfold" else 1)
    if enough and count - largest >= _FEWEST_GROUPS - 1:
        return Folds(parts)
    if count < _FEWEST_GROUPS:
        return Folds([])
    rank = np.empty(count, np.intp)
    rank[np.argsort(shuffled)] = np.arange(count)
    folds = min(max(config.folds, _FEWEST_GROUPS), count)
    own = _deal(rank, config, folds)
    if own.max() < 0:  # a holdout of a small fraction of few groups
        own[rank == 0] = 0
    return Folds(_parts_of(own[members]), own=True)


def _time_folds(frame: Frame, folds: int) -> list[Fold]:
    """Return ``folds + 1`` ordered blocks with about equally many rows.

    Each but the first is predicted from all blocks before it. Rows of one time share a block.
    Rows without a time are in none: nobody knows whether they come from the future.
    """
    assert frame.time is not None
    counts = np.bincount(frame.time)[1:]
    times = len(counts)
    if times <= folds:
        return []
    before = np.cumsum(counts) - counts
    shares = counts.sum() * np.arange(1, folds + 1)
    starts = np.searchsorted(before * (folds + 1), shares)  # at the first time at or after a share
    # A time with more rows than a block would leave a block empty: each has at least one time.
    block = np.arange(folds)
    starts = np.minimum(np.maximum.accumulate(starts - block) + block, times - folds + block)
    block = np.searchsorted(starts, frame.time - 1, side="right")
    block[frame.time == 0] = -1
    pairs = [((block >= 0) & (block < fold), block == fold) for fold in range(1, folds + 1)]
    return _proper(pairs)


def _parts_of(fold: Integers) -> list[Fold]:
    """Return the folds of rows, given the fold of each; -1 is never held out."""
    return _proper([(fold != number, fold == number) for number in range(fold.max(initial=-1) + 1)])


def _proper(pairs: list[tuple[Booleans, Booleans]]) -> list[Fold]:
    return [
        Fold(np.flatnonzero(train), np.flatnonzero(held), number)
        for number, (train, held) in enumerate(pairs)
        if train.any() and held.any()
    ]
