"""Metrics equal scikit-learn's; constants are the best ones; skill is what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from steps.records import canonical_json
from steps.train.config import EvaluateConfig
from steps.train.evaluation.estimates import Estimate
from steps.train.evaluation.evaluate import evaluate
from steps.train.evaluation.folds import Fold
from steps.train.evaluation.metrics import Metric, inverse_link, metrics_of
from steps.train.loss import LOSSES
from steps.train.trainer import Floats
from tests.science.truth import CLASSES, cell, frame_of, halves, labels, select

TASKS = ("regression", "binary", "multiclass")
QUANTILE = 0.3


def named(task: str, name: str) -> Metric:
    return next(metric for metric in metrics_of(LOSSES[task], QUANTILE) if metric.name == name)


def sklearn_metric(task: str, name: str) -> Callable[[Floats, Floats, Floats], float]:
    """scikit-learn's value of (target, prediction, weight)."""
    flat: dict[str, Callable[..., Any]] = {
        "rmse": sk.root_mean_squared_error,
        "mae": sk.mean_absolute_error,
        "r2": sk.r2_score,
        "pinball": lambda t, p, **kw: sk.mean_pinball_loss(t, p, alpha=QUANTILE, **kw),
        "log_loss": lambda t, p, **kw: sk.log_loss(t, p, labels=[0, 1], **kw),
        "brier": lambda t, p, **kw: sk.brier_score_loss(t, p, pos_label=1, **kw),
        "auc": sk.roc_auc_score,
        "average_precision": sk.average_precision_score,
    }
    deep: dict[str, Callable[..., Any]] = {
        "log_loss": lambda t, p, **kw: sk.log_loss(t, p, labels=[0, 1, 2], **kw),
        "accuracy": lambda t, p, **kw: sk.accuracy_score(t, p.argmax(axis=1), **kw),
        "macro_f1": lambda t, p, **kw: sk.f1_score(
            t, p.argmax(axis=1), average="macro", zero_division=0, **kw
        ),
    }

    def score(target: Floats, prediction: Floats, weight: Floats) -> float:
        if task == "multiclass":
            return float(deep[name](target, prediction, sample_weight=weight))
        return float(flat[name](target, prediction[:, 0], sample_weight=weight))

    return score


ALL = [(task, metric.name) for task in TASKS for metric in metrics_of(LOSSES[task], QUANTILE)]


@st.composite
def judged(draw: st.DrawFn, task: str) -> tuple[Floats, Floats, Floats]:
    """A few rows with ties in targets, predictions and weights."""
    rows = draw(st.integers(1, 12))
    few = st.sampled_from([0.0, 0.25, 1.0, 2.0, -3.0, 1e-3])
    number = st.one_of(few, st.floats(-5, 5, allow_subnormal=False))
    weight = draw(
        st.one_of(
            st.just([1.0] * rows),
            st.lists(st.sampled_from([0.5, 1.0, 3.0, 0.1]), min_size=rows, max_size=rows),
        )
    )
    outputs = 3 if task == "multiclass" else 1
    raw = np.array(draw(st.lists(number, min_size=rows * outputs, max_size=rows * outputs)))
    target = draw(
        st.lists(
            number if task == "regression" else st.integers(0, len(CLASSES[task]) - 1),
            min_size=rows,
            max_size=rows,
        )
    )
    prediction = inverse_link(
        LOSSES[task].link, raw.reshape(rows, outputs) * (1 if task == "regression" else 9)
    )
    return np.array(target, np.float64), prediction, np.array(weight)


@pytest.mark.parametrize(("task", "name"), ALL)
def test_each_metric_is_scikit_learns(task: str, name: str) -> None:
    @settings(max_examples=120, deadline=None)
    @given(judged(task))
    def check(data: tuple[Floats, Floats, Floats]) -> None:
        target, prediction, weight = data
        actual = named(task, name).score(target, prediction, weight)
        if actual.value is None:
            assert actual.reason in {"one_class", "constant_target"}
            assert np.var(target) < 1e-12
            assert actual.influence is None
            return
        assume(name != "r2" or np.var(target) > 1e-12)
        expected = sklearn_metric(task, name)(target, prediction, weight)
        np.testing.assert_allclose(actual.value, expected, rtol=1e-9, atol=1e-9)

    check()


