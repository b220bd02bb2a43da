"""The metrics table of one partition: a row per metric and fold, and a pooled one."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from steps.table.data_warnings import FEWEST_EVENTS
from steps.table.hashing import Hashes
from steps.train.config import EvaluateConfig
from steps.train.evaluation.constants import constant_prediction
from steps.train.evaluation.estimates import Estimate, interval, ratio, standard_error
from steps.train.evaluation.folds import Fold
from steps.train.evaluation.metrics import Metric, metrics_of
from steps.train.frame import Frame
from steps.train.loss import Floats, Link, Loss, class_factors

Rows = dict[str, list[Any]]
"""Part of a result table: values by column, without the columns that name the partition."""


@dataclass(frozen=True)
class Judged:
    """Held-out rows with their predictions.

    Attributes:
        target: values to predict; shape (rows,).
        prediction: predicted values; shape (rows, outputs).
        constants: constant prediction of each metric; shape (rows, outputs).
        weight: weight of each row; shape (rows,).
        clusters: label of the rows that are not independent; shape (rows,).
        events: rows outside the most frequent class; None for a regression.
        can_be_ranked: some fold holds two rows of each class, so their ranks can be compared.
    """

    target: Floats
    prediction: Floats
    constants: dict[str, Floats]
    weight: Floats
    clusters: Hashes
    events: int | None = None
    can_be_ranked: bool = True


def evaluate(
    frame: Frame, folds: list[Fold], predictions: list[Floats], loss: Loss, config: EvaluateConfig
) -> Rows:
    """Return the metrics of the held-out rows, per fold and pooled.

    Args:
        frame: the partition.
        folds: the folds that were trained.
        predictions: predictions of each fold's held-out rows; shape (rows, outputs).
        loss: loss of the trainer.
        config: the section ``evaluate`` of the spec.
    """
    metrics = metrics_of(loss, config.quantile, factors_of(frame, loss))
    judged = [
        _judge(frame, fold, prediction, metrics, loss.link)
        for fold, prediction in zip(folds, predictions, strict=True)
    ]
    all_train = np.unique(np.concatenate([fold.train for fold in folds]))
    held = np.concatenate([fold.held_out for fold in folds])
    common = {
        metric.name: constant_prediction(metric, loss.link, frame, all_train, held)
        for metric in metrics
        if not metric.additive
    }
    pooled = _pooled(judged, common)
    rows: Rows = defaultdict(list)
    for metric in metrics:
        for fold, part in zip(folds, judged, strict=True):
            _append(rows, metric, "fold", fold.number, part)
        _append(rows, metric, "pooled", None, pooled)
    return dict(rows)


def factors_of(frame: Frame, loss: Loss) -> Floats | None:
    """Return the factors by which the rows of each class count in the loss; None if it has none."""
    if loss.class_weight is None:
        return None
    return class_factors(loss.class_weight, frame.target, frame.weight, frame.classes)


def _judge(
    frame: Frame, fold: Fold, prediction: Floats, metrics: tuple[Metric, ...], link: Link
) -> Judged:
    weight = frame.weights
    constants = {
        metric.name: constant_prediction(metric, link, frame, fold.train, fold.held_out)
        for metric in metrics
    }
    target = frame.target[fold.held_out]
    events = events_of(target) if frame.classes else None
    return Judged(
        target,
        prediction,
        constants,
        weight[fold.held_out],
        frame.clusters[fold.held_out],
        events,
        events is not None and events > 1,
    )


def _pooled(parts: list[Judged], common: dict[str, Floats]) -> Judged:
    """Return the rows of all folds; ``common`` has the constants that do not differ per fold."""
    prediction = np.concatenate([part.prediction for part in parts])
    target = np.concatenate([part.target for part in parts])
    return Judged(
        target,
        prediction,
        {
            name: common[name]
            if name in common
            else np.concatenate([part.constants[name] for part in parts])
            for name in parts[0].constants
        },
        np.concatenate([part.weight for part in parts]),
        np.concatenate([part.clusters for part in parts]),
        None if parts[0].events is None else events_of(target),
        any(part.can_be_ranked for part in parts),
    )


_FEW = "too_few_events"


def events_of(target: Floats) -> int:
    """Return the number of rows outside the most frequent class."""
    counts = np.bincount(target.astype(np.intp))
    return int(counts.sum() - counts.max())


def _append(rows: Rows, metric: Metric, scope: str, fold: int | None, part: Judged) -> None:
    value = metric.score(part.target, part.prediction, part.weight)
    constant = metric.score(part.target, part.constants[metric.name], part.weight)
    if metric.ranks and not part.can_be_ranked:
        value = constant = Estimate(None, None, value.reason if value.value is None else _FEW)
    if not np.isfinite([value.value or 0.0, constant.value or 0.0]).all():
        raise OverflowError(
            f"the {metric.name} is infinite: squares of the target are beyond 64-bit numbers. "
            "Divide the target by a large number"
        )
    skill = _skill(metric, value, constant)
    few = part.events is not None and part.events < FEWEST_EVENTS
    value_error, error = (
        None if few else standard_error(estimate, part.clusters) for estimate in (value, skill)
    )
    low = high = None
    if skill.value is not None and error is not None:
        low, high = interval(skill.value, error, len(np.unique(part.clusters)))
    why = "" if error is not None else _FEW if few else "one_group"
    row: dict[str, Any] = {
        "value": value.value,
        "constant_value": constant.value,
        "skill": skill.value,
        "standard_error": value_error,
        "skill_standard_error": error,
        "skill_low": low,
        "skill_high": high,
        "reason": value.reason or skill.reason or why,
        "metric": metric.name,
        "scope": scope,
        "fold": fold,
        "rows": len(part.target),
    }
    for name, cell in row.items():
        rows[name].append(cell)


def _skill(metric: Metric, value: Estimate, constant: Estimate) -> Estimate:
    """Return 1 - loss / loss of the constant prediction."""
    share = ratio(metric.loss(value), metric.loss(constant))
    if share.value is None:
        return share
    return share.mapped(1 - share.value, -1.0)
