"""How far a loss may be from those of other shuffles of the folds."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tests.field.suite.direct import Floats

SHARED = 6
"""Degrees of freedom that the variance of the whole table has in that of a partition."""


@dataclass(frozen=True)
class Draws:
    """Losses of one partition for several shuffles.

    Attributes:
        losses: the losses.
        rows: rows of the partition.
        order: the variance of a relative loss falls with this power of the rows.
    """

    losses: Floats
    rows: int
    order: int

    @property
    def freedom(self) -> int:
        return len(self.losses) - 1

    @property
    def unit(self) -> float:
        return float(self.losses.mean() ** 2) / float(self.rows) ** self.order

    @property
    def relative(self) -> float:
        """The variance, in a unit in which the partitions of a table are alike."""
        return float(self.losses.var(ddof=1)) / self.unit


def deviations(draws: list[Draws]) -> list[float]:
    """Return the standard deviation of one more draw from the mean of those of each partition.

    For S draws it is sd * sqrt(1 + 1/S). The sd of a few draws is itself uncertain, so the variance
    of a partition is averaged with that of all partitions of the table.
    """
    freedom = [each.freedom for each in draws]
    common = float(np.average([each.relative for each in draws], weights=freedom))
    return [
        math.sqrt(
            (each.freedom * each.relative + SHARED * common)
            / (each.freedom + SHARED)
            * each.unit
            * (1 + 1 / len(each.losses))
        )
        for each in draws
    ]
