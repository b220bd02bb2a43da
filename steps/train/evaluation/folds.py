"""Folds: rows that are held out together. They follow from content and seed, not from position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from steps.table.hashing import seeded
from steps.train.config import EvaluateConfig
from steps.train.frame import Frame, Integers


@dataclass(frozen=True)
class Fold:
    """Positions of the rows that a fold's model is trained on, and of its held-out rows."""

    train: Integers
    held_out: Integers


def make_folds(frame: Frame, config: EvaluateConfig) -> list[Fold]:
    """Return the folds of a partition; folds without rows on either side are left out.

    Returns an empty list where there are fewer groups (or distinct rows, or times) than folds.
    """
    if config.method == "time":
        return _time_folds(frame, config.folds)
    groups, members = np.unique(frame.groups, return_inverse=True)
    needed = config.folds if config.method == "kfold" else 2
    if len(groups) < needed:
        return []
    rank = _stratified_rank(frame, groups, members, config.seed)
    if config.method == "kfold":
        dealt = (rank % config.folds)[members]
        pairs = [(dealt != fold, dealt == fold) for fold in range(config.folds)]
    else:
        # Every 1/fraction-th group along the stratified order: equal shares of every class.
        share = config.fraction
        held = (np.floor((rank + 1) * share) > np.floor(rank * share))[members]
        pairs = [(~held, held)]
    return _proper(pairs)


def _stratified_rank(frame: Frame, groups: np.ndarray, members: Integers, seed: int) -> Integers:
    """Return the rank of each group in the order of its seeded hash, class by class.

    Dealt round robin, the ranks give every fold its share of each class. The class of a group is
    the one of which it holds the largest share: if the positive rows are few, their groups are
    distinguished although negative rows are in the majority everywhere.
    """
    shuffled = seeded(groups, seed)
    classes = np.zeros(len(groups), np.intp)
    if frame.classes:
        counts = np.zeros((len(groups), len(frame.classes)))
        np.add.at(counts, (members, frame.target.astype(np.intp)), 1)
        classes = (counts / counts.sum(axis=0)).argmax(axis=1)
    rank = np.empty(len(groups), np.intp)
    rank[np.lexsort((shuffled, classes))] = np.arange(len(groups))
    return rank


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
    return _proper([((block >= 0) & (block < fold), block == fold) for fold in range(1, folds + 1)])


def _proper(pairs: list[tuple[np.ndarray, np.ndarray]]) -> list[Fold]:
    return [
        Fold(np.flatnonzero(train), np.flatnonzero(held))
        for train, held in pairs
        if train.any() and held.any()
    ]
