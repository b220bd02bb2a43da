"""Estimates of one family over partitions: the typical one, heterogeneity, random effects.

All functions take arrays of shape (partitions,), and leave out partitions whose estimate, standard
error or degrees of freedom is NaN, or whose standard error is 0. Sums are taken over sorted terms,
so the order of partitions changes no byte of a result.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from steps.findings.tails import Floats, chi2_log_sf, normal_standard_error, z_of_t
from steps.table.hashing import Hashes

_HALF = 1e-12
"""Relative distance to half of the weight that counts as rounding error."""

_HALVINGS = 100


@dataclass(frozen=True)
class RandomEffects:
    """A mean over partitions whose true values have variance tau^2.

    Attributes:
        mean: weighted by 1 / (error^2 + tau2).
        standard_error: Hartung and Knapp's.
        df: degrees of freedom of the mean's t test: partitions - 1.
        tau2: variance between partitions, in squared units of the estimates.
    """

    mean: float
    standard_error: float
    df: int
    tau2: float


@dataclass(frozen=True)
class Heterogeneity:
    """The differences between the partitions of a family; NaN with fewer than two of them.

    Attributes:
        partitions: number of judged partitions.
        typical: weighted median of the estimates.
        z: deviation from the typical partition as a normal deviate; shape (partitions,), NaN where
            not judged.
        standard_error: the standard errors that belong to ``z``; same shape.
        q: Cochran's Q of normal deviates about the mean with weights 1 / error^2.
        log_p: logarithm of the p value of Q by chi-squared with partitions - 1 degrees of freedom.
        i2: share of the variance of estimates that is between partitions, 0 to 1.
        effects: random-effects mean and variance.
    """

    partitions: int
    typical: float
    z: Floats
    standard_error: Floats
    q: float
    log_p: float
    i2: float
    effects: RandomEffects


def judged(estimate: Floats, error: Floats, df: Floats) -> NDArray[np.bool_]:
    """Return which partitions can be judged; shape (partitions,)."""
    return np.isfinite(estimate) & np.isfinite(error) & (error > 0) & (df > 0)


def typical(estimate: Floats, error: Floats) -> float:
    """Return the median of the estimates with weights 1 / error; NaN without estimates.

    The mean moves with the partitions that differ, and moves all others against them. Between two
    values with half of the weight on each side, it is the middle, as in the ordinary median, so the
    order of equal values does not matter.
    """
    use = judged(estimate, error, np.ones_like(error))
    if not use.any():
        return float("nan")
    order = np.lexsort((error[use], estimate[use]))
    values = estimate[use][order]
    share = np.cumsum(1 / error[use][order])
    share /= share[-1]
    at = int(np.searchsorted(share, 0.5 - _HALF))
    if abs(share[at] - 0.5) <= _HALF and at + 1 < len(values):
        return float((values[at] + values[at + 1]) / 2)
    return float(values[at])


def cochran(estimate: Floats, error: Floats) -> tuple[float, float]:
    """Return Cochran's Q and the fixed-effect mean (Cochran, Biometrics 10, 1954)."""
    mean = _weighted_mean(estimate, error**-2)
    return _total(((estimate - mean) / error) ** 2), mean


def paule_mandel(estimate: Floats, error: Floats) -> float:
    """Return the variance between partitions, tau^2 >= 0 (Paule and Mandel, J. Res. NBS 87, 1982).

    It solves Q(tau^2) = partitions - 1, where Q has weights 1 / (error^2 + tau^2). Q falls with
    tau^2, and at the sample variance of the estimates it is at most partitions - 1, so bisection
    finds the root to the precision of a float.
    """
    df = len(estimate) - 1
    if df < 1 or cochran(estimate, error)[0] <= df:
        return 0.0
    centre = _total(estimate) / len(estimate)
    low, high = 0.0, _total((estimate - centre) ** 2) / df
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        above = cochran(estimate, np.sqrt(error**2 + middle))[0] > df
        low, high = (middle, high) if above else (low, middle)
    return (low + high) / 2


