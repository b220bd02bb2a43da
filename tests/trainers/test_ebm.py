"""Explainable boosting machines, checked against interpret, shap and plain predictions."""

from __future__ import annotations

import inspect
import json
import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import shap
from interpret import develop
from interpret.glassbox import ExplainableBoostingClassifier, ExplainableBoostingRegressor
from sklearn.metrics import mean_poisson_deviance

from containers.ebm import fitting
from containers.ebm.params import EBMParams
from containers.ebm.trainer import EBMTrainer
from refeed import Features, Task, TrainingData
from steps.errors import SpecError
from steps.train.registry import check_params, conflicts
from steps.train.trainer import DataShape, Floats
from tests.trainers.support import (
    CLASSES,
    TASKS,
    assert_exact,
    brute_curves,
    heavy_imports,
    mixed_data,
    numeric_data,
    points_of,
    run_python,
)

assert fitting  # it restricts interpret to the instructions of every processor


def trainer_of(**params: Any) -> EBMTrainer:
    return EBMTrainer(EBMParams.model_validate({"max_rounds": 60, **params}))


def folds_of(rows: int, count: int = 3) -> tuple[tuple[Any, Any], ...]:
    fold = np.random.default_rng(0).integers(count, size=rows)
    return tuple((np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(count))


def with_folds(data: TrainingData) -> TrainingData:
    return replace(data, inner_folds=folds_of(data.features.rows))


def data_of(task: Task, rows: int = 240, seed: int = 0) -> TrainingData:
    return with_folds(mixed_data(task, rows=rows, seed=seed))


def interprets_own(data: TrainingData, **options: Any) -> Any:
    """A machine of interpret, with the same parameters and the inner folds as bags."""
    bags = np.zeros((len(data.target), 3), np.int8)
    for number, (train, held) in enumerate(data.inner_folds):
        bags[train, number], bags[held, number] = 1, -1
    kind = (
        ExplainableBoostingRegressor if data.task == "regression" else ExplainableBoostingClassifier
    )
    defaults = EBMParams(max_rounds=60).model_dump()
    same = {
        name: value
        for name, value in defaults.items()
        if name in inspect.signature(kind).parameters
    }
    same |= {"interactions": 0, "outer_bags": 3, "n_jobs": 1, "random_state": 0}
    same |= {"feature_types": ["continuous"] * 3 + ["nominal"]}
    del same["objective"]
    machine = kind(**{**same, **options})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        machine.fit(data.features.values, data.target, sample_weight=data.weight, bags=bags)
    return machine


# Scores


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("task", TASKS)
def test_scores_are_interprets(task: Task, *, weighted: bool) -> None:
    data = data_of(task)
    if weighted:
        data = replace(data, weight=np.random.default_rng(1).uniform(0.2, 3, 240))
    trainer = trainer_of()
    actual = trainer.predict(trainer.fit(data), data.features)
    values = data.features.values
    if task == "regression":  # the target is in units of its standard deviation
        mean = np.average(data.target, weights=data.weight)
        scaled = replace(data, target=(data.target - mean) / data.target.std())
        expected = interprets_own(scaled).predict(values) * data.target.std() + mean
    else:
        expected = interprets_own(data).decision_function(values)
    np.testing.assert_allclose(actual, np.asarray(expected).reshape(actual.shape), rtol=1e-9)
    assert np.ptp(actual) > 0.5


@pytest.mark.parametrize("objective", ["poisson", "gamma", "tweedie"])
def test_scores_of_a_log_link_are_the_logarithm_of_interprets_prediction(objective: str) -> None:
    data = data_of("regression")
    rng = np.random.default_rng(1)
    mean = np.exp(0.5 * data.target)
    counts = rng.poisson(mean).astype(np.float64)
    target = {"poisson": counts, "gamma": mean * rng.gamma(2, 0.5, 240), "tweedie": counts * 1.5}
    data = replace(data, target=target[objective])
    trainer = trainer_of(objective=objective)
    power = ":variance_power=1.5" if objective == "tweedie" else ""
    machine = interprets_own(data, objective=f"{objective}_deviance{power}")
    raw = trainer.predict(trainer.fit(data), data.features)[:, 0]
    np.testing.assert_allclose(np.exp(raw), machine.predict(data.features.values), rtol=1e-9)


def test_missing_and_unseen_values() -> None:
    """Each has a score of its own; a level without training rows has the mean effect."""
    data = data_of("regression")
    values = data.features.values
    values[values[:, 3] == 4, 3] = 0  # a level of the partition that these rows lack
    trainer = trainer_of()
    model = trainer.fit(data)
    effects = model.effect(3, np.array([0, 1, 4, 5, np.nan]))[:, 0]
    assert effects[2] == effects[3] == 0
    assert len({*effects[[0, 1, 3, 4]].round(6)}) == 4
    np.testing.assert_allclose(model.background, 0, atol=0.02)  # effects are centred


def test_the_target_may_be_in_any_unit() -> None:
    data = data_of("regression")
    trainer = trainer_of()
    expected = trainer.predict(trainer.fit(data), data.features)
    large = replace(data, target=data.target * 1e6 + 1e9)
    actual = trainer.predict(trainer.fit(large), data.features)
    np.testing.assert_allclose((actual - 1e9) / 1e6, expected, atol=1e-6)


# Explanations


@pytest.mark.parametrize("task", TASKS)
def test_shap_values_are_those_of_shap(task: Task) -> None:
    """Exact interventional Shapley values with the training rows as background."""
    data = data_of(task, rows=90)
    trainer = trainer_of()
    model = trainer.fit(data)
    rows = data.features.take(slice(12))
    actual = trainer.shap_values(model, rows)
    masker = shap.maskers.Independent(data.features.values, max_samples=90)
    for output in range(data.outputs):
        explainer = shap.explainers.Exact(
            lambda values, o=output: model.scores(values)[:, o], masker
        )
        found = explainer(rows.values)
        np.testing.assert_allclose(actual.values[:, :, output], found.values, atol=1e-9)
        np.testing.assert_allclose(actual.base[output], found.base_values[0], atol=1e-9)
    total = actual.values.sum(axis=1) + actual.base
    assert_exact(total, trainer.predict(model, rows))


@pytest.mark.parametrize("task", TASKS)
def test_curves_are_predictions_row_by_row(task: Task) -> None:
    data = data_of(task)
    trainer = trainer_of()
    model = trainer.fit(data)
    for column in range(4):
        points = points_of(data.features, column)
        actual = trainer.response_curves(model, data.features, column, points)
        assert_exact(actual, brute_curves(trainer, model, data.features, column, points))
    assert trainer.gain(model) is None


# Offset


def test_an_offset_of_a_regression_is_subtracted_from_the_target() -> None:
    data = data_of("regression")
    offset = np.random.default_rng(0).normal(size=240) * 3
    trainer = trainer_of()
    shifted = trainer.fit(replace(data, target=data.target + offset, offset=offset))
    expected = trainer.predict(trainer.fit(data), data.features)
    np.testing.assert_allclose(trainer.predict(shifted, data.features), expected, atol=1e-9)


def test_an_exposure_is_a_rate_with_a_weight() -> None:
    """Of a Poisson loss: e m(y / e) has the gradients of m(y), so rates have the same scores."""
    data = data_of("regression", rows=600)
    rng = np.random.default_rng(0)
    exposure = rng.uniform(0.2, 4, 600)
    target = rng.poisson(exposure * np.exp(0.3 * data.target)).astype(np.float64)
    trainer = trainer_of(objective="poisson")
    model = trainer.fit(replace(data, target=target, offset=np.log(exposure)))
    rates = trainer.fit(replace(data, target=target / exposure, weight=exposure))
    actual, expected = (trainer.predict(each, data.features)[:, 0] for each in (model, rates))
    np.testing.assert_allclose(actual, expected, atol=0.08)  # bins of a term count rows or weights
    assert np.ptp(expected) > 0.5
    total = (np.exp(actual) * exposure).sum()
    assert total == pytest.approx(target.sum(), rel=0.03)
    constant = target.sum() / exposure.sum() * exposure
    assert mean_poisson_deviance(target, np.exp(actual) * exposure) < 0.95 * mean_poisson_deviance(
        target, constant
    )


def test_a_binary_offset_is_taken_into_account() -> None:
    """Fitted with the true log-odds as offset, no feature has an effect."""
    data = data_of("binary", rows=600)
    rng = np.random.default_rng(0)
    offset = rng.normal(size=600) * 2
    target = (rng.random(600) < 1 / (1 + np.exp(-offset + 1))).astype(np.float64)
    trainer = trainer_of()
    raw = trainer.predict(trainer.fit(replace(data, target=target, offset=offset)), data.features)
    np.testing.assert_allclose(raw.mean(), -1, atol=0.3)
    assert np.ptp(raw) < 1


# Absent classes, awkward data


@pytest.mark.parametrize(
    ("task", "present"),
    [("binary", [0]), ("binary", [1]), ("multiclass", [2]), ("multiclass", [0, 2])],
)
def test_absent_classes_get_less_than_half_a_row(task: Task, present: list[int]) -> None:
    data = data_of(task)
    target = np.where(np.isin(data.target, present), data.target, present[0])
    trainer = trainer_of()
    model = trainer.fit(replace(data, target=target))
    raw = trainer.predict(model, data.features)
    assert raw.shape == (240, data.outputs)
    if task == "binary":
        raw = np.column_stack([np.zeros(240), raw])
    actual = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    absent = [c for c in range(len(CLASSES[task])) if c not in present]
    assert actual[:, absent].max() <= 0.51 / 240
    assert actual[:, absent].min() > 0
    if len(present) == 2:
        assert np.ptp(actual[:, 0]) > 0.2
        codes = np.searchsorted(present, target).astype(np.float64)
        two = replace(data, target=codes, task="binary", classes=("a", "c"))
        log_odds = trainer.predict(trainer.fit(two), data.features)[:, 0]
        np.testing.assert_allclose(raw[:, 2] - raw[:, 0], log_odds, rtol=1e-9)


def awkward() -> dict[str, TrainingData]:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 3))
    values[:, 1] = np.nan
    values[:, 2] = 0.1
    target = values[:, 0] + rng.normal(size=60)
    lonely = np.where(np.arange(60) == 7, 1.0, 0.0)
    return {
        "all missing, constant": numeric_data(values, target),
        "nothing to learn from": numeric_data(values[:, 1:], target),
        "nothing to learn from, classes": numeric_data(values[:, 1:], lonely, "binary"),
        "nothing to learn from, three": numeric_data(values[:, 1:], lonely * 2, "multiclass"),
        "6 rows": numeric_data(values[:6], target[:6]),
        "constant target": numeric_data(values, np.full(60, 0.1)),
        "separable": numeric_data(values, (values[:, 0] > 0) * 1.0, "binary"),
        "one event": numeric_data(values, lonely, "binary"),
        "one event of three classes": numeric_data(
            values, lonely + (target > 1) * 1.0, "multiclass"
        ),
        "large numbers": numeric_data(values * 1e9 + 1e12, target * 1e9),
        "one class of two": numeric_data(values, np.ones(60), "binary"),
    }


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in awkward().items()])
def test_awkward_data_is_fitted_in_silence(
    data: TrainingData, capfd: pytest.CaptureFixture[str]
) -> None:
    trainer = trainer_of()
    model = trainer.load(trainer.save(trainer.fit(with_folds(data))))
    scores = trainer.predict(model, data.features)
    assert scores.shape == (data.features.rows, data.outputs)
    assert np.isfinite(scores).all()
    still = np.flatnonzero(np.nanstd(np.nan_to_num(data.features.values), axis=0) < 1e-9)
    for column in still:
        points = np.array([-5.0, 3.0, np.nan])
        curves = trainer.response_curves(model, data.features, int(column), points)
        assert np.ptp(curves, axis=1).max() == 0
    assert capfd.readouterr() == ("", "")


