"""Home of LightGBM: training, prediction and its text format."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np

from containers.lightgbm.curves import Walk
from containers.lightgbm.forest import parse_forest
from containers.lightgbm.shapley import Shapley

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from containers.lightgbm.forest import Forest
    from refeed import TrainingData

    Floats = NDArray[np.float64]

_OBJECTIVES = {
    "l2": "regression",
    "l1": "regression_l1",
    "huber": "huber",
    "quantile": "quantile",
}

# Bit-identical models on every machine and in every process; and not a word on stdout.
_FIXED = {
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


class LightGBMModel:
    """A fitted model: LightGBM's own text, and what is read from it when needed.

    The text is the only truth. A booster fresh from training knows its split gains to more digits
    than the text does, so a resumed run would report other gains than an uninterrupted one.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._walk: Walk | None = None

    @cached_property
    def booster(self) -> Any:  # noqa: ANN401 - lightgbm has no usable types
        """The model as LightGBM's Booster."""
        return lightgbm.Booster(model_str=self.text)

    @cached_property
    def forest(self) -> Forest:
        """The model's trees as arrays."""
        return parse_forest(self.text)

    @cached_property
    def shapley(self) -> Shapley:
        """The tables of the trees that SHAP values are computed from."""
        return Shapley(self.forest)

    @property
    def outputs(self) -> int:
        """Scores per row."""
        return int(self.booster.num_model_per_iteration())

    def walk(self, values: Floats) -> Walk:
        """Return the trees walked for these rows; the last answer is kept.

        Columns are asked for one after the other on the same matrix, hence the test for identity.
        """
        if self._walk is None or self._walk.values is not values:
            self._walk = Walk(self.forest, values)
        return self._walk


def fit(data: TrainingData, options: dict[str, Any], objective: str, rounds: int) -> LightGBMModel:
    """Train a booster.

    Args:
        data: rows to train on.
        options: LightGBM's parameters that the user chooses, less the two below.
        objective: loss of a regression; classes have their own.
        rounds: boosting rounds.
    """
    task: dict[str, Any] = {"objective": data.task}
    if data.task == "regression":
        task = {"objective": _OBJECTIVES[objective]}
    elif data.task == "multiclass":
        task["num_class"] = len(data.classes)
    params = {**options, **_FIXED, **task, "seed": data.seed}
    features = data.features
    dataset = lightgbm.Dataset(
        features.values,
        label=data.target,
        weight=data.weight,
        categorical_feature=list(features.categorical),
        params=params,
    )
    booster = lightgbm.Booster(params, dataset)
    # Without sampling, a round that finds no split is followed by more of the same.
    sampled = options["feature_fraction"] < 1 or options["bagging_fraction"] < 1
    for _ in range(rounds):
        if booster.update() and not sampled:
            break
    return LightGBMModel(booster.model_to_string())


def predict(model: LightGBMModel, values: Floats) -> Floats:
    """Return raw scores; shape (rows, outputs)."""
    scores = model.booster.predict(values, raw_score=True, num_threads=1)
    return np.asarray(scores, dtype=np.float64).reshape(len(values), model.outputs)


def contributions(model: LightGBMModel, values: Floats) -> tuple[Floats, Floats]:
    """Return path-dependent SHAP values.

    They are ours where those are faster, else LightGBM's; both are the same but for rounding.

    Returns:
        Shapes (rows, columns, outputs) and (outputs,).
    """
    if model.shapley.worthwhile(len(values)):
        return model.shapley.values(values), model.shapley.base()
    rows, columns = values.shape
    flat = model.booster.predict(values, pred_contrib=True, num_threads=1)
    by_output = np.asarray(flat).reshape(rows, model.outputs, columns + 1)
    return by_output[:, :, :-1].transpose(0, 2, 1), by_output[0, :, -1].copy()


def gain(model: LightGBMModel) -> Floats:
    """Return the total gain of the splits on each column; shape (columns,)."""
    return np.asarray(model.booster.feature_importance("gain"), dtype=np.float64)
