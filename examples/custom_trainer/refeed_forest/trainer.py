"""A random forest as a Refeed trainer: ``fit`` and ``predict``, all else is Refeed's.

Folds, metrics with their constants and intervals, permutation importance and partial dependence
come with it. It has no ``shap_values``, so the SHAP tables stay empty for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from refeed import Features, Trainer, TrainerParams, TrainingData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

SMALLEST_PROBABILITY = 1e-6
"""A forest may be certain; its log-odds must stay finite."""


class ForestParams(TrainerParams):
    """Parameters of the forest."""

    trees: int = Field(default=100, ge=1, le=10_000)
    """Trees in the forest."""
    min_rows_in_leaf: int = Field(default=5, ge=1)
    """Training rows in a leaf at the least."""


class ForestTrainer(Trainer[ForestParams, Any]):
    """scikit-learn's random forest; it handles missing values, and takes codes as numbers."""

    Params = ForestParams
    libraries: ClassVar[tuple[str, ...]] = ("scikit-learn",)
    preload: ClassVar[tuple[str, ...]] = ("sklearn.ensemble",)

    def fit(self, data: TrainingData) -> Any:  # noqa: ANN401 - one of two scikit-learn classes
        """Fit a regressor or a classifier; one thread, since Refeed trains partitions at once."""
        # Imported on use: `refeed validate --spec-only` reads the parameters without scikit-learn.
        from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor  # noqa: PLC0415

        kind = RandomForestRegressor if data.task == "regression" else RandomForestClassifier
        model = kind(
            n_estimators=self.params.trees,
            min_samples_leaf=self.params.min_rows_in_leaf,
            random_state=data.seed,
            n_jobs=1,
        )
        model.fit(data.features.values, data.target, sample_weight=data.weight)
        model.refeed_outputs_ = data.outputs  # a fold may lack a class that the partition has
        return model

    def predict(self, model: Any, features: Features) -> Floats:  # noqa: ANN401 - see fit
        """The target, the log-odds of the positive class, or one log-probability per class."""
        import numpy as np  # noqa: PLC0415 - see fit

        if not hasattr(model, "predict_proba"):
            return np.asarray(model.predict(features.values))[:, None]
        seen = model.predict_proba(features.values)
        found = np.zeros((features.rows, max(2, model.refeed_outputs_)))
        found[:, model.classes_.astype(int)] = seen
        likely = np.clip(found, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
        if model.refeed_outputs_ == 1:
            return np.asarray(np.log(likely[:, 1:]) - np.log(likely[:, :1]))
        return np.asarray(np.log(likely))