@pytest.mark.parametrize(("task", "name"), ALL)
@pytest.mark.parametrize("weighted", [False, True])
def test_each_metric_is_scikit_learns_on_many_rows(task: str, name: str, *, weighted: bool) -> None:
    rng = np.random.default_rng(1)
    rows = 5000
    signal = rng.normal(size=rows).round(1)  # ties
    noisy = signal + rng.normal(size=rows)
    outputs = np.column_stack([-signal, 0 * signal, signal]) if task == "multiclass" else signal
    prediction = inverse_link(LOSSES[task].link, outputs.reshape(rows, -1))
    cuts = {"regression": None, "binary": [0.8], "multiclass": [-0.5, 1.0]}[task]
    target = noisy if cuts is None else np.digitize(noisy, cuts).astype(np.float64)
    weight = rng.uniform(0.1, 4, rows) if weighted else np.ones(rows)
    actual = named(task, name).score(target, prediction, weight).value
    assert actual is not None
    expected = sklearn_metric(task, name)(target, prediction, weight)
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


def test_certainty_is_clipped_as_scikit_learn_does() -> None:
    target, sure = np.array([0.0, 1.0, 1.0]), np.array([[1.0], [0.0], [1.0]])
    actual = named("binary", "log_loss").score(target, sure, np.ones(3)).value
    assert actual == pytest.approx(sk.log_loss(target, sure[:, 0]), rel=1e-12)
    assert actual is not None


# --- constants -------------------------------------------------------------------------------


def _rivals(task: str, target: Floats) -> list[Floats]:
    """Many other constants."""
    rng = np.random.default_rng(0)
    if task == "regression":
        between = np.linspace(target.min(), target.max(), 201)
        return [np.array([value]) for value in [*target, *between]]
    if task == "binary":
        return [np.array([value]) for value in np.linspace(0, 1, 101)]
    return [*rng.dirichlet(np.ones(3), 200), *np.eye(3)]


