"""Why a partition has no model, although nothing failed."""

from __future__ import annotations

from typing import Any

import numpy as np

from steps.records import PartitionEntry, Reason
from steps.train.config import EvaluateConfig
from steps.train.context import TrainContext
from steps.train.evaluation.folds import Fold
from steps.train.evaluation.inner_folds import InnerFolds, make_inner_folds
from steps.train.frame import Frame
from steps.train.loss import Loss


def skip_before_reading(context: TrainContext, entry: PartitionEntry) -> tuple[Reason, str] | None:
    """Return a reason that follows from the partition index, and its message."""
    rows = context.index.rows_with_target(entry, context.request.roles.target)
    if entry.key.kind == "null":
        return "null_key", "The partition column is missing in these rows."
    if not rows:
        return "target_missing", "No row has a target."
    if rows < context.request.min_rows:
        return "too_few_rows", f"{rows} rows have a target, min_rows is {context.request.min_rows}."
    return None


def skip_after_reading(
    context: TrainContext, frame: Frame, folds: list[Fold]
) -> tuple[Reason, str] | None:
    """Return a reason that follows from the rows and their folds, and its message."""
    return _skip_for_data(frame, folds, context.evaluation, context.loss) or _skip_for_inner_folds(
        context, frame, folds
    )


def _skip_for_data(
    frame: Frame, folds: list[Fold], evaluation: EvaluateConfig, loss: Loss
) -> tuple[Reason, str] | None:
    if np.isnan(frame.features.values).all():
        return "all_features_missing", "Every feature is missing in every row."
    if frame.classes and len(frame.classes) < 2:  # noqa: PLR2004 - nothing to tell apart
        return "one_class", f"All rows are of the class {frame.classes[0]!r}."
    if np.ptp(frame.target) == 0:
        return "constant_target", f"The target is {frame.target[0]:g} in every row."
    if not folds:
        return "too_few_groups", _too_few(frame, evaluation)
    return _skip_for_loss(frame, folds, loss)


def _skip_for_loss(frame: Frame, folds: list[Fold], loss: Loss) -> tuple[Reason, str] | None:
    smallest = frame.target.min()
    if not loss.accepts(smallest):
        message = f"The smallest target is {smallest:g}, but {loss.name} needs {loss.domain}."
        return "target_out_of_range", message
    if not all(loss.can_fit(frame.target[fold.train]) for fold in folds):
        message = "The target is 0 in all training rows of a fold, and 0 has no logarithm."
        return "constant_target", message
    return None


def _too_few(frame: Frame, evaluation: EvaluateConfig) -> str:
    """Return why there are no folds."""
    if evaluation.method == "time":
        assert frame.time is not None
        times = len(np.unique(frame.time[frame.time > 0]))
        return f"{times} distinct times; {evaluation.folds} folds need {evaluation.folds + 1}."
    if frame.groups is not None:
        groups = len(np.unique(frame.groups))
        return f"{groups} groups are too few to hold some out and train on two or more."
    return f"{len(frame.target)} rows are too few to hold some out."


def _skip_for_inner_folds(
    context: TrainContext, frame: Frame, folds: list[Fold]
) -> tuple[Reason, str] | None:
    count = context.trainer.inner_folds
    trained_on = [*(fold.train for fold in folds), slice(None)]
    if count and not all(inner_folds(context, frame, rows) for rows in trained_on):
        message = (
            f"The training rows of a fold cannot be divided into {count} inner folds: there are "
            "too few rows, groups or times."
        )
        return "too_few_groups", message
    return None


def inner_folds(context: TrainContext, frame: Frame, rows: Any) -> InnerFolds:  # noqa: ANN401 - index
    """Return the inner folds that the trainer needs of some rows of a partition."""
    count = context.trainer.inner_folds
    return make_inner_folds(frame, rows, context.evaluation, count, context.loss)
