"""Linear models, checked against scikit-learn, shap and plain predictions."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import shap
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import ElasticNet, LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from containers.linear.params import LinearParams
from containers.linear.solvers import NotConvergedError
from containers.linear.trainer import LinearTrainer
from refeed import Features, Task, TrainingData
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

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def trainer_of(**params: Any) -> LinearTrainer:
    return LinearTrainer(LinearParams(**params))


def sklearn_terms(values: Floats) -> Floats:
    """The documented encoding, put together from scikit-learn's parts (odd counts: one median)."""
    numeric = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    levels = OneHotEncoder(categories=[[0, 1, 2, 3, 4, np.nan]], sparse_output=False)
    encoder = make_column_transformer((numeric, [0, 1, 2]), (levels, [3]))
    return np.asarray(encoder.fit_transform(values))


def odd_counts(data: TrainingData) -> TrainingData:
    """As many rows as make the number of values in each column odd, so that medians are unique."""
    values = data.features.values.copy()
    for column in range(3):
        there = np.flatnonzero(~np.isnan(values[:, column]))
        if len(there) % 2 == 0:
            values[there[0], column] = np.nan
    return replace(data, features=replace(data.features, values=values))


@pytest.mark.parametrize("l1_ratio", [0.0, 0.4])
def test_regression_is_sklearns(l1_ratio: float) -> None:
    data = odd_counts(mixed_data("regression"))
    trainer = trainer_of(alpha=0.05, l1_ratio=l1_ratio, tol=1e-9)
    actual = trainer.predict(trainer.fit(data), data.features)[:, 0]
    terms, scale = sklearn_terms(data.features.values), data.target.std()
    # alpha is for a target of unit variance; scikit-learn's ElasticNet takes means, Ridge sums.
    solver = (
        ElasticNet(alpha=0.05, l1_ratio=l1_ratio, tol=1e-9, max_iter=10_000)
        if l1_ratio
        else Ridge(alpha=0.05 * len(terms))
    )
    expected = solver.fit(terms, data.target / scale).predict(terms) * scale
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.4])
@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_probabilities_are_sklearns(task: Task, l1_ratio: float) -> None:
    data = odd_counts(mixed_data(task))
    trainer = trainer_of(alpha=0.05, l1_ratio=l1_ratio, tol=1e-8)
    raw = trainer.predict(trainer.fit(data), data.features)
    if task == "binary":
        raw = np.column_stack([np.zeros(len(raw)), raw])
    actual = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    terms = sklearn_terms(data.features.values)
    solver = LogisticRegression(
        C=1 / (0.05 * len(terms)), l1_ratio=l1_ratio, solver="saga", tol=1e-8, max_iter=100_000
    )
    expected = solver.fit(terms, data.target).predict_proba(terms)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
@pytest.mark.parametrize("task", TASKS)
def test_a_weight_of_two_is_a_row_twice(task: Task, l1_ratio: float) -> None:
    data = mixed_data(task, rows=80)
    weight = np.random.default_rng(0).integers(3, size=80)
    twice = np.repeat(np.arange(80), weight)
    repeated = replace(data, features=data.features.take(twice), target=data.target[twice])
    weighted = replace(data, weight=weight.astype(np.float64))
    trainer = trainer_of(l1_ratio=l1_ratio, tol=1e-9)
    actual, expected = (
        trainer.predict(trainer.fit(each), data.features) for each in (weighted, repeated)
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)
    assert not np.allclose(actual, trainer.predict(trainer.fit(data), data.features), atol=1e-2)


@pytest.mark.parametrize("task", TASKS)
def test_alpha_means_the_same_for_more_rows_and_other_units(task: Task) -> None:
    data = mixed_data(task)
    rows = np.tile(np.arange(200), 5)
    more = replace(data, features=data.features.take(rows), target=data.target[rows])
    unit = 1000.0 if task == "regression" else 1.0
    more = replace(more, target=more.target * unit)
    trainer = trainer_of(alpha=0.3)
    actual, expected = (trainer.predict(trainer.fit(each), data.features) for each in (more, data))
    np.testing.assert_allclose(actual / unit, expected, rtol=1e-4, atol=1e-4)


