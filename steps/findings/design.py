"""Designs of the deviations that a partition may have, as functions of a feature's position.

A position is the mid-rank of a feature's value on the shared grid of all partitions, scaled to -1
to 1 (a ridit: Bross, Biometrics 14, 1958). On it, the Legendre polynomials are uncorrelated over
the whole table, though not within a partition that covers a part of the range.
"""

from __future__ import annotations

import numpy as np

from steps.findings.tails import Floats


def level(rows: int) -> Floats:
    """Return the design of a level: a constant; shape (rows, 1)."""
    return np.ones((rows, 1))


def slope(position: Floats) -> Floats:
    """Return the design of a constant and a slope; shape (rows, 2)."""
    return np.column_stack([np.ones(len(position)), position])


def curve(position: Floats) -> Floats:
    """Return the design of a constant, a slope and a curvature, P0 to P2; shape (rows, 3)."""
    return np.column_stack([np.ones(len(position)), position, _second(position)])


def interaction(one: Floats, other: Floats) -> Floats:
    """Return the design of a constant, two slopes and their product; shape (rows, 4)."""
    return np.column_stack([np.ones(len(one)), one, other, one * other])


def span(low: float, high: float, coefficients: int) -> Floats:
    """Return the contrast of ``slope`` (2 coefficients) or ``curve`` (3): value at high - at low.

    With a partition's own 10th and 90th percentile it is what going from one to the other changes
    there. Slope and curvature are correlated in a partition, but this contrast counts both.
    """
    ends = np.array([high, low])
    basis = slope(ends) if coefficients == 2 else curve(ends)  # noqa: PLR2004
    difference: Floats = basis[0] - basis[1]
    return difference


def _second(position: Floats) -> Floats:
    second: Floats = 1.5 * position**2 - 0.5
    return second
