"""Losses of a regression other than the squared error: metrics, constants and explanations.

Values come from scikit-learn, scipy and shap; formulas are next to what they check.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
import pytest
import shap
from scipy import optimize
from sklearn import metrics as sk

from containers.lightgbm.params import LightGBMParams
from containers.lightgbm.trainer import LightGBMTrainer
from refeed import Loss
from steps.table.grid import Grid
from steps.train.config import EvaluateConfig
from steps.train.evaluation.evaluate import evaluate
from steps.train.evaluation.metrics import Metric, inverse_link, metrics_of, row_loss
from steps.train.explanation.importance import _shuffle
from steps.train.frame import Frame
from steps.train.trainer import Floats
from tests.science.test_explanations import Case, fit_and_explain
from tests.science.truth import cell, frame_of, grid_of, halves, read, roles_of, select, table_of

Reference = Callable[[Floats, Floats, Floats], float]


def _sk(function: Any, **options: Any) -> Reference:
    return lambda y, m, w: float(function(y, m, sample_weight=w, **options))


def _huber(y: Floats, m: Floats, w: Floats) -> float:
    """Of width 0.7, by its definition: e^2 / 2 where |e| <= d, else d (|e| - d / 2)."""
    error = np.abs(y - m)
    loss = np.where(error <= 0.7, error**2 / 2, 0.7 * (error - 0.35))
    return float(np.average(loss, weights=w))


CASES: dict[str, tuple[Loss, Reference, Reference | None]] = {
    "mae": (
        Loss("absolute_error", "identity"),
        _sk(sk.mean_absolute_error),
        _sk(sk.d2_absolute_error_score),
    ),
    "pinball": (
        Loss("pinball", "identity", 0.8),
        _sk(sk.mean_pinball_loss, alpha=0.8),
        _sk(sk.d2_pinball_score, alpha=0.8),
    ),
    "huber": (Loss("huber", "identity", 0.7), _huber, None),
    "poisson_deviance": (
        Loss("poisson", "log"),
        _sk(sk.mean_poisson_deviance),
        _sk(sk.d2_tweedie_score, power=1),
    ),
    "gamma_deviance": (
        Loss("gamma", "log"),
        _sk(sk.mean_gamma_deviance),
        _sk(sk.d2_tweedie_score, power=2),
    ),
    "tweedie_deviance": (
        Loss("tweedie", "log", 1.3),
        _sk(sk.mean_tweedie_deviance, power=1.3),
        _sk(sk.d2_tweedie_score, power=1.3),
    ),
}
"""The headline metric of each loss, its value, and its skill against the constant prediction."""


def target_of(name: str, rows: int, seed: int = 0) -> Floats:
    """Targets that the loss is defined for; counts, or amounts with and without zeros."""
    rng = np.random.default_rng(seed)
    if name == "poisson_deviance":
        return rng.poisson(1.2, rows).astype(np.float64)
    amounts = rng.gamma(0.8, 3, rows) + 0.01
    if name == "tweedie_deviance":
        return np.where(rng.random(rows) < 0.4, 0.0, amounts)
    return amounts if name == "gamma_deviance" else np.asarray(amounts - 2)


def judged(name: str, rows: int = 200) -> tuple[Metric, Floats, Floats, Floats]:
    rng = np.random.default_rng(1)
    loss = CASES[name][0]
    target, weight = target_of(name, rows), rng.uniform(0.2, 3, rows)
    raw = 0.3 * rng.normal(size=rows) + (np.log(target.mean()) if loss.link == "log" else 0.5)
    return row_loss(loss), target, inverse_link(loss.link, raw[:, None]), weight


@pytest.mark.parametrize("name", CASES)
def test_the_metric_of_a_loss_is_an_independent_one(name: str) -> None:
    metric, target, prediction, weight = judged(name)
    expected = CASES[name][1](target, prediction[:, 0], weight)
    assert metric.name == name
    assert metric.score(target, prediction, weight).value == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case[2]])
def test_the_skill_is_scikit_learns_d2_if_the_constant_is_of_the_same_rows(name: str) -> None:
    metric, target, prediction, weight = judged(name)
    if name == "pinball":  # scikit-learn interpolates its quantile; without weights of one row each
        weight = np.ones(len(target))
        target, prediction = target[:199], prediction[:199]
        weight = weight[:199]
    constant = np.broadcast_to(metric.constant(target, weight, 0), prediction.shape)
    value = metric.score(target, prediction, weight).value
    of_constant = metric.score(target, constant, weight).value
    assert value is not None
    assert of_constant is not None
    reference = CASES[name][2]
    assert reference is not None
    expected = reference(target, prediction[:, 0], weight)
    assert 1 - value / of_constant == pytest.approx(expected, rel=2e-3 if name == "mae" else 1e-9)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", CASES)
def test_no_other_constant_has_a_smaller_loss(name: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target, weight = target_of(name, 61, seed), rng.uniform(0.2, 3, 61)
    loss, reference, _ = CASES[name]
    ours = float(row_loss(loss).constant(target, weight, 0)[0])

    def of(constant: float) -> float:
        return reference(target, np.full(61, constant), weight)

    low = 1e-3 if loss.link == "log" else float(target.min())
    best = optimize.minimize_scalar(of, bounds=(low, float(target.max())), method="bounded")
    assert of(ours) <= best.fun + 1e-9


@pytest.mark.parametrize("width", [1e-6, 0.7, 1e6])
def test_the_constant_of_a_huber_loss_is_between_median_and_mean(width: float) -> None:
    """A huge width gives the mean, a tiny one the median."""
    target = target_of("huber", 61)
    ours = row_loss(Loss("huber", "identity", width)).constant(target, np.ones(61), 0)[0]
    ends = {1e-6: np.median(target), 1e6: target.mean()}
    if width in ends:
        assert ours == pytest.approx(ends[width], abs=1e-5)
    else:
        assert np.median(target) < ours < target.mean()


def test_the_headline_is_the_loss_and_the_usual_metrics_follow() -> None:
    for name, (loss, _, _) in CASES.items():
        names = [metric.name for metric in metrics_of(loss, 0.5)]
        usual = [usual for usual in ("rmse", "mae", "r2", "pinball") if usual != name]
        assert names == [name, *usual]


def test_the_table_of_metrics_starts_with_the_loss() -> None:
    frame = frame_of(target_of("poisson_deviance", 40))
    folds, mean = halves(40), np.full((20, 1), 1.1)
    rows = evaluate(frame, folds, [mean, mean], CASES["poisson_deviance"][0], EvaluateConfig())
    assert rows["metric"][0] == "poisson_deviance"
    where = {"metric": "poisson_deviance", "scope": "fold", "fold": 1}
    held, train = frame.target[folds[1].held_out], frame.target[folds[1].train]
    value = sk.mean_poisson_deviance(held, mean[:, 0])
    constant = sk.mean_poisson_deviance(held, np.full(20, train.mean()))
    assert cell(rows, "value", **where) == pytest.approx(value)
    assert cell(rows, "constant_value", **where) == pytest.approx(constant)
    assert cell(rows, "skill", **where) == pytest.approx(1 - value / constant)


def test_a_prediction_of_zero_has_a_finite_deviance() -> None:
    metric = row_loss(Loss("poisson", "log"))
    value = metric.score(np.array([1.0, 3.0]), np.zeros((2, 1)), np.ones(2)).value
    assert value is not None
    assert 1000 < value < 1e4


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_class_weights_head_the_metrics_with_their_own_log_loss(task: str) -> None:
    """sklearn's log loss with the class's factor as the row's weight; all others are unweighted."""
    rng = np.random.default_rng(0)
    classes = ("no", "yes") if task == "binary" else ("a", "b", "c")
    target = rng.choice(len(classes), 60, p=[0.8, 0.2] if task == "binary" else [0.6, 0.3, 0.1])
    frame = frame_of(target.astype(np.float64), task=task, weight=rng.uniform(0.5, 2, 60))
    assert frame.weight is not None
    factors = {classes[-1]: 4.0}
    loss = Loss("log_loss", "logit" if task == "binary" else "softmax", class_weight=factors)
    raw = rng.normal(size=(60, 1 if task == "binary" else 3))
    folds = halves(60)
    predictions = [inverse_link(loss.link, raw[fold.held_out]) for fold in folds]
    rows = evaluate(frame, folds, predictions, loss, EvaluateConfig())
    assert rows["metric"][0] == "weighted_log_loss"
    held = np.concatenate([fold.held_out for fold in folds])
    weight = frame.weight * np.where(target == len(classes) - 1, 4.0, 1.0)
    likely = np.concatenate(predictions)
    likely = np.column_stack([1 - likely, likely]) if task == "binary" else likely
    labels = range(len(classes))
    for metric, weights in [("weighted_log_loss", weight), ("log_loss", frame.weight)]:
        value = sk.log_loss(target[held], likely, labels=labels, sample_weight=weights[held])
        assert cell(rows, "value", metric=metric, scope="pooled") == pytest.approx(value)
        loss_of_constant = 0.0
        for fold in folds:
            counts = np.bincount(target[fold.train], weights=weights[fold.train])
            prior = np.tile(counts / counts.sum(), (30, 1))
            loss_of_constant += sk.log_loss(
                target[fold.held_out],
                prior,
                labels=labels,
                sample_weight=weights[fold.held_out],
                normalize=False,
            )
        constant = loss_of_constant / weights[held].sum()
        found = cell(rows, "constant_value", metric=metric, scope="pooled")
        assert found == pytest.approx(constant)


