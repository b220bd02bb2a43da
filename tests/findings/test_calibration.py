"""False findings on simulated tables without differences, at the limits of the design.

Residuals of a pooled model are drawn directly, so a table takes milliseconds. The limits are those
of findings.md, section 10, with two Monte Carlo standard errors where rates are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from steps.findings import bootstrap
from steps.findings.clustered import Estimate, fit
from steps.findings.design import curve, span
from steps.findings.multiplicity import two_levels
from steps.findings.pooling import heterogeneity
from steps.findings.sums import log_odds_sums, ratio_sums, regression_sums
from steps.findings.tails import two_sided
from steps.table.hashing import Hashes, seeded

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Generator = np.random.Generator
Row = tuple[Integers, Floats, Floats]
Z95, Z99 = 1.6449, 2.5758
KINDS = ("level", "slope", "curve", "span")


def labels(numbers: object) -> Hashes:
    return seeded(np.asarray(numbers).astype(np.uint64), "labels")


# --- tables: a function of the rows, returning groups, positions and residuals per partition -----


def size(rng: Generator) -> int:
    return int(np.exp(rng.uniform(np.log(120), np.log(800))))


def independent_rows(rng: Generator, partitions: int) -> list[Row]:
    """Rows are groups; positions cover a part of the range, and noise grows with them."""
    table = []
    for at in range(partitions):
        n, low = size(rng), rng.uniform(-1, 0.5)
        position = rng.uniform(low, 1, n)
        table.append(
            (10_000 * at + np.arange(n), position, (1 + 0.5 * position) * rng.normal(size=n))
        )
    return table


def unequal_groups(rng: Generator, partitions: int) -> list[Row]:
    """15 groups of each partition, with an effect each."""
    table = []
    for at in range(partitions):
        n, share = size(rng), rng.gamma(2, size=15)
        member = rng.choice(15, n, p=share / share.sum())
        target = rng.normal(size=n) + 0.7 / 1.5 * rng.normal(size=15)[member]
        table.append((100 * at + member, rng.uniform(-1, 1, n), target))
    return table


def shared_days(rng: Generator, partitions: int) -> list[Row]:
    """250 days with an effect each, shared by all partitions."""
    day_effect = 0.7 / 1.5 * rng.normal(size=250)
    table = []
    for _ in range(partitions):
        n = size(rng)
        day = rng.integers(250, size=n)
        table.append((day, rng.uniform(-1, 1, n), rng.normal(size=n) + day_effect[day]))
    return table


TABLES: dict[str, Callable[[Generator, int], list[Row]]] = {
    "rows": independent_rows,
    "groups": unequal_groups,
    "days": shared_days,
}


def estimates(row: Row) -> tuple[Estimate, ...]:
    group, position, target = row
    level = fit(regression_sums(labels(group), np.ones((len(target), 1)), target)).coefficient(0)
    fitted = fit(regression_sums(labels(group), curve(position), target))
    low, high = np.quantile(position, [0.1, 0.9])
    ends = fitted.contrast(span(float(low), float(high), 3))
    return level, fitted.coefficient(1), fitted.coefficient(2), ends


def arrays(found: list[Estimate]) -> tuple[Floats, Floats, Floats]:
    columns = [(e.value, e.standard_error, e.df) for e in found]
    value, error, df = np.array(columns).T
    return value, error, df


@cache
def null_z(kind: str, tables: int = 30, partitions: int = 60) -> dict[str, Floats]:
    rng = np.random.default_rng([7, len(kind)])
    z: dict[str, list[Floats]] = {name: [] for name in KINDS}
    for _ in range(tables):
        per_partition = [estimates(row) for row in TABLES[kind](rng, partitions)]
        for name, found in zip(KINDS, zip(*per_partition, strict=True), strict=True):
            z[name].append(heterogeneity(*arrays(list(found))).z)
    return {name: np.concatenate(values) for name, values in z.items()}


def judge(z: Floats, *, least: float = 0.085) -> None:
    """Assert the spread of z values without differences, and the rates of their tails."""
    assert np.isfinite(z).mean() > 0.9
    z = z[np.isfinite(z)]
    tail, far = np.mean(np.abs(z) > Z95), np.mean(np.abs(z) > Z99)
    margin, far_margin = 2 * np.sqrt(0.1 * 0.9 / len(z)), 2 * np.sqrt(0.015 / len(z))
    assert 0.93 <= z.std() <= 1.07
    assert least - margin <= tail <= 0.115 + margin
    assert far <= 0.015 + far_margin


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("kind", ["rows", "groups"])
def test_z_values_are_standard_normal(kind: str, name: str) -> None:
    judge(null_z(kind)[name])


@pytest.mark.parametrize("name", ["slope", "curve", "span"])
def test_z_values_of_shared_days_are_standard_normal(name: str) -> None:
    judge(null_z("days")[name])


def test_levels_of_shared_days_are_conservative() -> None:
    """The effect of a day moves all partitions together, and the centre removes a part of it."""
    z = null_z("days")["level"]
    assert z.std() < 1.07
    assert np.mean(np.abs(z) > Z95) < 0.115


def test_z_values_of_classes_are_standard_normal() -> None:
    rng, z = np.random.default_rng(5), []
    for _ in range(20):
        found = []
        for at in range(60):
            n = size(rng)
            position = rng.uniform(-1, 1, n)
            p = 1 / (1 + np.exp(1 - position))
            target = (rng.random(n) < p).astype(float)
            design = np.column_stack([np.ones(n), position])
            sums = log_odds_sums(labels(1000 * at + np.arange(n)), design, target, p)
            found.append(fit(sums).coefficient(1))
        z.append(heterogeneity(*arrays(found)).z)
    judge(np.concatenate(z))


def test_z_values_of_ratios_are_standard_normal() -> None:
    """The gain of one of two predictions that are equally good, in shares of a constant's loss."""
    rng, z = np.random.default_rng(6), []
    for _ in range(20):
        found = []
        for at in range(60):
            n = size(rng)
            y, one, other = rng.normal(size=n), *(0.3 * rng.normal(size=(2, n)))
            gain = (y - one) ** 2 - (y - other) ** 2
            found.append(
                fit(ratio_sums(labels(1000 * at + np.arange(n)), gain, y**2)).coefficient(0)
            )
        z.append(heterogeneity(*arrays(found)).z)
    judge(np.concatenate(z))