def test_a_constant_is_the_best_one() -> None:
    data = awkward()["nothing to learn from, classes"]
    trainer = trainer_of()
    raw = trainer.predict(trainer.fit(with_folds(data)), data.features)
    np.testing.assert_allclose(raw, np.log(1 / 59))
    three = awkward()["nothing to learn from, three"]
    raw = trainer.predict(trainer.fit(with_folds(three)), three.features)
    np.testing.assert_allclose(raw[:, 2] - raw[:, 0], np.log(1 / 59))


def test_rows_that_no_bag_trains_on_are_not_lost() -> None:
    """With folds in time, the newest rows are held out only: the last fit has all rows."""
    rows = 300
    values = np.linspace(0, 1, rows)[:, None]
    data = numeric_data(values, np.where(values[:, 0] > 0.8, 5.0, 0.0))
    folds = tuple((np.arange(at), np.arange(at, at + 75)) for at in (75, 150, 225))
    trainer = trainer_of(max_rounds=400)
    model = trainer.fit(replace(data, inner_folds=folds))
    raw = trainer.predict(model, data.features)[:, 0]
    assert raw[-20:].mean() - raw[:100].mean() > 2
    assert len(model.rounds) == 1


# Saving, parameters


@pytest.mark.parametrize("task", TASKS)
def test_a_reloaded_model_is_the_same_to_the_last_bit(task: Task) -> None:
    data = data_of(task)
    trainer = trainer_of()
    fitted = trainer.fit(data)
    content = trainer.save(fitted)
    reloaded = trainer.load(content)
    assert trainer.save(reloaded) == content
    for column in range(4):
        points = points_of(data.features, column)
        one, two = (
            trainer.response_curves(each, data.features, column, points)
            for each in (fitted, reloaded)
        )
        assert np.array_equal(one, two)
    assert set(json.loads(content)) == {"terms", "intercept", "background", "rounds"}
    assert trainer.describe(fitted).startswith("rounds per bag: ")


