"""Fit of the base models."""

from __future__ import annotations

from typing import Any

import numpy as np

from steps.train.base_models import BaseModels
from steps.train.context import TrainContext
from steps.train.evaluation.shared_folds import SharedFolds
from steps.train.frame import Frame, TargetRows
from steps.train.reading import frame_of
from steps.train.skips import inner_folds
from steps.train.trainer import RowSubset

_FEWEST_ROWS = 2
"""Fewest rows that a model is fitted on."""


def fit_base_models(context: TrainContext, rows: TargetRows, all_rows: int) -> BaseModels:
    """Fit one model per fold on rows of all partitions.

    With method time, bins of features are not shared between the models: bins of later rows would
    say how the features develop.

    Args:
        context: inputs that all partitions share.
        rows: the rows.
        all_rows: rows of all partitions, if ``rows`` are a sample of them.

    Raises:
        Exception: any exception of the trainer.
    """
    frame = frame_of(context, rows)
    folds = SharedFolds.of(frame, rows, context.request.roles, context.evaluation)
    subsets = [_subset(context, frame, rows, folds, number) for number in range(folds.count)]
    reason = _reason(context, frame, subsets)
    data = frame.training_data(context.task, context.evaluation.seed)
    models: list[Any] = []
    if not reason and context.evaluation.method == "time":
        models = [context.trainer.fit(data.subset(subset)) for subset in subsets]
    elif not reason:
        models = context.trainer.fit_subsets(data, subsets)
    return BaseModels(
        features=frame.features.names,
        codes=frame.codes,
        classes=frame.classes,
        folds=folds,
        models=tuple(models),
        rows=len(frame.target),
        all_rows=all_rows,
        reason=reason,
    )


def no_models(context: TrainContext, all_rows: int, reason: str) -> BaseModels:
    """Return base models that are none, for a reason."""
    config = context.evaluation
    folds = SharedFolds(config.folds, config.seed)
    return BaseModels((), (), (), folds, (), 0, all_rows, reason)


def _subset(
    context: TrainContext, frame: Frame, rows: TargetRows, folds: SharedFolds, number: int
) -> RowSubset:
    chosen = np.flatnonzero(folds.training(number, rows, context.request.roles))
    enough = len(chosen) >= _FEWEST_ROWS
    return RowSubset(chosen, inner_folds(context, frame, chosen) if enough else ())


def _reason(context: TrainContext, frame: Frame, subsets: list[RowSubset]) -> str:
    """Return why there are no base models; empty if there are some."""
    if not subsets:
        return "too_few_times"
    if any(len(each.rows) < _FEWEST_ROWS for each in subsets):
        return "too_few_groups"
    if context.trainer.inner_folds and not all(each.inner_folds for each in subsets):
        return "too_few_groups"
    targets = [frame.target[each.rows] for each in subsets]
    if any(np.ptp(target) == 0 for target in targets):
        return "constant_target"
    loss = context.loss
    if not loss.accepts(frame.target.min()) or not all(map(loss.can_fit, targets)):
        return "target_out_of_range"
    return ""
