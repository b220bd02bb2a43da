r"""A partition's own models against the base models, on rows that neither of them has seen.

The gain of own models is the difference of two losses of the same rows, in shares of the constant
prediction's loss,

    d = sum_i w_i (B_i - O_i) / sum_i w_i C_i,

with the losses O of own models, B of the base models and C of the constant prediction of row i. Its
standard error follows from the influence w_i ((B_i - O_i) - d C_i) / sum w C of each row, summed by
group (Liang and Zeger, Biometrika 73, 1986). It is paired: what makes a row hard to predict for
both models cancels. ``steps.findings.own_or_base`` widens it, and adds up all partitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from steps.table.hashing import Hashes, seeded
from steps.train.base_models import BaseModels
from steps.train.context import TrainContext
from steps.train.evaluation.constants import constant_prediction
from steps.train.evaluation.estimates import mean, ratio, standard_error
from steps.train.evaluation.evaluate import factors_of
from steps.train.evaluation.folds import Fold
from steps.train.evaluation.metrics import inverse_link, row_loss, row_losses
from steps.train.evaluation.shared_folds import clusters_of
from steps.train.frame import Frame, TargetRows
from steps.train.trainer import Floats

MOST_GROUPS = 512
"""Groups of a partition whose sums are kept one by one; if there are more, by bucket."""
BUCKETS = 64
"""Buckets of groups. They are the same in all partitions, so groups that these share still meet."""


@dataclass(frozen=True)
class Held:
    """Held-out rows of a partition with the predictions of its own models.

    Attributes:
        frame: the partition.
        folds: its folds.
        predictions: predictions of each fold's held-out rows; shape (rows, outputs).
    """

    frame: Frame
    folds: Sequence[Fold]
    predictions: Sequence[Floats]


def compare(context: TrainContext, base: BaseModels, rows: TargetRows, own: Held) -> dict[str, Any]:
    """Return losses of own models, of the base models and of the constant on the same rows.

    Returns:
        ``reason`` if there is nothing to compare; else counts and losses, the gain with its
        standard error, and sums by group for the comparison over all partitions.
    """
    if base.reason:
        return {"reason": base.reason}
    frame = own.frame
    base_losses, known = _base_losses(context, base, rows, frame)
    parts = [
        _fold_losses(context, frame, fold, prediction)
        for fold, prediction in zip(own.folds, own.predictions, strict=True)
    ]
    held = np.concatenate([fold.held_out for fold in own.folds])
    own_losses, constant_losses = (np.concatenate(each) for each in zip(*parts, strict=True))
    both = known[held]
    held, own_losses, constant_losses = held[both], own_losses[both], constant_losses[both]
    if not len(held):
        return {"reason": "no_common_rows"}
    if not np.isfinite(base_losses[held]).all():  # a raw score beyond any number
        return {"reason": "base_not_finite"}
    if not constant_losses.any():
        return {"reason": "constant_is_perfect"}
    weight = _weights(context, frame)[held]
    clusters = clusters_of(rows, context.request.roles)[held]
    gained = base_losses[held] - own_losses
    gain = ratio(mean(gained, weight), mean(constant_losses, weight))
    if gain.value is None:
        return {"reason": gain.reason}
    total = float(weight.sum())
    return {
        "rows": len(held),
        "groups": len(np.unique(clusters)),
        "own": float((weight * own_losses).sum()) / total,
        "base": float((weight * base_losses[held]).sum()) / total,
        "constant": float((weight * constant_losses).sum()) / total,
        "gain": gain.value,
        "standard_error": standard_error(gain, clusters),
        "sums": _sums(frame, clusters, weight * gained, weight * constant_losses),
    }


def _weights(context: TrainContext, frame: Frame) -> Floats:
    """Return by how much each row counts in the trainer's loss; shape (rows,)."""
    factors = factors_of(frame, context.loss)
    if factors is None:
        return frame.weights
    weights: Floats = frame.weights * factors[frame.target.astype(np.intp)]
    return weights


def _fold_losses(
    context: TrainContext, frame: Frame, fold: Fold, prediction: Floats
) -> tuple[Floats, Floats]:
    """Return the losses of a fold's held-out rows, and those of the constant prediction."""
    loss = context.loss
    target = frame.target[fold.held_out]
    weighted = row_loss(loss, factors_of(frame, loss))
    constant = constant_prediction(weighted, loss.link, frame, fold.train, fold.held_out)
    metric = row_loss(loss)
    return row_losses(metric, target, prediction), row_losses(metric, target, constant)


def _base_losses(
    context: TrainContext, base: BaseModels, rows: TargetRows, frame: Frame
) -> tuple[Floats, Any]:
    """Return the base models' loss of each row, and whether it has one; shape (rows,)."""
    loss = context.loss
    raw, known = base.predict(context.trainer, rows, context.request.roles)
    prediction = inverse_link(loss.link, frame.with_offset(raw, slice(None)))
    target = frame.target
    if frame.classes:
        target, prediction = _in_classes_of(base, frame, prediction)
    losses = np.zeros(len(target))
    with np.errstate(all="ignore"):  # the caller checks that losses are finite
        each = row_losses(row_loss(loss), target[known], prediction[known])
    losses[known] = np.where(np.isfinite(prediction[known]).all(axis=1), each, np.nan)
    return losses, known


def _in_classes_of(base: BaseModels, frame: Frame, prediction: Floats) -> tuple[Floats, Floats]:
    """Return target and prediction by the classes of base and partition together.

    A class that the base models have not seen gets the probability of half a row.
    """
    every = [*base.classes, *(name for name in frame.classes if name not in base.classes)]
    position = np.array([every.index(name) for name in frame.classes], np.float64)
    target: Floats = position[frame.target.astype(np.intp)]
    if len(every) == len(base.classes):
        return target, prediction
    if prediction.shape[1] == 1:  # the probability of the second class
        prediction = np.column_stack([1 - prediction, prediction])
    unseen = np.full((len(target), len(every) - len(base.classes)), 0.5 / base.rows)
    return target, np.column_stack([prediction, unseen])


def _sums(frame: Frame, clusters: Hashes, gained: Floats, constant: Floats) -> dict[str, Any]:
    """Return what the variance over all partitions needs: sums by group.

    Without a group, every row is one: sums of squares are enough, since no row is in two
    partitions. With many groups, sums by bucket: ``labels`` are buckets then, and ``buckets`` None.
    """
    if frame.groups is None:
        return {
            "gained": float(gained.sum()),
            "constant": float(constant.sum()),
            "squares": [
                float((gained**2).sum()),
                float((gained * constant).sum()),
                float((constant**2).sum()),
            ],
        }
    labels, members = np.unique(clusters, return_inverse=True)
    buckets = (seeded(labels, "bucket") % np.uint64(BUCKETS)).astype(np.intp)
    if len(labels) > MOST_GROUPS:
        known, inverse = np.unique(buckets, return_inverse=True)
        names, members = {"labels": known.tolist(), "buckets": None}, inverse[members]
    else:
        names = {
            "labels": [f"{int(label):x}" for label in labels],
            "buckets": buckets.tolist(),
        }
    sums = {
        "gained": np.bincount(members, gained).tolist(),
        "constant": np.bincount(members, constant).tolist(),
    }
    return names | sums