SAVE = """
import hashlib
from tests.trainers.test_ebm import data_of, trainer_of
trainer = trainer_of(smoothing_rounds=20)
for task in ("regression", "binary", "multiclass"):
    print(hashlib.sha256(trainer.save(trainer.fit(data_of(task, seed=7)))).hexdigest())
"""


def test_another_process_saves_the_same_bytes() -> None:
    first = run_python(SAVE)
    assert len(set(first.split())) == 3
    assert run_python(SAVE) == first


def test_no_instructions_of_one_processor_are_used() -> None:
    """With AVX-512, scores differ by about 1e-8."""
    assert develop.get_option("acceleration") == 0


def test_importing_the_trainer_loads_nothing_heavy() -> None:
    assert heavy_imports("containers.ebm.trainer") == ""


def test_every_name_of_interpret_is_accepted_or_refused() -> None:
    known = set(inspect.signature(ExplainableBoostingRegressor.__init__).parameters) - {"self"}
    accepted = {*EBMParams.model_fields, *EBMParams.aliases}
    ours = {"bags", "class_weight", "tweedie_variance_power"}
    assert (accepted - ours) | set(EBMParams.refused) == known
    for name in EBMParams.refused:
        with pytest.raises(SpecError, match="cannot be set"):
            check_params("ebm", {name: 1})


