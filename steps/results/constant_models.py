"""Models that predict a constant: they found nothing to split, and are neither good nor bad."""

from __future__ import annotations

_ROUNDING = 1e-6


def predicts_constant(skill: float | None, low: float | None, high: float | None) -> bool:
    """Return True if a model's skill and both bounds of its interval are 0, up to rounding.

    Such a model is no better than the constant prediction because it is the constant prediction.
    """
    bounds = (skill, low, high)
    return all(bound is not None and abs(bound) < _ROUNDING for bound in bounds)
