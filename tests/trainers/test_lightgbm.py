"""LightGBM: curves, SHAP values and bytes, checked against code that is not ours."""

from __future__ import annotations

from itertools import combinations
from math import factorial
from typing import TYPE_CHECKING, Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.inspection import partial_dependence

from containers.lightgbm import curves, shapley
from containers.lightgbm.booster import LightGBMModel
from containers.lightgbm.params import LightGBMParams
from containers.lightgbm.trainer import LightGBMTrainer
from refeed import Features, Task, Trainer, TrainingData
from tests.trainers.support import (
    OF_LIGHTGBM,
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
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def trainer_of(**params: Any) -> LightGBMTrainer:
    small = {"rounds": 20, "min_data_in_leaf": 2, "min_data_per_group": 2, "cat_smooth": 1.0}
    return LightGBMTrainer(LightGBMParams(**{**OF_LIGHTGBM, **small, **params}))


def all_outputs(trainer: LightGBMTrainer, model: LightGBMModel, features: Features) -> list[bytes]:
    shap = trainer.shap_values(model, features)
    columns = range(features.values.shape[1])
    curved = [
        trainer.response_curves(model, features, column, points_of(features, column))
        for column in columns
    ]
    actual = [
        trainer.predict(model, features),
        shap.values,
        shap.base,
        trainer.gain(model),
        *curved,
    ]
    return [np.asarray(each).tobytes() for each in actual]


# Partial dependence


class _Regressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Plain LightGBM in scikit-learn's clothes."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.booster_ = lightgbm.Booster(model_str=text)
        self.classes_ = np.arange(max(2, self.booster_.num_model_per_iteration()))

    def fit(self, values: Floats, target: Floats) -> None:
        """Only asked for its existence."""

    def predict(self, values: Floats) -> Floats:
        return np.asarray(self.booster_.predict(values, num_threads=1))


class _Classifier(ClassifierMixin, _Regressor):  # type: ignore[misc]
    def predict_proba(self, values: Floats) -> Floats:
        actual = np.asarray(self.booster_.predict(values, num_threads=1))
        return np.column_stack([1 - actual, actual]) if actual.ndim == 1 else actual

    def decision_function(self, values: Floats) -> Floats:
        return np.asarray(self.booster_.predict(values, raw_score=True, num_threads=1))


def probabilities(raw: Floats) -> Floats:
    """Of the positive class, or of all."""
    if raw.shape[-1] == 1:
        return np.asarray(1 / (1 + np.exp(-raw)))
    odds = np.exp(raw - raw.max(axis=-1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(
    ("task", "scale"),
    [
        ("regression", "auto"),
        ("binary", "decision_function"),
        ("binary", "predict_proba"),
        ("multiclass", "predict_proba"),
    ],
)
@pytest.mark.parametrize("num_leaves", [4, 150])
def test_mean_curves_are_sklearns_partial_dependence(
    task: Task, scale: str, num_leaves: int, seed: int
) -> None:
    data = mixed_data(task, seed=seed)
    trainer = trainer_of(num_leaves=num_leaves)
    model = trainer.fit(data)
    wrapped = (_Regressor if task == "regression" else _Classifier)(model.text)
    for column in range(4):
        points = points_of(data.features, column)
        expected = partial_dependence(
            wrapped,
            data.features.values,
            [column],
            custom_values={column: points},
            method="brute",
            response_method=scale,
        )["average"]
        raw = trainer.response_curves(model, data.features, column, points)
        actual = probabilities(raw) if scale == "predict_proba" else raw
        assert_exact(actual.mean(axis=0).T, expected)
    assert model.booster.num_trees() > 0
    assert np.ptp(expected) > 0  # the case is not trivial


numbers = st.one_of(
    st.just(float("nan")),
    st.sampled_from([0.0, -0.0, 1.0, 2.0, -1.0, 1e-35, -1e-35, 1e-36, 5e-324, 1e300, -1e300]),
    st.floats(-3, 3),
)


@st.composite
def small_fits(draw: st.DrawFn) -> tuple[LightGBMTrainer, TrainingData]:
    task = draw(st.sampled_from(TASKS))
    rows = draw(st.integers(8, 40))
    numeric = np.array(draw(st.lists(numbers, min_size=2 * rows, max_size=2 * rows)))
    codes = draw(
        st.lists(st.sampled_from([0, 1, 2, 3, float("nan")]), min_size=rows, max_size=rows)
    )
    values = np.column_stack([numeric.reshape(rows, 2), codes])
    features = Features(("a", "b", "c"), values, (None, None, ("p", "q", "r", "s")))
    top = {"regression": 9, "binary": 1, "multiclass": 2}[task]
    target = draw(st.lists(st.integers(0, top), min_size=rows, max_size=rows))
    classes = tuple("abc"[: top + 1]) if task != "regression" else ()
    data = TrainingData(features, np.array(target, dtype=np.float64), None, task, classes, 0)
    params = {
        "rounds": draw(st.integers(1, 8)),
        "num_leaves": draw(st.integers(2, 12)),
        "min_data_in_leaf": 1,
        "min_data_in_bin": 1,
        "max_cat_to_onehot": draw(st.sampled_from([1, 4])),
        "cat_l2": 0.1,
    }
    return trainer_of(**params), data


@settings(max_examples=150, deadline=None)
@given(small_fits(), st.lists(numbers, min_size=1, max_size=5))
def test_curves_are_predictions_row_by_row(
    fitted: tuple[LightGBMTrainer, TrainingData], extra: list[float]
) -> None:
    trainer, data = fitted
    model = trainer.fit(data)
    for column, levels in enumerate(data.features.levels):
        points = np.array(extra) if levels is None else points_of(data.features, column)
        actual = trainer.response_curves(model, data.features, column, points)
        expected = brute_curves(trainer, model, data.features, column, points)
        assert_exact(actual, expected)


@pytest.mark.parametrize("options", [{"zero_as_missing": True}, {"use_missing": False}, {}])
def test_curves_follow_each_meaning_of_missing(options: dict[str, bool]) -> None:
    data = mixed_data("regression", rows=300)
    values = data.features.values
    values[::3, 2] = 0.0
    params = {"verbosity": -1, "min_data_in_leaf": 2, "num_threads": 1, **options}
    dataset = lightgbm.Dataset(values, data.target, categorical_feature=[3], params=params)
    text = lightgbm.train(params, dataset, 20).model_to_string()
    trainer, model = trainer_of(), LightGBMModel(text)
    for column in range(4):
        points = points_of(data.features, column)
        actual = trainer.response_curves(model, data.features, column, points)
        expected = brute_curves(trainer, model, data.features, column, points)
        assert_exact(actual, expected)
    kinds = {bits >> 2 & 3 for bits in _decision_types(text) if not bits & 1}
    assert kinds == {"zero_as_missing": {1}, "use_missing": {0}}.get(next(iter(options), ""), {2})


def _decision_types(text: str) -> Iterator[int]:
    for line in text.splitlines():
        if line.startswith("decision_type="):
            yield from map(int, line.partition("=")[2].split())


def test_sets_of_many_levels() -> None:
    rng = np.random.default_rng(0)
    values = np.column_stack([rng.normal(size=400), rng.integers(70, size=400)])
    features = Features(("n", "c"), values, (None, tuple(map(str, range(70)))))
    target = values[:, 0] + values[:, 1] % 3
    data = TrainingData(features, target, None, "regression", (), 0)
    trainer = trainer_of()
    model = trainer.fit(data)
    assert model.forest.splits.members.shape[1] > 64
    for column in range(2):
        points = points_of(features, column)
        actual = trainer.response_curves(model, features, column, points)
        expected = brute_curves(trainer, model, features, column, points)
        assert_exact(actual, expected)


def _chain(depth: int) -> str:
    """A model of one tree in which every left child is a leaf; columns 0, 1, 2 take turns."""
    nodes, leaves = range(depth), range(depth + 1)
    arrays: dict[str, list[Any]] = {
        "split_feature": [node % 3 for node in nodes],
        "split_gain": [1 for _ in nodes],
        "threshold": [node / depth for node in nodes],
        "decision_type": [2 for _ in nodes],
        "left_child": [-1 - node for node in nodes],
        "right_child": [*range(1, depth), -1 - depth],
        "leaf_value": [leaf * leaf for leaf in leaves],
        "leaf_weight": [1 for _ in leaves],
        "leaf_count": [1 for _ in leaves],
        "internal_value": [0 for _ in nodes],
        "internal_weight": [1 for _ in nodes],
        "internal_count": [depth + 1 - node for node in nodes],
    }
    lines = [f"{key}={' '.join(map(str, array))}" for key, array in arrays.items()]
    tree = [f"num_leaves={depth + 1}", "num_cat=0", *lines, "is_linear=0", "shrinkage=1", ""]
    size = len("\n".join(["Tree=0", *tree, "", ""]))
    header = ["tree", "version=v4", "num_class=1", "num_tree_per_iteration=1", "label_index=0"]
    header += ["max_feature_idx=2", "objective=regression", "feature_names=a b c"]
    header += ["feature_infos=[0:1] [0:1] [0:1]", f"tree_sizes={size}", ""]
    return "\n".join([*header, "Tree=0", *tree, "", "end of trees", ""])


def test_trees_deeper_than_a_machine_word() -> None:
    model = LightGBMModel(_chain(150))
    values = np.random.default_rng(0).random((100, 3)) ** 0.05
    features = Features(("a", "b", "c"), values, (None, None, None))
    trainer = trainer_of()
    assert len(model.forest.levels) == 150
    assert np.ptp(trainer.predict(model, features)) > 1000
    for column in range(3):
        points = np.linspace(0, 1.1, 40)
        actual = trainer.response_curves(model, features, column, points)
        expected = brute_curves(trainer, model, features, column, points)
        assert_exact(actual, expected)


def test_curves_do_not_depend_on_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    data = mixed_data("multiclass", rows=150)
    trainer = trainer_of()
    model = trainer.fit(data)
    points = points_of(data.features, 0)
    whole = trainer.response_curves(model, data.features, 0, points)
    monkeypatch.setattr(curves, "_WORKING_BYTES", 1)  # blocks of 8 rows
    for kept in (0, 10**6):
        monkeypatch.setattr(curves, "_KEPT_BYTES", kept)
        again = data.features.take(slice(None))
        for _ in range(2):
            actual = trainer.response_curves(model, again, 0, points)
            assert_exact(actual, whole)


def test_other_rows_get_other_curves() -> None:
    data = mixed_data("regression")
    trainer = trainer_of()
    model = trainer.fit(data)
    points = np.array([0.5])
    trainer.response_curves(model, data.features, 0, points)
    half = data.features.take(np.arange(100) * 2)
    actual = trainer.response_curves(model, half, 0, points)
    assert_exact(actual, brute_curves(trainer, model, half, 0, points))


# SHAP values


def _goes_left(node: dict[str, Any], value: float) -> bool:
    """LightGBM's decision, from the words of its JSON dump."""
    if node["decision_type"] == "==":
        return not np.isnan(value) and int(value) in map(int, node["threshold"].split("||"))
    if np.isnan(value) and node["missing_type"] == "NaN":
        return bool(node["default_left"])
    return bool((0.0 if np.isnan(value) else value) <= node["threshold"])


def _expectation(node: dict[str, Any], row: Floats, known: tuple[int, ...]) -> float:
    """E[tree | the known features of the row], by the share of training rows in each branch.

    At a split on a known feature the row's own branch is taken; at any other, the mean of both
    branches by the rows that training sent there (Lundberg et al. 2018, algorithm 1).
    """
    if "leaf_value" in node:
        return float(node["leaf_value"])
    left, right = node["left_child"], node["right_child"]
    if node["split_feature"] in known:
        child = left if _goes_left(node, row[node["split_feature"]]) else right
        return _expectation(child, row, known)
    counts = [child.get("internal_count", child.get("leaf_count")) for child in (left, right)]
    means = [_expectation(child, row, known) for child in (left, right)]
    return float(np.average(means, weights=counts))


def _exact_shapley(trees: list[dict[str, Any]], row: Floats) -> tuple[Floats, float]:
    """Shapley's formula: a weighted mean of v(S + j) - v(S) over all subsets S without j.

    The weight is |S|! (m - |S| - 1)! / m!, the share of the orders of the m features in which
    exactly S comes before j (Shapley 1953).
    """
    count = len(row)

    def value(known: tuple[int, ...]) -> float:
        return sum(_expectation(tree["tree_structure"], row, known) for tree in trees)

    subsets = [s for size in range(count + 1) for s in combinations(range(count), size)]
    worth = {subset: value(subset) for subset in subsets}
    phi = np.zeros(count)
    for subset in subsets:
        share = factorial(len(subset)) * factorial(max(count - len(subset) - 1, 0))
        for j in set(range(count)) - set(subset):
            more = tuple(sorted((*subset, j)))
            phi[j] += share / factorial(count) * (worth[more] - worth[subset])
    return phi, worth[()]


@pytest.fixture(params=["tables", "LightGBM"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """SHAP values from our tables, or from LightGBM."""
    limit = {"tables": 1e9, "LightGBM": 0.0}[request.param]
    monkeypatch.setattr(shapley, "_MAX_OPERATIONS_PER_LOOK_UP", limit)
    return str(request.param)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("task", TASKS)
def test_shap_values_are_shapley_values(task: Task) -> None:
    data = mixed_data(task, rows=120, seed=3)
    trainer = trainer_of(rounds=4, num_leaves=12)
    model = trainer.fit(data)
    rows = data.features.take(slice(12))
    rows.values[-1] = [np.nan, np.nan, np.nan, 5]  # the last one: a level never seen
    actual = trainer.shap_values(model, rows)
    outputs = data.outputs
    trees = model.booster.dump_model()["tree_info"]
    assert any("==" in str(tree) for tree in trees)
    for output in range(outputs):
        for row in range(12):
            phi, base = _exact_shapley(trees[output::outputs], rows.values[row])
            assert_exact(actual.values[row, :, output], phi)
            assert_exact(actual.base[output], base)


@settings(max_examples=100, deadline=None)
@given(small_fits())
def test_shap_values_from_tables_are_lightgbms(
    fitted: tuple[LightGBMTrainer, TrainingData],
) -> None:
    trainer, data = fitted
    model = trainer.fit(data)
    values = data.features.values
    actual = model.booster.predict(values, pred_contrib=True, num_threads=1)
    expected = np.asarray(actual).reshape(len(values), data.outputs, 4).transpose(0, 2, 1)
    assert_exact(model.shapley.values(values), expected[:, :3])
    assert_exact(model.shapley.base(), expected[0, 3])


def test_shap_values_of_long_paths_and_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(1100, 20))
    data = numeric_data(values, np.exp(values).sum(axis=1))
    trainer = trainer_of(num_leaves=63, bagging_fraction=0.5, bagging_freq=1)
    model = trainer.fit(data)
    assert not model.shapley.worthwhile(100)  # LightGBM's turn
    monkeypatch.setattr(shapley, "_CHUNK_LEAVES", 7)
    by_lightgbm = trainer.shap_values(model, data.features.take(slice(100)))
    assert_exact(model.shapley.values(values)[:100], by_lightgbm.values)
    assert_exact(model.shapley.base(), by_lightgbm.base)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("task", TASKS)
def test_shap_values_add_up_to_the_raw_score(task: Task) -> None:
    data = mixed_data(task, rows=300)
    trainer = trainer_of(num_leaves=40)
    model = trainer.fit(data)
    actual = trainer.shap_values(model, data.features)
    assert actual.values.shape == (300, 4, data.outputs)
    total = actual.values.sum(axis=1) + actual.base
    assert_exact(total, trainer.predict(model, data.features))


# Fitting, saving


def test_fits_what_lightgbm_fits() -> None:
    data = mixed_data("multiclass")
    model = trainer_of(feature_fraction=0.7, bagging_fraction=0.8, bagging_freq=2).fit(data)
    params = {
        "objective": "multiclass",
        "num_class": 3,
        "feature_fraction": 0.7,
        "bagging_fraction": 0.8,
        "bagging_freq": 2,
        "min_data_in_leaf": 2,
        "min_data_per_group": 2,
        "cat_smooth": 1,
        "seed": 0,
        "verbosity": -1,
        "num_threads": 1,
        "deterministic": True,
        "force_row_wise": True,
    }
    values = data.features.values
    dataset = lightgbm.Dataset(values, data.target, categorical_feature=[3], params=params)
    plain = lightgbm.train(params, dataset, 20)
    assert np.array_equal(model.booster.predict(values), plain.predict(values, num_threads=1))


@pytest.mark.parametrize("sampling", [1.0, 0.5])
def test_stopping_early_changes_nothing(sampling: float) -> None:
    """Rounds after the last possible split are skipped; LightGBM adds nothing in them either."""
    values = np.arange(12.0)[:, None]
    trainer = trainer_of(
        learning_rate=1.0, rounds=40, bagging_fraction=sampling, bagging_freq=1, min_data_in_leaf=4
    )
    model = trainer.fit(numeric_data(values, (values[:, 0] > 5) * 1.0))
    params = {
        **trainer.params.model_dump(exclude={"rounds", "objective"}),
        "verbosity": -1,
        "deterministic": True,
        "num_threads": 1,
        "seed": 0,
    }
    plain = lightgbm.train(params, lightgbm.Dataset(values, (values[:, 0] > 5) * 1.0), 40)
    assert np.array_equal(model.booster.predict(values), plain.predict(values))
    assert model.booster.num_trees() == plain.num_trees()


SAVE = """
import hashlib
from tests.trainers.support import mixed_data
from containers.lightgbm.params import LightGBMParams
from containers.lightgbm.trainer import LightGBMTrainer
trainer = LightGBMTrainer(LightGBMParams(min_data_in_leaf=2, bagging_fraction=0.5, bagging_freq=1))
for task in ("regression", "binary", "multiclass"):
    model = trainer.fit(mixed_data(task, seed=7))
    print(hashlib.sha256(trainer.save(model)).hexdigest())
"""


def test_another_process_saves_the_same_bytes() -> None:
    first = run_python(SAVE)
    assert len(set(first.split())) == 3
    assert run_python(SAVE) == first


def test_saved_parameters_are_those_of_every_machine() -> None:
    trainer = trainer_of()
    text = trainer.save(trainer.fit(mixed_data("regression"))).decode()
    for line in ("num_threads: 1", "deterministic: 1", "force_row_wise: 1", "seed: 0"):
        assert f"\n[{line}]\n" in text
    assert "/" not in text  # no path of the machine that trained it


@pytest.mark.parametrize("task", TASKS)
def test_a_reloaded_model_is_the_same_to_the_last_bit(task: Task) -> None:
    data = mixed_data(task)
    trainer = trainer_of()
    fitted = trainer.fit(data)
    content = trainer.save(fitted)
    reloaded = trainer.load(content)
    assert trainer.save(reloaded) == content
    assert all_outputs(trainer, fitted, data.features) == all_outputs(
        trainer, reloaded, data.features
    )


@pytest.mark.parametrize("task", TASKS)
def test_the_text_is_the_booster_as_trained(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    """Predictions and SHAP values lose nothing in LightGBM's text (its gains do)."""
    trained: list[Any] = []
    plain = lightgbm.Booster

    class Recorder(plain):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            trained.append(self)

    monkeypatch.setattr(lightgbm, "Booster", Recorder)
    data = mixed_data(task)
    model = trainer_of().fit(data)
    values = data.features.values
    for options in ({"raw_score": True}, {"pred_contrib": True}):
        before = trained[0].predict(values, num_threads=1, **options)
        assert np.array_equal(before, model.booster.predict(values, num_threads=1, **options))


def test_gain_is_lightgbms() -> None:
    data = mixed_data("regression")
    trainer = trainer_of()
    model = trainer.fit(data)
    booster = lightgbm.Booster(model_str=trainer.save(model).decode())
    assert np.array_equal(trainer.gain(model), booster.feature_importance("gain"))
    assert trainer.gain(model).min() > 0


# Awkward data


def awkward() -> Iterator[tuple[str, TrainingData]]:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(60, 4))
    values[:, 1] = np.nan
    values[:, 2] = 7.0
    target = values[:, 0] + rng.normal(size=60)
    yield "all missing, constant", numeric_data(values, target)
    yield "nothing to learn from", numeric_data(values[:, 1:3], target)
    yield "10 rows", numeric_data(values[:10], target[:10])
    yield "one row", numeric_data(values[:1], target[:1])
    yield "constant target", numeric_data(values, np.ones(60))
    yield "one class of two", numeric_data(values, np.ones(60), "binary")
    yield "two classes of three", numeric_data(values, (target > 0) * 2.0, "multiclass")
    yield "one class of three", numeric_data(values, np.ones(60), "multiclass")


@pytest.mark.parametrize("data", [pytest.param(data, id=name) for name, data in awkward()])
@pytest.mark.parametrize("min_data_in_leaf", [1, 20])
def test_awkward_data_is_fitted_in_silence(
    data: TrainingData, min_data_in_leaf: int, capfd: pytest.CaptureFixture[str]
) -> None:
    trainer = trainer_of(min_data_in_leaf=min_data_in_leaf)
    model = trainer.load(trainer.save(trainer.fit(data)))
    scores = trainer.predict(model, data.features)
    assert scores.shape == (data.features.rows, data.outputs)
    assert np.isfinite(scores).all()
    shap = trainer.shap_values(model, data.features)
    assert_exact(shap.values.sum(axis=1) + shap.base, scores)
    points = np.array([0.0, 7.0, np.nan])
    for column in range(data.features.values.shape[1]):
        actual = trainer.response_curves(model, data.features, column, points)
        expected = brute_curves(trainer, model, data.features, column, points)
        assert_exact(actual, expected)
    assert capfd.readouterr() == ("", "")


def test_an_unseen_level_is_one_that_training_rows_lack() -> None:
    data = mixed_data("regression")
    values = data.features.values
    values[values[:, 3] == 4, 3] = 0  # a level of the partition that this fold lacks
    trainer = trainer_of()
    model = trainer.fit(data)
    seen, lacking, unseen = (
        trainer.predict(model, data.features.with_column(3, code)) for code in (1, 4, 5)
    )
    assert np.array_equal(lacking, unseen)
    assert not np.allclose(seen, unseen)


def test_names_may_be_anything() -> None:
    data = mixed_data("regression")
    names = ("a\nTree=1\nnum_leaves=9", '{"x": [1, 2]}', "日本 \x00", "a\nTree=1\nnum_leaves=9")
    hostile = Features(names, data.features.values, data.features.levels)
    renamed = TrainingData(hostile, data.target, None, "regression", (), data.seed)
    trainer = trainer_of()
    content = trainer.save(trainer.fit(renamed))
    assert content == trainer.save(trainer.fit(data))


def test_weights_count() -> None:
    data = mixed_data("regression")
    heavy = TrainingData(
        data.features, data.target, np.where(data.target > 1, 2.0, 1.0), "regression", (), data.seed
    )
    trainer = trainer_of(rounds=1)
    lighter, heavier = (
        trainer.predict(trainer.fit(each), data.features).mean() for each in (data, heavy)
    )
    expected = np.average(data.target, weights=heavy.weight) - data.target.mean()
    np.testing.assert_allclose(heavier - lighter, expected, rtol=0.3)


@pytest.mark.parametrize(
    ("objective", "alpha", "centre"),
    [
        ("l2", 0.9, np.mean),
        ("l1", 0.9, np.median),
        ("quantile", 0.25, None),
        ("huber", 0.9, np.mean),
    ],
)
def test_objectives_of_a_regression_score_the_target(
    objective: str, alpha: float, centre: Any
) -> None:
    target = np.exp(np.random.default_rng(0).normal(size=401))
    data = numeric_data(np.zeros((401, 1)), target)
    trainer = trainer_of(objective=objective, alpha=alpha)
    score = trainer.predict(trainer.fit(data), data.features)[0, 0]
    expected = np.quantile(target, alpha) if centre is None else centre(target)
    np.testing.assert_allclose(score, expected, rtol=0.02)


# Parameters


def test_importing_the_trainer_loads_nothing_heavy() -> None:
    assert heavy_imports("containers.lightgbm.trainer") == ""


@pytest.mark.parametrize(
    "params",
    [{"num_leaves": 1}, {"n_estimators": 5}, {"rounds": 1.5}, {"learning_rate": 0}, {"seed": 1}],
)
def test_wrong_parameters_are_errors(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LightGBMParams(**params)


def test_is_a_trainer() -> None:
    assert issubclass(LightGBMTrainer, Trainer)
    assert LightGBMTrainer.suffix == ".txt"
