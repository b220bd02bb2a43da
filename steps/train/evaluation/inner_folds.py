"""Inner folds: training rows that a trainer holds out from itself, such as for early stopping."""

from __future__ import annotations

from steps.train.config import EvaluateConfig
from steps.train.evaluation.folds import make_folds
from steps.train.frame import Frame
from steps.train.loss import Integers, Loss

InnerFolds = tuple[tuple[Integers, Integers], ...]
"""Positions of the training and of the held-out rows of each inner fold."""


def make_inner_folds(
    frame: Frame, rows: Integers | slice, config: EvaluateConfig, count: int, loss: Loss
) -> InnerFolds:
    """Return inner folds of some rows of a partition, made of these rows only.

    They hold out as the evaluation does: groups stay together, and with method time each block is
    predicted from earlier ones. Their seed differs, so that they are not the other folds again.

    Args:
        frame: the partition.
        rows: the training rows of a fold, or all rows.
        config: the section ``evaluate`` of the spec.
        count: number of inner folds.
        loss: loss of the trainer; inner folds whose training rows it cannot fit are left out.
    """
    if not count:
        return ()
    part = frame.take(rows)
    inner = {
        "method": "time" if config.method == "time" else "kfold",
        "folds": count,
        "seed": (config.seed + 1) % 2**31,
    }
    folds = make_folds(part, config.model_copy(update=inner)).parts
    return tuple(
        (fold.train, fold.held_out) for fold in folds if loss.can_fit(part.target[fold.train])
    )
