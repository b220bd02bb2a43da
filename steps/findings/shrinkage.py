"""Sizes after shrinkage: empirical Bayes for normal means with a unimodal prior.

The raw size of the largest of many estimates is too large (the winner's curse). With estimates
b_i ~ N(theta_i, s_i^2) and the prior theta ~ pi_0 delta_0 + sum_k pi_k N(0, sigma_k^2), whose
weights are estimated from all partitions, the posterior of theta_i is honest about that. Source:
Stephens, "False discovery rates: a new deal", Biostatistics 18, 2017, section 2.3: EM for the
weights, penalised so that pi_0 is estimated conservatively (10 pseudo-observations at 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from steps.findings.tails import Floats

NULL_WEIGHT = 10.0
"""Weight of the null component in the Dirichlet prior of the weights; that of the others is 1."""

TOLERANCE = 1e-7
"""Gain of the log-likelihood in one step, in nats, at which EM ends."""

_STEPS = 1000
_TINY = 1e-300
_MOST_SCALES = 60
_HALVINGS = 60


@dataclass(frozen=True)
class Posterior:
    """Posterior of each true value; shape (partitions,), NaN where not judged.

    Attributes:
        mean: posterior mean.
        low: 5 % quantile.
        high: 95 % quantile.
        second_moment: posterior mean of the square.
        null_share: estimated share of partitions with a true value of 0.
        steps: steps of EM.
    """

    mean: Floats
    low: Floats
    high: Floats
    second_moment: Floats
    null_share: float
    steps: int


@dataclass(frozen=True)
class _Mixture:
    """Posterior as a normal mixture per partition; the first component is 0; (partitions, k)."""

    weight: Floats
    mean: Floats
    deviation: Floats

    def below(self, value: Floats) -> Floats:
        """Return P(theta < value) of the components that are not 0; shape (partitions,)."""
        standard = (value[:, None] - self.mean[:, 1:]) / self.deviation[:, 1:]
        total: Floats = (self.weight[:, 1:] * special.ndtr(standard)).sum(axis=1)
        return total

    def quantile(self, level: float, reach: Floats) -> Floats:
        """Return a quantile within -/+ reach; exactly 0 where the mass at 0 holds it."""
        before = self.below(np.zeros(len(reach)))
        after = before + self.weight[:, 0]
        at_zero = (before < level) & (level <= after)
        positive = level > after
        low, high = np.where(positive, 0.0, -reach), np.where(positive, reach, 0.0)
        target = np.where(positive, level - self.weight[:, 0], level)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            short = self.below(middle) < target
            low, high = np.where(short, middle, low), np.where(short, high, middle)
        return np.where(at_zero, 0.0, (low + high) / 2)


def shrink(deviation: Floats, error: Floats) -> Posterior:
    """Return the posterior of each partition's true deviation from the typical partition.

    EM ends when a step gains less than 1e-7 nats of the penalised log-likelihood of all partitions.
    Partitions are put into order first, so their order changes no byte.

    Args:
        deviation: estimates less that of the typical partition; shape (partitions,).
        error: standard errors as normal deviates (``Heterogeneity.standard_error``); NaN or 0 where
            not judged.
    """
    use = np.flatnonzero(np.isfinite(deviation) & np.isfinite(error) & (error > 0))
    columns = np.full((4, *deviation.shape), np.nan)
    mean, low, high, square = columns
    if not len(use):
        return Posterior(mean, low, high, square, np.nan, 0)
    order = use[np.lexsort((error[use], deviation[use]))]
    b, s = deviation[order], error[order]
    scales = _scales(b, s)
    likelihood = _likelihood(b, s, scales)
    weights, steps = _expectation_maximisation(likelihood)
    share = likelihood * weights
    share /= share.sum(axis=1, keepdims=True)
    kept = scales**2 / (s[:, None] ** 2 + scales**2)
    mixture = _Mixture(share, kept * b[:, None], np.sqrt(kept) * s[:, None])
    reach = np.abs(b) + 10 * s
    mean[order] = (share * mixture.mean).sum(axis=1)
    low[order], high[order] = (mixture.quantile(level, reach) for level in (0.05, 0.95))
    square[order] = (share * (mixture.mean**2 + mixture.deviation**2)).sum(axis=1)
    return Posterior(mean, low, high, square, float(weights[0]), steps)


def _scales(b: Floats, s: Floats) -> Floats:
    """Return 0 and the scales sigma_k: a grid from min(s) / 10 in steps of sqrt(2).

    Its end is 2 sqrt(max(b^2 - s^2)), the default of Stephens' R package ashr.
    """
    least = s.min() / 10
    most = 2 * np.sqrt(max((b**2 - s**2).max(), 0.0))
    count = int(np.ceil(2 * np.log2(max(most / least, 8.0)))) + 1
    ratio = np.sqrt(2) if count <= _MOST_SCALES else (most / least) ** (1 / (_MOST_SCALES - 1))
    return np.append(0.0, least * ratio ** np.arange(min(count, _MOST_SCALES)))


def _likelihood(b: Floats, s: Floats, scales: Floats) -> Floats:
    """Return the likelihood of each component relative to the largest one; (partitions, k)."""
    variance = s[:, None] ** 2 + scales**2
    log = -0.5 * (b[:, None] ** 2 / variance + np.log(variance))
    likelihood: Floats = np.exp(log - log.max(axis=1, keepdims=True))
    return likelihood


def _expectation_maximisation(likelihood: Floats) -> tuple[Floats, int]:
    """Return the weights that maximise the penalised likelihood, (k,), and the steps taken.

    Each step is two of EM, an extrapolation from them that is kept if it is better, and one more of
    EM: SQUAREM with step length S3 of Varadhan and Roland, Scand. J. Stat. 35, 2008.
    """
    weights = np.full(likelihood.shape[1], 1 / likelihood.shape[1])
    weights, reached = _em_step(likelihood, weights)
    for step in range(1, _STEPS + 1):
        first, _ = _em_step(likelihood, weights)
        second, value = _em_step(likelihood, first)
        change, bend = first - weights, second - 2 * first + weights
        length = -max(_norm(change) / max(_norm(bend), _TINY), 1.0)
        jump = np.maximum(weights - 2 * length * change + length**2 * bend, 0)
        jumped, at_jump = _em_step(likelihood, jump / jump.sum())
        weights = jumped if at_jump > value else second
        if max(at_jump, value) - reached < TOLERANCE:
            return weights, step
        reached = max(at_jump, value)
    return weights, _STEPS


def _em_step(likelihood: Floats, weights: Floats) -> tuple[Floats, float]:
    """Return the weights after a step of EM, and the penalised log-likelihood before it."""
    marginal = likelihood @ weights
    with np.errstate(divide="ignore"):
        value = np.log(marginal).sum() + (NULL_WEIGHT - 1) * np.log(weights[0])
    new = weights * ((1 / np.maximum(marginal, _TINY)) @ likelihood)
    new[0] += NULL_WEIGHT - 1
    return new / new.sum(), float(value)


def _norm(vector: Floats) -> float:
    return float(np.linalg.norm(vector))