def test_lasso_of_alpha_one_is_a_constant() -> None:
    data = mixed_data("regression")
    trainer = trainer_of(alpha=1.0, l1_ratio=1.0)
    actual = trainer.predict(trainer.fit(data), data.features)
    assert_exact(actual, data.target.mean())


# Explanations


@pytest.mark.parametrize("task", TASKS)
def test_shap_values_are_those_of_shap(task: Task) -> None:
    data = mixed_data(task)
    trainer = trainer_of()
    model = trainer.fit(data)
    actual = trainer.shap_values(model, data.features)
    train = model.encoding.encode(data.features.values)
    explainer = shap.LinearExplainer(
        (model.coefficients.T, model.intercept), shap.maskers.Independent(train, len(train))
    )
    # One SHAP value per term; those of one feature add up, since the model is a sum.
    terms = explainer(train).values.reshape(200, train.shape[1], data.outputs)
    owners = [0, 1, 2, 3, 3, 3, 3, 3, 3]
    expected = np.zeros((200, 4, data.outputs))
    for term, owner in enumerate(owners):
        expected[:, owner] += terms[:, term]
    assert_exact(actual.values, expected)
    assert_exact(actual.base, np.ravel(explainer.expected_value))
    total = actual.values.sum(axis=1) + actual.base
    assert_exact(total, trainer.predict(model, data.features))
    assert_exact(actual.base, trainer.predict(model, data.features).mean(axis=0))


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(TASKS), st.integers(0, 1000), st.integers(6, 40))
def test_curves_are_predictions_row_by_row(task: Task, seed: int, rows: int) -> None:
    data = mixed_data(task, rows=rows, seed=seed)
    trainer = trainer_of()
    model = trainer.fit(data)
    for column in range(4):
        points = points_of(data.features, column)
        points = points[np.isnan(points) | (np.abs(points) < 1e9)]
        actual = trainer.response_curves(model, data.features, column, points)
        expected = brute_curves(trainer, model, data.features, column, points)
        assert_exact(actual, expected)


def test_missing_and_unseen_values() -> None:
    """A missing number is the median; a missing level has its own effect, an unseen one none."""
    data = mixed_data("regression")
    trainer = trainer_of()
    model = trainer.fit(data)
    median = np.nanquantile(data.features.values[:, 0], 0.5, method="inverted_cdf")
    missing, filled = (
        trainer.predict(model, data.features.with_column(0, value)) for value in (np.nan, median)
    )
    assert np.array_equal(missing, filled)
    others = data.features.with_column(3, 5.0)
    effects = trainer.response_curves(model, others, 3, points_of(others, 3))[0, :, 0]
    effects -= trainer.predict(model, others)[0, 0]
    levels = np.array([*effects[:5], effects[6]])
    assert effects[5] == 0
    np.testing.assert_allclose(levels, model.coefficients[3:, 0], atol=1e-12)
    assert np.abs(levels).min() > 0


# Absent classes, awkward data


@pytest.mark.parametrize(
    ("task", "present"),
    [("binary", [0]), ("binary", [1]), ("multiclass", [2]), ("multiclass", [0, 2])],
)
def test_absent_classes_get_less_than_half_a_row(task: Task, present: list[int]) -> None:
    data = mixed_data(task)
    target = np.where(np.isin(data.target, present), data.target, present[0])
    data = replace(data, target=target)
    trainer = trainer_of()
    raw = trainer.predict(trainer.fit(data), data.features)
    assert raw.shape == (200, data.outputs)
    if task == "binary":
        raw = np.column_stack([np.zeros(200), raw])
    actual = np.exp(raw) / np.exp(raw).sum(axis=1, keepdims=True)
    absent = [c for c in range(len(CLASSES[task])) if c not in present]
    assert actual[:, absent].max() <= 0.5 / 200
    assert actual[:, absent].min() > 0


def test_a_class_without_weight_is_absent() -> None:
    data = mixed_data("multiclass")
    weighted = replace(data, weight=(data.target != 1) * 1.0)
    trainer = trainer_of()
    raw = trainer.predict(trainer.fit(weighted), data.features)
    rows = data.target != 1
    without = replace(data, features=data.features.take(rows), target=data.target[rows])
    expected = trainer.predict(trainer.fit(without), data.features)
    np.testing.assert_allclose(raw, expected, rtol=1e-6, atol=1e-6)
    assert np.unique(raw[:, 1]) == -np.log(2 * rows.sum())


