"""Gradient-boosted trees with LightGBM.

Importing this module loads neither LightGBM nor numpy, so that a spec is validated without them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, ClassVar

from containers.lightgbm.cost import fit_cost
from containers.lightgbm.params import LightGBMParams
from refeed import (
    DataShape,
    Features,
    FitCost,
    FitSize,
    Loss,
    Problem,
    RowSubset,
    ShapValues,
    Task,
    Trainer,
    TrainingData,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from containers.lightgbm.booster import LightGBMModel

    Floats = NDArray[np.float64]


class LightGBMTrainer(Trainer[LightGBMParams, "LightGBMModel"]):
    """LightGBM: the same data and parameters give the same bytes, with any number of threads."""

    Params = LightGBMParams
    offset_tasks: ClassVar[frozenset[Task]] = frozenset({"regression", "binary"})
    libraries: ClassVar[tuple[str, ...]] = ("lightgbm",)
    preload: ClassVar[tuple[str, ...]] = ("containers.lightgbm.booster",)
    suffix: ClassVar[str] = ".txt"
    uses_threads: ClassVar[bool] = True

    def loss(self, task: Task) -> Loss:
        """Return the loss that LightGBM minimises."""
        return self.params.loss(task)

    def conflicts(self, shape: DataShape) -> Iterator[Problem]:
        """Yield a problem for each parameter that does not fit the data."""
        return self.params.conflicts(shape)

    @property
    def inner_folds(self) -> int:
        """Number of inner folds, if they choose the number of rounds."""
        return self.params.inner_folds if self.params.rounds == "auto" else 0

    def fit_cost(self, size: FitSize) -> FitCost:
        """Return the predicted cost of a fit."""
        return fit_cost(self.params, size)

    def fit(self, data: TrainingData) -> LightGBMModel:
        """Train on all rows; the model knows columns by position, not by name."""
        from containers.lightgbm import booster

        return booster.fit(data, self.params, self.threads)

    def fit_subsets(self, data: TrainingData, subsets: Sequence[RowSubset]) -> list[LightGBMModel]:
        """Train on each subset, with the bins of all rows."""
        from containers.lightgbm import booster

        return booster.fit_subsets(data, subsets, self.params, self.threads)

    def predict(self, model: LightGBMModel, features: Features) -> Floats:
        """Return raw scores; shape (rows, outputs)."""
        from containers.lightgbm import booster

        return booster.predict(model, features.values)

    def response_curves(
        self, model: LightGBMModel, features: Features, column: int, points: Floats
    ) -> Floats:
        """Return the curves of the base class, except for rounding, from one walk over the trees.

        The walk is shared by all calls with the same ``features.values`` (the same object).
        """
        return model.walk(features.values).curves(column, points)

    def shap_values(self, model: LightGBMModel, features: Features) -> ShapValues:
        """Return path-dependent TreeSHAP values: an unknown feature follows the training rows."""
        from containers.lightgbm import booster

        values, base = booster.contributions(model, features.values)
        return ShapValues(values=values, base=base)

    def gain(self, model: LightGBMModel) -> Floats:
        """Return the total gain of the splits on each column."""
        from containers.lightgbm import booster

        return booster.gain(model)

    def describe(self, model: LightGBMModel) -> str:
        """Return the parameters that the rows or inner folds chose."""
        chosen = {}
        if self.params.num_leaves == "auto":
            chosen["num_leaves"] = model.parameter("num_leaves")
        if self.params.rounds == "auto":
            chosen["rounds"] = str(model.booster.num_trees() // model.outputs)
        return ", ".join(f"{name}: {value}" for name, value in chosen.items())

    def save(self, model: LightGBMModel) -> bytes:
        """Write LightGBM's text format: ``lightgbm.Booster(model_file=...)`` reads it."""
        return model.text.encode()

    def load(self, content: bytes) -> LightGBMModel:
        """Read what ``save`` wrote."""
        from containers.lightgbm.booster import LightGBMModel

        return LightGBMModel(content.decode())
