"""Objectives, offsets and class weights of linear models, checked against other libraries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import optimize, special
from sklearn.linear_model import HuberRegressor, LogisticRegression, QuantileRegressor

from containers.linear.params import LinearParams
from containers.linear.trainer import LinearTrainer
from refeed import Task, TrainingData
from steps.train.registry import check_params, conflicts
from steps.train.trainer import DataShape, Floats
from tests.trainers.support import CLASSES, mixed_data, numeric_data, run_python

LOG = ("poisson", "gamma", "tweedie")
OBJECTIVES = ("l2", "l1", "huber", "quantile", *LOG)


def trainer_of(objective: str = "l2", **params: Any) -> LinearTrainer:
    own: dict[str, Any] = {
        "l1": {"l1_ratio": 1.0},
        "quantile": {"l1_ratio": 1.0, "quantile": 0.8},
        "huber": {"width": 0.8},
    }.get(objective, {})
    return LinearTrainer(LinearParams.model_validate({"objective": objective, **own, **params}))


def data_of(objective: str, rows: int = 240, seed: int = 0) -> TrainingData:
    """Numeric columns without gaps, and a target that the objective is made for."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 3)) * [1, 5, 0.1] + [0, 20, 3]
    score = 0.5 * values[:, 0] - 0.1 * (values[:, 1] - 20) + 3 * (values[:, 2] - 3)
    mean = np.exp(score)
    made: dict[str, Callable[[], Floats]] = {
        "poisson": lambda: rng.poisson(mean).astype(np.float64),
        "gamma": lambda: mean * rng.gamma(2, 0.5, rows),
        "tweedie": lambda: rng.poisson(mean) * rng.gamma(2, 0.5, rows),
    }
    target = made.get(objective, lambda: score + rng.standard_t(2, rows))()
    return numeric_data(values, np.asarray(target, np.float64))


def family(objective: str) -> Any:
    return {
        "poisson": sm.families.Poisson(),
        "gamma": sm.families.Gamma(sm.families.links.Log()),
        "tweedie": sm.families.Tweedie(var_power=1.5),
    }[objective]


