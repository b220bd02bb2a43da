"""False discovery rates against statsmodels, scipy and the paper of Benjamini and Hochberg."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests

from steps.findings.multiplicity import q_values, smallest_difference, two_levels

PAPER = np.array(
    [
        *(0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344),
        *(0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000),
    ]
)
"""Benjamini and Hochberg (1995), section 4.1: 15 hypotheses."""


def test_the_example_of_the_paper_rejects_four() -> None:
    assert (q_values(PAPER) <= 0.05).sum() == 4


@given(seed=st.integers(0, 1000), count=st.integers(1, 60))
def test_q_values_are_statsmodels(seed: int, count: int) -> None:
    p = np.random.default_rng(seed).beta(0.5, 1.5, count).round(2)  # with ties
    expected = multipletests(p, method="fdr_bh")[1]
    assert q_values(p) == pytest.approx(expected, rel=1e-12)


def test_missing_tests_are_not_counted() -> None:
    gaps = np.insert(PAPER, [0, 7, 15], np.nan)
    actual = q_values(gaps)
    assert np.isnan(actual).sum() == 3
    assert actual[~np.isnan(gaps)].tolist() == q_values(PAPER).tolist()


def test_no_tests_have_no_q_values() -> None:
    assert q_values(np.empty(0)).tolist() == []
    assert np.isnan(q_values(np.full(2, np.nan))).all()


@pytest.mark.parametrize("p", [-0.1, 1.1, -40.0])
def test_what_is_no_probability_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="outside 0 to 1"):
        q_values(np.array([0.5, p]))


def test_within_a_family_the_level_is_q_times_the_share_selected() -> None:
    """Two of four families are selected, so that the level is 0.05: 0.04 passes, and 0.06 fails."""
    tests = [np.array([0.04]), np.array([0.06]), np.array([1e-9]), np.array([1e-9])]
    found = two_levels(np.array([0.001, 0.01, 0.5, 0.9]), tests, 0.1)
    assert found.selected.tolist() == [True, True, False, False]
    assert found.level == pytest.approx(0.05)
    assert [d.tolist() for d in found.declared] == [[True], [False], [False], [False]]


def test_families_that_are_not_judged_are_not_counted() -> None:
    tests = [np.array([0.09, np.nan]), np.array([1e-9])]
    found = two_levels(np.array([0.001, np.nan]), tests, 0.1)
    assert found.level == pytest.approx(0.1)
    assert [d.tolist() for d in found.declared] == [[True, False], [False]]


def test_without_a_selected_family_nothing_is_declared() -> None:
    found = two_levels(np.array([0.5, 0.6]), [np.zeros(3), np.zeros(3)], 0.1)
    assert found.level == 0
    assert not np.concatenate(found.declared).any()


def test_of_900_tests_the_smallest_difference_is_3_9_standard_errors() -> None:
    """p = 0.1 / 900 two-sided: findings.md, section 8."""
    actual = smallest_difference(np.array([2.0, np.nan, 1.0, 3.0]), 0.1, 900)
    assert actual == pytest.approx(2 * stats.norm.isf(0.1 / 900 / 2))
    assert actual / 2 == pytest.approx(3.9, abs=0.05)


def test_half_of_the_partitions_find_the_smallest_difference() -> None:
    rng = np.random.default_rng(0)
    error = np.ones(20_000)
    true = smallest_difference(error, 0.1, 900)
    p = 2 * stats.norm.sf(np.abs(true + rng.normal(size=20_000)))
    assert np.mean(p <= 0.1 / 900) == pytest.approx(0.5, abs=2 * 0.5 / np.sqrt(20_000))


def test_without_tests_there_is_no_smallest_difference() -> None:
    assert np.isnan(smallest_difference(np.full(3, np.nan), 0.1, 3))