# Explanations


def data_of(objective: str) -> tuple[Frame, Grid]:
    """A partition whose target has its mean on the log scale, with a category and gaps."""
    rng = np.random.default_rng(2)
    rows = 300
    number, colour = rng.normal(size=rows).round(1), rng.choice(["red", "green", "blue"], rows)
    mean = np.exp(0.6 * number + 0.8 * (colour == "red"))
    noise = {
        "poisson": lambda: rng.poisson(mean).astype(np.float64),
        "tweedie": lambda: rng.poisson(mean) * rng.gamma(2, 0.5, rows),
        "gamma": lambda: mean * rng.gamma(2, 0.5, rows),
    }
    target = noise.get(objective, lambda: mean + rng.normal(size=rows))()
    table = table_of(
        key=["k"] * rows,
        target=target,
        number=[None if i % 9 == 0 else value for i, value in enumerate(number)],
        colour=[None if i % 11 == 0 else value for i, value in enumerate(colour)],
        noise=rng.normal(size=rows),
    )
    roles = roles_of(("number", "colour", "noise"), categorical=("colour",))
    return read(table, roles), grid_of(table, roles, 6)


OBJECTIVES = ("l1", "huber", "quantile", "poisson", "gamma", "tweedie")


def explained(objective: str, **config: Any) -> Case:
    params: dict[str, Any] = {"rounds": 15, "num_leaves": 6, "min_data_in_leaf": 3}
    trainer = LightGBMTrainer(LightGBMParams(objective=objective, **params))  # type: ignore[arg-type]
    frame, grid = data_of(objective)
    settings = {"rows": 120, "permutation_importance": 2, **config}
    return fit_and_explain(frame, "regression", trainer, grid, **settings)