@pytest.mark.parametrize("exposed", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("objective", LOG)
def test_a_log_link_is_the_glm_of_statsmodels(
    objective: str, *, weighted: bool, exposed: bool
) -> None:
    """With next to no penalty; the exposure is statsmodels' own, or R's offset(log(exposure))."""
    data = data_of(objective)
    rng = np.random.default_rng(1)
    weight = rng.integers(1, 4, 240).astype(np.float64) if weighted else None
    exposure = rng.uniform(0.1, 5, 240) if exposed else np.ones(240)
    target = data.target * (exposure if objective == "gamma" else 1)
    offset = np.log(exposure) if exposed else None
    data = replace(data, target=target, weight=weight, offset=offset)
    trainer = trainer_of(objective, alpha=1e-10, tol=1e-10)
    raw = trainer.predict(trainer.fit(data), data.features)[:, 0]
    terms = sm.add_constant(data.features.values)
    model = sm.GLM(target, terms, family=family(objective), offset=offset, freq_weights=weight)
    expected = terms @ model.fit(tol=1e-12, maxiter=500).params
    np.testing.assert_allclose(raw, expected, atol=1e-5)
    assert np.ptp(expected) > 2


@pytest.mark.parametrize("objective", LOG)
def test_the_penalty_is_on_scaled_features_and_rates(objective: str) -> None:
    """mean half deviance of y / mean(y) + alpha / 2 |b|^2, minimised by scipy."""
    data = data_of(objective)
    trainer = trainer_of(objective, alpha=0.2, tol=1e-10)
    model = trainer.fit(data)
    values = data.features.values
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    y = data.target / data.target.mean()
    power = {"poisson": 1.0, "gamma": 2.0, "tweedie": 1.5}[objective]

    def half(m: Floats) -> Floats:
        if power == 1:
            return np.asarray(m - special.xlogy(y, m))
        if power == 2:
            return np.asarray(np.log(m) + y / m)
        return np.asarray(m**0.5 / 0.5 + y * m**-0.5 / 0.5)

    def objective_of(b: Floats) -> float:
        mean = np.exp(b[0] + scaled @ b[1:])
        return float(half(mean).mean() + 0.1 * (b[1:] ** 2).sum())

    best = optimize.minimize(objective_of, np.zeros(4), method="BFGS", options={"gtol": 1e-9})
    np.testing.assert_allclose(model.coefficients[:, 0], best.x[1:], atol=1e-5)
    np.testing.assert_allclose(model.intercept, best.x[0] + np.log(data.target.mean()), atol=1e-5)


@pytest.mark.parametrize(("objective", "level"), [("l1", 0.5), ("quantile", 0.8)])
def test_a_quantile_is_scikit_learns(objective: str, level: float) -> None:
    data = data_of(objective)
    trainer = trainer_of(objective, alpha=0.02)
    values = data.features.values
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    solver = QuantileRegressor(quantile=level, alpha=0.02, solver="highs")
    expected = solver.fit(scaled, data.target / data.target.std()).predict(scaled)
    actual = trainer.predict(trainer.fit(data), data.features)[:, 0]
    np.testing.assert_allclose(actual / data.target.std(), expected, atol=1e-6)
    below = trainer_of(objective, alpha=1e-6)
    raw = below.predict(below.fit(data), data.features)[:, 0]
    assert (data.target <= raw + 1e-9).mean() == pytest.approx(level, abs=0.02)
    reference = sm.QuantReg(data.target, sm.add_constant(values)).fit(q=level)
    loss = np.where(data.target >= raw, level, level - 1) * (data.target - raw)
    theirs = data.target - reference.fittedvalues
    assert loss.sum() <= (np.where(theirs >= 0, level, level - 1) * theirs).sum() + 1e-3


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_a_huber_model_minimises_its_loss(l1_ratio: float) -> None:
    """mean Huber loss of the target in units of its deviation, plus the penalty, by scipy."""
    data = data_of("huber")
    data = replace(data, weight=np.random.default_rng(0).uniform(0.2, 3, 240))
    trainer = trainer_of("huber", alpha=0.1, l1_ratio=l1_ratio, tol=1e-10)
    model = trainer.fit(data)
    values = data.features.values
    weight = data.weight
    assert weight is not None
    mean = np.average(values, axis=0, weights=weight)
    scaled = (values - mean) / np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weight))
    centre = np.average(data.target, weights=weight)
    scale = np.sqrt(np.average((data.target - centre) ** 2, weights=weight))
    y = (data.target - centre) / scale

    def objective_of(b: Floats) -> float:
        loss = special.huber(0.8 / scale, y - b[0] - scaled @ b[1:])
        size = l1_ratio * np.abs(b[1:]).sum() + (1 - l1_ratio) / 2 * (b[1:] ** 2).sum()
        return float(np.average(loss, weights=weight) + 0.1 * size)

    found = np.array([(model.intercept[0] - centre) / scale, *model.coefficients[:, 0] / scale])
    best = optimize.minimize(
        objective_of, np.zeros(4), method="Nelder-Mead",
        options={"xatol": 1e-9, "fatol": 1e-12, "maxiter": 10_000, "maxfev": 10_000},
    )  # fmt: skip
    np.testing.assert_allclose(found, best.x, atol=1e-5)


