"""The spec's parts about trainer, evaluation and explanation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, model_validator

from steps.config import SpecPart
from steps.errors import Problem, did_you_mean


class TrainerConfig(SpecPart):
    """The plug-in that fits the models, and its parameters."""

    name: str = "lightgbm"
    """Name of an installed trainer; `refeed trainers` lists them."""
    params: dict[str, Any] = Field(default_factory=dict)
    """The trainer's own parameters; `refeed trainers NAME` documents them."""


class EvaluateConfig(SpecPart):
    """How rows are held out, so that every metric is about rows that the model has not seen."""

    method: Literal["kfold", "time", "holdout"] = "kfold"
    """kfold: every row is held out once. time: folds are ordered blocks of the column `time`, each
    predicted from the blocks before it. holdout: one random part is held out."""
    folds: int = Field(default=5, ge=2, le=50)
    """Folds of kfold, or predicted blocks of time."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Seed of the folds and of the trainer."""
    group: str | None = None
    """Rows with the same value of this column, such as the readings of one day, are in the same
    fold. The standard errors are clustered by it too."""
    time: str | None = None
    """The column that orders the blocks of method time."""
    fraction: float = Field(default=0.2, gt=0, lt=1)
    """Share of groups (or of rows) that method holdout holds out."""
    quantile: float = Field(default=0.5, gt=0, lt=1)
    """Level of the pinball metric of a regression; at 0.5 it is half the MAE. If the trainer
    predicts a quantile, its level is used."""

    @model_validator(mode="after")
    def _time_has_a_column(self) -> EvaluateConfig:
        if self.method == "time" and self.time is None:
            raise ValueError("method time needs the column that orders the rows: time: <column>")
        return self


class PartialDependenceConfig(SpecPart):
    """Partial dependence of the predictions on each feature."""

    features: Literal["all"] | list[str] = "all"
    """Features with a curve, or all."""
    grid: int = Field(default=20, ge=2, le=100)
    """Values per feature, at most; all partitions share the grid."""
    scale: Literal["probability", "raw"] = "probability"
    """For a classifier: the mean probability per class, or the mean raw margin (log-odds). For a
    loss with a log link, such as poisson: the mean prediction, or the mean of its logarithm."""


class ExplainConfig(SpecPart):
    """Explanations of each model, computed on rows that it has not seen."""

    partial_dependence: PartialDependenceConfig | Literal[False] = PartialDependenceConfig()
    """Partial dependence, or false for none."""
    shap: bool = True
    """SHAP values: per feature, and against the feature's value."""
    permutation_importance: int = Field(default=1, ge=0, le=100)
    """Shuffles per feature and fold; 0 for none. More shuffles make importance more stable."""
    rows: int = Field(default=1000, ge=10, le=1_000_000)
    """Held-out rows to explain per partition, at most: those with the smallest identity hashes."""

    def unknown_features(self, features: Sequence[str]) -> list[Problem]:
        """Return a problem for each feature that is explained, but that the models do not use."""
        curves = self.partial_dependence.features if self.partial_dependence else []
        return [
            Problem(
                f"explain.partial_dependence.features.{i}",
                f"{name!r} is not a feature",
                f"{did_you_mean(name, features)}The features are {', '.join(features)}.",
            )
            for i, name in enumerate([] if curves == "all" else curves)
            if name not in features
        ]


class BaseConfig(SpecPart):
    """The base model: one model of all partitions, with which their own models are compared.

    Also written as its mode alone, such as ``base: none``.
    """

    mode: Literal["none", "compare", "auto"] = "none"
    """none: no base model. compare: say for each partition whether its own model predicts better
    than the base model. auto: compare if at least 10 partitions have enough rows."""
    max_rows: int = Field(default=500_000, ge=1000, le=10_000_000)
    """Rows that the base model is fitted on, at most: those with the smallest hashes of their
    identity. Whatever the number, a base model of few rows per partition predicts worse."""

    @model_validator(mode="before")
    @classmethod
    def _of_mode(cls, value: Any) -> Any:  # noqa: ANN401 - as pydantic passes it
        return {"mode": value} if isinstance(value, str) else value

    def resolve(self, partitions: int) -> dict[str, Any]:
        """Return the settings of a run; empty if it has no base model.

        Args:
            partitions: number of partitions that have enough rows.
        """
        if self.mode == "none" or (self.mode == "auto" and partitions < _FEWEST_PARTITIONS):
            return {}
        return {"mode": "compare", "max_rows": self.max_rows}


_FEWEST_PARTITIONS = 10
"""Partitions from which on mode auto compares with a base model: a few models are compared by eye,
and a model of a few partitions is hardly more general than theirs."""