@pytest.mark.parametrize("direction", [1, -1])
def test_a_monotone_curve_has_one_direction(direction: int) -> None:
    data = data_of("regression")
    trainer = trainer_of(monotone_constraints={"x": direction})
    points = np.linspace(-3, 3, 50)
    curve = trainer.response_curves(trainer.fit(data), data.features, 0, points)[0, :, 0]
    assert (np.diff(curve) * direction).min() >= -1e-12


def test_class_weights_move_the_probabilities() -> None:
    data = data_of("binary")
    plain, weighted = trainer_of(), trainer_of(class_weight={"yes": 5.0})
    before, after = (t.predict(t.fit(data), data.features).mean() for t in (plain, weighted))
    assert after - before == pytest.approx(np.log(5), rel=0.25)
    by_row = replace(data, weight=np.where(data.target == 1, 5.0, 1.0))
    expected = plain.predict(plain.fit(by_row), data.features)
    np.testing.assert_allclose(weighted.predict(weighted.fit(data), data.features), expected)


@pytest.mark.parametrize(
    ("task", "params", "where"),
    [
        ("binary", {"objective": "poisson"}, "objective"),
        ("regression", {"tweedie_variance_power": 1.2}, "tweedie_variance_power"),
        ("regression", {"class_weight": "balanced"}, "class_weight"),
        ("binary", {"class_weight": {"yse": 2.0}}, "class_weight.yse"),
        ("regression", {"monotone_constraints": {"prize": 1}}, "monotone_constraints.prize"),
        ("regression", {"monotone_constraints": {"colour": 1}}, "monotone_constraints.colour"),
        ("multiclass", {"monotone_constraints": {"price": 1}}, "monotone_constraints"),
    ],
)
def test_parameters_that_do_not_fit_the_data(
    task: Task, params: dict[str, Any], where: str
) -> None:
    shape = DataShape(task, ("price", "colour"), ("colour",), CLASSES[task])
    found = conflicts("ebm", params, shape)
    assert [problem.where for problem in found] == [f"trainer.params.{where}"]


def test_it_needs_inner_folds() -> None:
    with pytest.raises(ValueError, match="needs inner folds"):
        trainer_of().fit(mixed_data("regression"))


def test_a_term_is_constant_between_cuts() -> None:
    data = data_of("regression")
    model = trainer_of(max_bins=8).fit(data)
    term = model.terms[0]
    cuts: Floats = np.array(term.cuts)  # type: ignore[union-attr]
    assert 3 <= len(cuts) <= 7
    below, at = model.effect(0, np.nextafter(cuts, -np.inf)), model.effect(0, cuts)
    assert np.array_equal(below[1:], at[:-1])
    features: Features = data.features
    assert features.names[0] == "x"
