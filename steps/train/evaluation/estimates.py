r"""Estimates with influence values: one method for every metric and its standard error.

A metric of n held-out rows is an estimate v with an influence value u_i per row, such that
v(data) - v(truth) is nearly sum_i u_i. Then, with rows that come in independent groups g,

    SE(v)^2 = G / (G - 1) * sum_g (sum_{i in g} u_i)^2

(the linearised, cluster-robust variance: Liang and Zeger, Biometrika 73, 1986; for the AUC it is
that of DeLong et al., Biometrics 44, 1988, and Obuchowski, Biometrics 53, 1997). For a weighted
mean of row losses l_i it is u_i = w_i (l_i - v) / sum(w). A function f of v has the influence
f'(v) u_i (delta method).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from steps.table.hashing import Hashes
from steps.train.trainer import Floats

CONFIDENCE = 0.90
"""Coverage of the intervals of skill."""


_NOTHING = float(np.finfo(np.float64).eps)
"""Share of a loss that counts as rounding error."""


@dataclass(frozen=True)
class Estimate:
    """A number and its influence values.

    Attributes:
        value: None where it is undefined.
        influence: shape (rows,); None where the estimate has no known influence function.
        reason: why a value is missing.
    """

    value: float | None
    influence: Floats | None = None
    reason: str = ""

    def mapped(self, value: float, slope: float) -> Estimate:
        """Return a function of this estimate, given its value and derivative at ``self.value``."""
        influence = None if self.influence is None else slope * self.influence
        return Estimate(value, influence, self.reason)


def mean(losses: Floats, weight: Floats) -> Estimate:
    """Return the weighted mean of row losses; both of shape (rows,)."""
    total = weight.sum()
    value = float((weight * losses).sum() / total)
    return Estimate(value, weight * (losses - value) / total)


def ratio(above: Estimate, below: Estimate) -> Estimate:
    """Return the ratio of two losses of the same rows; undefined if ``below`` is negligible."""
    if above.value is None or below.value is None:
        return Estimate(None, None, above.reason or below.reason)
    if below.value <= _NOTHING * above.value:
        return Estimate(None, None, "constant_is_perfect")
    value = above.value / below.value
    if above.influence is None or below.influence is None:
        return Estimate(value, None, above.reason or below.reason)
    return Estimate(value, (above.influence - value * below.influence) / below.value)


def standard_error(estimate: Estimate, groups: Hashes) -> float | None:
    """Return the cluster-robust standard error; None where it is undefined (as with one group).

    Args:
        estimate: an estimate with the influence of each row.
        groups: a label per row; shape (rows,).
    """
    if estimate.influence is None:
        return None
    _, members = np.unique(groups, return_inverse=True)
    sums = np.bincount(members, weights=estimate.influence)
    count = len(sums)
    if count < 2:  # noqa: PLR2004 - one group has no spread
        return None
    return float(np.sqrt(count / (count - 1) * (sums**2).sum()))


def interval(value: float, error: float, groups: int) -> tuple[float, float]:
    """Return the 90 % interval: value -/+ error * Student's t of groups - 1 degrees of freedom."""
    reach = float(special.stdtrit(groups - 1, 0.5 + CONFIDENCE / 2)) * error
    return value - reach, value + reach