def test_a_huber_model_is_scikit_learns_at_its_estimate_of_the_width() -> None:
    """HuberRegressor estimates s; with the width epsilon * s, its coefficients are ours.

    Its loss of an error r is s H(r / s) with H(z) = z^2 or 2 e |z| - e^2: 2 / s times the Huber
    loss of width e s. So its penalty a |b|^2 is, per row, a s / (2 n) |b|^2.
    """
    data = data_of("huber")
    values = data.features.values
    scaled = (values - values.mean(axis=0)) / values.std(axis=0)
    spread = data.target.std()
    y = (data.target - data.target.mean()) / spread
    theirs = HuberRegressor(epsilon=1.5, alpha=5.0, tol=1e-10, max_iter=1000).fit(scaled, y)
    trainer = trainer_of(
        "huber", width=1.5 * theirs.scale_ * spread, alpha=5.0 * theirs.scale_ / 240, tol=1e-10
    )
    raw = trainer.predict(trainer.fit(data), data.features)[:, 0]
    expected = theirs.predict(scaled) * spread + data.target.mean()
    np.testing.assert_allclose(raw, expected, atol=1e-4)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_alpha_means_the_same_for_more_rows_and_other_units(objective: str) -> None:
    data = data_of(objective)
    rows = np.tile(np.arange(240), 3)
    more = data.take(rows)
    more = replace(more, target=more.target * 1000)
    wide = {"width": 800.0} if objective == "huber" else {}
    one, two = trainer_of(objective, alpha=0.1), trainer_of(objective, alpha=0.1, **wide)
    expected = one.predict(one.fit(data), data.features)
    actual = two.predict(two.fit(more), data.features)
    actual = actual - np.log(1000) if objective in LOG else actual / 1000
    np.testing.assert_allclose(actual, expected, atol=1e-4)


@pytest.mark.parametrize("objective", LOG)
def test_alpha_does_not_depend_on_the_unit_of_the_exposure(objective: str) -> None:
    """Per day, the rates are those per year, less log(365)."""
    data = data_of(objective)
    years = np.log(np.random.default_rng(1).uniform(0.1, 5, 240))
    trainer = trainer_of(objective, alpha=0.3, tol=1e-9)
    per_year = trainer.fit(replace(data, offset=years))
    per_day = trainer.fit(replace(data, offset=years + np.log(365)))
    actual, expected = (trainer.predict(each, data.features) for each in (per_day, per_year))
    np.testing.assert_allclose(actual + np.log(365), expected, atol=1e-5)
    free = trainer_of(objective, alpha=1e-6)
    unbound = free.predict(free.fit(replace(data, offset=years)), data.features)
    assert np.ptp(expected) < 0.8 * np.ptp(unbound)  # the penalty counts


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_weight_of_two_is_a_row_twice(objective: str) -> None:
    data = data_of(objective, rows=80)
    weight = np.random.default_rng(0).integers(3, size=80)
    repeated = data.take(np.repeat(np.arange(80), weight))
    trainer = trainer_of(objective, alpha=0.05)
    weighted = trainer.fit(replace(data, weight=weight.astype(np.float64)))
    actual = trainer.predict(weighted, data.features)
    expected = trainer.predict(trainer.fit(repeated), data.features)
    np.testing.assert_allclose(actual, expected, atol=1e-4)


@pytest.mark.parametrize("objective", ["l2", "l1", "huber", "quantile"])
def test_an_offset_is_subtracted_from_the_target(objective: str) -> None:
    data = data_of(objective)
    offset = np.random.default_rng(0).normal(size=240) * 3
    trainer = trainer_of(objective)
    shifted = trainer.fit(replace(data, target=data.target + offset, offset=offset))
    expected = trainer.predict(trainer.fit(data), data.features)
    np.testing.assert_allclose(trainer.predict(shifted, data.features), expected, atol=1e-6)


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_explanations_add_up_to_the_raw_score(objective: str) -> None:
    data = data_of(objective)
    trainer = trainer_of(objective)
    model = trainer.load(trainer.save(trainer.fit(data)))
    shap = trainer.shap_values(model, data.features)
    raw = trainer.predict(model, data.features)
    np.testing.assert_allclose(shap.values.sum(axis=1) + shap.base, raw)
    np.testing.assert_allclose(shap.base, raw.mean(axis=0))


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_class_weights_are_scikit_learns(task: Task) -> None:
    data = mixed_data(task)
    factors = {name: 1.0 + 2 * code for code, name in enumerate(data.classes)}
    trainer = trainer_of(class_weight=factors, alpha=0.05, tol=1e-9)
    model = trainer.fit(data)
    terms = model.encoding.encode(data.features.values)
    total = sum(factors[data.classes[int(code)]] for code in data.target)
    solver = LogisticRegression(
        C=1 / (0.05 * total),
        class_weight=dict(enumerate(factors.values())),
        tol=1e-9,
        max_iter=10_000,
    ).fit(terms, data.target)
    raw = trainer.predict(model, data.features)
    raw = np.column_stack([np.zeros(len(raw)), raw]) if task == "binary" else raw
    actual = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    # Features are scaled with the weights, so the terms differ from those without by that only.
    np.testing.assert_allclose(actual, solver.predict_proba(terms), atol=2e-4)


