"""Sums by group: all that clustered least squares needs to know of the rows of a partition.

The sums are the same bytes for any order of rows. Each value is rounded to a multiple of a power of
two that is so large that every partial sum is exact, and what the rounding leaves is added up in
the same way. Source: Demmel and Nguyen, "Fast reproducible floating-point summation", IEEE ARITH
21, 2013. Each of n values is off by at most (n 2^-51)^2 of the largest: 2e-19 for a million rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steps.findings.tails import Floats
from steps.table.hashing import Hashes

_DIGITS = 53
"""Binary digits of a float."""


@dataclass(frozen=True)
class GroupSums:
    """The weighted cross products of a design and a score, by group.

    Attributes:
        groups: distinct labels, ascending; shape (groups,).
        rows: number of rows; shape (groups,).
        gram: sum of w x x'; shape (groups, k, k).
        score: sum of x s; shape (groups, k).
    """

    groups: Hashes
    rows: NDArray[np.int64]
    gram: Floats
    score: Floats


def regression_sums(
    groups: Hashes, design: Floats, target: Floats, weight: Floats | None = None
) -> GroupSums:
    """Return the sums for (weighted) least squares of a target on a design.

    Args:
        groups: a label per row; shape (rows,).
        design: regressors, with a column of ones if an intercept is meant; shape (rows, k).
        target: residuals of the pooled model, in units of the target; shape (rows,).
        weight: positive row weights, as in weighted least squares; None: all 1. A weight of 2 gives
            the same result as a copy of the row in its group.
    """
    ones = np.ones(len(target)) if weight is None else weight
    return group_sums(groups, design, ones * target, ones)


def log_odds_sums(
    groups: Hashes,
    design: Floats,
    target: Floats,
    probability: Floats,
    weight: Floats | None = None,
) -> GroupSums:
    """Return the sums for the one-step estimate of a difference in log-odds.

    It is the first Newton step of a logistic regression with offset logit(p) from a coefficient of
    0: (X'WX)^-1 X'(y - p), W = diag(p (1 - p)), whose test is Rao's score test (Rao, Proc. Camb.
    Phil. Soc. 44, 1948). No row is divided by its own p (1 - p), so p may be 0 or 1.

    Args:
        groups: a label per row; shape (rows,).
        design: regressors; shape (rows, k).
        target: 0 or 1; shape (rows,).
        probability: predictions of the pooled model; shape (rows,).
        weight: row weights; None: all 1.
    """
    ones = np.ones(len(target)) if weight is None else weight
    curvature = ones * probability * (1 - probability)
    return group_sums(groups, design, ones * (target - probability), curvature)


def ratio_sums(groups: Hashes, numerator: Floats, denominator: Floats) -> GroupSums:
    """Return the sums for the ratio sum(numerator) / sum(denominator); both of shape (rows,).

    A ratio of sums is the weighted mean of numerator / denominator with weights ``denominator``
    (Cochran, Sampling Techniques, 1977, section 6.2), so it is a regression on a constant. For the
    gain of own models over the pooled model, the numerator is the difference of their losses and
    the denominator the loss of the constant prediction.
    """
    ones = np.ones((len(numerator), 1))
    return group_sums(groups, ones, numerator, denominator)


def group_sums(groups: Hashes, design: Floats, score: Floats, curvature: Floats) -> GroupSums:
    """Return sums of curvature x x' and of x score by group.

    Args:
        groups: a label per row; shape (rows,).
        design: the x of each row; shape (rows, k).
        score: derivative of the log-likelihood by the prediction; shape (rows,).
        curvature: minus its second derivative, not negative; shape (rows,).

    Raises:
        ValueError: a value is not finite, or a curvature is negative.
    """
    if not (np.isfinite(design).all() and np.isfinite(score).all()):
        raise ValueError("The design or the score has a value that is not finite. Drop its row.")
    if not (np.isfinite(curvature) & (curvature >= 0)).all():
        raise ValueError("A weight is negative or not finite. Weights must be 0 or more.")
    labels, members, rows = np.unique(groups, return_inverse=True, return_counts=True)
    count, size = design.shape[1], len(labels)
    gram, sums = np.empty((size, count, count)), np.empty((size, count))
    for a in range(count):
        sums[:, a] = _sums(members, design[:, a] * score, size)
        weighted = curvature * design[:, a]
        for b in range(a, count):
            gram[:, a, b] = gram[:, b, a] = _sums(members, weighted * design[:, b], size)
    return GroupSums(labels, rows, gram, sums)


def _sums(members: NDArray[np.intp], values: Floats, size: int) -> Floats:
    high = on_grid(values, len(values))
    low = values - high
    sums = np.bincount(members, weights=high, minlength=size).astype(np.float64, copy=False)
    return sums + np.bincount(members, weights=on_grid(low, len(low)), minlength=size)


def on_grid(values: Floats, terms: int) -> Floats:
    """Round values so that any sum of at most ``terms`` of them, of any signs, is exact.

    They become multiples of a power of two. The rounding error is at most terms * 2^-51 of the
    largest absolute value.
    """
    largest = float(np.abs(values).max(initial=0.0))
    if largest == 0:
        return values
    digits = int(np.frexp(largest)[1]) + int(np.ceil(np.log2(max(terms, 1)))) - _DIGITS + 1
    grid = np.ldexp(1.0, max(digits, -1021))
    rounded: Floats = np.rint(values / grid) * grid
    return rounded
