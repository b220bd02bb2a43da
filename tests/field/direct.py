"""The right values, computed with pandas, scikit-learn and LightGBM alone.

Nothing here imports Refeed. Rows are dealt to folds several times, so that a skill comes with the
spread that the deal alone causes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, log_loss, root_mean_squared_error
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold

Floats = NDArray[np.float64]
DEALS = 6
"""Deals of the rows to folds."""


@dataclass(frozen=True)
class Direct:
    """Skills of several deals of the rows to 5 folds.

    Attributes:
        skill: 1 - loss of the models / loss of the training folds' mean, per deal.
    """

    skill: Floats

    def agrees(self, skill: float) -> bool:
        """Return True if a skill could be that of one more deal.

        Its difference from the mean of k deals has the variance s^2 (1 + 1/k); four of these
        standard deviations, and 0.01 where the deals hardly differ.
        """
        spread = float(self.skill.std(ddof=1)) * np.sqrt(1 + 1 / len(self.skill))
        return bool(abs(skill - self.skill.mean()) <= max(4 * spread, 0.01))


DEFAULTS: dict[str, Any] = {"learning_rate": 0.2, "max_bin": 63, "verbose": -1, "n_jobs": 1}
"""Refeed's default parameters, from docs/analysts/spec.md, and no more than one thread."""


def direct_skill(
    features: pd.DataFrame, target: Any, *, group: Any = None, leaves: int = 7, rounds: int = 40
) -> Direct:
    """Return the skill of LightGBM in cross-validation, by rmse or by log loss.

    Args:
        features: numbers, or categories.
        target: numbers, or True and False.
        group: rows that share a fold, if any.
        leaves: ``num_leaves``.
        rounds: boosting rounds.
    """
    y = np.asarray(target)
    classes = y.dtype == bool
    return Direct(
        np.array(
            [_skill(features, y, group, seed, leaves, rounds, classes) for seed in range(DEALS)]
        )
    )


def out_of_fold(
    features: pd.DataFrame,
    y: Floats,
    seed: int,
    leaves: int = 7,
    rounds: int = 40,
    group: Any = None,
) -> tuple[Floats, Floats]:
    """Return held-out predictions of the models and of the training means; both (rows,)."""
    classes = y.dtype == bool
    predicted, constant = np.empty(len(y)), np.empty(len(y))
    for train, test in _deal(y, group, seed, classes):
        estimator = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
        model = estimator(num_leaves=leaves, n_estimators=rounds, **DEFAULTS)
        model.fit(features.iloc[train], y[train])
        rows = features.iloc[test]
        predicted[test] = model.predict_proba(rows)[:, 1] if classes else model.predict(rows)
        constant[test] = y[train].mean()
    return predicted, constant


def _deal(y: Floats, group: Any, seed: int, classes: bool) -> Any:
    if group is not None:
        return GroupKFold(5, shuffle=True, random_state=seed).split(y, y, group)
    split = StratifiedKFold if classes else KFold
    return split(5, shuffle=True, random_state=seed).split(y, y)


def _skill(
    features: pd.DataFrame, y: Any, group: Any, seed: int, leaves: int, rounds: int, classes: bool
) -> float:
    predicted, constant = out_of_fold(features, y, seed, leaves, rounds, group)
    if classes:
        return float(1 - log_loss(y, predicted) / log_loss(y, constant))
    return float(1 - root_mean_squared_error(y, predicted) / root_mean_squared_error(y, constant))


def average_precision(features: pd.DataFrame, target: Any) -> float:
    """Return the mean average precision of held-out predictions over the deals."""
    y = np.asarray(target)
    return float(
        np.mean(
            [average_precision_score(y, out_of_fold(features, y, seed)[0]) for seed in range(DEALS)]
        )
    )


def codes(table: pd.DataFrame, *names: str) -> pd.DataFrame:
    """Return columns for LightGBM: text as categories."""
    chosen = table[list(names)].copy()
    for name in names:
        if not pd.api.types.is_numeric_dtype(chosen[name]):
            chosen[name] = chosen[name].astype("category")
    return chosen
