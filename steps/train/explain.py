"""Explanations of one partition: from the fold models, on rows that they have not seen.

Each value is the mean over the folds; ``fold_sd`` is the standard deviation between them (n - 1).
It is a spread, not a standard error, and never divided by the square root of the number of folds:
fold models share most of their training rows, so they are far from independent, and the division
would understate the uncertainty nearly threefold (Nadeau and Bengio, Machine Learning 52, 2003).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from steps.table.grid import FeatureGrid, Grid
from steps.table.hashing import seeded
from steps.train.config import ExplainConfig, PartialDependenceConfig
from steps.train.evaluation import Rows, weights_of
from steps.train.folds import Fold
from steps.train.frame import Frame, Integers
from steps.train.links import respond
from steps.train.metrics import metrics_of
from steps.train.trainer import Features, Floats, ShapValues, Trainer

AnyTrainer = Trainer[Any, Any]

_CELLS_AT_ONCE = 4 << 20
"""Cells of a feature matrix that are predicted in one call; 32 MiB."""

_ROWS_AT_ONCE = 512
"""Rows whose response curves are held at once; few enough for a trainer to keep what it has worked
out for them in the processor's cache."""


@dataclass(frozen=True)
class Seen:
    """One fold's model with the held-out rows that it explains.

    Attributes:
        model: of the fold.
        fold: the fold.
        rows: positions of the explained rows in the frame; at least one.
        features: of these rows.
    """

    model: Any
    fold: Fold
    rows: Integers
    features: Features


@dataclass(frozen=True)
class Explained:
    """A partition and its fold models, ready to be explained.

    Attributes:
        trainer: the plug-in.
        task: what is predicted.
        frame: the partition.
        folds: those that have explained rows.
        grid: shared by all partitions.
        config: the spec's part.
        seed: for the shuffles.
    """

    trainer: AnyTrainer
    task: str
    frame: Frame
    folds: list[Seen]
    grid: Grid
    config: ExplainConfig
    seed: int

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that outputs are about; one empty text for a regression."""
        if self.task == "multiclass":
            return self.frame.classes
        return self.frame.classes[1:] if self.task == "binary" else ("",)

    @property
    def margin(self) -> str:
        """The unit of raw scores."""
        return "target" if self.task == "regression" else "log_odds"


def seen_rows(frame: Frame, folds: list[Fold], models: list[Any], rows: int) -> list[Seen]:
    """Give each fold model its share of the ``rows`` held-out rows with the smallest hashes."""
    held = np.concatenate([fold.held_out for fold in folds])
    chosen = np.zeros(len(frame.target), bool)
    chosen[held[np.argsort(frame.keys[held], kind="stable")[:rows]]] = True
    parts = [
        (model, fold, fold.held_out[chosen[fold.held_out]])
        for model, fold in zip(models, folds, strict=True)
    ]
    return [
        Seen(model, fold, mine, frame.features.take(mine))
        for model, fold, mine in parts
        if len(mine)
    ]


def explain(work: Explained) -> dict[str, Rows]:
    """Rows for the tables importance, partial_dependence, shap_summary and shap_by_value."""
    tables: dict[str, Rows] = {"importance": defaultdict(list)}
    shap = _shap_values(work)
    _add_importance(tables["importance"], work, shap)
    if work.config.partial_dependence:
        tables["partial_dependence"] = _partial_dependence(work, work.config.partial_dependence)
    if shap:
        tables["shap_summary"] = _shap_summary(work, shap)
        tables["shap_by_value"] = _shap_by_value(work, shap)
    return {name: dict(rows) for name, rows in tables.items()}


def _put(rows: Rows, /, **cells: Any) -> None:  # noqa: ANN401 - cells of any column
    for name, cell in cells.items():
        rows[name].append(cell)


def spread(values: Floats) -> tuple[Floats, list[float | None]]:
    """Mean over the first axis (folds) and standard deviation between folds; NaN is left out.

    Args:
        values: shape (folds, items).

    Returns:
        Means of shape (items,), NaN where no fold has a value; and deviations, None where fewer
        than two folds have one.
    """
    known = ~np.isnan(values)
    count = known.sum(axis=0)
    total = np.where(known, values, 0.0).sum(axis=0)
    means = np.divide(total, count, out=np.full(values.shape[1], np.nan), where=count > 0)
    squares = np.where(known, (values - means) ** 2, 0.0).sum(axis=0)
    variance = np.divide(squares, count - 1, out=np.full(values.shape[1], np.nan), where=count > 1)
    return means, [_cell(root) for root in np.sqrt(variance)]


def _cell(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


# --- importance -----------------------------------------------------------------------------


def _add_importance(rows: Rows, work: Explained, shap: list[ShapValues]) -> None:
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
        means = np.array([_row_mean(work, i, size) for i, size in enumerate(sizes)])
        _importance_rows(rows, work, "mean_abs_shap", means, work.margin, "")


def _row_mean(work: Explained, fold: int, values: Floats) -> Floats:
    """Weighted mean over a fold's explained rows (the first axis)."""
    weight = weights_of(work.frame)[work.folds[fold].rows]
    return np.asarray(np.tensordot(weight, values, axes=1) / weight.sum())


