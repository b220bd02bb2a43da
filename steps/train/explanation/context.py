"""Inputs of an explanation, and how values of several folds become one.

Each value is the mean over the folds; ``fold_sd`` is the standard deviation between them (n - 1).
It is a spread, not a standard error, and never divided by the square root of the number of folds:
fold models share most of their training rows, so they are far from independent, and the division
would understate the uncertainty nearly threefold (Nadeau and Bengio, Machine Learning 52, 2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from steps.table.grid import Grid
from steps.train.config import ExplainConfig
from steps.train.evaluation.evaluate import Rows
from steps.train.evaluation.folds import Fold
from steps.train.frame import Frame, Integers
from steps.train.loss import Loss, Task
from steps.train.trainer import Features, Floats, Trainer

AnyTrainer = Trainer[Any, Any]


@dataclass(frozen=True)
class ExplainedFold:
    """A fold's model with the held-out rows that it explains.

    Attributes:
        model: the fold's model.
        fold: the fold.
        rows: positions of the explained rows in the frame; at least one.
        features: features of these rows.
    """

    model: Any
    fold: Fold
    rows: Integers
    features: Features


@dataclass(frozen=True)
class ExplainContext:
    """A partition with its fold models, as explanations use them.

    Attributes:
        trainer: the trainer of the models.
        task: kind of target.
        frame: the partition.
        folds: the folds that have explained rows.
        grid: the grid that all partitions share.
        config: the section ``explain`` of the spec.
        seed: seed of the shuffles.
    """

    trainer: AnyTrainer
    task: Task
    frame: Frame
    folds: list[ExplainedFold]
    grid: Grid
    config: ExplainConfig
    seed: int

    @property
    def classes(self) -> tuple[str, ...]:
        """Classes of the outputs; one empty text for a regression."""
        if self.task == "multiclass":
            return self.frame.classes
        return self.frame.classes[1:] if self.task == "binary" else ("",)

    @property
    def loss(self) -> Loss:
        """The loss of the trainer."""
        return self.trainer.loss(self.task)

    @property
    def margin(self) -> str:
        """Unit of the raw scores."""
        if self.frame.exposure is not None:
            return "log_target_per_exposure"
        return {"identity": "target", "log": "log_target"}.get(self.loss.link, "log_odds")

    @property
    def unit(self) -> str:
        """Unit of the predictions."""
        if self.task == "regression":
            return "target" if self.frame.exposure is None else "target_per_exposure"
        return "probability" if self.loss.class_weight is None else "weighted_probability"


def seen_rows(frame: Frame, folds: list[Fold], models: list[Any], rows: int) -> list[ExplainedFold]:
    """Give each fold model its share of the ``rows`` held-out rows with the smallest hashes."""
    held = np.concatenate([fold.held_out for fold in folds])
    chosen = np.zeros(len(frame.target), bool)
    chosen[held[np.argsort(frame.keys[held], kind="stable")[:rows]]] = True
    parts = [
        (model, fold, fold.held_out[chosen[fold.held_out]])
        for model, fold in zip(models, folds, strict=True)
    ]
    return [
        ExplainedFold(model, fold, mine, frame.features.take(mine))
        for model, fold, mine in parts
        if len(mine)
    ]


def put(rows: Rows, /, **cells: Any) -> None:  # noqa: ANN401 - cells of any column
    """Add a row of a result table."""
    for name, cell in cells.items():
        rows[name].append(cell)


def mean_and_sd(values: Floats) -> tuple[Floats, list[float | None]]:
    """Return mean and standard deviation over the first axis (folds), ignoring NaN.

    Args:
        values: values to summarize; shape (folds, items).

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
    return means, [cell_of(root) for root in np.sqrt(variance)]


def cell_of(value: float) -> float | None:
    """Return a cell of a result table; NaN is empty."""
    return None if np.isnan(value) else float(value)


def row_mean(work: ExplainContext, fold: int, values: Floats) -> Floats:
    """Return the weighted mean over a fold's explained rows (the first axis)."""
    weight = work.frame.weights[work.folds[fold].rows]
    return np.asarray(np.tensordot(weight, values, axes=1) / weight.sum())