def random_effects(estimate: Floats, error: Floats, *, truncated: bool = True) -> RandomEffects:
    """Return the random-effects mean with the standard error of Hartung and Knapp.

    SE^2 = max(1, Q(tau^2) / (partitions - 1)) / sum(1 / (error^2 + tau^2)), to be used with
    Student's t of partitions - 1 degrees of freedom (Hartung and Knapp, Stat. Med. 20, 2001). The
    maximum keeps it from being smaller than that of a fixed effect (Roever, Knapp and Friede, BMC
    Med. Res. Methodol. 15, 2015); without ``truncated`` it is left out.

    Raises:
        ValueError: an estimate is not finite, or a standard error is not above 0.
    """
    if not judged(estimate, error, np.ones_like(error)).all():
        raise ValueError("An estimate has no standard error above 0. Select the judged partitions.")
    df = len(estimate) - 1
    if df < 1:
        alone = len(estimate) == 1
        values = (float(estimate[0]), float(error[0])) if alone else (np.nan, np.nan)
        return RandomEffects(*values, df=0, tau2=0.0)
    tau2 = paule_mandel(estimate, error)
    wide = np.sqrt(error**2 + tau2)
    q, mean = cochran(estimate, wide)
    factor = max(q / df, 1.0) if truncated else q / df
    return RandomEffects(mean, float(np.sqrt(factor / _total(wide**-2))), df, tau2)


def heterogeneity(estimate: Floats, error: Floats, df: Floats) -> Heterogeneity:
    """Compare the partitions of one family.

    Deviations become normal deviates by equal tails of Student's t. Q is the sum of their squares
    about the fixed-effect mean, and tau^2 has the standard errors that belong to them; with
    infinite ``df`` both are the textbook ones. I^2 = 1 - (partitions - 1) / Q: Higgins and
    Thompson, Stat. Med. 21, 2002.

    Args:
        estimate: one per partition; NaN where not judged.
        error: their standard errors.
        df: their degrees of freedom, which may be infinite.
    """
    use = judged(estimate, error, df)
    count = int(use.sum())
    b, s, f = estimate[use], error[use], df[use]
    centre = typical(b, s)
    z, normal = np.full(estimate.shape, np.nan), np.full(estimate.shape, np.nan)
    z[use], normal[use] = z_of_t((b - centre) / s, f), normal_standard_error(b - centre, s, f)
    if count < 2:  # noqa: PLR2004 - one partition differs from nothing
        effects = random_effects(b, s)
        return Heterogeneity(count, centre, z, normal, np.nan, np.nan, np.nan, effects)
    mean = cochran(b, s)[1]
    q = _total(z_of_t((b - mean) / s, f) ** 2)
    log_p = float(chi2_log_sf(q, count - 1))
    i2 = max(0.0, 1 - (count - 1) / q) if q > 0 else 0.0
    effects = random_effects(b, normal_standard_error(b - mean, s, f))
    return Heterogeneity(count, centre, z, normal, q, log_p, i2, effects)


def two_way(
    partitions: NDArray[np.integer], groups: Hashes, influence: Floats
) -> tuple[float, float, int]:
    """Return standard errors of a mean over all rows, clustered one way and two ways.

    Two ways is V_group + V_partition - V_both (Cameron, Gelbach and Miller, J. Bus. Econ. Stat. 29,
    2011, equation 2.11), and at least the larger of the first two: it treats partitions as a sample
    of partitions too.

    Args:
        partitions: the partition of each sum of influence values; shape (sums,).
        groups: its group, which may lie in many partitions; shape (sums,).
        influence: influence of the group's rows in the partition on the mean; shape (sums,).

    Returns:
        The standard error clustered by group, that clustered by both, and the degrees of freedom of
        the latter: the smaller number of clusters - 1. NaN with fewer than two clusters.
    """
    groups_in, group = np.unique(groups, return_inverse=True)
    parts_in, part = np.unique(partitions, return_inverse=True)
    both = np.unique(part * len(groups_in) + group, return_inverse=True)[1]
    by_group, by_part, by_both = (_clustered(member, influence) for member in (group, part, both))
    variance = max(by_group + by_part - by_both, by_group, by_part)
    df = min(len(groups_in), len(parts_in)) - 1
    return float(np.sqrt(by_group)), float(np.sqrt(variance)), df


def t_interval(value: float, error: float, df: float, coverage: float) -> tuple[float, float]:
    """Return the interval of Student's t around ``value``; ``df`` may be infinite."""
    reach = float(special.stdtrit(df, 0.5 + coverage / 2)) if np.isfinite(df) else 0.0
    reach = reach or float(special.ndtri(0.5 + coverage / 2))
    return value - reach * error, value + reach * error


def _clustered(members: NDArray[np.intp], influence: Floats) -> float:
    sums = np.bincount(members, weights=influence).astype(np.float64, copy=False)
    if len(sums) < 2:  # noqa: PLR2004 - one cluster has no spread
        return float("nan")
    return len(sums) / (len(sums) - 1) * _total(sums**2)


def _weighted_mean(values: Floats, weights: Floats) -> float:
    return _total(values * weights) / _total(weights)


def _total(terms: Floats) -> float:
    """Return the sum of terms, the same for any order of them."""
    return float(np.sort(terms).sum())