def _importance_rows(
    rows: Rows, work: Explained, method: str, values: Floats, scale: str, reason: str
) -> None:
    means, deviations = spread(values)
    order = np.argsort(-np.nan_to_num(means, nan=-np.inf), kind="stable")
    rank = np.empty(len(order), np.intp)
    rank[order] = np.arange(1, len(order) + 1)
    for i, name in enumerate(work.frame.features.names):
        known = not np.isnan(means[i])
        _put(
            rows,
            feature=name,
            method=method,
            value=_cell(means[i]),
            fold_sd=deviations[i],
            folds=int((~np.isnan(values[:, i])).sum()),
            rank=int(rank[i]) if known else None,
            scale=scale,
            reason="" if known else reason,
        )


def _permutation_shares(work: Explained) -> Floats:
    """Growth of the loss when a feature's values are shuffled, in shares of the constant's loss.

    Breiman, "Random forests", Machine Learning 45, 2001; dividing by the loss of the best constant
    is what makes partitions of different size and spread comparable. The loss is the squared
    error, or the log loss of classes. The constant's loss is the mean over the folds: a mean of
    ratios would be drawn upwards by a fold in which the few explained rows happen to be alike.

    Returns:
        Shape (folds, features); NaN where the constant has no loss.
    """
    growth = np.array([_growth(work, seen) for seen in work.folds])
    constant = float(np.mean([_constant_loss(work, seen) for seen in work.folds]))
    return growth / constant if constant else np.full(growth.shape, np.nan)


def _growth(work: Explained, seen: Seen) -> Floats:
    """How much a fold's loss grows per feature, mean over the shuffles.

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
        for loss in _shuffled_losses(work, seen, jobs[start : start + at_once])
    ]
    base = _loss(work, seen, respond(work.task, work.trainer.predict(seen.model, seen.features)))
    return np.asarray((np.array(losses) - base).reshape(columns, repeats).mean(axis=1))


def _shuffled_losses(work: Explained, seen: Seen, jobs: list[tuple[int, int]]) -> list[float]:
    """The loss with a feature's values shuffled, for each (column, repeat); one prediction."""
    rows, columns = seen.features.values.shape
    stacked = np.tile(seen.features.values, (len(jobs), 1))
    blocks = stacked.reshape(len(jobs), rows, columns)
    for block, (column, repeat) in zip(blocks, jobs, strict=True):
        block[:, column] = seen.features.values[_shuffle(work, seen, column, repeat), column]
    tall = Features(seen.features.names, stacked, seen.features.levels)
    raw = work.trainer.predict(seen.model, tall).reshape(len(jobs), rows, -1)
    return [_loss(work, seen, respond(work.task, block)) for block in raw]


def _shuffle(work: Explained, seen: Seen, column: int, repeat: int) -> NDArray[np.intp]:
    """A permutation that follows from the rows' content, the feature's name and the seed.

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


def _loss(work: Explained, seen: Seen, prediction: Floats) -> float:
    """Squared error of a regression, log loss of classes, of a fold's explained rows."""
    target = work.frame.target[seen.rows]
    weight = weights_of(work.frame)[seen.rows]
    if work.task == "regression":
        return float((weight * (target - prediction[:, 0]) ** 2).sum() / weight.sum())
    value = metrics_of(work.task, 0.5)[0].score(target, prediction, weight).value
    assert value is not None
    return value


def _constant_loss(work: Explained, seen: Seen) -> float:
    weight = weights_of(work.frame)[seen.fold.train]
    target = work.frame.target[seen.fold.train]
    metric = metrics_of(work.task, 0.5)[0]
    constant = metric.constant(target, weight, len(work.frame.classes))
    return _loss(work, seen, np.broadcast_to(constant, (len(seen.rows), len(constant))))


# --- partial dependence ---------------------------------------------------------------------


def _partial_dependence(work: Explained, config: PartialDependenceConfig) -> Rows:
    """Mean prediction with a feature set to each grid value (Friedman, Ann. Statist. 29, 2001)."""
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
    work: Explained, seen: Seen, drawn: list[tuple[int, FeatureGrid]], scale: str
) -> list[Floats]:
    """One fold's curve of each drawn feature, shape (points, outputs).

    Blocks of rows are the outer loop: a trainer may share work between the columns of one block.
    """
    weight = weights_of(work.frame)[seen.rows]
    totals: list[Floats] = [np.zeros(())] * len(drawn)
    for start in range(0, len(seen.rows), _ROWS_AT_ONCE):
        block = slice(start, start + _ROWS_AT_ONCE)
        rows = seen.features.take(block)
        for i, (column, grid) in enumerate(drawn):
            points = work.frame.points(column, grid)
            raw = work.trainer.response_curves(seen.model, rows, column, points)
            answers = respond(work.task, raw) if scale == "probability" else raw
            totals[i] = totals[i] + np.tensordot(weight[block], answers, axes=1)
    return [np.asarray(total / weight.sum()) for total in totals]


