"""The parameters of the trainer. Neither interpret nor numpy is loaded to validate them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from refeed import DataShape, Loss, Problem, Task, TrainerParams

_OBJECTIVES = {
    "rmse": "l2",
    "poisson_deviance": "poisson",
    "gamma_deviance": "gamma",
    "tweedie_deviance": "tweedie",
}
"""Objectives by interpret's names."""

_REFUSED = {
    "Refeed fits each model in one process with the seed evaluate.seed": ("n_jobs", "random_state"),
    "the model is a sum of one curve per feature, which makes its explanations exact": (
        *("interactions", "exclude", "max_interaction_bins", "interaction_smoothing_rounds"),
    ),
    "the section dataset names the features and their kinds": ("feature_names", "feature_types"),
    "bags are the inner folds that Refeed makes; set their number in bags": (
        *("validation_size", "inner_bags"),
    ),
    "a missing value is always a bin of its own": ("missing",),
    "a spec holds values only": ("callback",),
}


def _class_texts(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    """Return a mapping with classes as text: YAML reads 0 and true as a number and a boolean."""
    if not isinstance(value, Mapping):
        return value
    return {
        str(name).lower() if isinstance(name, bool) else str(name): each
        for name, each in value.items()
    }


class EBMParams(TrainerParams):
    """Parameters of interpret's explainable boosting machine, with its names.

    The defaults differ where interpret's suit one large table: fewer bags and bins, and no rounds
    of smoothing, since Refeed fits hundreds of small tables.
    """

    aliases: ClassVar[Mapping[str, str]] = {"outer_bags": "bags"}
    refused: ClassVar[Mapping[str, str]] = {
        name: reason for reason, names in _REFUSED.items() for name in names
    }

    objective: Annotated[
        Literal["l2", "poisson", "gamma", "tweedie"],
        BeforeValidator(lambda value: _OBJECTIVES.get(str(value), value)),  # any YAML value
    ] = "l2"
    """Loss of a regression; a classification always takes the log loss. poisson, gamma and tweedie
    predict on the log scale."""
    tweedie_variance_power: float = Field(default=1.5, gt=1, lt=2)
    """Objective tweedie: power of the mean that the variance is proportional to."""
    class_weight: Annotated[
        Literal["balanced"] | dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None,
        BeforeValidator(_class_texts),
    ] = None
    """Classifications: a factor for the rows of each class, or `balanced`."""
    monotone_constraints: dict[str, Literal[-1, 0, 1]] | None = Field(default=None, min_length=1)
    """Numeric features by name: 1 if the prediction may only increase with the feature, -1 if it
    may only decrease, such as `{price: -1}`."""
    learning_rate: float = Field(default=0.04, gt=0, le=1)
    """Shrinkage of each step."""
    max_rounds: int = Field(default=5000, ge=1, le=1_000_000)
    """Rounds of boosting, at most; each has one step per feature."""
    early_stopping_rounds: int = Field(default=50, ge=1)
    """Stop after so many steps without a smaller loss on the held-out rows of the bag."""
    early_stopping_tolerance: float = Field(default=1e-5, ge=0)
    """Smallest improvement of the loss that counts."""
    smoothing_rounds: int = Field(default=0, ge=0)
    """First rounds, which split at random; more give smoother curves and take longer."""
    bags: int = Field(default=4, ge=2, le=20)
    """Bags: the model is the mean of one model per inner fold, stopped early by its held-out
    rows."""
    max_bins: int = Field(default=64, ge=3, le=65_535)
    """Bins of a numeric feature, at most."""
    max_leaves: int = Field(default=2, ge=2, le=128)
    """Leaves of each step, at most."""
    min_samples_leaf: int = Field(default=4, ge=1)
    """Minimum number of training rows in a leaf."""
    min_hessian: float = Field(default=0.0, ge=0)
    """Minimum sum of the loss's second derivatives in a leaf."""
    reg_alpha: float = Field(default=0.0, ge=0)
    """L1 penalty on the leaf values."""
    reg_lambda: float = Field(default=0.0, ge=0)
    """L2 penalty on the leaf values."""
    max_delta_step: float = Field(default=0.0, ge=0)
    """Largest step; 0 for no limit."""
    gain_scale: float = Field(default=5.0, gt=0)
    """Factor of the gain of categories, which are chosen first if it is large."""
    min_cat_samples: int = Field(default=10, ge=1)
    """Minimum number of training rows of a level that is split on its own."""
    cat_smooth: float = Field(default=10.0, ge=0)
    """Smooths the statistics of rare levels."""
    greedy_ratio: float = Field(default=10.0, ge=0)
    """Steps on the best feature per cycle through all features."""
    cyclic_progress: bool = False
    """Let the steps of the cycles through all features change the model too."""

    def loss(self, task: Task) -> Loss:
        """Return the loss that is minimised."""
        if task != "regression":
            link: Literal["logit", "softmax"] = "logit" if task == "binary" else "softmax"
            return Loss("log_loss", link, class_weight=self.class_weight)
        if self.objective == "l2":
            return Loss("squared_error", "identity")
        power = self.tweedie_variance_power if self.objective == "tweedie" else None
        return Loss(self.objective, "log", power)

    def conflicts(self, shape: DataShape) -> Iterator[Problem]:
        """Yield a problem for each parameter that does not fit the data."""
        regression = shape.task == "regression"
        if self.objective != "l2" and not regression:
            message = "has no effect without a regression: the task decides the loss of classes"
            yield Problem("objective", message, "Remove it.")
        power = type(self).model_fields["tweedie_variance_power"].default
        if self.tweedie_variance_power != power and self.objective != "tweedie":
            message = "has no effect without objective tweedie"
            yield Problem("tweedie_variance_power", message, "Remove it.")
        if self.class_weight is not None and regression:
            message = "has no effect without classes; dataset.weight weights rows"
            yield Problem("class_weight", message, "Remove it.")
        elif isinstance(self.class_weight, Mapping):
            yield from _unknown("class_weight", self.class_weight, shape.classes, "class")
        monotone = self.monotone_constraints or {}
        yield from _unknown("monotone_constraints", monotone, shape.features, "feature")
        for name in monotone:
            if name in shape.categorical:
                message = f"{name!r} is categorical: its levels have no order"
                hint = "Remove it, or remove it from dataset.categorical."
                yield Problem(f"monotone_constraints.{name}", message, hint)
        if monotone and shape.task == "multiclass":
            message = "with three or more classes, a monotone score is not a monotone probability"
            yield Problem("monotone_constraints", message, "Remove it.")


def _unknown(
    where: str, names: Iterable[str], known: tuple[str, ...], kind: str
) -> Iterator[Problem]:
    """Yield a problem for each name that is not known."""
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known[:12])}."
            yield Problem(f"{where}.{name}", f"there is no {kind} {name!r}", hint)
