"""Tail probabilities against scipy.stats, exact sums and asymptotic expansions."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from steps.findings.tails import (
    chi2_log_sf,
    normal_deviate,
    normal_log_sf,
    normal_standard_error,
    t_log_sf,
    two_sided,
    z_of_t,
)

DF = [4.0, 5.5, 30.0, 1000.0]


@pytest.mark.parametrize("df", DF)
def test_students_tail_is_that_of_scipy(df: float) -> None:
    t = np.linspace(0, 30, 61)
    assert t_log_sf(t, df) == pytest.approx(stats.t.logsf(t, df), rel=1e-10)


def test_students_tail_beyond_floats_is_the_closed_form_of_4_df() -> None:
    """P(T > t) = (1 - u (3 - u^2) / 2) / 2 with u = t / sqrt(t^2 + 4), to first order 3 / t^4."""
    t = np.array([1e75, 1e80, 1e90])
    assert t_log_sf(t, 4.0) == pytest.approx(np.log(3) - 4 * np.log(t), rel=1e-12)


def test_students_tail_has_no_step_where_floats_end() -> None:
    t = np.linspace(36.5, 38.5, 201)
    log = t_log_sf(t, 1e5)
    assert log[0] > np.log(1e-290)
    assert log[-1] < np.log(1e-310)
    assert np.abs(np.diff(log, 3)).max() < 1e-6


def test_many_degrees_of_freedom_are_nearly_normal() -> None:
    assert z_of_t(40.0, 1e12) == pytest.approx(40, rel=1e-9)
    assert z_of_t(40.0, np.inf) == 40


def test_a_deviate_of_40_survives_its_probability() -> None:
    log = normal_log_sf(40.0)
    assert two_sided(40.0) == 0
    assert normal_deviate(log) == pytest.approx(40, rel=1e-12)


def test_z_of_t_has_equal_tails() -> None:
    for df in DF:
        z = z_of_t(np.array([-7.0, -1.0, 0.0, 2.0]), df)
        expected = stats.norm.ppf(stats.t.cdf([-7.0, -1.0, 0.0, 2.0], df))
        assert z == pytest.approx(expected, rel=1e-9, abs=1e-15)


def test_z_of_t_is_missing_where_its_inputs_are() -> None:
    assert np.isnan(z_of_t(np.array([np.nan, 0.0, 1.0]), np.array([5.0, np.nan, np.nan]))).all()


def test_chi_squared_is_that_of_scipy() -> None:
    x = np.linspace(0, 600, 50)
    for df in (1.0, 3.7, 88.0):
        assert chi2_log_sf(x, df) == pytest.approx(stats.chi2.logsf(x, df), rel=1e-9)


def test_chi_squared_beyond_floats_is_the_poisson_sum() -> None:
    """P(X > x) = exp(-x / 2) sum_{j < df / 2} (x / 2)^j / j! of even df, in exact fractions."""
    term = total = Fraction(1)
    for j in range(1, 44):
        term *= Fraction(2500, j)
        total += term
    expected = -2500 + np.log(float(total / 10**100)) + 100 * np.log(10)
    assert chi2_log_sf(5000.0, 88.0) == pytest.approx(expected, rel=1e-12)


def test_the_standard_error_of_a_deviation_gives_its_p_value() -> None:
    deviation, error, df = np.array([3.0, -0.2, 8.0]), np.array([1.0, 0.5, 0.9]), np.full(3, 6.0)
    z = deviation / normal_standard_error(deviation, error, df)
    expected = 2 * stats.t.sf(np.abs(deviation / error), 6)
    assert two_sided(z) == pytest.approx(expected, rel=1e-10)


def test_the_standard_error_is_continuous_at_0() -> None:
    deviation = np.array([0.0, 0.99e-6, 1.01e-6, 1e-4])
    errors = normal_standard_error(deviation, np.ones(4), np.full(4, 5.0))
    expected = stats.norm.pdf(0) / stats.t.pdf(0, 5)
    assert errors == pytest.approx(np.full(4, expected), rel=1e-7)
