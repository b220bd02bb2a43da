"""SHAP values of a partition: per feature, and by the feature's value."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from steps.table.grid import FeatureGrid
from steps.train.evaluation.evaluate import Rows
from steps.train.explanation.context import ExplainContext, mean_and_sd, put, row_mean
from steps.train.trainer import ShapValues


def shap_values_of(work: ExplainContext) -> list[ShapValues]:
    """Return SHAP values per fold; none if the trainer cannot compute them."""
    if not work.config.shap:
        return []
    parts = [work.trainer.shap_values(seen.model, seen.features) for seen in work.folds]
    return [part for part in parts if part is not None]


def shap_summary(work: ExplainContext, shap: list[ShapValues]) -> Rows:
    """Add rows of the table ``shap_summary``."""
    rows: Rows = defaultdict(list)
    signed = np.array([row_mean(work, i, part.values) for i, part in enumerate(shap)])
    size = np.array([row_mean(work, i, np.abs(part.values)) for i, part in enumerate(shap)])
    count = sum(len(seen.rows) for seen in work.folds)
    for output, label in enumerate(work.classes):
        means, deviations = mean_and_sd(signed[:, :, output])
        sizes, size_deviations = mean_and_sd(size[:, :, output])
        for i, name in enumerate(work.frame.features.names):
            put(
                rows,
                feature=name,
                **{"class": label},
                mean=float(means[i]),
                mean_fold_sd=deviations[i],
                mean_abs=float(sizes[i]),
                mean_abs_fold_sd=size_deviations[i],
                rows=count,
                scale=work.margin,
            )
    return rows


def shap_by_value(work: ExplainContext, shap: list[ShapValues]) -> Rows:
    """Add rows of the table ``shap_by_value``."""
    rows: Rows = defaultdict(list)
    for column, name in enumerate(work.frame.features.names):
        grid = work.grid[name]
        if grid.values:
            _add_cells(rows, work, shap, column, grid)
    return rows


def _add_cells(
    rows: Rows, work: ExplainContext, shap: list[ShapValues], column: int, grid: FeatureGrid
) -> None:
    found = work.frame.cells(column, grid)
    mine = [found[seen.rows] for seen in work.folds]
    together = np.concatenate(mine)
    count = np.bincount(together[together >= 0], minlength=grid.size)
    for output, label in enumerate(work.classes):
        folds = np.full((len(shap), grid.size), np.nan)  # mean SHAP value per cell
        for fold, part in enumerate(shap):
            inside = mine[fold] >= 0
            cells = mine[fold][inside]
            weight = work.frame.weights[work.folds[fold].rows][inside]
            weighted = weight * part.values[inside, column, output]
            total = np.bincount(cells, weights=weight, minlength=grid.size)
            sums = np.bincount(cells, weights=weighted, minlength=grid.size)
            np.divide(sums, total, out=folds[fold], where=total > 0)
        means, deviations = mean_and_sd(folds)
        for i in np.flatnonzero(count):
            put(
                rows,
                feature=grid.name,
                **{"class": label},
                **grid.cell(int(i)),
                mean=float(means[i]),
                fold_sd=deviations[i],
                rows=int(count[i]),
                scale=work.margin,
            )
