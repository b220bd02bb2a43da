"""Many tests at once: false discovery rates over families of tests and within them.

NaN stands for a test that was not made. It is not counted, and stays NaN.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from steps.findings.tails import Floats, normal_deviate


@dataclass(frozen=True)
class TwoLevels:
    """Families and tests that are declared.

    Attributes:
        family_q: q value of each family; shape (families,).
        selected: families declared at level q; same shape.
        test_q: q values of the tests within each family, one array per family.
        declared: tests declared, one array per family, all False in a family that is not selected.
        level: level of the tests within a selected family, q R / F.
    """

    family_q: Floats
    selected: NDArray[np.bool_]
    test_q: tuple[Floats, ...]
    declared: tuple[NDArray[np.bool_], ...]
    level: float


def q_values(p: Floats) -> Floats:
    """Return the q values of Benjamini and Hochberg (JRSS B 57, 1995); shape (tests,).

    The q value of a test is the smallest false discovery rate at which it is declared.

    Raises:
        ValueError: a p value is below 0 or above 1.
    """
    made = ~np.isnan(p)
    if ((p[made] < 0) | (p[made] > 1)).any():
        raise ValueError("A p value is outside 0 to 1. Pass probabilities, not their logarithms.")
    order = np.argsort(p[made], kind="stable")
    count = len(order)
    scaled = p[made][order] * count / np.arange(1, count + 1)
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1)
    q = np.full(p.shape, np.nan)
    q[made] = adjusted
    return q


def two_levels(family_p: Floats, test_p: Sequence[Floats], q: float) -> TwoLevels:
    """Select families, then tests within them (Benjamini and Bogomolov, JRSS B 76, 2014).

    Families are declared by Benjamini-Hochberg at level q. Within each of the R declared of F
    families, tests are declared by Benjamini-Hochberg at level q R / F: that bounds the expected
    average over the selected families of their false discovery proportions by q.

    Args:
        family_p: p value of each family; shape (families,).
        test_p: p values within each family.
        q: level, as 0.1.
    """
    family_q = q_values(family_p)
    selected = family_q <= q
    families = int((~np.isnan(family_p)).sum())
    level = q * int(selected.sum()) / max(families, 1)
    test_q = tuple(q_values(p) for p in test_p)
    declared = tuple(
        (values <= level) & chosen for values, chosen in zip(test_q, selected, strict=True)
    )
    return TwoLevels(family_q, selected, test_q, declared, level)


def smallest_difference(error: Floats, q: float, tests: int) -> float:
    """Return the difference that would have been found in half of the partitions.

    If none is declared, the smallest p value must be at most q / tests. An estimate has the chance
    1 / 2 to pass that threshold if its true value lies on it: median standard error times z.

    Args:
        error: standard errors of the family as normal deviates; NaN where not judged.
        q: level, as 0.1.
        tests: number of tests of all families.
    """
    made = error[np.isfinite(error)]
    if not len(made) or not tests:
        return float("nan")
    return float(np.median(made) * normal_deviate(np.log(q / tests / 2)))
