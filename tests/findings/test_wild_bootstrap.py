"""The wild cluster score bootstrap: its signs, and its moments against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from steps.findings.bootstrap import Member, log_p, null_q, signs
from steps.table.hashing import Hashes, seeded


def labels(numbers: object) -> Hashes:
    return seeded(np.asarray(numbers).astype(np.uint64), "labels")


def members(seed: int, count: int, groups: int, *, shared: float) -> list[Member]:
    """Partitions of the same groups; ``shared`` is the correlation of their influences."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=groups)
    found = []
    for _ in range(count):
        own = rng.normal(size=groups)
        influence = np.sqrt(shared) * common + np.sqrt(1 - shared) * own
        influence *= rng.gamma(2) / np.linalg.norm(influence)
        error = float(np.linalg.norm(influence))
        found.append(Member(error, labels(np.arange(groups)), influence))
    return found


def test_signs_are_balanced_and_independent() -> None:
    drawn = signs(labels(np.arange(5000)), 0, 199).astype(float)
    assert set(np.unique(drawn)) == {-1, 1}
    assert np.abs(drawn.mean(axis=1)).max() < 5 / np.sqrt(5000)
    correlation = np.corrcoef(drawn) - np.eye(199)
    assert np.abs(correlation).max() < 5.5 / np.sqrt(5000)


def test_a_group_has_one_sign_wherever_it_lies() -> None:
    everywhere, there = labels(np.arange(50)), labels(np.array([30, 7]))
    assert (signs(everywhere, 3)[:, [30, 7]] == signs(there, 3)).all()


def test_another_seed_gives_other_signs() -> None:
    groups = labels(np.arange(500))
    assert np.mean(signs(groups, 1) == signs(groups, 2)) == pytest.approx(0.5, abs=0.01)


def test_draws_have_the_moments_of_partitions_that_share_groups() -> None:
    """Var of a draw's deviation is se^2, and its covariance sum_g psi_g psi'_g."""
    pair = members(0, 2, 300, shared=0.5)
    drawn = [signs(m.groups, 0, 20_000) @ m.influence for m in pair]
    expected = [[a.influence @ b.influence for b in pair] for a in pair]
    assert np.cov(drawn) == pytest.approx(np.array(expected), rel=0.05)


def test_without_shared_groups_q_is_chi_squared() -> None:
    apart = [
        Member(m.standard_error, labels(np.arange(300) + 300 * at), m.influence)
        for at, m in enumerate(members(0, 20, 300, shared=0))
    ]
    drawn = null_q(apart, 0, 2000)
    assert drawn.mean() == pytest.approx(19, abs=3 * np.sqrt(38 / 2000))
    assert drawn.var() == pytest.approx(38, rel=0.15)


def test_the_p_value_widens_where_errors_are_correlated() -> None:
    """Shared days with loadings of both signs: a correlation that a mean does not remove."""
    rng = np.random.default_rng(0)
    common = rng.normal(size=200)
    shared = [
        Member(1.0, labels(np.arange(200)), sign * common / np.linalg.norm(common))
        for sign in rng.choice([-1, 1], 40)
    ]
    assert np.exp(log_p(100.0, shared, 0)) > 0.1 > 100 * stats.chi2.sf(100, 39)


@given(seed=st.integers(0, 200), q=st.floats(0, 1000))
def test_the_p_value_never_narrows(seed: int, q: float) -> None:
    found = members(seed, 8, 30, shared=0.9)
    turned = [
        Member(m.standard_error, m.groups, (-1) ** at * m.influence) for at, m in enumerate(found)
    ]
    assert log_p(q, turned, seed) >= stats.chi2.logsf(q, 7) - 1e-9


@given(seed=st.integers(0, 200))
def test_no_order_changes_a_byte(seed: int) -> None:
    rng = np.random.default_rng(seed)
    found = members(seed, 9, 40, shared=0.5)
    shuffled = [
        Member(m.standard_error, m.groups[i], m.influence[i])
        for m in (found[at] for at in rng.permutation(9))
        for i in [rng.permutation(40)]
    ]
    assert null_q(found, 1).tobytes() == null_q(shuffled, 1).tobytes()
    assert log_p(30.0, found, 1) == log_p(30.0, shuffled, 1)


def test_many_groups_are_summed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    found = members(0, 3, 100, shared=0.5)
    whole = null_q(found, 0)
    monkeypatch.setattr("steps.findings.bootstrap._BLOCK", 7)
    assert null_q(found, 0).tobytes() == whole.tobytes()


def test_one_partition_has_no_p_value() -> None:
    assert np.isnan(log_p(3.0, members(0, 1, 30, shared=0), 0))
