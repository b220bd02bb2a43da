"""Gradient-boosted trees with LightGBM.

Importing this module loads neither LightGBM nor numpy, so that a spec is validated without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from refeed import Features, ShapValues, Trainer, TrainerParams, TrainingData

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from containers.lightgbm.booster import LightGBMModel

    Floats = NDArray[np.float64]


class LightGBMParams(TrainerParams):
    """Parameters of LightGBM, with its names and defaults, except ``rounds`` (num_iterations)."""

    num_leaves: int = Field(default=31, ge=2, le=131_072)
    """Leaves per tree, at most: the main control of a tree's complexity."""
    learning_rate: float = Field(default=0.1, gt=0, le=1)
    """Shrinkage of each tree; smaller values need more rounds."""
    rounds: int = Field(default=100, ge=1, le=100_000)
    """Boosting rounds (LightGBM: num_iterations); each adds one tree, or one per class."""
    max_depth: int = Field(default=-1, ge=-1, le=1000)
    """Depth of a tree, at most; -1 or 0 for no limit but num_leaves."""
    min_data_in_leaf: int = Field(default=20, ge=0)
    """Minimum number of training rows in a leaf. Below twice this many rows nothing can be split,
    and the model is a constant: lower it for small partitions."""
    min_sum_hessian_in_leaf: float = Field(default=1e-3, ge=0)
    """Minimum sum of the loss's second derivatives in a leaf."""
    feature_fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of the features that each tree may use."""
    bagging_fraction: float = Field(default=1.0, gt=0, le=1)
    """Share of the rows that a tree is grown on; needs bagging_freq above 0."""
    bagging_freq: int = Field(default=0, ge=0)
    """Draw the rows again after this many rounds; 0 for no bagging."""
    lambda_l1: float = Field(default=0.0, ge=0)
    """L1 penalty on the leaf values."""
    lambda_l2: float = Field(default=0.0, ge=0)
    """L2 penalty on the leaf values."""
    min_gain_to_split: float = Field(default=0.0, ge=0)
    """Minimum gain of a split."""
    max_bin: int = Field(default=255, ge=2, le=65_535)
    """Bins of a numeric feature, at most."""
    min_data_in_bin: int = Field(default=3, ge=1)
    """Minimum number of training rows in a bin."""
    extra_trees: bool = False
    """Try one random threshold per feature and node instead of all."""
    path_smooth: float = Field(default=0.0, ge=0)
    """Pulls the values of small leaves towards their parent's."""
    min_data_per_group: int = Field(default=100, ge=1)
    """Minimum number of training rows per level group in a split of sorted levels."""
    cat_smooth: float = Field(default=10.0, ge=0)
    """Smooths the statistics of rare levels."""
    cat_l2: float = Field(default=10.0, ge=0)
    """L2 penalty of categorical splits."""
    max_cat_threshold: int = Field(default=32, ge=1)
    """Levels that a categorical split sends one way, at most."""
    max_cat_to_onehot: int = Field(default=4, ge=1)
    """A feature with at most this many levels is split one level against the others."""
    objective: Literal["l2", "l1", "huber", "quantile"] = "l2"
    """Loss of a regression; a classification always takes the log loss."""
    alpha: float = Field(default=0.9, gt=0, lt=1)
    """Level of objective quantile, or the width of objective huber."""


class LightGBMTrainer(Trainer[LightGBMParams, "LightGBMModel"]):
    """LightGBM on one thread: the same data and parameters give the same bytes."""

    Params = LightGBMParams
    libraries: ClassVar[tuple[str, ...]] = ("lightgbm",)
    preload: ClassVar[tuple[str, ...]] = ("containers.lightgbm.booster",)
    suffix: ClassVar[str] = ".txt"

    def fit(self, data: TrainingData) -> LightGBMModel:
        """Train on all rows; the model knows columns by position, not by name."""
        from containers.lightgbm import booster

        options = self.params.model_dump(exclude={"objective", "rounds"})
        return booster.fit(data, options, self.params.objective, self.params.rounds)

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

    def save(self, model: LightGBMModel) -> bytes:
        """Write LightGBM's text format: ``lightgbm.Booster(model_file=...)`` reads it."""
        return model.text.encode()

    def load(self, content: bytes) -> LightGBMModel:
        """Read what ``save`` wrote."""
        from containers.lightgbm.booster import LightGBMModel

        return LightGBMModel(content.decode())