def _add_curves(
    rows: Rows, work: Explained, column: int, grid: FeatureGrid, curves: Floats, scale: str
) -> None:
    """Add the rows of one feature; ``curves`` has the shape (folds, points, outputs)."""
    support, extrapolated = support_of(work.frame, column, grid)
    weight = np.where(extrapolated, 0, support).astype(np.float64)
    weight = weight if weight.sum() else np.ones(len(weight))
    unit = "probability" if work.task != "regression" and scale == "probability" else work.margin
    for output, label in enumerate(work.classes):
        folds = curves[:, :, output]
        values, deviations = spread(folds)
        level = folds @ weight / weight.sum()
        centred, centred_deviations = spread(folds - level[:, None])
        for i, value in enumerate(grid.values):
            _put(
                rows,
                feature=grid.name,
                **{"class": label},
                grid_index=i,
                grid_value=value,
                grid_number=None if grid.categorical else grid.numbers[i],
                value=float(values[i]),
                fold_sd=deviations[i],
                centred=float(centred[i]),
                centred_fold_sd=centred_deviations[i],
                support=int(support[i]),
                extrapolated=bool(extrapolated[i]),
                scale=unit,
            )


def support_of(frame: Frame, column: int, grid: FeatureGrid) -> tuple[Integers, NDArray[np.bool_]]:
    """Rows of the partition in each grid cell, and where a curve is extrapolated.

    A grid value is extrapolated where no row lies in its cell, or where it is outside the range
    of the partition's own values.

    Returns:
        Two arrays of shape (points,).
    """
    found = frame.cells(column, grid)
    support = np.bincount(found[found >= 0], minlength=len(grid.values))
    extrapolated = support == 0
    if not grid.categorical:
        values = frame.features.values[:, column]
        if not np.isnan(values).all():
            points = np.asarray(grid.numbers)
            extrapolated |= (points < np.nanmin(values)) | (points > np.nanmax(values))
    return support, extrapolated


# --- SHAP -----------------------------------------------------------------------------------


def _shap_values(work: Explained) -> list[ShapValues]:
    """SHAP values per fold, or none at all where the trainer has none to give."""
    if not work.config.shap:
        return []
    parts = [work.trainer.shap_values(seen.model, seen.features) for seen in work.folds]
    return [part for part in parts if part is not None]


def _shap_summary(work: Explained, shap: list[ShapValues]) -> Rows:
    rows: Rows = defaultdict(list)
    signed = np.array([_row_mean(work, i, part.values) for i, part in enumerate(shap)])
    size = np.array([_row_mean(work, i, np.abs(part.values)) for i, part in enumerate(shap)])
    count = sum(len(seen.rows) for seen in work.folds)
    for output, label in enumerate(work.classes):
        means, deviations = spread(signed[:, :, output])
        sizes, size_deviations = spread(size[:, :, output])
        for i, name in enumerate(work.frame.features.names):
            _put(
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


def _shap_by_value(work: Explained, shap: list[ShapValues]) -> Rows:
    rows: Rows = defaultdict(list)
    for column, name in enumerate(work.frame.features.names):
        grid = work.grid[name]
        if grid.values:
            _add_cells(rows, work, shap, column, grid)
    return rows


def _add_cells(
    rows: Rows, work: Explained, shap: list[ShapValues], column: int, grid: FeatureGrid
) -> None:
    found = work.frame.cells(column, grid)
    mine = [found[seen.rows] for seen in work.folds]
    together = np.concatenate(mine)
    count = np.bincount(together[together >= 0], minlength=len(grid.values))
    for output, label in enumerate(work.classes):
        folds = np.array(
            [
                _cell_means(work, i, part.values[:, column, output], mine[i], len(grid.values))
                for i, part in enumerate(shap)
            ]
        )
        means, deviations = spread(folds)
        for i in np.flatnonzero(count):
            _put(
                rows,
                feature=grid.name,
                **{"class": label},
                grid_index=int(i),
                grid_value=grid.values[i],
                grid_number=None if grid.categorical else grid.numbers[i],
                mean=float(means[i]),
                fold_sd=deviations[i],
                rows=int(count[i]),
                scale=work.margin,
            )


def _cell_means(work: Explained, fold: int, values: Floats, cells: Integers, count: int) -> Floats:
    """Mean SHAP value per cell; NaN in cells without rows."""
    inside = cells >= 0
    weight = weights_of(work.frame)[work.folds[fold].rows][inside]
    total = np.bincount(cells[inside], weights=weight, minlength=count)
    sums = np.bincount(cells[inside], weights=weight * values[inside], minlength=count)
    means: Floats = np.divide(sums, total, out=np.full(count, np.nan), where=total > 0)
    return means
