"""The same models without Refeed: pandas for the rows, scikit-learn for the folds, LightGBM.

Nothing here imports Refeed. What a number means is taken from docs/analysts/science.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import log_loss, root_mean_squared_error
from sklearn.model_selection import GroupKFold, KFold, StratifiedGroupKFold, StratifiedKFold

Floats = NDArray[np.float64]
Integers = NDArray[np.intp]
Split = tuple[Integers, Integers]
"""Positions of the rows that a model is trained on, and of its held-out rows."""

MAX_LEVELS = 100
"""The default of ``dataset.max_levels``."""


@dataclass(frozen=True)
class Rows:
    """The rows of one partition that have a target.

    Attributes:
        features: shape (rows, features); codes for categories, NaN for missing cells.
        names: names of the features.
        categorical: positions of the categories.
        target: values, or positions in ``classes``.
        classes: classes of the partition, sorted; empty for a regression.
        groups: a number per group, or None.
        times: a number that orders the rows, NaN where it is missing; or None.
    """

    features: Floats
    names: tuple[str, ...]
    categorical: tuple[int, ...]
    target: Floats
    classes: tuple[Any, ...]
    groups: Integers | None
    times: Floats | None

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True)
class Losses:
    """Loss of the models on all held-out rows, and of the constant prediction: RMSE or log loss."""

    value: float
    constant_value: float


def codes_of(column: pd.Series) -> Floats:
    """Return codes for levels in order of their value; beyond the limit the rarest share a code."""
    counts = column.dropna().value_counts()
    order = sorted(counts.index, key=lambda level: (-counts[level], level))
    kept = order if len(order) <= MAX_LEVELS else order[: MAX_LEVELS - 1]
    codes = {level: float(code) for code, level in enumerate(sorted(kept))}
    codes |= {level: float(len(kept)) for level in order[len(kept) :]}
    return np.asarray(column.map(codes), np.float64)


def numbers_of(column: pd.Series) -> Floats:
    """Return a column as numbers: moments as seconds since 1970, false and true as 0 and 1."""
    if pd.api.types.is_datetime64_any_dtype(column):
        epoch = pd.Timestamp(0, tz=column.dt.tz)
        column = (column - epoch) / pd.Timedelta(seconds=1)
    return np.asarray(column, np.float64)


def train(rows: Rows, positions: Integers, params: dict[str, Any]) -> lightgbm.Booster:
    """Train LightGBM on some of the rows."""
    params = {"learning_rate": 0.2, "max_bin": 63, **params}  # defaults of docs/analysts/spec.md
    rounds = params.pop("rounds")
    objective = {0: "regression", 1: "binary", 2: "binary"}.get(len(rows.classes), "multiclass")
    fixed = {"objective": objective, "num_threads": 1, "deterministic": True, "verbosity": -1}
    if objective == "multiclass":
        fixed["num_class"] = len(rows.classes)
    data = lightgbm.Dataset(
        rows.features[positions],
        rows.target[positions],
        categorical_feature=list(rows.categorical),
        params=params | fixed,
    )
    return lightgbm.train(params | fixed, data, rounds)


def predict(rows: Rows, model: lightgbm.Booster, positions: Integers) -> Floats:
    """Return predictions: values, or a probability per class."""
    found = np.asarray(model.predict(rows.features[positions], num_threads=1))
    return np.column_stack([1 - found, found]) if len(rows.classes) == 2 else found


def constant(rows: Rows, positions: Integers) -> Floats:
    """Return the constant prediction: the mean, or the share of each class."""
    target = rows.target[positions]
    if not rows.classes:
        return np.array([target.mean()])
    counts = np.bincount(target.astype(np.intp), minlength=len(rows.classes))
    shares = np.where(counts == 0, 0.5, counts)
    return np.asarray(shares / shares.sum(), np.float64)


def loss(rows: Rows, positions: Integers, predictions: Floats) -> float:
    """Return the RMSE, or the log loss."""
    target = rows.target[positions]
    if not rows.classes:
        return float(root_mean_squared_error(target, predictions))
    return float(log_loss(target, predictions, labels=np.arange(len(rows.classes))))


def losses(rows: Rows, splits: list[Split], params: dict[str, Any]) -> Losses:
    """Return the losses of cross-validation, pooled over all held-out rows."""
    models, constants = [], []
    for training, held_out in splits:
        models.append(predict(rows, train(rows, training, params), held_out))
        constants.append(np.repeat(constant(rows, training)[None, :], len(held_out), axis=0))
    everything = np.concatenate([held_out for _, held_out in splits])
    return Losses(
        loss(rows, everything, np.concatenate(models)),
        loss(rows, everything, np.concatenate(constants)),
    )


def orders(positions: Integers) -> Iterator[Integers]:
    """Yield the same rows in several orders.

    If two splits have the same gain, rounding decides between them, and it depends on the order.
    """
    yield positions
    for seed in range(7):
        yield np.random.default_rng(seed).permutation(positions)


def shuffles(rows: Rows, folds: int, count: int) -> Iterator[list[Split]]:
    """Yield ways to deal the rows to folds: rows at random, classes evenly, groups together.

    Groups can be dealt in two ways: equally many to each fold, or each by its own draw, as a hash
    of the group does. Both are valid, so half of the shuffles are of either kind.
    """
    everything = np.zeros(len(rows))
    for seed in range(count):
        if rows.groups is not None and seed % 2:
            yield _independent(rows.groups, folds, seed)
            continue
        if rows.groups is not None:
            kind = StratifiedGroupKFold if rows.classes else GroupKFold
        else:
            kind = StratifiedKFold if rows.classes else KFold
        dealt = kind(folds, shuffle=True, random_state=seed)
        yield list(dealt.split(everything, rows.target, rows.groups))


def _independent(groups: Integers, folds: int, seed: int) -> list[Split]:
    """Return folds in which each group is by its own draw; folds without rows are left out."""
    _, members = np.unique(groups, return_inverse=True)
    fold = np.random.default_rng(seed).integers(folds, size=members.max() + 1)[members]
    return [
        (np.flatnonzero(fold != number), np.flatnonzero(fold == number))
        for number in np.unique(fold)
    ]
