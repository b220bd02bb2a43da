"""The parameters of the trainer. Neither scikit-learn nor numpy is loaded to validate them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from refeed import DataShape, Link, Loss, LossName, Problem, Task, TrainerParams


def _added(default: Any, **limits: Any) -> Any:  # noqa: ANN401 - as pydantic's Field
    """Return a field that was added later: at its default it changes no cache key and no table."""
    return Field(default=default, exclude_if=lambda value: value == default, **limits)


def _class_texts(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    """Return a mapping with classes as text: YAML reads 0 and true as a number and a boolean."""
    if not isinstance(value, Mapping):
        return value
    return {
        str(name).lower() if isinstance(name, bool) else str(name): each
        for name, each in value.items()
    }


Objective = Literal["l2", "l1", "huber", "quantile", "poisson", "gamma", "tweedie"]

_LOSSES: dict[Objective, tuple[LossName, Link]] = {
    "l2": ("squared_error", "identity"),
    "l1": ("absolute_error", "identity"),
    "huber": ("huber", "identity"),
    "quantile": ("pinball", "identity"),
    "poisson": ("poisson", "log"),
    "gamma": ("gamma", "log"),
    "tweedie": ("tweedie", "log"),
}


class LinearParams(TrainerParams):
    """Parameters of the loss, of the penalty and of the solver.

    What is minimised is the mean loss over the rows (half the squared error or deviance, the Huber,
    absolute or pinball loss, or the log loss), plus

        alpha * (l1_ratio * sum|b| + (1 - l1_ratio) / 2 * sum b^2)

    over the coefficients b of the scaled features. The target is in units of its standard
    deviation, or for a log link of its mean. A mean, and units that cancel: so one alpha means the
    same for small and large partitions, and for targets in metres or in kilometres.
    """

    objective: Objective = _added("l2")
    """Loss of a regression; a classification always takes the log loss. poisson, gamma and tweedie
    are generalized linear models with a log link."""
    quantile: float = _added(0.5, gt=0, lt=1)
    """Objective quantile: the level."""
    width: float | None = _added(None, gt=0)
    """Objective huber: the error, in units of the target, from which a row counts less. Required
    there."""
    tweedie_variance_power: float = _added(1.5, gt=1, lt=2)
    """Objective tweedie: power of the mean that the variance is proportional to."""
    class_weight: Annotated[
        Literal["balanced"] | dict[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] | None,
        BeforeValidator(_class_texts),
    ] = _added(None)
    """Classifications: a factor for the rows of each class, or `balanced`."""
    alpha: float = Field(default=0.01, gt=0)
    """Strength of the penalty. With l1_ratio 1 and alpha 1 or more, a regression is a constant,
    since features and target are scaled."""
    l1_ratio: float = Field(default=0.0, ge=0, le=1)
    """0 for ridge, 1 for lasso, between them for the elastic net. poisson, gamma and tweedie need
    0; l1 and quantile need 1."""
    max_iter: int = Field(default=10_000, ge=1)
    """Iterations, at most. A model that has not converged by then is an error: that partition is
    recorded as failed."""
    tol: float = Field(default=1e-6, gt=0, lt=1)
    """When to stop: the solver's own tolerance (LogisticRegression, ElasticNet of scikit-learn)."""

    def loss(self, task: Task) -> Loss:
        """Return the loss that is minimised, without the penalty."""
        if task != "regression":
            return Loss(
                "log_loss",
                "logit" if task == "binary" else "softmax",
                class_weight=self.class_weight,
            )
        name, link = _LOSSES[self.objective]
        parameters = {
            "huber": self.width,
            "quantile": self.quantile,
            "tweedie": self.tweedie_variance_power,
        }
        return Loss(name, link, parameters.get(self.objective))

    def conflicts(self, shape: DataShape) -> Iterator[Problem]:
        """Yield a problem for each parameter that does not fit the data or another parameter."""
        yield from self._without_effect(shape)
        if self.objective == "huber" and self.width is None and shape.task == "regression":
            hint = "Set the error, in units of the target, from which a row counts less."
            yield Problem("width", "required by objective huber, but missing", hint)
        needed = {"l1": 1, "quantile": 1, "poisson": 0, "gamma": 0, "tweedie": 0}
        ratio = needed.get(self.objective, self.l1_ratio)
        if self.l1_ratio != ratio and shape.task == "regression":
            kind = "L1" if ratio else "L2"
            message = (
                f"{self.l1_ratio:g} is not possible with objective {self.objective}, for which "
                f"scikit-learn has an {kind} penalty only"
            )
            yield Problem("l1_ratio", message, f"Set l1_ratio: {ratio}.")
        if isinstance(self.class_weight, Mapping) and shape.task != "regression":
            for name in self.class_weight:
                if name not in shape.classes:
                    near = difflib.get_close_matches(name, shape.classes, n=1)
                    hint = f"Did you mean {near[0]!r}?" if near else f"Known: {shape.classes}."
                    yield Problem(f"class_weight.{name}", f"there is no class {name!r}", hint)

    def _without_effect(self, shape: DataShape) -> Iterator[Problem]:
        regression = shape.task == "regression"
        needed = {
            "objective": (regression, "a regression: the task decides the loss of classes"),
            "quantile": (self.objective == "quantile", "objective quantile"),
            "width": (self.objective == "huber", "objective huber"),
            "tweedie_variance_power": (self.objective == "tweedie", "objective tweedie"),
            "class_weight": (not regression, "classes; dataset.weight weights rows"),
        }
        for name, (has_effect, condition) in needed.items():
            if getattr(self, name) != type(self).model_fields[name].default and not has_effect:
                yield Problem(name, f"has no effect without {condition}", "Remove it.")
