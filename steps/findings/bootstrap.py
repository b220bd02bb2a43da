"""Heterogeneity over partitions that share groups: a wild cluster score bootstrap.

Where all partitions share a day's weather, their errors are correlated, and Cochran's Q is not
chi-squared. Each draw gives every group a random sign, the same in all partitions, and multiplies
the influence of the group by it (Kline and Santos, J. Econometr. Methods 1, 2012), so what
partitions share is kept. No model is fitted again.

Signs are bits of a hash of group and seed, and influence values are rounded so that their sums are
exact: the order of rows, groups or partitions changes no byte of a result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steps.findings.sums import on_grid
from steps.findings.tails import Floats, chi2_log_sf
from steps.table.hashing import Hashes, seeded

DRAWS = 199

_BITS = 64
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Member:
    """A judged partition of a family.

    Attributes:
        standard_error: of its estimate, above 0.
        groups: distinct labels, the same for a group in all partitions; shape (groups,).
        influence: influence of each group on the estimate; shape (groups,).
    """

    standard_error: float
    groups: Hashes
    influence: Floats


def signs(groups: Hashes, seed: int | str, draws: int = DRAWS) -> NDArray[np.int8]:
    """Return a random sign per draw and group, from the group's label alone; (draws, groups)."""
    blocks = -(-draws // _BITS)
    hashes = np.stack([seeded(groups, f"{seed}:{block}") for block in range(blocks)])
    bits = np.unpackbits(
        hashes.astype("<u8").view(np.uint8).reshape(blocks, len(groups), 8), axis=2
    )
    by_draw = bits.transpose(0, 2, 1).reshape(blocks * _BITS, len(groups))[:draws]
    return 2 * by_draw.astype(np.int8) - 1


def null_q(members: Sequence[Member], seed: int | str, draws: int = DRAWS) -> Floats:
    """Return Cochran's Q of each draw under the hypothesis of no differences; shape (draws,)."""
    error = np.array([member.standard_error for member in members])
    deviation = np.stack([_drawn(member, seed, draws) for member in members], axis=1)
    weight = error**-2
    mean = np.sort(deviation * weight, axis=1).sum(axis=1) / np.sort(weight).sum()
    q: Floats = np.sort(((deviation - mean[:, None]) / error) ** 2, axis=1).sum(axis=1)
    return q


def log_p(q: float, members: Sequence[Member], seed: int | str, draws: int = DRAWS) -> float:
    """Return the logarithm of the p value of Q by a widened chi-squared distribution.

    The bootstrapped Q of k partitions has the mean m and the variance v, and is read as c times a
    chi-squared variable with (k - 1) / c degrees of freedom, c = v / (2 m) (Satterthwaite,
    Biometrics Bull. 2, 1946). c is at least 1, and the p value at least that of chi-squared with
    k - 1 degrees of freedom: the bootstrap widens and never narrows. NaN with fewer than two
    partitions.

    Args:
        q: Cochran's Q of normal deviates.
        members: the judged partitions.
        seed: seed of the signs.
        draws: number of draws, at least 2.
    """
    df = len(members) - 1
    if df < 1:
        return float("nan")
    drawn = null_q(members, seed, draws)
    widening = max(float(drawn.var() / (2 * drawn.mean())), 1.0)
    wide = float(chi2_log_sf(q / widening, df / widening))
    return max(wide, float(chi2_log_sf(q, df)))


def _drawn(member: Member, seed: int | str, draws: int) -> Floats:
    """Return the deviation of the estimate in each draw; shape (draws,)."""
    influence = on_grid(member.influence, len(member.influence))
    total = np.zeros(draws)
    for part in _blocks(len(influence)):
        total += signs(member.groups[part], seed, draws) @ influence[part]
    return total


def _blocks(size: int) -> Iterator[slice]:
    for start in range(0, size, _BLOCK):
        yield slice(start, start + _BLOCK)
