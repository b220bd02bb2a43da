"""Explainable boosting machines: a sum of one curve per feature, fitted by boosting.

Importing this module loads neither interpret nor numpy, so that a spec is validated without them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from containers.ebm.cost import fit_cost
from containers.ebm.params import EBMParams
from refeed import (
    DataShape,
    Features,
    FitCost,
    FitSize,
    Loss,
    Problem,
    ShapValues,
    Task,
    Trainer,
    TrainingData,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from containers.ebm.model import AdditiveModel

    Floats = NDArray[np.float64]


class EBMTrainer(Trainer[EBMParams, "AdditiveModel"]):
    """interpret's explainable boosting machine without interactions.

    The score is the intercept and one curve per feature (Lou, Caruana and Gehrke, KDD 2012). So
    curves and SHAP values are exact, and the curves of two partitions compare point by point. A
    missing value and each level have a value of their own; a level without training rows has the
    mean effect.
    """

    Params = EBMParams
    offset_tasks: ClassVar[frozenset[Task]] = frozenset({"regression", "binary"})
    libraries: ClassVar[tuple[str, ...]] = ("interpret-core",)
    preload: ClassVar[tuple[str, ...]] = ("containers.ebm.fitting",)
    suffix: ClassVar[str] = ".json"

    @property
    def inner_folds(self) -> int:
        """Number of bags."""
        return self.params.bags

    def loss(self, task: Task) -> Loss:
        """Return the loss that is minimised."""
        return self.params.loss(task)

    def conflicts(self, shape: DataShape) -> Iterator[Problem]:
        """Yield a problem for each parameter that does not fit the data."""
        return self.params.conflicts(shape)

    def fit_cost(self, size: FitSize) -> FitCost:
        """Return the predicted cost of a fit."""
        return fit_cost(self.params, size)

    def fit(self, data: TrainingData) -> AdditiveModel:
        """Fit one model per inner fold, stopped early by its held-out rows, and average them."""
        from containers.ebm import fitting

        return fitting.fit(data, self.params)

    def predict(self, model: AdditiveModel, features: Features) -> Floats:
        """Return raw scores; shape (rows, outputs)."""
        return model.scores(features.values)

    def response_curves(
        self, model: AdditiveModel, features: Features, column: int, points: Floats
    ) -> Floats:
        """Return curves by look-up: the column's effect is swapped for those of the points."""
        return model.curves(features.values, column, points)

    def shap_values(self, model: AdditiveModel, features: Features) -> ShapValues:
        """Return exact SHAP values, against the training rows, features taken as independent."""
        values, base = model.contributions(features.values)
        return ShapValues(values=values, base=base)

    def describe(self, model: AdditiveModel) -> str:
        """Return the rounds of boosting of each bag."""
        return f"rounds per bag: {', '.join(map(str, model.rounds))}"

    def save(self, model: AdditiveModel) -> bytes:
        """Return bins and scores of each feature, and the intercept, as JSON."""
        return model.to_json()

    def load(self, content: bytes) -> AdditiveModel:
        """Read what ``save`` wrote."""
        from containers.ebm.model import AdditiveModel

        return AdditiveModel.from_json(content)