def awkward() -> dict[str, TrainingData]:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 3))
    values[:, 1] = np.nan
    values[:, 2] = 0.1
    target = values[:, 0] + rng.normal(size=60)
    return {
        "all missing, constant": numeric_data(values, target),
        "nothing to learn from": numeric_data(values[:, 1:], target),
        "10 rows": numeric_data(values[:10], target[:10]),
        "one row": numeric_data(values[:1], target[:1]),
        "constant target": numeric_data(values, np.full(60, 0.1)),
        "separable": numeric_data(values, (values[:, 0] > 0) * 1.0, "binary"),
        "more columns than rows": numeric_data(rng.normal(size=(10, 30)), target[:10]),
        "large numbers": numeric_data(values * 1e9 + 1e12, target * 1e9),
    }


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in awkward().items()])
@pytest.mark.parametrize("l1_ratio", [0.0, 0.5])
def test_awkward_data_is_fitted_in_silence(
    data: TrainingData, l1_ratio: float, capfd: pytest.CaptureFixture[str]
) -> None:
    trainer = trainer_of(l1_ratio=l1_ratio)
    model = trainer.fit(data)
    assert np.isfinite(trainer.predict(model, data.features)).all()
    for column in np.flatnonzero(np.nanstd(np.nan_to_num(data.features.values), axis=0) < 1e-9):
        points = np.array([-5.0, 3.0, np.nan])
        curves = trainer.response_curves(model, data.features, int(column), points)
        assert np.ptp(curves, axis=1).max() == 0
    assert trainer.gain(model) is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("task", TASKS)
def test_not_to_converge_is_an_error(task: Task) -> None:
    with pytest.raises(NotConvergedError, match="max_iter=1 "):
        trainer_of(max_iter=1, l1_ratio=0.5, alpha=1e-4).fit(mixed_data(task))


# Saving


@pytest.mark.parametrize("task", TASKS)
def test_a_reloaded_model_is_the_same_to_the_last_bit(task: Task) -> None:
    data = mixed_data(task)
    hostile = replace(data.features, levels=(None, None, None, ('"', "\n", "日本", "", "\\")))
    trainer = trainer_of()
    fitted = trainer.fit(replace(data, features=hostile))
    content = trainer.save(fitted)
    reloaded = trainer.load(content)
    assert reloaded.encoding == fitted.encoding
    assert trainer.save(reloaded) == content
    for column in range(4):
        points = points_of(hostile, column)
        one, two = (
            trainer.response_curves(each, hostile, column, points) for each in (fitted, reloaded)
        )
        assert np.array_equal(one, two)
    before, after = (trainer.shap_values(each, hostile) for each in (fitted, reloaded))
    assert np.array_equal(before.values, after.values)
    assert np.array_equal(before.base, after.base)
    assert set(json.loads(content)) == {"columns", "coefficients", "intercept", "background"}


SAVE = """
import hashlib
from tests.trainers.support import mixed_data
from containers.linear.params import LinearParams
from containers.linear.trainer import LinearTrainer
trainer = LinearTrainer(LinearParams(l1_ratio=0.5, tol=1e-3))
for task in ("regression", "binary", "multiclass"):
    model = trainer.fit(mixed_data(task, seed=7))
    print(hashlib.sha256(trainer.save(model)).hexdigest())
"""


def test_another_process_saves_the_same_bytes() -> None:
    first = run_python(SAVE)
    assert len(set(first.split())) == 3
    assert run_python(SAVE) == first


def test_importing_the_trainer_loads_nothing_heavy() -> None:
    assert heavy_imports("containers.linear.trainer") == ""


@pytest.mark.parametrize(
    "params", [{"alpha": 0.0}, {"l1_ratio": 1.1}, {"C": 1.0}, {"max_iter": "9"}]
)
def test_wrong_parameters_are_errors(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LinearParams(**params)


def test_no_columns_of_one_kind_is_no_problem() -> None:
    data = mixed_data("regression")
    features = data.features
    only = Features(features.names[3:], features.values[:, 3:], features.levels[3:])
    trainer = trainer_of()
    assert np.isfinite(trainer.predict(trainer.fit(replace(data, features=only)), only)).all()
