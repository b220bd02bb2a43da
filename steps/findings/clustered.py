r"""Least squares in one partition with cluster-robust standard errors (CR2).

With the sums by group S_g = X_g' W_g X_g and t_g = X_g' W_g y_g of ``sums``, S = sum S_g and
R = S^-1/2, the coefficients are b = S^-1 sum t_g. Let M_g = R S_g R and F_g = (I - M_g)^-1/2. Group
g has the influence

    psi_g = R F_g R (t_g - S_g b)

on b, and the variance of a contrast c'b is sum_g (c'psi_g)^2. It is unbiased if errors are
independent with variance proportional to 1 / weight: CR2, the bias-reduced linearisation of Bell
and McCaffrey, Survey Methodology 28, 2002, in the form of Pustejovsky and Tipton, J. Bus. Econ.
Stat. 36, 2018, equations 5 to 8, with the Moore-Penrose inverse of I - M_g.

The degrees of freedom are Satterthwaite's under the same working model (their equation 11):
df = 2 E(V)^2 / Var(V). V = sum_g (q_g'y)^2 with q_g'q_h = [g = h] s_g - v_g'v_h, where, with
z = R c,

    v_g = M_g F_g z,   s_g = z' F_g M_g F_g z,

so that, with E(V) = sum_g (s_g - v_g'v_g),

    df = E(V)^2 / (sum_g [(s_g - v_g'v_g)^2 - (v_g'v_g)^2] + ||sum_g v_g v_g'||^2).

This is exact, and costs k^2 operations per group.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from steps.findings.sums import GroupSums
from steps.findings.tails import Floats
from steps.table.hashing import Hashes

FEWEST_GROUPS = 8
"""Fewest groups that an estimate is judged with."""

SPARE_GROUPS = 5
"""Fewest groups above the number of coefficients."""

LEAST_DF = 4.0
"""Fewest Satterthwaite degrees of freedom. Below 4, their approximation fails (Tipton, 2015)."""

_COLLINEAR = 1e-8
"""Smallest eigenvalue of the correlation matrix of the design."""

_DETERMINED = 1e-9
"""Distance of an eigenvalue of M_g to 1 at which the group alone determines a coefficient."""

_SHARE = 1e-6
"""Share of a contrast's variance that may rest on directions which one group determines."""

_ROUNDING = 1e-10
"""Size of the residuals, relative to the target, that counts as rounding error."""


_TINY = 1e-300


class NotJudged(StrEnum):
    """A reason why an estimate has no standard error."""

    FEW_GROUPS = "few_groups"
    COLLINEAR = "collinear"
    ONE_GROUP = "one_group"
    NO_SPREAD = "no_spread"
    NO_RANGE = "no_range"
    LOW_DF = "low_df"


@dataclass(frozen=True)
class Estimate:
    """A linear contrast of coefficients; its numbers are NaN if it is not judged.

    Attributes:
        value: the contrast, in units of the target (log-odds, a share) per unit of the design.
        standard_error: CR2, in the same units.
        df: Satterthwaite degrees of freedom.
        groups: labels of the groups, ascending; shape (groups,), or (0,) if not judged.
        influence: influence of each group; its sum of squares is the squared standard error.
        reason: why it is not judged; None if it is.
    """

    value: float
    standard_error: float
    df: float
    groups: Hashes
    influence: Floats
    reason: NotJudged | None = None

    def mapped(self, value: float, slope: float) -> Estimate:
        """Return a function of this estimate, given its value and derivative (delta method)."""
        return Estimate(
            value,
            abs(slope) * self.standard_error,
            self.df,
            self.groups,
            slope * self.influence,
            self.reason,
        )


