"""CR2 and its degrees of freedom against dense matrices, closed forms and published values."""

from __future__ import annotations

import math

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from steps.findings.clustered import ClusteredFit, Estimate, NotJudged, fit
from steps.findings.design import curve, interaction, level, slope, span
from steps.findings.sums import group_sums, log_odds_sums, ratio_sums, regression_sums
from steps.table.hashing import Hashes, seeded

Floats = NDArray[np.float64]


def labels(numbers: object) -> Hashes:
    """Group labels in an order of their own."""
    return seeded(np.asarray(numbers).astype(np.uint64), "labels")


def dense(
    groups: object, design: Floats, target: Floats, contrast: Floats, weight: Floats | None = None
) -> tuple[float, float, float]:
    """Return value, CR2 standard error and df from n x n matrices.

    Written from Pustejovsky and Tipton (2018), section 2: A_g is the symmetric square root of the
    Moore-Penrose inverse of (I - H)_gg, V = sum_g (c'B X_g'A_g r_g)^2 = sum_g (q_g'y)^2, and df is
    2 E(V)^2 / Var(V) = trace(Q'Q)^2 / trace(Q'QQ'Q). Weighted rows are scaled by sqrt(weight).
    """
    scale = np.ones(len(target)) if weight is None else np.sqrt(weight)
    x, y = design * scale[:, None], target * scale
    bread = np.linalg.inv(x.T @ x)
    annihilator = np.eye(len(y)) - x @ bread @ x.T
    rays = []
    for group in np.unique(np.asarray(groups)):
        rows = np.asarray(groups) == group
        values, vectors = np.linalg.eigh(annihilator[np.ix_(rows, rows)])
        inverse = np.where(values > 1e-9, 1 / np.sqrt(np.maximum(values, 1e-9)), 0)
        adjustment = (vectors * inverse) @ vectors.T
        rays.append(annihilator[:, rows] @ adjustment @ x[rows] @ bread @ contrast)
    q = np.array(rays).T
    inner = q.T @ q
    error = float(np.sqrt(((q.T @ y) ** 2).sum()))
    return float(contrast @ bread @ x.T @ y), error, np.trace(inner) ** 2 / (inner**2).sum()


def numbers(estimate: Estimate) -> tuple[float, float, float]:
    return estimate.value, estimate.standard_error, estimate.df


def sample(seed: int, groups: int, rows: int) -> tuple[NDArray[np.int64], Floats, Floats, Floats]:
    """Unequal groups with an effect each, positions and positive weights."""
    rng = np.random.default_rng(seed)
    share = rng.gamma(1.5, size=groups)
    member = np.concatenate([np.arange(groups), rng.choice(groups, rows, p=share / share.sum())])
    position = np.clip(
        rng.normal(0.3, 0.4, len(member)) + 0.2 * rng.normal(size=groups)[member], -1, 1
    )
    target = rng.normal(size=groups)[member] + rng.normal(size=len(member))
    return member, position, target, rng.gamma(2.0, size=len(member))


# --- dense matrices --------------------------------------------------------------------------


@pytest.mark.parametrize("contrast", [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 1.2, -0.4]])
@pytest.mark.parametrize("seed", range(3))
def test_equals_explicit_hat_matrices(seed: int, contrast: list[float]) -> None:
    member, position, target, _ = sample(seed, 25, 120)
    actual = fit(regression_sums(labels(member), curve(position), target)).contrast(
        np.array(contrast)
    )
    expected = dense(member, curve(position), target, np.array(contrast))
    assert numbers(actual) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_weighted_equals_explicit_hat_matrices(seed: int) -> None:
    member, position, target, weight = sample(seed, 15, 120)
    actual = fit(regression_sums(labels(member), slope(position), target, weight)).coefficient(1)
    expected = dense(member, slope(position), target, np.array([0.0, 1.0]), weight)
    assert numbers(actual) == pytest.approx(expected, rel=1e-9)


def test_groups_of_one_row_equal_explicit_hat_matrices() -> None:
    _, position, target, weight = sample(1, 5, 60)
    rows = np.arange(len(target))
    design = interaction(position, weight / 5)
    actual = fit(regression_sums(labels(rows), design, target)).coefficient(3)
    expected = dense(rows, design, target, np.array([0, 0, 0, 1.0]))
    assert numbers(actual) == pytest.approx(expected, rel=1e-9)


