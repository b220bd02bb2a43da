"""The loss that a trainer minimises, by which Refeed judges its models too. Light: no numpy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Floats: TypeAlias = "NDArray[np.float64]"
"""An array of float64. The alias is a string, so that numpy is not imported."""

Integers: TypeAlias = "NDArray[np.intp]"
"""An array of positions."""

Task = Literal["regression", "binary", "multiclass"]

Link = Literal["identity", "log", "logit", "softmax"]
"""Function of a prediction that gives the raw score. A raw score on the log scale is the logarithm
of the predicted target; a logit is the log-odds of the positive class."""

LossName = Literal[
    "squared_error",
    "absolute_error",
    "huber",
    "pinball",
    "poisson",
    "gamma",
    "tweedie",
    "log_loss",
]

ClassWeight: TypeAlias = Literal["balanced"] | Mapping[str, float] | None
"""``balanced``, a factor by class, or None. A class without a factor has the factor 1."""


@dataclass(frozen=True)
class Loss:
    """A loss, and the scale of the raw scores.

    Attributes:
        name: squared_error, absolute_error, huber, pinball, poisson, gamma or tweedie for a
            regression; log_loss for classes.
        link: how raw scores and predictions are related.
        parameter: level of pinball; width of huber, in units of the target; variance power of
            tweedie, above 1 and below 2. None for all others.
        class_weight: factors by which the rows of each class count in log_loss.
    """

    name: LossName
    link: Link
    parameter: float | None = None
    class_weight: ClassWeight = None

    @property
    def power(self) -> float | None:
        """The power p of a deviance: the variance is proportional to the mean to the power p."""
        powers = {"poisson": 1.0, "gamma": 2.0, "tweedie": self.parameter}
        return powers.get(self.name)

    def accepts(self, smallest: float) -> bool:
        """Return whether the loss is defined for a smallest target."""
        if self.power is None:
            return True
        return smallest > 0 if self.name == "gamma" else smallest >= 0

    def can_fit(self, target: Floats) -> bool:
        """Return whether rows with these targets have a constant prediction on the raw scale."""
        return self.link != "log" or bool(target.any())

    @property
    def domain(self) -> str:
        """The targets that the loss is defined for, in words."""
        if self.power is None:
            return "any number"
        return "a number above 0" if self.name == "gamma" else "0 or more"


LOSSES: dict[str, Loss] = {
    "regression": Loss("squared_error", "identity"),
    "binary": Loss("log_loss", "logit"),
    "multiclass": Loss("log_loss", "softmax"),
}
"""The loss of a trainer that names no other, by task."""


def class_factors(
    class_weight: ClassWeight, target: Floats, weight: Floats | None, classes: tuple[str, ...]
) -> Floats:
    """Return the factor by which the rows of each class count; shape (classes,).

    ``balanced`` gives all classes that occur the same total, and leaves the sum over all rows as it
    was: n / (k n_c) of scikit-learn's ``compute_class_weight``. A row of weight 2 counts as two.

    Args:
        class_weight: see ``ClassWeight``.
        target: positions in ``classes``; shape (rows,).
        weight: weight of each row; None if all rows count the same.
        classes: names of the classes.
    """
    import numpy as np  # noqa: PLC0415 - this module is on the light path

    if class_weight is None:
        return np.ones(len(classes))
    if class_weight == "balanced":
        counts = np.bincount(target.astype(np.intp), weights=weight, minlength=len(classes))
        equal = counts.sum() / (counts > 0).sum()
        factors: Floats = np.divide(equal, counts, out=np.ones(len(classes)), where=counts > 0)
        return factors
    return np.array([class_weight.get(name, 1.0) for name in classes], np.float64)
