"""Empirical Bayes against closed forms, optimality conditions and simulated truth."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import optimize, stats

from steps.findings.shrinkage import (
    NULL_WEIGHT,
    _expectation_maximisation,
    _likelihood,
    _Mixture,
    _scales,
    shrink,
)

Floats = NDArray[np.float64]


def sample(seed: int, count: int, share: float, size: float) -> tuple[Floats, Floats, Floats]:
    rng = np.random.default_rng(seed)
    error = rng.uniform(0.5, 2, count)
    true = np.where(rng.random(count) < share, size * rng.normal(size=count), 0.0)
    return true, true + error * rng.normal(size=count), error


def test_many_partitions_of_one_normal_give_its_posterior() -> None:
    """theta ~ N(0, 4), s = 1: mean 0.8 b, sd sqrt(0.8), and 90 % is -/+ 1.645 sd."""
    rng = np.random.default_rng(0)
    b = np.sqrt(5) * rng.normal(size=20_000)
    posterior = shrink(b, np.ones(20_000))
    middle = np.abs(b) < 4
    assert posterior.mean[middle] == pytest.approx(0.8 * b[middle], abs=0.15)
    assert posterior.second_moment[middle] == pytest.approx(
        0.64 * b[middle] ** 2 + 0.8, rel=0.15, abs=0.1
    )
    wide = posterior.high - posterior.low
    assert np.median(wide) == pytest.approx(2 * 1.645 * np.sqrt(0.8), rel=0.1)


@pytest.mark.parametrize(("count", "share"), [(20, 0.3), (200, 0.1), (2000, 0.5)])
def test_weights_are_optimal(count: int, share: float) -> None:
    """Kuhn-Tucker: of log L = sum_i log(L_i pi) + 9 log pi_0, no derivative is above n + 9."""
    _, b, s = sample(0, count, share, 3.0)
    likelihood = _likelihood(b, s, _scales(b, s))
    weights, steps = _expectation_maximisation(likelihood)
    derivative = (likelihood / (likelihood @ weights)[:, None]).sum(axis=0)
    derivative[0] += (NULL_WEIGHT - 1) / weights[0]
    assert derivative.max() / (count + NULL_WEIGHT - 1) < 1 + 1e-3
    assert steps < 1000


def test_quantiles_are_those_of_the_mixture() -> None:
    weight = np.array([[0.3, 0.5, 0.2]])
    mean, deviation = np.array([[0.0, 1.0, 2.0]]), np.array([[0.0, 0.5, 1.0]])

    def below(x: float) -> float:
        apart = 0.5 * stats.norm.cdf(x, 1, 0.5) + 0.2 * stats.norm.cdf(x, 2, 1)
        return float(apart + 0.3 * (x >= 0))

    actual = _Mixture(weight, mean, deviation).quantile(0.95, np.array([20.0]))
    assert actual == pytest.approx(optimize.brentq(lambda x: below(x) - 0.95, 0, 20))
    low = _Mixture(weight, mean, deviation).quantile(0.01, np.array([20.0]))
    assert low == pytest.approx(optimize.brentq(lambda x: below(x) - 0.01, -20, -1e-9))
    assert _Mixture(weight, mean, deviation).quantile(0.2, np.array([20.0])) == 0


def test_the_largest_are_covered_only_after_shrinkage() -> None:
    """Section 10 of the design: of the ten largest, EB covers >= 85 % and raw intervals < 70 %."""
    raw, shrunk = [], []
    for seed in range(60):
        true, b, s = sample(seed, 200, 0.1, 1.0)
        posterior = shrink(b, s)
        top = np.argsort(-np.abs(b))[:10]
        raw.append(np.abs(b - true)[top] <= 1.645 * s[top])
        shrunk.append((posterior.low <= true)[top] & (true <= posterior.high)[top])
    assert np.mean(raw) < 0.7
    assert np.mean(shrunk) >= 0.85


def test_it_shrinks_towards_0_and_never_beyond() -> None:
    _, b, s = sample(1, 500, 0.3, 3.0)
    posterior = shrink(b, s)
    assert (np.abs(posterior.mean) <= np.abs(b)).all()
    assert (np.sign(posterior.mean) * np.sign(b) >= 0).all()
    assert (posterior.low <= posterior.high).all()
    assert (posterior.second_moment >= posterior.mean**2).all()


def test_40_standard_errors_are_kept() -> None:
    b = np.append(np.random.default_rng(0).normal(size=50), [40.0, -1000.0])
    posterior = shrink(b, np.ones(52))
    assert posterior.mean[50:] == pytest.approx(b[50:], rel=0.01)
    assert posterior.low[50] == pytest.approx(40 - 1.645, abs=0.5)


@given(seed=st.integers(0, 300))
def test_the_order_of_partitions_changes_no_byte(seed: int) -> None:
    _, b, s = sample(seed, 40, 0.3, 3.0)
    order = np.random.default_rng(seed).permutation(40)
    one, other = shrink(b, s), shrink(b[order], s[order])
    for name in ("mean", "low", "high", "second_moment"):
        assert getattr(one, name)[order].tobytes() == getattr(other, name).tobytes()


@given(seed=st.integers(0, 300), exponent=st.sampled_from([-30, -3, 10, 40]))
def test_results_scale_with_the_units(seed: int, exponent: int) -> None:
    _, b, s = sample(seed, 40, 0.3, 3.0)
    scale = 2.0**exponent
    one, other = shrink(b, s), shrink(scale * b, scale * s)
    assert other.mean == pytest.approx(scale * one.mean, rel=1e-3, abs=1e-4 * scale)
    assert other.high == pytest.approx(scale * one.high, rel=1e-3, abs=1e-3 * scale)


def test_partitions_that_are_not_judged_stay_missing_and_change_nothing() -> None:
    _, b, s = sample(0, 30, 0.3, 3.0)
    gaps = shrink(np.append(b, [np.nan, 1.0, 1.0]), np.append(s, [1.0, np.nan, 0.0]))
    assert np.isnan(gaps.mean[30:]).all()
    assert gaps.mean[:30].tobytes() == shrink(b, s).mean.tobytes()


@pytest.mark.parametrize("count", [1, 2])
def test_no_deviation_at_all_gives_0(count: int) -> None:
    posterior = shrink(np.zeros(count), np.ones(count))
    assert posterior.mean.tolist() == [0] * count
    assert posterior.low.tolist() == posterior.high.tolist() == [0] * count


def test_nothing_judged_gives_nothing() -> None:
    posterior = shrink(np.full(2, np.nan), np.ones(2))
    assert np.isnan([*posterior.mean, *posterior.low, posterior.null_share]).all()


def test_standard_errors_of_many_sizes_are_handled() -> None:
    rng = np.random.default_rng(0)
    s = 10.0 ** rng.uniform(-9, 9, 300)
    posterior = shrink(s * rng.normal(size=300), s)
    assert np.isfinite([posterior.mean, posterior.low, posterior.high]).all()


def test_ten_thousand_partitions_take_seconds() -> None:
    _, b, s = sample(0, 10_000, 0.2, 2.0)
    began = time.process_time()
    posterior = shrink(b, s)
    assert time.process_time() - began < 10
    assert posterior.steps < 1000