def awkward(objective: str) -> dict[str, TrainingData]:
    data = data_of(objective, rows=60)
    values = data.features.values.copy()
    values[:, 1], values[:, 2] = np.nan, 0.1
    constant = np.full(60, 2.0)
    return {
        "all missing, constant": numeric_data(values, data.target),
        "nothing to learn from": numeric_data(values[:, 1:], data.target),
        "constant target": numeric_data(values, constant),
        "10 rows": data.take(np.arange(10)),
        "large numbers": numeric_data(values * 1e9, data.target * 1e9),
    }


@pytest.mark.parametrize("name", awkward("gamma"))
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_awkward_data_is_fitted_in_silence(
    objective: str, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = awkward(objective)[name]
    wide = {"width": 0.8e9} if objective == "huber" and name == "large numbers" else {}
    trainer = trainer_of(objective, **wide)
    assert np.isfinite(trainer.predict(trainer.fit(data), data.features)).all()
    assert capfd.readouterr() == ("", "")


# Parameters


def test_defaults_are_those_of_the_first_version() -> None:
    """A parameter that was added later is in no cache key and no table while it has its default."""
    assert check_params("linear", {}).model_dump(mode="json") == {
        "alpha": 0.01,
        "l1_ratio": 0.0,
        "max_iter": 10_000,
        "tol": 1e-6,
    }


@pytest.mark.parametrize(
    ("task", "params", "where"),
    [
        ("regression", {"objective": "quantile"}, "l1_ratio"),
        ("regression", {"objective": "l1", "l1_ratio": 0.5}, "l1_ratio"),
        ("regression", {"objective": "poisson", "l1_ratio": 0.5}, "l1_ratio"),
        ("regression", {"objective": "huber"}, "width"),
        ("regression", {"quantile": 0.9}, "quantile"),
        ("regression", {"width": 0.9}, "width"),
        ("regression", {"tweedie_variance_power": 1.2}, "tweedie_variance_power"),
        ("regression", {"class_weight": "balanced"}, "class_weight"),
        ("binary", {"objective": "gamma"}, "objective"),
        ("binary", {"class_weight": {"yse": 2.0}}, "class_weight.yse"),
    ],
)
def test_parameters_that_do_not_fit(task: Task, params: dict[str, Any], where: str) -> None:
    shape = DataShape(task, ("x",), (), CLASSES[task])
    found = conflicts("linear", params, shape)
    assert [problem.where for problem in found] == [f"trainer.params.{where}"]


def test_classes_have_no_offset() -> None:
    """scikit-learn's logistic regression has none."""
    shape = DataShape("binary", ("x",), (), CLASSES["binary"], "offset")
    (problem,) = conflicts("linear", {}, shape)
    assert problem.where == "dataset.offset"
    assert "cannot add it to the score of a binary task" in problem.message


SAVE = """
import hashlib
from tests.trainers.test_linear_objectives import OBJECTIVES, data_of, trainer_of
for objective in OBJECTIVES:
    trainer = trainer_of(objective)
    print(hashlib.sha256(trainer.save(trainer.fit(data_of(objective)))).hexdigest())
"""


def test_another_process_saves_the_same_bytes() -> None:
    first = run_python(SAVE)
    assert len(set(first.split())) == len(OBJECTIVES)
    assert run_python(SAVE) == first
