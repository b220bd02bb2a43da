"""Tail probabilities on the log scale, and t values as normal deviates.

A probability below 1e-308 is 0 as a float. Its logarithm is not, so a t value of 40 keeps its rank.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

Floats = NDArray[np.float64]
Term = Floats | float

_REPRESENTABLE = 1e-290
"""Smallest probability whose logarithm is taken directly."""

_TINY = 1e-300
_STEPS = 3000
_PRECISION = 1e-15


def normal_log_sf(z: ArrayLike) -> Floats:
    """Return log P(Z > z) of a standard normal Z."""
    log: Floats = special.log_ndtr(-np.asarray(z, np.float64))
    return log


def normal_deviate(log_probability: ArrayLike) -> Floats:
    """Return z with log P(Z > z) equal to ``log_probability``; the inverse of ``normal_log_sf``."""
    deviate: Floats = -special.ndtri_exp(np.asarray(log_probability, np.float64))
    return deviate


def two_sided(z: ArrayLike) -> Floats:
    """Return P(|Z| > |z|) of a standard normal Z; 0 beyond |z| of about 38, NaN for NaN."""
    probability: Floats = 2 * special.ndtr(-np.abs(np.asarray(z, np.float64)))
    return probability


def t_log_sf(t: ArrayLike, df: ArrayLike) -> Floats:
    """Return log P(T > t) for t >= 0 of Student's t; ``df`` may be infinite.

    Where the probability is too small for a float, it is I_x(df / 2, 1 / 2) / 2 with
    x = df / (df + t^2), by the continued fraction of the incomplete beta function (DLMF 8.17.22).
    """
    t, df = np.broadcast_arrays(np.asarray(t, np.float64), np.asarray(df, np.float64))
    log: Floats = np.array(normal_log_sf(t))
    finite = np.array(np.isfinite(df))
    probability = special.stdtr(df[finite], -t[finite])
    with np.errstate(divide="ignore"):
        log[finite] = np.log(probability)
    far = finite.copy()
    far[finite] = probability < _REPRESENTABLE
    if far.any():
        log[far] = _log_beta_tail(t[far], df[far]) - np.log(2)
    return log


def _log_beta_tail(t: Floats, df: Floats) -> Floats:
    """Return log I_x(df / 2, 1 / 2) at x = df / (df + t^2)."""
    a, b, ratio = df / 2, 0.5, t**2 / df
    log_x = -np.log1p(ratio)
    x, log_rest = np.exp(log_x), np.log(ratio) + log_x  # log_rest = log(1 - x)
    front = a * log_x + b * log_rest - special.betaln(a, b) - np.log(a)

    def term(step: int) -> tuple[Term, Term]:
        if step == 1:
            return np.ones_like(x), 1.0
        m = (step - 1) // 2
        if step % 2:
            return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)), 1.0
        return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)), 1.0

    log: Floats = front + np.log(_fraction(term, x))
    return log


def chi2_log_sf(x: ArrayLike, df: ArrayLike) -> Floats:
    """Return log P(X > x) of chi-squared; ``df`` > 0 may be fractions.

    Where the probability is too small for a float, by Legendre's continued fraction of the
    incomplete gamma function (DLMF 8.9.2).
    """
    x, df = np.broadcast_arrays(np.asarray(x, np.float64), np.asarray(df, np.float64))
    probability = special.chdtrc(df, x)
    with np.errstate(divide="ignore"):
        log: Floats = np.array(np.log(probability))
    far = probability < _REPRESENTABLE
    if far.any():
        log[far] = _log_gamma_tail(df[far] / 2, x[far] / 2)
    return log


def _log_gamma_tail(a: Floats, x: Floats) -> Floats:
    """Return log Q(a, x) of the incomplete gamma function for x > a + 1."""

    def term(step: int) -> tuple[Term, Term]:
        if step == 1:
            return np.ones_like(x), x + 1 - a
        n = step - 1
        return -n * (n - a), x + 2 * n + 1 - a

    front: Floats = a * np.log(x) - x - special.gammaln(a)
    return front + np.log(_fraction(term, x))


def z_of_t(t: ArrayLike, df: ArrayLike) -> Floats:
    """Return the normal deviate with the same tail probability as Student's t; NaN stays NaN.

    Args:
        t: estimates in units of their standard errors.
        df: degrees of freedom; broadcast against ``t``. Infinite ones leave ``t`` unchanged.
    """
    t, df = np.broadcast_arrays(np.asarray(t, np.float64), np.asarray(df, np.float64))
    z: Floats = np.array(np.copysign(normal_deviate(t_log_sf(np.abs(t), df)), t))
    z[np.isnan(df)] = np.nan
    return np.where(np.isinf(df), t, z)


def normal_standard_error(deviation: Floats, error: Floats, df: Floats) -> Floats:
    """Return the standard error with which ``deviation`` has its t test's p value as a normal.

    That is |deviation| / |z|. At a deviation of 0 it is the limit, ``error`` times the ratio of the
    densities of the normal and of Student's t at 0. All arrays have one shape; NaN stays NaN.
    """
    t = deviation / error
    near = np.abs(t) < 1e-6  # noqa: PLR2004 - z / t is constant there to 12 digits
    t = np.where(near, 1.0, t)
    with np.errstate(invalid="ignore"):
        log_density = special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - 0.5 * np.log(df / 2)
    at_zero = np.where(np.isinf(df), 1.0, np.exp(-log_density))
    return error * np.where(near, at_zero, t / z_of_t(t, df))


def _fraction(term: Callable[[int], tuple[Term, Term]], shape: Floats) -> Floats:
    """Evaluate a_1 / (b_1 + a_2 / (b_2 + ...)) by the modified Lentz method.

    Args:
        term: returns a_k and b_k, k from 1.
        shape: an array of the shape of the result.

    Source: Thompson and Barnett, J. Comput. Phys. 64, 1986.
    """
    value = np.full_like(shape, _TINY)
    above, below = value.copy(), np.zeros_like(shape)
    for step in range(1, _STEPS):
        a, b = term(step)
        below = 1 / _not_zero(b + a * below)
        above = _not_zero(b + a / above)
        change = above * below
        value *= change
        if np.abs(change - 1).max() < _PRECISION:
            break
    return value


def _not_zero(values: Floats) -> Floats:
    return np.where(values == 0, _TINY, values)
