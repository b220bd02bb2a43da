"""Losses of a regression as means over rows, and the constant predictions that minimise them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import special

from steps.train.evaluation.estimates import Estimate, mean
from steps.train.loss import Floats

Score = Callable[[Floats, Floats, Floats], Estimate]
"""(target, prediction, weight) -> estimate. Prediction has shape (rows, outputs)."""

Constant = Callable[[Floats, Floats, int], Floats]
"""(training target, weight, classes) -> constant prediction, shape (outputs,)."""

_SMALLEST = 1e-200
"""Smallest mean of a deviance, which is infinite for a mean of 0 and a target above it."""

_EPSILON = float(np.finfo(np.float64).eps)


def mean_constant(target: Floats, weight: Floats, _classes: int) -> Floats:
    """Return the weighted mean. It minimises the squared error and every deviance."""
    if np.ptp(target) == 0:  # the mean of equal numbers may be off by a rounding error
        return target[:1]
    return np.array([(weight * target).sum() / weight.sum()])


def quantile_constant(quantile: float) -> Constant:
    """Return the weighted lower quantile: the smallest value with at least that share at or below.

    It minimises the pinball loss; at 0.5 it is the (lower) median, which minimises the MAE.
    """

    def constant(target: Floats, weight: Floats, _classes: int) -> Floats:
        order = np.argsort(target, kind="stable")
        reached = np.cumsum(weight[order])
        position = np.searchsorted(reached, quantile * reached[-1] * (1 - _EPSILON))
        best: Floats = target[order][[min(int(position), len(target) - 1)]]
        return best

    return constant


def deviance(power: float) -> Score:
    """Return the mean deviance of a Tweedie distribution: its unit deviance, weighted.

    The variance is proportional to the mean m to the power p. The unit deviance of a target y is

        2 (y log(y / m) - y + m)                                             p = 1, Poisson
        2 (log(m / y) + y / m - 1)                                           p = 2, gamma
        2 (y^(2-p) / ((1-p)(2-p)) - y m^(1-p) / (1-p) + m^(2-p) / (2-p))     1 < p < 2

    (Jorgensen, The Theory of Dispersion Models, 1997; as ``sklearn.metrics.mean_tweedie_deviance``
    computes it).
    """

    def score(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
        return mean(2 * half(target, np.maximum(prediction[:, 0], _SMALLEST)), weight)

    def half(y: Floats, m: Floats) -> Floats:
        if power == 1:
            return np.asarray(special.xlogy(y, y / m) - y + m)
        if power == 2:  # noqa: PLR2004 - the gamma distribution
            return np.asarray(np.log(m / y) + y / m - 1)
        first, second = 1 - power, 2 - power
        return np.asarray(y**second / (first * second) - y * m**first / first + m**second / second)

    return score


def huber(width: float) -> tuple[Score, Constant]:
    """Return the mean Huber loss, and its constant (Huber, Ann. Math. Statist. 35, 1964).

    The loss of an error e is e^2 / 2 up to the width d, and d (|e| - d / 2) beyond it.
    """

    def score(target: Floats, prediction: Floats, weight: Floats) -> Estimate:
        return mean(special.huber(width, target - prediction[:, 0]), weight)

    def constant(target: Floats, weight: Floats, _classes: int) -> Floats:
        """Return the c at which the sum of the clipped errors, clip(y - c, -d, d), is zero.

        The sum falls with c, and is linear between the points y - d and y + d.
        """

        def pull(c: float) -> float:
            return float((weight * np.clip(target - c, -width, width)).sum())

        points = np.unique([target - width, target + width])
        low, high = 0, len(points) - 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if pull(points[middle]) > 0 else (low, middle)
        left, right = pull(points[low]), pull(points[high])
        share = left / (left - right) if left > right else 0.5
        return np.array([points[low] + share * (points[high] - points[low])])

    return score, constant
