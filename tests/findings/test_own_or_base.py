"""Own models against the base model: intervals, error rates, and groups that partitions share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from steps.findings.own_or_base import WIDENING, OwnOrBase

Comparison = dict[str, Any]


def comparison(gained: Any, constant: Any, labels: list[int] | None = None) -> Comparison:
    """What training returns for one partition, of row (or group) sums."""
    total = float(constant.sum())
    gain = float(gained.sum()) / total
    influence = (gained - gain * constant) / total
    count = len(gained)
    sums: Comparison = {
        "gained": float(gained.sum()),
        "constant": total,
        "squares": [
            float((gained**2).sum()),
            float((gained * constant).sum()),
            float((constant**2).sum()),
        ],
    }
    if labels is not None:
        sums = {
            "labels": [f"{label:x}" for label in labels],
            "buckets": [label % 64 for label in labels],
            "gained": gained.tolist(),
            "constant": constant.tolist(),
        }
    return {
        "rows": count,
        "groups": count,
        "own": 1.0,
        "base": 1.0,
        "constant": total / count,
        "gain": gain,
        "standard_error": float(np.sqrt(count / (count - 1) * (influence**2).sum())),
        "sums": sums,
    }


def draw(rng: np.random.Generator, rows: int, gain: float = 0.0) -> tuple[Any, Any]:
    constant = rng.gamma(2.0, 0.5, rows)
    return gain * constant + rng.normal(scale=0.5, size=rows), constant


def test_q_values_and_intervals_equal_statsmodels_and_the_formula() -> None:
    rng, all_ = np.random.default_rng(0), OwnOrBase()
    parts = [comparison(*draw(rng, 200, gain)) for gain in np.linspace(-0.2, 0.2, 30)]
    for number, each in enumerate(parts):
        all_.add(str(number), str(number), each)
    rows, overall = all_.judge()
    p = [row["p_value"] for row in rows]
    assert [row["q_value"] for row in rows] == pytest.approx(multipletests(p, method="fdr_bh")[1])
    for row, part in zip(rows, parts, strict=True):
        assert row["standard_error"] == pytest.approx(WIDENING * part["standard_error"])
        assert row["high"] - row["gain"] == pytest.approx(1.6525 * row["standard_error"], rel=1e-3)
    assert rows[0]["better"] == "base"
    assert rows[-1]["better"] == "own"
    assert rows[15]["better"] == "unsure"
    assert overall is not None
    assert overall.partitions == 30


def test_shared_groups_widen_the_overall_interval() -> None:
    """A day that is hard everywhere: rows as independent would be far too sure."""
    rng = np.random.default_rng(1)
    days = list(range(100, 150))
    effect = rng.normal(scale=0.5, size=50)
    alone, shared = OwnOrBase(), OwnOrBase()
    for number in range(40):
        gained, constant = draw(rng, 50)
        gained = gained + effect
        alone.add(str(number), "", comparison(gained, constant))
        shared.add(str(number), "", comparison(gained, constant, days))
    narrow, wide = alone.judge()[1], shared.judge()[1]
    assert narrow is not None
    assert wide is not None
    assert wide.gain == pytest.approx(narrow.gain)
    assert wide.high - wide.low > 4 * (narrow.high - narrow.low)


def test_the_overall_interval_equals_a_dense_computation() -> None:
    rng = np.random.default_rng(2)
    all_, gained, constant, groups = OwnOrBase(), [], [], []
    for number in range(20):
        labels = rng.choice(60, 30, replace=False)
        each = draw(rng, 30)
        gained.append(each[0])
        constant.append(each[1])
        groups.append(labels)
        all_.add(str(number), "", comparison(*each, labels=labels.tolist()))
    a, b, g = map(np.concatenate, (gained, constant, groups))
    ratio = a.sum() / b.sum()
    sums = np.bincount(g, a - ratio * b)
    error = WIDENING * np.sqrt(60 / 59 * (sums**2).sum()) / b.sum()
    overall = all_.judge()[1]
    assert overall is not None
    assert overall.gain == pytest.approx(ratio)
    assert overall.high - ratio == pytest.approx(1.6711 * error, rel=1e-3)  # t with 59 df


def test_no_difference_is_declared_seldom_and_intervals_cover() -> None:
    rng, declared, covered = np.random.default_rng(3), 0, 0
    tables = 60
    for _ in range(tables):
        all_ = OwnOrBase()
        for number in range(30):
            all_.add(str(number), "", comparison(*draw(rng, 150)))
        rows, overall = all_.judge()
        declared += any(row["better"] != "unsure" for row in rows)
        assert overall is not None
        covered += overall.low <= 0 <= overall.high
    assert declared <= 0.1 * tables
    assert covered >= 0.8 * tables


def test_reasons_are_kept_and_nothing_is_divided_by_zero() -> None:
    all_ = OwnOrBase()
    all_.add("a", "a", {"reason": "trainer_error"})
    rows, overall = all_.judge()
    assert overall is None
    assert (rows[0]["reason"], rows[0]["better"], rows[0]["gain"]) == ("trainer_error", "", None)
    assert OwnOrBase().judge() == ([], None)
