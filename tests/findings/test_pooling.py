"""Pooling over partitions against metafor's published values and statsmodels."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.sandwich_covariance import cov_cluster_2groups

from steps.findings.pooling import (
    cochran,
    heterogeneity,
    paule_mandel,
    random_effects,
    t_interval,
    two_way,
    typical,
)
from steps.table.hashing import seeded

Floats = NDArray[np.float64]

KACKER = np.array([61, 61.4, 62.21, 62.3, 62.34, 62.6, 62.7, 62.84, 65.9])
KACKER_VARIANCE = np.array([0.2025, 1.21, 0.09, 0.2025, 0.3844, 0.5625, 0.0676, 0.0225, 1.8225])
"""Kacker (Metrologia 41, 2004): nine laboratories."""

BCG = np.array(
    [
        (4, 119, 11, 128),
        (6, 300, 29, 274),
        (3, 228, 11, 209),
        (62, 13536, 248, 12619),
        (33, 5036, 47, 5761),
        (180, 1361, 372, 1079),
        (8, 2537, 10, 619),
        (505, 87886, 499, 87892),
        (29, 7470, 45, 7232),
        (17, 1699, 65, 1600),
        (186, 50448, 141, 27197),
        (5, 2493, 3, 2338),
        (27, 16886, 29, 17825),
    ],
    dtype=float,
)
"""Colditz et al. (JAMA 271, 1994), metafor's dat.bcg: ill and well with and without the vaccine."""


def risk_ratios() -> tuple[Floats, Floats]:
    """Logarithms of relative risks and their standard errors, as `escalc(measure="RR")`."""
    ill, well, ill_without, well_without = BCG.T
    n, m = ill + well, ill_without + well_without
    error = np.sqrt(1 / ill - 1 / n + 1 / ill_without - 1 / m)
    return np.log(ill / n) - np.log(ill_without / m), error


def random_estimates(seed: int, count: int, tau: float) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    error = rng.gamma(3, size=count) / 3
    return 2 + tau * rng.normal(size=count) + error * rng.normal(size=count), error


# --- published values and statsmodels --------------------------------------------------------


def test_paule_mandel_is_metafors() -> None:
    """`rma(y, v, method="PM")` in R, in statsmodels/stats/tests/results/results_meta.py."""
    error = np.sqrt(KACKER_VARIANCE)
    effects = random_effects(KACKER, error)
    assert effects.tau2 == pytest.approx(0.705395309224248, rel=1e-8)
    assert effects.mean == pytest.approx(62.4076199113286, rel=1e-10)
    assert effects.standard_error == pytest.approx(0.338030602684471, rel=1e-8)
    assert cochran(KACKER, error)[0] == pytest.approx(24.801897741835, rel=1e-10)
    h = heterogeneity(KACKER, error, np.full(9, np.inf))
    assert np.exp(h.log_p) == pytest.approx(0.00167935146372742, rel=1e-8)


def test_hartung_knapp_is_metafors() -> None:
    """`rma(y, v, method="FE", test="knha")`, same file: tau^2 = 0, SE 0.189889223522271."""
    error = np.sqrt(KACKER_VARIANCE)
    q, mean = cochran(KACKER, error)
    standard_error = np.sqrt(q / 8 / (error**-2).sum())
    assert (mean, standard_error) == pytest.approx((62.5833970939982, 0.189889223522271))


def test_of_the_bcg_trials_it_is_metafors() -> None:
    """metafor's documentation: Q(df = 12) = 152.2330, tau^2 = 0.3181 by empirical Bayes, which is
    Paule-Mandel (Viechtbauer et al., Psychol. Methods 20, 2015)."""
    estimate, error = risk_ratios()
    assert cochran(estimate, error)[0] == pytest.approx(152.2330, abs=5e-5)
    assert paule_mandel(estimate, error) == pytest.approx(0.3181, abs=1e-4)