@pytest.mark.parametrize(("task", "name"), ALL)
@pytest.mark.parametrize("seed", range(4))
def test_no_other_constant_is_better_on_the_training_rows(task: str, name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = int(rng.integers(5, 30))
    target = rng.gamma(1.0, size=rows).round(1)  # skewed, so that mean and quantiles differ
    if task != "regression":
        count = len(CLASSES[task])
        target = np.concatenate([np.arange(count), rng.integers(0, count, rows - count)])
        target = target.astype(np.float64)
    weight = rng.uniform(0.1, 3, rows) if seed % 2 else np.ones(rows)
    metric = named(task, name)

    def loss(constant: Floats) -> float:
        actual = metric.loss(
            metric.score(target, np.broadcast_to(constant, (rows, len(constant))), weight)
        )
        assert actual.value is not None
        return actual.value

    best = loss(metric.constant(target, weight, len(CLASSES[task])))
    assert best <= min(loss(rival) for rival in _rivals(task, target)) + 1e-12


def test_the_median_and_the_quantile_are_lower_ones() -> None:
    target, weight = np.array([4.0, 1.0, 3.0, 2.0]), np.ones(4)
    assert named("regression", "mae").constant(target, weight, 0) == 2.0
    assert named("regression", "pinball").constant(target, weight, 0) == 2.0  # at 0.3
    heavy = np.array([1.0, 1.0, 5.0, 1.0])
    assert named("regression", "mae").constant(target, heavy, 0) == 3.0


def test_the_mean_of_equal_numbers_is_that_number() -> None:
    target = np.full(10, 0.1)
    assert target.sum() / 10 != 0.1 or np.full(3, 0.1).sum() / 3 != 0.1
    for rows in range(1, 40):
        weight = np.linspace(0.1, 1, rows)
        assert named("regression", "rmse").constant(np.full(rows, 0.1), weight, 0) == 0.1


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_class_that_training_lacks_is_not_impossible(task: str) -> None:
    """Else whatever leaves it a little would have skill, though it knows nothing."""
    target = np.zeros(50)
    count = len(CLASSES[task])
    constant = named(task, "log_loss").constant(target, np.full(50, 7.0), count)
    share = constant[0] if task == "binary" else constant[1]
    assert share == pytest.approx(0.5 / (50 + 0.5 * (count - 1)))
    if task == "multiclass":
        assert constant.sum() == pytest.approx(1)


def test_to_know_nothing_but_to_leave_a_little_is_no_skill() -> None:
    """One positive row in a hundred: the fold that holds it out is trained without any."""
    target = np.zeros(100)
    target[17] = 1
    folds = halves(100)
    smoothed = [(target[fold.train].sum() + 0.5) / (len(fold.train) + 1) for fold in folds]
    predictions = [np.full((50, 1), share) for share in smoothed]
    frame = frame_of(target, task="binary")
    rows = evaluate(frame, folds, predictions, LOSSES["binary"], EvaluateConfig())
    assert -0.15 < cell(rows, "skill", metric="log_loss", scope="pooled") < 0.02


# --- skill -----------------------------------------------------------------------------------


def _case(task: str, rows: int = 240, seed: int = 0) -> tuple[Any, list[Fold], list[Floats]]:
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=rows)
    noisy = signal + 0.7 * rng.normal(size=rows)
    cuts = {"regression": None, "binary": [0.4], "multiclass": [-0.5, 0.7]}[task]
    target = noisy if cuts is None else np.digitize(noisy, cuts).astype(np.float64)
    outputs = np.column_stack([-2 * signal, 0 * signal, 2 * signal - 1])
    raw = outputs if task == "multiclass" else signal[:, None]
    weight = rng.uniform(0.5, 2, rows)
    frame = frame_of(target, task=task, weight=weight, groups=np.arange(rows) // 3)
    folds = [
        Fold(np.flatnonzero(np.arange(rows) % 3 != fold), np.arange(fold, rows, 3), fold)
        for fold in range(3)
    ]
    return frame, folds, [inverse_link(LOSSES[task].link, raw)[fold.held_out] for fold in folds]


@pytest.mark.parametrize(("task", "name"), ALL)
def test_skill_is_the_share_of_the_constants_loss_that_is_removed(task: str, name: str) -> None:
    frame, folds, predictions = _case(task)
    rows = evaluate(
        frame, folds, predictions, LOSSES[task], EvaluateConfig(folds=3, quantile=QUANTILE)
    )
    score = sklearn_metric(task, name)
    gain = name in {"r2", "auc", "average_precision", "accuracy", "macro_f1"}
    assert select(rows, "scope", metric=name) == ["fold"] * 3 + ["pooled"]
    assert select(rows, "fold", metric=name) == [0, 1, 2, None]
    for number, fold in enumerate(folds):
        held = fold.held_out
        target, weight = frame.target[held], frame.weight[held]
        value = score(target, predictions[number], weight)
        constant = named(task, name).constant(
            frame.target[fold.train], frame.weight[fold.train], len(frame.classes)
        )
        plain = score(target, np.tile(constant, (len(held), 1)), weight)
        skill = 1 - (1 - value) / (1 - plain) if gain else 1 - value / plain
        if name == "auc":
            assert plain == pytest.approx(0.5)
            assert skill == pytest.approx(2 * value - 1)
        if name == "average_precision":
            assert plain == pytest.approx(np.average(target, weights=weight))
        where = {"metric": name, "scope": "fold", "fold": number}
        assert cell(rows, "value", **where) == pytest.approx(value, abs=1e-9)
        assert cell(rows, "constant_value", **where) == pytest.approx(plain, abs=1e-9)
        assert cell(rows, "skill", **where) == pytest.approx(skill, abs=1e-9)
        assert cell(rows, "rows", **where) == len(held)
        assert cell(rows, "reason", **where) == (
            "no_standard_error" if name == "average_precision" else ""
        )


@pytest.mark.parametrize(("task", "name"), ALL)
def test_the_pooled_row_is_of_all_held_out_rows(task: str, name: str) -> None:
    frame, folds, predictions = _case(task)
    rows = evaluate(
        frame, folds, predictions, LOSSES[task], EvaluateConfig(folds=3, quantile=QUANTILE)
    )
    held = np.concatenate([fold.held_out for fold in folds])
    target, weight = frame.target[held], frame.weight[held]
    score = sklearn_metric(task, name)
    actual = cell(rows, "value", metric=name, scope="pooled")
    assert actual == pytest.approx(score(target, np.concatenate(predictions), weight), abs=1e-9)
    assert cell(rows, "rows", metric=name, scope="pooled") == len(held)


def test_constants_that_differ_between_folds_do_not_rank_rows() -> None:
    """The prior is smallest where most positives are held out: their pooled AUC is below 0.5."""
    target = np.repeat([0.0, 1.0], 10)
    folds = [
        Fold(np.r_[0:5, 12:20], np.r_[5:10, 10:12]),
        Fold(np.r_[5:10, 10:12], np.r_[0:5, 12:20], 1),
    ]
    frame = frame_of(target, task="binary")
    priors = [np.full(len(fold.held_out), frame.target[fold.train].mean()) for fold in folds]
    held = np.concatenate([fold.held_out for fold in folds])
    naive = sk.roc_auc_score(target[held], np.concatenate(priors))
    assert naive < 0.4  # the case is not trivial
    predictions = [np.linspace(0.1, 0.9, len(fold.held_out))[:, None] for fold in folds]
    rows = evaluate(frame, folds, predictions, LOSSES["binary"], EvaluateConfig())
    auc = sk.roc_auc_score(target[held], np.concatenate(predictions)[:, 0])
    assert cell(rows, "constant_value", metric="auc", scope="pooled") == pytest.approx(0.5)
    assert cell(rows, "skill", metric="auc", scope="pooled") == pytest.approx(2 * auc - 1)
    actual = cell(rows, "constant_value", metric="average_precision", scope="pooled")
    assert actual == pytest.approx(target[held].mean())


def test_the_pooled_constant_of_macro_f1_is_of_one_class() -> None:
    """In balanced data the training majority is the held-out minority, another one each time."""
    held = [
        np.repeat([0.0, 1.0, 2.0], [8 if label == i else 6 for label in range(3)]) for i in range(3)
    ]
    target, number = np.concatenate(held), np.repeat(np.arange(3), 20)
    folds = [Fold(np.flatnonzero(number != i), np.flatnonzero(number == i), i) for i in range(3)]
    frame = frame_of(target, task="multiclass")
    predictions = [np.eye(3)[frame.target[fold.held_out].astype(int)] for fold in folds]
    rows = evaluate(frame, folds, predictions, LOSSES["multiclass"], EvaluateConfig())
    expected = 2 * (1 / 3) / (1 + 1 / 3) / 3
    actual = cell(rows, "constant_value", metric="macro_f1", scope="pooled")
    assert actual == pytest.approx(expected)


# --- what is undefined -----------------------------------------------------------------------


def _finite_with_reasons(rows: dict[str, list[Any]]) -> None:
    json.loads(canonical_json(rows))  # refuses NaN and infinity
    for column, cells in rows.items():
        if column in {"fold", "reason"}:
            continue
        for i, value in enumerate(cells):
            if value is None:
                assert rows["reason"][i], (column, i)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_nothing_infinite_leaks_and_each_gap_has_a_reason(data: st.DataObject) -> None:
    task = data.draw(st.sampled_from(TASKS))
    target, prediction, weight = data.draw(judged(task))
    assume(len(target) >= 2)
    frame = frame_of(
        target,
        task=task,
        weight=weight,
        groups=data.draw(st.sampled_from([np.arange(len(target)), np.zeros(len(target))])),
    )
    folds = halves(len(target))
    predictions = [prediction[fold.held_out] for fold in folds]
    rows = evaluate(frame, folds, predictions, LOSSES[task], EvaluateConfig(quantile=QUANTILE))
    _finite_with_reasons(rows)


@pytest.mark.parametrize(
    ("task", "name", "reason"),
    [
        ("regression", "r2", "constant_target"),
        ("binary", "auc", "one_class"),
        ("binary", "average_precision", "one_class"),
    ],
)
def test_a_fold_of_one_value_leaves_metrics_undefined(task: str, name: str, reason: str) -> None:
    frame = frame_of(np.array([0.0, 0.0, 0.0, 1.0, 0.0, 1.0]), task=task)
    folds = [Fold(np.arange(3, 6), np.arange(3)), Fold(np.arange(3), np.arange(3, 6), 1)]
    rows = evaluate(frame, folds, [np.full((3, 1), 0.4)] * 2, LOSSES[task], EvaluateConfig())
    where = {"metric": name, "scope": "fold", "fold": 0}
    for column in ("value", "skill", "standard_error", "skill_low", "skill_high"):
        assert cell(rows, column, **where) is None
    assert cell(rows, "reason", **where) == reason
    _finite_with_reasons(rows)


def test_no_skill_beside_a_perfect_constant() -> None:
    frame = frame_of(np.full(6, 0.1))
    rows = evaluate(
        frame, halves(6), [np.full((3, 1), 0.2)] * 2, LOSSES["regression"], EvaluateConfig()
    )
    assert cell(rows, "value", metric="rmse", scope="pooled") == pytest.approx(0.1)
    assert cell(rows, "constant_value", metric="rmse", scope="pooled") == 0
    assert cell(rows, "skill", metric="rmse", scope="pooled") is None
    assert cell(rows, "reason", metric="rmse", scope="pooled") == "constant_is_perfect"


def test_one_group_has_no_standard_error() -> None:
    frame = frame_of(np.arange(6.0), groups=np.zeros(6))
    rows = evaluate(
        frame, halves(6), [np.full((3, 1), 0.2)] * 2, LOSSES["regression"], EvaluateConfig()
    )
    assert cell(rows, "skill", metric="rmse", scope="pooled") is not None
    assert cell(rows, "skill_low", metric="rmse", scope="pooled") is None
    assert cell(rows, "reason", metric="rmse", scope="pooled") == "one_group"


def test_the_loss_of_an_undefined_gain_is_undefined() -> None:
    undefined = Estimate(None, None, "one_class")
    assert named("binary", "auc").loss(undefined) == undefined
    assert len(set(labels([1, 1, 2]))) == 2