def declared(rng: Generator, kind: str) -> tuple[bool, bool]:
    """Return whether any partition and any family of a table is declared at 10 %."""
    per_partition = [estimates(row) for row in TABLES[kind](rng, 40)]
    family_p, test_p = [], []
    for found in zip(*per_partition, strict=True):
        h = heterogeneity(*arrays(list(found)))
        members = [
            bootstrap.Member(e.standard_error, e.groups, e.influence)
            for e in found
            if e.reason is None
        ]
        log_p = bootstrap.log_p(h.q, members, 0, 99) if kind == "days" else h.log_p
        family_p.append(np.exp(log_p))
        test_p.append(two_sided(h.z))
    found_levels = two_levels(np.array(family_p), test_p, 0.1)
    return bool(np.concatenate(found_levels.declared).any()), bool(found_levels.selected.any())


@pytest.mark.parametrize("kind", ["rows", "groups", "days"])
def test_the_two_levels_declare_little_without_differences(kind: str) -> None:
    rng, tables = np.random.default_rng([9, len(kind)]), 60
    found = np.array([declared(rng, kind) for _ in range(tables)])
    margin = 2 * np.sqrt(0.1 * 0.9 / tables)
    assert found[:, 0].mean() <= 0.1 + margin
    assert found[:, 1].mean() <= 0.1 + margin


def test_planted_slopes_are_found_with_few_false_ones() -> None:
    """Ten of 60 partitions have a slope of 0.5 (noise 1): false discoveries and power."""
    rng, false, found_of_ten = np.random.default_rng(8), [], []
    for _ in range(60):
        table = independent_rows(rng, 60)
        planted = np.arange(60) < 10
        per_partition = [
            estimates((group, position, target + 0.5 * position * (at < 10)))
            for at, (group, position, target) in enumerate(table)
        ]
        z = [heterogeneity(*arrays(list(f))) for f in zip(*per_partition, strict=True)]
        levels = two_levels(np.exp([h.log_p for h in z]), [two_sided(h.z) for h in z], 0.1)
        any_kind = np.array(levels.declared)
        false.append(any_kind[:, ~planted].sum() / max(any_kind.sum(), 1))
        found_of_ten.append(any_kind[:, planted].any(axis=0).mean())
    assert np.mean(false) <= 0.1 + 2 * np.std(false) / np.sqrt(60)
    assert np.mean(found_of_ten) > 0.5
