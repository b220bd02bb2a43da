"""Folds of the rows of all partitions together, so that no row is predicted by a model that saw it.

The folds of a partition's own models do not suffice for a model of all partitions: rows of one
group, or copies of one row, may lie in several partitions, and with method time each partition's
blocks are cut at times of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from steps.records import Roles
from steps.table.grid import numbers_of
from steps.table.hashing import Hashes, row_hashes, seeded
from steps.table.row_identity import identity_hashes
from steps.train.config import EvaluateConfig
from steps.train.evaluation.folds import make_folds
from steps.train.frame import Frame, Integers, TargetRows
from steps.train.trainer import Floats


@dataclass(frozen=True)
class SharedFolds:
    """A rule that says which model predicts a row, and which rows a model may see.

    Attributes:
        count: number of folds, which is that of the models.
        seed: seed of the folds.
        starts: with method time, the first time of each fold, in order; else empty. Rows before
            the first start are in no fold.
    """

    count: int
    seed: int
    starts: tuple[float, ...] = ()

    @classmethod
    def of(cls, frame: Frame, rows: TargetRows, roles: Roles, config: EvaluateConfig) -> Self:
        """Return the folds of rows of all partitions.

        Args:
            frame: the rows as a trainer gets them.
            rows: the same rows.
            roles: roles of the columns.
            config: the section ``evaluate`` of the spec. A holdout has as many folds as kfold.
        """
        if config.method != "time":
            return cls(config.folds, config.seed)
        times = times_of(rows, roles)
        parts = make_folds(frame, config).parts
        starts = tuple(float(times[part.held_out].min()) for part in parts)
        return cls(len(starts), config.seed, starts)

    def held_out(self, rows: TargetRows, roles: Roles) -> Integers:
        """Return the number of the fold that holds out each row; -1 for none; shape (rows,)."""
        if not self.starts:
            dealt = seeded(clusters_of(rows, roles), self.seed) % np.uint64(self.count)
            return dealt.astype(np.intp)
        times = times_of(rows, roles)
        fold = np.searchsorted(np.array(self.starts), times, side="right") - 1
        return np.where(np.isnan(times), -1, fold)

    def training(self, number: int, rows: TargetRows, roles: Roles) -> NDArray[np.bool_]:
        """Return which rows the model of a fold may see; with method time all earlier ones."""
        if not self.starts:
            return np.asarray(self.held_out(rows, roles) != number)
        before = times_of(rows, roles) < self.starts[number]  # false for NaN
        return np.asarray(before)


def clusters_of(rows: TargetRows, roles: Roles) -> Hashes:
    """Return a label per row, equal for rows that share a fold, in whatever partition they are.

    It is the row's group. Rows without a group, or if there is none, are on their own, with their
    copies.
    """
    identity = identity_hashes(rows.batch, roles.identity, rows.hashes)
    if roles.group is None:
        return identity
    unknown = rows.batch.column(roles.group).is_null().to_numpy(zero_copy_only=False)
    return np.where(unknown, identity, row_hashes(rows.batch.select([roles.group])))


def times_of(rows: TargetRows, roles: Roles) -> Floats:
    """Return the time of each row as a number, NaN where it is missing; shape (rows,)."""
    assert roles.time is not None
    return numbers_of(rows.batch.column(roles.time))
