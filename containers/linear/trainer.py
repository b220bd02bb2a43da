"""Linear models: elastic net and generalized linear models, logistic regression for classes.

Importing this module loads neither scikit-learn nor numpy, so that a spec is validated without
them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from containers.linear.cost import fit_cost
from containers.linear.params import LinearParams
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

    from containers.linear.model import LinearModel

    Floats = NDArray[np.float64]


class LinearTrainer(Trainer[LinearParams, "LinearModel"]):
    """Linear models on scaled numbers and one-hot levels.

    Numbers: missing ones become the training median, then they are centred and scaled to unit
    variance; a column that is constant or all missing has no effect. Levels: one 0/1 term for each
    level of the partition and one for a missing value; an unseen level is all zeros. A class that
    the training rows lack gets a probability of at most half a row's share, 1 / (2 rows).
    """

    Params = LinearParams
    offset_tasks: ClassVar[frozenset[Task]] = frozenset({"regression"})
    libraries: ClassVar[tuple[str, ...]] = ("scikit-learn",)
    preload: ClassVar[tuple[str, ...]] = ("containers.linear.solvers",)
    suffix: ClassVar[str] = ".json"

    def loss(self, task: Task) -> Loss:
        """Return the loss that is minimised, without the penalty."""
        return self.params.loss(task)

    def conflicts(self, shape: DataShape) -> Iterator[Problem]:
        """Yield a problem for each parameter that does not fit the data or another parameter."""
        return self.params.conflicts(shape)

    def fit_cost(self, size: FitSize) -> FitCost:
        """Return the predicted cost of a fit."""
        return fit_cost(size)

    def fit(self, data: TrainingData) -> LinearModel:
        """Find the coefficients.

        Raises:
            NotConvergedError: the solver reached ``max_iter``.
        """
        from containers.linear import solvers

        return solvers.fit(data, self.params)

    def predict(self, model: LinearModel, features: Features) -> Floats:
        """Return raw scores; shape (rows, outputs)."""
        return model.scores(features.values)

    def response_curves(
        self, model: LinearModel, features: Features, column: int, points: Floats
    ) -> Floats:
        """Return curves in closed form: the column's effect is swapped for those of the points."""
        return model.curves(features.values, column, points)

    def shap_values(self, model: LinearModel, features: Features) -> ShapValues:
        """Return SHAP values in closed form, against the mean of the training rows.

        Features are taken as independent.
        """
        values, base = model.contributions(features.values)
        return ShapValues(values=values, base=base)

    def save(self, model: LinearModel) -> bytes:
        """Return coefficients, intercepts, medians, scales and levels as JSON."""
        return model.to_json()

    def load(self, content: bytes) -> LinearModel:
        """Read what ``save`` wrote."""
        from containers.linear.model import LinearModel

        return LinearModel.from_json(content)
