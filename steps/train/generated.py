"""Generated rows, on which a probe fits a trainer."""

from __future__ import annotations

import numpy as np

from steps.train.trainer import Features, Task, TrainingData


def generated_data(task: Task, rows: int, features: int, inner_folds: int) -> TrainingData:
    """Return numeric rows in which the target depends on the features, with noise.

    Args:
        task: kind of target; a multiclass one has three classes.
        rows: number of rows.
        features: number of features.
        inner_folds: number of inner folds; 0 for none.
    """
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, features))
    score = values[:, 0] + np.sin(3 * values[:, features // 2]) + rng.normal(size=rows)
    names: dict[Task, tuple[str, ...]] = {
        "regression": (),
        "binary": ("0", "1"),
        "multiclass": ("0", "1", "2"),
    }
    classes = names[task]
    if classes:
        edges = np.quantile(score, np.arange(1, len(classes)) / len(classes))
        score = np.searchsorted(edges, score).astype(np.float64)
    fold = np.arange(rows) % max(inner_folds, 1)
    return TrainingData(
        features=Features(tuple(f"x{at}" for at in range(features)), values, (None,) * features),
        target=score,
        weight=None,
        task=task,
        classes=classes,
        seed=0,
        inner_folds=tuple(
            (np.flatnonzero(fold != at), np.flatnonzero(fold == at)) for at in range(inner_folds)
        ),
    )