def test_a_group_that_alone_has_a_level_equals_the_moore_penrose_inverse() -> None:
    """The intercept rests on all groups, the dummy of group 0 on that group alone."""
    member, _, target, _ = sample(2, 12, 100)
    design = np.column_stack([np.ones(len(target)), member == 0]).astype(float)
    fitted = fit(regression_sums(labels(member), design, target))
    expected = dense(member, design, target, np.array([1.0, 0.0]))
    assert numbers(fitted.coefficient(0)) == pytest.approx(expected, rel=1e-9)
    assert fitted.coefficient(1).reason is NotJudged.ONE_GROUP


# --- published values ------------------------------------------------------------------------


def test_rows_as_groups_give_hc2_of_stata() -> None:
    """`reg y x, vce(hc2)`: tests/testthat/test_clustervar.R of R's dfadjust, by Michal Kolesar."""
    target = np.concatenate([np.cos(np.arange(10)), np.tan(np.arange(1, 11))])
    x = np.concatenate([np.sin(np.arange(1, 11)), np.sin(np.arange(2, 12))])
    fitted = fit(regression_sums(labels(np.arange(20)), slope(x), target))
    assert fitted.coefficients == pytest.approx([-0.4456202905, 0.3241183110], abs=1e-9)
    errors = [fitted.coefficient(k).standard_error for k in (0, 1)]
    assert errors == pytest.approx([0.4227339762, 0.4421048122], abs=1e-9)


def test_rows_as_groups_give_hc2_of_statsmodels() -> None:
    _, position, target, _ = sample(3, 5, 80)
    reference = sm.OLS(target, curve(position)).fit(cov_type="HC2")
    fitted = fit(regression_sums(labels(np.arange(len(target))), curve(position), target))
    for k in range(3):
        assert fitted.coefficient(k).standard_error == pytest.approx(reference.bse[k], rel=1e-9)


@pytest.mark.parametrize(("treated", "control"), [(10, 20), (15, 15), (8, 40)])
def test_df_of_two_samples_is_that_of_imbens_and_kolesar(treated: int, control: int) -> None:
    """Review of Economics and Statistics 98 (2016), section II.B: K_BM of a binary regressor."""
    x = np.repeat([1.0, 0.0], [treated, control])
    target = np.random.default_rng(0).normal(size=len(x))
    actual = fit(regression_sums(labels(np.arange(len(x))), slope(x), target)).coefficient(1)
    n1, n0 = treated, control
    below = n1**2 * (n1 - 1) + n0**2 * (n0 - 1)
    expected = (n0 + n1) ** 2 * (n0 - 1) * (n1 - 1) / below
    assert actual.df == pytest.approx(expected, rel=1e-9)
    variance = target[x == 1].var(ddof=1) / n1 + target[x == 0].var(ddof=1) / n0
    assert actual.standard_error == pytest.approx(np.sqrt(variance), rel=1e-9)


def test_their_example_of_three_treated_is_not_judged() -> None:
    """N1 = 3, N0 = 27: K_BM = 2.5 (their table 1), below 4."""
    x = np.repeat([1.0, 0.0], [3, 27])
    target = np.random.default_rng(0).normal(size=30)
    contrast = np.array([0.0, 1.0])
    assert dense(np.arange(30), slope(x), target, contrast)[2] == pytest.approx(2.5, abs=0.05)
    estimate = fit(regression_sums(labels(np.arange(30)), slope(x), target)).coefficient(1)
    assert estimate.reason is NotJudged.LOW_DF
    assert np.isnan(numbers(estimate)).all()