@dataclass(frozen=True)
class ClusteredFit:
    """Coefficients of one partition and the influence of its groups on them.

    Attributes:
        groups: labels, ascending; shape (groups,).
        coefficients: shape (k,); NaN if not judged.
        influence: shape (groups, k).
        reason: why no contrast can be judged; None if some can.
    """

    groups: Hashes
    coefficients: Floats
    influence: Floats
    reason: NotJudged | None
    _root: Floats
    _leverage: Floats
    _spread: Floats
    _residual: float

    def coefficient(self, index: int) -> Estimate:
        """Return one coefficient."""
        return self.contrast(np.eye(len(self.coefficients))[index])

    def contrast(self, weights: Floats) -> Estimate:
        """Return the linear combination of coefficients with ``weights``; shape (k,)."""
        if self.reason is not None:
            return _not_judged(self.reason)
        z = self._root @ weights
        if not z.any():
            return _not_judged(NotJudged.NO_RANGE)
        df, share = self._satterthwaite(z)
        if share < 1 - _SHARE:
            return _not_judged(NotJudged.ONE_GROUP)
        influence = self.influence @ weights
        error = float(np.linalg.norm(influence))
        if error <= _ROUNDING * float(np.linalg.norm(z)) * self._residual:
            return _not_judged(NotJudged.NO_SPREAD)
        if df < LEAST_DF:
            return _not_judged(NotJudged.LOW_DF)
        return Estimate(float(self.coefficients @ weights), error, df, self.groups, influence)

    def _satterthwaite(self, z: Floats) -> tuple[float, float]:
        """Return the degrees of freedom of c'b, z = R c, and E(V) / Var(c'b)."""
        spread = self._spread @ z  # F_g z
        hit = np.einsum("gab,gb->ga", self._leverage, spread)  # v_g
        square = (hit**2).sum(axis=1)
        own = (spread * hit).sum(axis=1) - square
        expected = own.sum()
        crossed = hit.T @ hit
        variance = (own**2 - square**2).sum() + (crossed**2).sum()
        return float(expected**2 / max(variance, _TINY)), float(expected / (z @ z))


def fit(sums: GroupSums) -> ClusteredFit:
    """Fit one partition; see the module for the formulas.

    It is not judged with fewer than max(8, k + 5) groups, with collinear columns (as a constant
    feature next to an intercept), or if the residuals are all 0. Single contrasts are not judged if
    one group alone determines them, or with fewer than 4 degrees of freedom.
    """
    count = sums.score.shape[1]
    if len(sums.groups) < max(FEWEST_GROUPS, count + SPARE_GROUPS):
        return _unfitted(sums, NotJudged.FEW_GROUPS)
    total = sums.gram.sum(axis=0)
    root = _inverse_root(total)
    if root is None:
        return _unfitted(sums, NotJudged.COLLINEAR)
    coefficients = root @ (root.T @ sums.score.sum(axis=0))
    residual = (sums.score - sums.gram @ coefficients) @ root
    size = float(np.linalg.norm(residual))
    if size <= _ROUNDING * float(np.linalg.norm(sums.score @ root)):
        return _unfitted(sums, NotJudged.NO_SPREAD)
    leverage = root.T @ sums.gram @ root
    spread = _inverse_roots(leverage, sums)
    influence = np.einsum("gab,gb->ga", spread, residual) @ root.T
    return ClusteredFit(sums.groups, coefficients, influence, None, root.T, leverage, spread, size)


def _inverse_root(total: Floats) -> Floats | None:
    """Return R with R R' = S^-1, or None if columns are collinear.

    The unit diagonal makes the test of rank independent of the units of the columns.
    """
    diagonal = np.sqrt(np.diagonal(total))
    if not diagonal.all():
        return None
    values, vectors = np.linalg.eigh(total / np.outer(diagonal, diagonal))
    if values[0] < _COLLINEAR:
        return None
    root: Floats = vectors / np.sqrt(values) / diagonal[:, None]
    return root


def _inverse_roots(leverage: Floats, sums: GroupSums) -> Floats:
    """Return (I - M_g)^-1/2 of each group, with 0 for eigenvalues of I - M_g that are 0.

    A group of one row has a matrix of rank one with eigenvalue t = trace(M_g), so the root is
    I + ((1 - t)^-1/2 - 1) / t M_g: no decomposition is needed.
    """
    count = leverage.shape[1]
    spread = np.broadcast_to(np.eye(count), leverage.shape).copy()
    single = (sums.rows == 1) | (count == 1)
    trace = np.trace(leverage[single], axis1=1, axis2=2)
    slope = (_root_of(trace) - 1) / np.where(trace > 0, trace, 1.0)
    spread[single] += slope[:, None, None] * leverage[single]
    values, vectors = np.linalg.eigh(leverage[~single])
    spread[~single] = (vectors * _root_of(values)[:, None, :]) @ vectors.swapaxes(1, 2)
    return spread


def _root_of(eigenvalue: Floats) -> Floats:
    free = np.maximum(1 - eigenvalue, 0.0)
    return np.where(free > _DETERMINED, 1 / np.sqrt(np.maximum(free, _DETERMINED)), 0.0)


def _not_judged(reason: NotJudged) -> Estimate:
    nothing = np.empty(0, np.uint64)
    return Estimate(np.nan, np.nan, np.nan, nothing, np.empty(0), reason)


def _unfitted(sums: GroupSums, reason: NotJudged) -> ClusteredFit:
    count = sums.score.shape[1]
    empty = np.empty((0, count, count))
    missing = np.full(count, np.nan)
    return ClusteredFit(
        sums.groups[:0], missing, np.empty((0, count)), reason, empty, empty, empty, 0.0
    )