@pytest.mark.parametrize("tau", [0.0, 0.5, 3.0])
@pytest.mark.parametrize("seed", range(4))
def test_it_is_statsmodels(seed: int, tau: float) -> None:
    estimate, error = random_estimates(seed, 12, tau)
    reference = combine_effects(
        estimate, error**2, method_re="iterated", use_t=True, atol=1e-12, maxiter=500
    )
    effects = random_effects(estimate, error, truncated=False)
    assert effects.tau2 == pytest.approx(reference.tau2, abs=1e-7)
    assert effects.mean == pytest.approx(reference.mean_effect_re, rel=1e-6)
    assert effects.standard_error == pytest.approx(reference.sd_eff_w_re_hksj, rel=1e-6)
    h = heterogeneity(estimate, error, np.full(12, np.inf))
    assert h.q == pytest.approx(reference.q, rel=1e-9)
    assert h.i2 == pytest.approx(max(reference.i2, 0), abs=1e-9)


def test_the_truncated_standard_error_is_at_least_that_of_a_fixed_effect() -> None:
    estimate, error = np.full(6, 1.0) + np.arange(6) * 1e-3, np.ones(6)
    assert paule_mandel(estimate, error) == 0
    assert random_effects(estimate, error).standard_error == pytest.approx(1 / np.sqrt(6))
    assert random_effects(estimate, error, truncated=False).standard_error < 1e-2


def test_tau_solves_the_equation_of_paule_and_mandel() -> None:
    estimate, error = random_estimates(7, 30, 1.0)
    tau2 = paule_mandel(estimate, error)
    assert cochran(estimate, np.sqrt(error**2 + tau2))[0] == pytest.approx(29, rel=1e-9)


def test_two_ways_is_statsmodels() -> None:
    """Their V has the correction G / (G - 1) per way; a mean's influence is (y - mean) / n."""
    rng = np.random.default_rng(0)
    group, part = rng.integers(25, size=600), rng.integers(12, size=600)
    y = rng.normal(size=25)[group] + rng.normal(size=12)[part] + rng.normal(size=600)
    fitted = sm.OLS(y, np.ones(600)).fit()
    both, first, second = cov_cluster_2groups(fitted, group, part, use_correction=False)
    third = first + second - both
    cells = len(np.unique(part * 25 + group))
    expected = first * 25 / 24 + second * 12 / 11 - third * cells / (cells - 1)
    one, two, df = two_way(part, seeded(group.astype(np.uint64), 0), (y - y.mean()) / 600)
    assert one == pytest.approx(np.sqrt(first.item() * 25 / 24))
    assert two == pytest.approx(np.sqrt(expected.item()))
    assert df == 11


def test_two_ways_is_never_below_one_way() -> None:
    """Sums of groups and of partitions are 0 here, so V_group + V_partition - V_both is < 0."""
    part, group = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1], np.uint64)
    one, two, _ = two_way(part, group, np.array([1.0, -1.0, -1.0, 1.0]))
    assert one == two == 0


def test_the_interval_of_infinite_df_is_normal() -> None:
    assert t_interval(0.0, 1.0, np.inf, 0.9)[1] == pytest.approx(stats.norm.ppf(0.95))
    assert t_interval(1.0, 2.0, 7, 0.9)[0] == pytest.approx(1 - 2 * stats.t.ppf(0.95, 7))


# --- the typical partition -------------------------------------------------------------------


def test_equal_weights_give_the_ordinary_median() -> None:
    rng = np.random.default_rng(0)
    for count in (1, 2, 3, 10, 11, 101, 1000):
        values = rng.normal(size=count)
        for error in (1.0, 0.1, 1 / 3):
            assert typical(values, np.full(count, error)) == pytest.approx(np.median(values))


def test_weights_count_as_copies() -> None:
    values, copies = np.array([3.0, 1.0, 2.0, 9.0]), np.array([1, 4, 1, 2])
    repeated = np.repeat(values, copies)
    assert typical(values, 1 / copies) == np.median(repeated) == 1.5


