"""Feature importance of one partition, by permutation, by gain and by mean absolute SHAP value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from steps.table.hashing import seeded
from steps.train.evaluation.constants import constant_prediction
from steps.train.evaluation.evaluate import Rows, factors_of
from steps.train.evaluation.metrics import Metric, inverse_link, row_loss
from steps.train.explanation.context import (
    ExplainContext,
    ExplainedFold,
    cell_of,
    mean_and_sd,
    put,
    row_mean,
)
from steps.train.trainer import Features, Floats, ShapValues

_CELLS_AT_ONCE = 4 << 20
"""Cells of a feature matrix that are predicted in one call; 32 MiB."""


def add_importance(rows: Rows, work: ExplainContext, shap: list[ShapValues]) -> None:
    """Add the rows of the table ``importance``, method by method."""
    if work.config.permutation_importance:
        values = _permutation_shares(work)
        alone = all(len(seen.rows) == 1 for seen in work.folds)
        reason = "one_row_per_fold" if alone else "constant_is_perfect"
        _importance_rows(rows, work, "permutation", values, "share_of_constant_loss", reason)
    gains = [work.trainer.gain(seen.model) for seen in work.folds]
    known = [gain for gain in gains if gain is not None]
    if known:
        totals = np.array([gain.sum() for gain in known])[:, None]
        shares = np.divide(
            known, totals, out=np.full((len(known), len(known[0])), np.nan), where=totals > 0
        )
        _importance_rows(rows, work, "gain", shares, "share_of_gain", "no_split")
    if shap:
        sizes = [np.abs(part.values).sum(axis=2) for part in shap]
        means = np.array([row_mean(work, i, size) for i, size in enumerate(sizes)])
        _importance_rows(rows, work, "mean_abs_shap", means, work.margin, "")


def _importance_rows(
    rows: Rows, work: ExplainContext, method: str, values: Floats, scale: str, reason: str
) -> None:
    means, deviations = mean_and_sd(values)
    order = np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable")
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(1, len(order) + 1)
    for i, name in enumerate(work.frame.features.names):
        known = not np.isnan(means[i])
        put(
            rows,
            feature=name,
            method=method,
            value=cell_of(means[i]),
            fold_sd=deviations[i],
            folds=int((~np.isnan(values[:, i])).sum()),
            rank=int(rank[i]) if known else None,
            scale=scale,
            reason="" if known else reason,
        )


def _permutation_shares(work: ExplainContext) -> Floats:
    """Return the growth of the loss when a feature is shuffled, in shares of the constant's loss.

    Breiman, "Random forests", Machine Learning 45, 2001; dividing by the loss of the constant
    prediction makes partitions of different size and spread comparable. The loss is the trainer's:
    by default the squared error, or the log loss of classes. The constant's loss is the mean over
    the folds: a mean of ratios would be drawn upwards by a fold in which the few explained rows
    happen to be alike.

    Returns:
        Shape (folds, features); NaN where the constant has no loss.
    """
    metric = row_loss(work.loss, factors_of(work.frame, work.loss))
    growth = np.array([_growth(work, seen, metric) for seen in work.folds])
    losses = []
    for seen in work.folds:
        train, link = seen.fold.train, work.loss.link
        constant = constant_prediction(metric, link, work.frame, train, seen.rows)
        losses.append(_loss(work, seen, metric, constant))
    constant_loss = float(np.mean(losses))
    return growth / constant_loss if constant_loss else np.full(growth.shape, np.nan)


def _growth(work: ExplainContext, seen: ExplainedFold, metric: Metric) -> Floats:
    """Return how much a fold's loss grows per feature, averaged over shuffles.

    Returns:
        Shape (features,); NaN where one row alone leaves nothing to shuffle.
    """
    columns, repeats = len(work.frame.features.names), work.config.permutation_importance
    if len(seen.rows) == 1:
        return np.full(columns, np.nan)
    jobs = [(column, repeat) for column in range(columns) for repeat in range(repeats)]
    at_once = max(1, _CELLS_AT_ONCE // seen.features.values.size)
    losses = [
        loss
        for start in range(0, len(jobs), at_once)
        for loss in _shuffled_losses(work, seen, metric, jobs[start : start + at_once])
    ]
    raw = work.trainer.predict(seen.model, seen.features)
    base = _loss(work, seen, metric, _predictions(work, seen, raw))
    return np.asarray((np.array(losses) - base).reshape(columns, repeats).mean(axis=1))


def _shuffled_losses(
    work: ExplainContext, seen: ExplainedFold, metric: Metric, jobs: list[tuple[int, int]]
) -> list[float]:
    """Return the loss with a shuffled feature per (column, repeat), in one prediction."""
    rows, columns = seen.features.values.shape
    stacked = np.tile(seen.features.values, (len(jobs), 1))
    blocks = stacked.reshape(len(jobs), rows, columns)
    for block, (column, repeat) in zip(blocks, jobs, strict=True):
        block[:, column] = seen.features.values[_shuffle(work, seen, column, repeat), column]
    tall = Features(seen.features.names, stacked, seen.features.levels)
    raw = work.trainer.predict(seen.model, tall).reshape(len(jobs), rows, -1)
    return [_loss(work, seen, metric, _predictions(work, seen, block)) for block in raw]


def _predictions(work: ExplainContext, seen: ExplainedFold, raw: Floats) -> Floats:
    return inverse_link(work.loss.link, work.frame.with_offset(raw, seen.rows))


def _shuffle(
    work: ExplainContext, seen: ExplainedFold, column: int, repeat: int
) -> NDArray[np.intp]:
    """Return a permutation that follows from row content, feature name and seed.

    It is one random cycle, so no row keeps its own value: each gets that of any other row with
    equal chance. Among all permutations, one in n rows would stay as it was, and importance would
    come out smaller by that much: most where rows are few.
    """
    name = work.frame.features.names[column]
    keys = seeded(work.frame.keys[seen.rows], f"{work.seed}:{repeat}:{name}")
    order = np.argsort(keys, kind="stable")
    source = np.empty_like(order)
    source[order] = np.roll(order, 1)
    return source


def _loss(work: ExplainContext, seen: ExplainedFold, metric: Metric, prediction: Floats) -> float:
    """Return the loss of a fold's explained rows."""
    weight = work.frame.weights[seen.rows]
    value = metric.score(work.frame.target[seen.rows], prediction, weight).value
    assert value is not None
    return value
