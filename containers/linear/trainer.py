"""Linear models: elastic net for a regression, logistic regression for classes.

Importing this module loads neither scikit-learn nor numpy, so that a spec is validated without
them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from refeed import Features, ShapValues, Trainer, TrainerParams, TrainingData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from containers.linear.model import LinearModel

    Floats = NDArray[np.float64]


class LinearParams(TrainerParams):
    """Parameters of the penalty and of the solver.

    What is minimised is the mean loss over the rows (half the squared error of the target in units
    of its standard deviation, or the log loss), plus

        alpha * (l1_ratio * sum|b| + (1 - l1_ratio) / 2 * sum b^2)

    over the coefficients b of the scaled features. A mean, and units that cancel: so one alpha
    means the same for small and large partitions, and for targets in metres or in kilometres.
    """

    alpha: float = Field(default=0.01, gt=0)
    """Strength of the penalty. With l1_ratio 1 and alpha 1 or more, a regression is a constant,
    since features and target are scaled."""
    l1_ratio: float = Field(default=0.0, ge=0, le=1)
    """0 for ridge, 1 for lasso, between them for the elastic net."""
    max_iter: int = Field(default=10_000, ge=1)
    """Iterations, at most. A model that has not converged by then is an error: that partition is
    recorded as failed."""
    tol: float = Field(default=1e-6, gt=0, lt=1)
    """When to stop: the solver's own tolerance (LogisticRegression, ElasticNet of scikit-learn)."""


class LinearTrainer(Trainer[LinearParams, "LinearModel"]):
    """Linear models on scaled numbers and one-hot levels.

    Numbers: missing ones become the training median, then they are centred and scaled to unit
    variance; a column that is constant or all missing has no effect. Levels: one 0/1 term for each
    level of the partition and one for a missing value; an unseen level is all zeros. A class that
    the training rows lack gets a probability of at most half a row's share, 1 / (2 rows).
    """

    Params = LinearParams
    libraries: ClassVar[tuple[str, ...]] = ("scikit-learn",)
    preload: ClassVar[tuple[str, ...]] = ("containers.linear.solvers",)
    suffix: ClassVar[str] = ".json"

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