def test_ties_do_not_depend_on_their_order() -> None:
    values, error = np.array([0.0, 0.0, 1.0, 1.0]), 1 / np.array([1.0, 3.0, 3.0, 1.0])
    order = itertools.permutations(range(4))
    assert {typical(values[list(i)], error[list(i)]) for i in order} == {0.5}


def test_a_few_outliers_move_no_other_partition() -> None:
    """5 % of the partitions moved by 20 standard errors move the z of all others by < 0.2."""
    estimate, error = random_estimates(0, 200, 0.0)
    df = np.full(200, 30.0)
    moved = np.where(np.arange(200) < 10, estimate + 20, estimate)
    one, other = heterogeneity(estimate, error, df).z, heterogeneity(moved, error, df).z
    assert np.median(np.abs(other - one)[10:]) < 0.2


# --- invariance, and what is not judged ------------------------------------------------------


@given(seed=st.integers(0, 1000))
def test_the_order_of_partitions_changes_no_byte(seed: int) -> None:
    estimate, error = random_estimates(seed, 30, 0.5)
    df, order = np.arange(9.0, 39.0), np.random.default_rng(seed).permutation(30)
    one = heterogeneity(estimate, error, df)
    other = heterogeneity(estimate[order], error[order], df[order])
    assert one.z[order].tobytes() == other.z.tobytes()
    assert (one.q, one.log_p, one.effects) == (other.q, other.log_p, other.effects)


@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-9, 1e-3, 1e6]))
def test_units_change_no_z(seed: int, scale: float) -> None:
    estimate, error = random_estimates(seed, 30, 0.5)
    df = np.full(30, 9.0)
    one = heterogeneity(estimate, error, df)
    other = heterogeneity(scale * estimate, scale * error, df)
    assert other.z == pytest.approx(one.z, rel=1e-6, abs=1e-9)
    assert other.effects.tau2 == pytest.approx(scale**2 * one.effects.tau2, rel=1e-6, abs=0)


def test_partitions_that_are_not_judged_stay_missing_and_change_nothing() -> None:
    estimate, error = random_estimates(0, 20, 0.5)
    df = np.full(20, 9.0)
    alone = heterogeneity(estimate, error, df)
    gaps = heterogeneity(
        np.append(estimate, [np.nan, 5.0, 5.0]),
        np.append(error, [1.0, 0.0, 1.0]),
        np.append(df, [9.0, 9.0, np.nan]),
    )
    assert np.isnan(gaps.z[20:]).all()
    assert gaps.partitions == 20
    assert gaps.z[:20].tobytes() == alone.z.tobytes()
    assert (gaps.q, gaps.effects) == (alone.q, alone.effects)


def test_one_partition_differs_from_nothing() -> None:
    h = heterogeneity(np.array([3.0]), np.array([1.0]), np.array([9.0]))
    assert (h.partitions, h.typical, h.z.tolist()) == (1, 3.0, [0.0])
    assert np.isnan([h.q, h.log_p, h.i2]).all()


def test_no_partition_has_no_typical_one() -> None:
    h = heterogeneity(np.full(3, np.nan), np.ones(3), np.ones(3))
    assert np.isnan([h.typical, h.effects.mean, *h.z]).all()


def test_equal_estimates_have_no_heterogeneity() -> None:
    h = heterogeneity(np.full(5, 2.0), np.ones(5), np.full(5, 9.0))
    assert (h.q, h.log_p, h.i2, h.effects.tau2) == (0, 0, 0, 0)


def test_the_p_value_of_extreme_differences_keeps_its_rank() -> None:
    estimate = np.linspace(-40, 40, 50)
    one, other = (heterogeneity(f * estimate, np.ones(50), np.full(50, 1e6)) for f in (1, 1.1))
    assert other.log_p < one.log_p < -1000
    assert np.isfinite(other.log_p)


def test_zero_standard_errors_are_refused() -> None:
    with pytest.raises(ValueError, match="no standard error above 0"):
        random_effects(np.ones(2), np.array([1.0, 0.0]))