def response(found: Case, fold: int, values: Floats) -> Floats:
    """LightGBM's own prediction on the scale of the target."""
    booster = lightgbm.Booster(model_str=found.work.folds[fold].model.text)
    return np.asarray(booster.predict(values, num_threads=1))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_partial_dependence_is_the_mean_of_lightgbms_predictions(objective: str) -> None:
    """Brute force: set the feature in every row, predict, and average (Friedman 2001)."""
    found = explained(objective)
    rows = found.tables["partial_dependence"]
    assert set(rows["scale"]) == {"target"}
    for column, name in enumerate(found.frame.features.names):
        curves = []
        for fold, seen in enumerate(found.work.folds):
            points = found.frame.points(column, found.work.grid[name])
            matrices = [seen.features.with_column(column, point).values for point in points]
            curves.append([response(found, fold, values).mean() for values in matrices])
        expected = np.mean(curves, axis=0)
        np.testing.assert_allclose(select(rows, "value", feature=name), expected, rtol=1e-9)
    assert np.ptp(select(rows, "value", feature="number")) > 0.5


@pytest.mark.parametrize("objective", ["poisson", "gamma", "tweedie"])
def test_raw_partial_dependence_is_the_mean_logarithm(objective: str) -> None:
    found = explained(objective, partial_dependence={"grid": 6, "scale": "raw"})
    rows = found.tables["partial_dependence"]
    assert set(rows["scale"]) == {"log_target"}
    points = found.frame.points(0, found.work.grid["number"])
    curves = [
        [
            np.log(response(found, fold, seen.features.with_column(0, p).values)).mean()
            for p in points
        ]
        for fold, seen in enumerate(found.work.folds)
    ]
    values = select(rows, "value", feature="number")
    np.testing.assert_allclose(values, np.mean(curves, axis=0), rtol=1e-9)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_shap_values_are_those_of_shap_and_add_up_to_the_raw_score(objective: str) -> None:
    """base + sum = raw score: the logarithm of the prediction for poisson, gamma and tweedie."""
    found = explained(objective)
    log = objective in {"poisson", "gamma", "tweedie"}
    for table in ("shap_summary", "shap_by_value"):
        assert set(found.tables[table]["scale"]) == {"log_target" if log else "target"}
    sizes = []
    for fold, seen in enumerate(found.work.folds):
        values = seen.features.values
        actual = found.work.trainer.shap_values(seen.model, seen.features)
        assert actual is not None
        explainer = shap.TreeExplainer(lightgbm.Booster(model_str=seen.model.text))
        np.testing.assert_allclose(actual.values[:, :, 0], explainer.shap_values(values), atol=1e-9)
        np.testing.assert_allclose(actual.base[0], explainer.expected_value, atol=1e-9)
        total = actual.values[:, :, 0].sum(axis=1) + actual.base[0]
        prediction = response(found, fold, values)
        np.testing.assert_allclose(np.exp(total) if log else total, prediction, rtol=1e-9)
        sizes.append(np.abs(actual.values[:, 0, 0]).mean())
    summary = cell(found.tables["shap_summary"], "mean_abs", feature="number")
    assert summary == pytest.approx(np.mean(sizes))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_permutation_importance_is_a_share_of_the_constants_own_loss(objective: str) -> None:
    references: dict[str, Reference] = {
        "l1": _sk(sk.mean_absolute_error),
        "huber": lambda y, m, w: _huber(y / 0.9 * 0.7, m / 0.9 * 0.7, w) * (0.9 / 0.7) ** 2,
        "quantile": _sk(sk.mean_pinball_loss, alpha=0.9),
        "poisson": _sk(sk.mean_poisson_deviance),
        "gamma": _sk(sk.mean_gamma_deviance),
        "tweedie": _sk(sk.mean_tweedie_deviance, power=1.5),
    }
    found = explained(objective)
    reference = references[objective]
    metric = row_loss(found.work.loss)
    grown, constants = [], []
    for fold, seen in enumerate(found.work.folds):
        target, ones = found.frame.target[seen.rows], np.ones(len(seen.rows))
        base = reference(target, response(found, fold, seen.features.values), ones)
        losses = []
        for repeat in range(2):
            source = _shuffle(found.work, seen, 0, repeat)
            values = seen.features.with_column(0, seen.features.values[source, 0]).values
            losses.append(reference(target, response(found, fold, values), ones))
        grown.append(np.mean(losses) - base)
        train = found.frame.target[seen.fold.train]
        constant = metric.constant(train, np.ones(len(train)), 0)  # tested above
        constants.append(reference(target, np.full(len(target), constant[0]), ones))
    value = cell(found.tables["importance"], "value", feature="number", method="permutation")
    assert value == pytest.approx(np.mean(grown) / np.mean(constants), rel=1e-9)
    assert value > 0.05