def test_equal_groups_have_the_standard_error_and_df_of_their_means() -> None:
    target = np.random.default_rng(0).normal(size=60)
    actual = fit(regression_sums(labels(np.arange(60) // 4), level(60), target)).coefficient(0)
    means = target.reshape(15, 4).mean(axis=1)
    expected = (target.mean(), means.std(ddof=1) / np.sqrt(15), 14.0)
    assert numbers(actual) == pytest.approx(expected, rel=1e-9)


# --- classes and ratios ----------------------------------------------------------------------


def test_the_step_in_log_odds_is_the_first_newton_step_of_a_glm() -> None:
    member, position, target, weight = sample(4, 15, 200)
    probability = 1 / (1 + np.exp(-0.5 - position))
    happened = (target > 0).astype(float)
    offset = np.log(probability / (1 - probability))
    model = sm.GLM(
        happened, slope(position), sm.families.Binomial(), offset=offset, freq_weights=weight
    )
    start = np.zeros(2)
    expected = np.linalg.solve(-model.hessian(start), model.score(start))
    sums = log_odds_sums(labels(member), slope(position), happened, probability, weight)
    assert fit(sums).coefficients == pytest.approx(expected, rel=1e-9)


def test_the_step_in_log_odds_equals_explicit_hat_matrices() -> None:
    member, position, target, _ = sample(5, 15, 200)
    probability = 1 / (1 + np.exp(-0.5 - position))
    curvature = probability * (1 - probability)
    happened = (target > 0).astype(float)
    sums = log_odds_sums(labels(member), slope(position), happened, probability)
    working = (happened - probability) / curvature
    expected = dense(member, slope(position), working, np.array([0.0, 1.0]), curvature)
    assert numbers(fit(sums).coefficient(1)) == pytest.approx(expected, rel=1e-9)


def test_probabilities_of_0_and_1_are_allowed() -> None:
    member, position, target, _ = sample(6, 15, 200)
    happened = (target > 0).astype(float)
    probability = np.where(position > 0.7, happened, 0.5)
    estimate = fit(log_odds_sums(labels(member), slope(position), happened, probability))
    assert np.isfinite(numbers(estimate.coefficient(1))).all()


def test_a_ratio_with_equal_denominators_is_the_linearised_one() -> None:
    """G / (G - 1) sum u^2 as in steps.train.evaluation.estimates, if groups weigh the same."""
    rng = np.random.default_rng(0)
    above, below = rng.normal(size=40), np.ones(40)
    actual = fit(ratio_sums(labels(np.arange(40) // 2), above, below)).coefficient(0)
    influence = (above - above.mean()).reshape(20, 2).sum(axis=1) / 40
    assert actual.value == pytest.approx(above.mean())
    assert actual.standard_error == pytest.approx(np.sqrt(20 / 19 * (influence**2).sum()))
    assert actual.df == pytest.approx(19)


def test_the_logarithm_of_a_ratio_has_the_relative_error() -> None:
    rng = np.random.default_rng(0)
    ratio = fit(ratio_sums(labels(np.arange(50)), rng.gamma(2, size=50), np.ones(50))).coefficient(
        0
    )
    logarithm = ratio.mapped(np.log(ratio.value), 1 / ratio.value)
    assert logarithm.standard_error == pytest.approx(ratio.standard_error / ratio.value)
    assert np.linalg.norm(logarithm.influence) == pytest.approx(logarithm.standard_error)


def test_the_span_of_a_curve_is_the_difference_of_its_ends() -> None:
    b = np.array([2.0, -1.0, 0.5])
    ends = curve(np.array([-0.4, 0.8])) @ b
    assert span(-0.4, 0.8, 3) @ b == pytest.approx(ends[1] - ends[0])
    assert span(-0.4, 0.8, 2) == pytest.approx([0, 1.2])


# --- invariance ------------------------------------------------------------------------------


def content(fitted: ClusteredFit) -> tuple[bytes, ...]:
    estimate = fitted.contrast(np.array([0.0, 1.0, 0.3]))
    arrays = (estimate.groups, estimate.influence, fitted.coefficients, np.array(numbers(estimate)))
    return tuple(array.tobytes() for array in arrays)


@given(seed=st.integers(0, 1000))
def test_the_order_of_rows_changes_no_byte(seed: int) -> None:
    member, position, target, weight = sample(seed, 12, 80)
    order = np.random.default_rng(seed).permutation(len(member))
    one, other = (
        fit(regression_sums(labels(member[i]), curve(position[i]), target[i], weight[i]))
        for i in (np.arange(len(member)), order)
    )
    assert content(one) == content(other)


@given(seed=st.integers(0, 1000), exponent=st.integers(-30, 30))
def test_estimates_scale_with_the_target(seed: int, exponent: int) -> None:
    member, position, target, _ = sample(seed, 12, 80)
    one, other = (
        fit(regression_sums(labels(member), slope(position), scale * target)).coefficient(1)
        for scale in (1.0, 10.0**exponent)
    )
    expected = (10.0**exponent * one.value, 10.0**exponent * one.standard_error, one.df)
    assert numbers(other) == pytest.approx(expected, rel=1e-7, nan_ok=True)


@given(seed=st.integers(0, 1000))
def test_units_of_a_feature_change_no_z_value(seed: int) -> None:
    member, position, target, _ = sample(seed, 12, 80)
    one, other = (
        fit(regression_sums(labels(member), slope(scale * position), target)).coefficient(1)
        for scale in (1.0, 1e6)
    )
    assert other.value / other.standard_error == pytest.approx(
        one.value / one.standard_error, rel=1e-7, nan_ok=True
    )
    assert other.df == pytest.approx(one.df, rel=1e-7, nan_ok=True)


@given(seed=st.integers(0, 1000))
def test_a_weight_of_a_row_is_its_copies_in_its_group(seed: int) -> None:
    member, position, target, _ = sample(seed, 12, 80)
    copies = np.random.default_rng(seed).integers(1, 4, len(member))
    rows = np.repeat(np.arange(len(member)), copies)
    weighted = regression_sums(labels(member), slope(position), target, copies.astype(float))
    repeated = regression_sums(labels(member[rows]), slope(position[rows]), target[rows])
    expected = numbers(fit(repeated).coefficient(1))
    assert numbers(fit(weighted).coefficient(1)) == pytest.approx(expected, rel=1e-9, nan_ok=True)


def test_sums_by_group_are_exact_next_to_large_values() -> None:
    """math.fsum rounds once. Rows of one group are 1e12 times as large as those of the others."""
    rng = np.random.default_rng(0)
    member = rng.integers(5, size=2000)
    target = rng.normal(size=2000) * np.where(member == 0, 1e12, 1.0)
    sums = regression_sums(member.astype(np.uint64), level(2000), target)
    expected = [math.fsum(target[member == group]) for group in range(5)]
    assert sums.score[:, 0] == pytest.approx(expected, rel=1e-11)


# --- what is not judged ----------------------------------------------------------------------


def test_seven_groups_are_too_few() -> None:
    target = np.random.default_rng(0).normal(size=80)
    seven = fit(regression_sums(labels(np.arange(80) % 7), level(80), target)).coefficient(0)
    eight = fit(regression_sums(labels(np.arange(80) % 8), level(80), target)).coefficient(0)
    assert (seven.reason, eight.reason) == (NotJudged.FEW_GROUPS, None)


def test_each_coefficient_above_three_needs_another_group() -> None:
    rng = np.random.default_rng(0)
    design, target = rng.normal(size=(200, 4)), rng.normal(size=200)
    eight = fit(regression_sums(labels(np.arange(200) % 8), design, target))
    nine = fit(regression_sums(labels(np.arange(200) % 9), design, target))
    assert (eight.reason, nine.reason) == (NotJudged.FEW_GROUPS, None)


@pytest.mark.parametrize("value", [0.0, 0.3, 1e-9, 1e12])
def test_a_constant_feature_is_collinear(value: float) -> None:
    target = np.random.default_rng(0).normal(size=80)
    fitted = fit(regression_sums(labels(np.arange(80)), slope(np.full(80, value)), target))
    assert fitted.reason is NotJudged.COLLINEAR
    assert np.isnan(fitted.coefficients).all()


@pytest.mark.parametrize("value", [0.0, 0.1, 1e9, -3e-7])
def test_a_constant_target_has_no_spread(value: float) -> None:
    position = np.random.default_rng(0).uniform(-1, 1, 80)
    fitted = fit(regression_sums(labels(np.arange(80)), curve(position), np.full(80, value)))
    assert fitted.coefficient(0).reason is NotJudged.NO_SPREAD
    assert fitted.coefficient(1).reason is NotJudged.NO_SPREAD


def test_a_level_without_spread_is_not_judged_though_the_other_one_varies() -> None:
    half = np.repeat([0.0, 1.0], 40)
    target = np.where(half == 1, 0.7, np.random.default_rng(0).normal(size=80))
    design = np.column_stack([1 - half, half])
    fitted = fit(regression_sums(labels(np.arange(80)), design, target))
    reasons = (fitted.coefficient(0).reason, fitted.coefficient(1).reason)
    assert reasons == (None, NotJudged.NO_SPREAD)


def test_a_contrast_over_no_range_is_not_judged() -> None:
    position = np.random.default_rng(0).uniform(-1, 1, 80)
    fitted = fit(regression_sums(labels(np.arange(80)), slope(position), position**2))
    assert fitted.contrast(span(0.2, 0.2, 2)).reason is NotJudged.NO_RANGE


def test_a_perfect_constant_prediction_leaves_no_ratio() -> None:
    sums = ratio_sums(labels(np.arange(50)), np.ones(50), np.zeros(50))
    assert fit(sums).reason is NotJudged.COLLINEAR


def test_missing_values_are_refused() -> None:
    position = np.append(np.zeros(9), np.nan)
    with pytest.raises(ValueError, match="not finite"):
        regression_sums(labels(np.arange(10)), slope(position), np.zeros(10))


def test_negative_weights_are_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        group_sums(labels(np.arange(10)), level(10), np.zeros(10), np.full(10, -1.0))
