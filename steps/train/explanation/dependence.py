"""Partial dependence of one partition's models on each feature, over the shared grid."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from steps.table.grid import FeatureGrid
from steps.train.config import PartialDependenceConfig
from steps.train.evaluation.evaluate import Rows
from steps.train.evaluation.metrics import inverse_link
from steps.train.explanation.context import ExplainContext, ExplainedFold, mean_and_sd, put
from steps.train.frame import Frame, Integers
from steps.train.trainer import Floats

_ROWS_AT_ONCE = 512
"""Rows whose response curves are computed together; few enough for the CPU's cache."""


def partial_dependence(work: ExplainContext, config: PartialDependenceConfig) -> Rows:
    """Add the mean prediction per grid value of a feature (Friedman, Ann. Statist. 29, 2001)."""
    drawn = [
        (column, work.grid[name])
        for column, name in enumerate(work.frame.features.names)
        if work.grid[name].values and (config.features == "all" or name in config.features)
    ]
    folds = [_fold_curves(work, seen, drawn, config.scale) for seen in work.folds]
    rows: Rows = defaultdict(list)
    for i, (column, grid) in enumerate(drawn):
        curves = np.array([curves[i] for curves in folds])
        _add_curves(rows, work, column, grid, curves, config.scale)
    return rows


def _fold_curves(
    work: ExplainContext, seen: ExplainedFold, drawn: list[tuple[int, FeatureGrid]], scale: str
) -> list[Floats]:
    """Return a fold's curve of each feature, shape (points, outputs).

    Each row keeps its own offset. With an exposure, the curve is the sum of the predicted targets
    over the sum of the exposures: a mean rate, in which a row counts as often as its exposure.

    Blocks of rows are the outer loop: a trainer may share work between the columns of one block.
    """
    frame, weight = work.frame, work.frame.weights[seen.rows]
    if frame.exposure is not None and scale == "probability":
        weight = weight * frame.exposure[seen.rows]
    totals: list[Floats] = [np.zeros(())] * len(drawn)
    for start in range(0, len(seen.rows), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        rows = seen.features.take(block)
        for i, (column, grid) in enumerate(drawn):
            points = frame.points(column, grid)
            raw = work.trainer.response_curves(seen.model, rows, column, points)
            if frame.exposure is None:
                raw = frame.with_offset(raw, seen.rows[block])
            answers = inverse_link(work.loss.link, raw) if scale == "probability" else raw
            totals[i] = totals[i] + np.tensordot(weight[block], answers, axes=1)
    return [np.asarray(total / weight.sum()) for total in totals]


def _add_curves(
    rows: Rows, work: ExplainContext, column: int, grid: FeatureGrid, curves: Floats, scale: str
) -> None:
    """Add the rows of one feature; ``curves`` has the shape (folds, points, outputs)."""
    support, extrapolated = support_of(work.frame, column, grid)
    weight = np.where(extrapolated, 0, support).astype(np.float64)
    weight = weight if weight.sum() else np.ones(len(weight))
    unit = work.unit if scale == "probability" else work.margin
    for output, label in enumerate(work.classes):
        folds = curves[:, :, output]
        values, deviations = mean_and_sd(folds)
        level = folds @ weight / weight.sum()
        centred, centred_deviations = mean_and_sd(folds - level[:, None])
        for i in range(grid.size):
            put(
                rows,
                feature=grid.name,
                **{"class": label},
                **grid.cell(i),
                value=float(values[i]),
                fold_sd=deviations[i],
                centred=float(centred[i]),
                centred_fold_sd=centred_deviations[i],
                support=int(support[i]),
                extrapolated=bool(extrapolated[i]),
                scale=unit,
            )


def support_of(frame: Frame, column: int, grid: FeatureGrid) -> tuple[Integers, NDArray[np.bool_]]:
    """Return the rows in each grid cell, and where a curve is extrapolated.

    A cell is extrapolated where no row lies in it, or where its value is outside the range of the
    partition's own values.

    Returns:
        Two arrays of shape (points,).
    """
    found = frame.cells(column, grid)
    support = np.bincount(found[found >= 0], minlength=grid.size)
    extrapolated = support == 0
    if not grid.categorical:
        values = frame.features.values[:, column]
        if not np.isnan(values).all():
            points = frame.points(column, grid)
            extrapolated |= (points < np.nanmin(values)) | (points > np.nanmax(values))
    return support, extrapolated
