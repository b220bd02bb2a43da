"""LightGBM's parameters: names, aliases, constraints and class weights."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
import pytest
from lightgbm.basic import _ConfigAliases
from sklearn.utils.class_weight import compute_class_weight

from containers.lightgbm.names import ALIASES, OBJECTIVES, REFUSED
from containers.lightgbm.params import LightGBMParams
from containers.lightgbm.trainer import LightGBMTrainer
from refeed import RowSubset, Task, TrainingData
from steps.errors import SpecError
from steps.train.registry import check_params, conflicts
from steps.train.trainer import DataShape
from tests.trainers.support import OF_LIGHTGBM, mixed_data, numeric_data

SMALL = {
    **OF_LIGHTGBM,
    "rounds": 20,
    "min_data_in_leaf": 2,
    "min_data_per_group": 2,
    "cat_smooth": 1.0,
}
PLAIN = {
    **{key: value for key, value in SMALL.items() if key != "rounds"},
    "seed": 0,
    "verbosity": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
}


def trainer_of(**params: Any) -> LightGBMTrainer:
    checked = check_params("lightgbm", {**SMALL, **params})
    assert isinstance(checked, LightGBMParams)
    return LightGBMTrainer(checked)


def problems_of(params: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(SpecError) as error:
        check_params("lightgbm", params)
    found = error.value.problems
    assert len({problem.where for problem in found}) == len(found)
    return {problem.where: f"{problem.message} {problem.hint}" for problem in found}


# Names


def lightgbms_names() -> dict[str, str]:
    """The parameter of each name that the installed LightGBM knows; num_iterations is rounds."""
    known = _ConfigAliases._get_all_param_aliases()
    names = {alias: main for main, aliases in known.items() for alias in (main, *aliases)}
    return {name: {"num_iterations": "rounds"}.get(main, main) for name, main in names.items()}


def test_every_name_of_lightgbm_is_accepted_or_refused() -> None:
    accepted = {*LightGBMParams.model_fields, *ALIASES}
    ours = {"rounds", "class_weight", "max_rounds", "inner_folds"}
    assert (accepted - ours) | set(REFUSED) == set(lightgbms_names())
    assert not accepted & set(REFUSED)


def test_aliases_are_lightgbms() -> None:
    expected = {name: main for name, main in lightgbms_names().items() if name not in REFUSED}
    assert {name: main for name, main in expected.items() if name != main} == ALIASES
    assert set(ALIASES.values()) <= set(LightGBMParams.model_fields)


@pytest.mark.parametrize("name", [name for names in OBJECTIVES.values() for name in names.split()])
def test_names_of_an_objective_are_lightgbms(name: str) -> None:
    data = mixed_data("regression")
    dataset = lightgbm.Dataset(data.features.values, data.target, categorical_feature=[3])
    params = {**PLAIN, "objective": name}
    plain = lightgbm.train(params, dataset, 20).predict(data.features.values, num_threads=1)
    trainer = trainer_of(objective=name)
    assert np.array_equal(trainer.predict(trainer.fit(data), data.features)[:, 0], plain)


@pytest.mark.parametrize(
    ("alias", "name", "value"),
    [("n_estimators", "rounds", 7), ("reg_lambda", "lambda_l2", 3.0), ("eta", "learning_rate", 1)],
)
def test_an_alias_gives_the_same_model(alias: str, name: str, value: float) -> None:
    base = {key: each for key, each in SMALL.items() if key != name}
    one, two = (check_params("lightgbm", {**base, key: value}) for key in (alias, name))
    assert one == two
    assert one.model_dump() == two.model_dump()


def test_two_names_of_one_parameter_are_an_error() -> None:
    found = problems_of({"rounds": 5, "num_trees": 5, "nrounds": 5})
    assert found == {
        f"trainer.params.{name}": "the same parameter as 'rounds', which is set too "
        "Keep one of the two."
        for name in ("num_trees", "nrounds")
    }


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("n_estimator", "Did you mean 'n_estimators', another name of 'rounds'?"),
        ("num_leafs", "Did you mean 'num_leaves'?"),
        ("xyzzy", "Its parameters are num_leaves, learning_rate, rounds, "),
    ],
)
def test_an_unknown_name_gets_the_nearest_one(name: str, hint: str) -> None:
    found = problems_of({name: 1})
    assert f"unknown parameter {hint}" in found[f"trainer.params.{name}"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("num_threads", "any number of threads"),
        ("random_state", "evaluate.seed"),
        ("metric", "Refeed evaluates"),
        ("linear_tree", "constant leaves"),
        ("scale_pos_weight", "class_weight"),
        ("zero_as_missing", "zero is a number"),
        ("output_model", "stores the models"),
        ("device", "any number of threads"),
    ],
)
def test_a_refused_name_gets_the_reason(name: str, reason: str) -> None:
    assert reason in problems_of({name: 1})[f"trainer.params.{name}"]


@pytest.mark.parametrize(
    ("params", "where"),
    [
        ({"eta": 2}, "eta"),
        ({"class_weight": {"yes": 0}}, "class_weight.yes"),
        ({"class_weight": "balance"}, "class_weight"),
        ({"monotone_constraints": {"x": 2}}, "monotone_constraints.x"),
        ({"mc": [1, 0]}, "mc"),
        ({"interaction_constraints": [["x"], []]}, "interaction_constraints.1"),
        ({"objective": "mape"}, "objective"),
        ({"n_estimators": "many"}, "n_estimators"),
        ({"rounds": 0}, "rounds"),
    ],
)
def test_a_wrong_value_is_reported_once_under_the_name_as_written(
    params: dict[str, Any], where: str
) -> None:
    assert list(problems_of(params)) == [f"trainer.params.{where}"]


def test_defaults_in_cache_keys() -> None:
    """A parameter that was added after the first version is in none while it has its default."""
    assert check_params("lightgbm", {}).model_dump(mode="json") == {
        "num_leaves": "auto",
        "learning_rate": 0.2,
        "rounds": 50,
        "max_depth": -1,
        "min_data_in_leaf": 20,
        "min_sum_hessian_in_leaf": 0.001,
        "feature_fraction": 1.0,
        "bagging_fraction": 1.0,
        "bagging_freq": 0,
        "lambda_l1": 0.0,
        "lambda_l2": 0.0,
        "min_gain_to_split": 0.0,
        "max_bin": 63,
        "min_data_in_bin": 3,
        "extra_trees": False,
        "path_smooth": 0.0,
        "min_data_per_group": 100,
        "cat_smooth": 10.0,
        "cat_l2": 10.0,
        "max_cat_threshold": 32,
        "max_cat_to_onehot": 4,
        "objective": "l2",
        "alpha": 0.9,
    }


CHOSEN = {"num_leaves", "learning_rate", "max_bin"}
"""Defaults that follow from the field suite; see benchmarks/defaults.py."""


def test_other_defaults_are_lightgbms() -> None:
    """As LightGBM writes them into a model that was trained without parameters."""
    data = numeric_data(np.zeros((50, 1)), np.arange(50.0))
    dataset = lightgbm.Dataset(data.features.values, data.target)
    text = lightgbm.train({"verbosity": -1}, dataset, 1).model_to_string()
    lines = [line[1:-1].split(": ") for line in text.splitlines() if line.startswith("[")]
    written = {line[0]: line[1] for line in lines if len(line) == 2}
    fields = LightGBMParams.model_fields.items()
    defaults = {name: field.default for name, field in fields if name in written}
    assert len(defaults) > 30
    for name, default in defaults.items():
        if name in {"objective", "early_stopping_round", *CHOSEN} or default is None:
            continue
        if isinstance(default, str):
            assert written[name] == default
        else:
            assert float(written[name]) == float(default), name


@pytest.mark.parametrize(
    ("rows", "leaves"),
    [(1_999, 4), (2_000, 8), (9_999, 8), (10_000, 15), (19_999, 15), (20_000, 31), (90_000, 31)],
)
def test_leaves_follow_from_the_rows_of_the_partition(rows: int, leaves: int) -> None:
    """The models of the folds, which train on fewer rows, have as many as the final model."""
    values = np.random.default_rng(0).normal(size=(rows, 1))
    data = numeric_data(values, np.sin(5 * values[:, 0]))
    fold = RowSubset(np.flatnonzero(np.arange(rows) % 2))
    trainer = LightGBMTrainer(LightGBMParams(rounds=1))
    for model in trainer.fit_subsets(data, [fold, RowSubset(np.arange(rows))]):
        tree = re.search(r"(?m)^num_leaves=(\d+)$", model.text)
        assert tree is not None
        assert int(tree[1]) == leaves
        assert trainer.describe(model) == f"num_leaves: {leaves}"


def test_a_parameter_that_is_set_is_used_as_written() -> None:
    written = {"num_leaves": 5, "learning_rate": 0.3, "rounds": 7, "max_bin": 31}
    trainer = LightGBMTrainer(LightGBMParams.model_validate(written))
    model = trainer.fit(mixed_data("regression", rows=300))
    lines = model.text.splitlines()
    for name, value in {"num_leaves": 5, "learning_rate": 0.3, "max_bin": 31}.items():
        assert f"[{name}: {value}]" in lines
    assert model.booster.num_trees() == 7
    assert trainer.describe(model) == ""


@pytest.mark.parametrize(
    ("params", "rounds"),
    [
        ({}, 50),
        ({"learning_rate": 0.1}, 100),
        ({"learning_rate": 0.03}, 334),
        ({"learning_rate": 1}, 10),
        ({"learning_rate": 1e-9}, 100_000),
        ({"learning_rate": 0.1, "rounds": 20}, 20),
        ({"eta": 0.1, "n_estimators": 30}, 30),
        ({"eta": 0.1}, 100),
        ({"learning_rate": 0.1, "rounds": "auto"}, "auto"),
    ],
)
def test_a_smaller_learning_rate_has_more_rounds(params: dict[str, Any], rounds: int | str) -> None:
    checked = check_params("lightgbm", params).model_dump(mode="json")
    assert checked["rounds"] == rounds
    assert check_params("lightgbm", checked).model_dump(mode="json") == checked


@pytest.mark.parametrize(
    "params",
    [
        {"feature_fraction_bynode": 0.5},
        {"data_sample_strategy": "goss", "top_rate": 0.3},
        {"max_delta_step": 0.1},
        {"boost_from_average": False},
        {"bagging_freq": 1, "pos_bagging_fraction": 0.5},
    ],
)
def test_a_parameter_is_passed_through(params: dict[str, Any]) -> None:
    data = mixed_data("binary", rows=300)
    values = data.features.values
    options = {**PLAIN, **params, "objective": "binary"}
    dataset = lightgbm.Dataset(values, data.target, categorical_feature=[3], params=options)
    plain = lightgbm.train(options, dataset, 20).predict(values, raw_score=True, num_threads=1)
    trainer, without = trainer_of(**params), trainer_of()
    actual = trainer.predict(trainer.fit(data), data.features)[:, 0]
    assert np.array_equal(actual, plain)
    assert not np.array_equal(actual, without.predict(without.fit(data), data.features)[:, 0])


# Constraints


def waves(rows: int = 400) -> TrainingData:
    """A target that rises in waves with one column, and has an interaction of two others."""
    rng = np.random.default_rng(1)
    values = rng.normal(size=(rows, 4))
    target = values[:, 0] + np.sin(3 * values[:, 0])
    target += 4.0 * ((values[:, 1] > 0) & (values[:, 2] > 0))
    return numeric_data(values, target + values[:, 3] + rng.normal(size=rows))


@pytest.mark.parametrize("task", ["regression", "binary"])
@pytest.mark.parametrize("direction", [1, -1])
def test_a_monotone_curve_has_one_direction(task: Task, direction: int) -> None:
    data = waves()
    if task == "binary":
        target = (data.target > 0).astype(np.float64)
        data = replace(data, target=target, task=task, classes=("no", "yes"))
    points = np.linspace(-3, 3, 60)
    free, bound = trainer_of(), trainer_of(monotone_constraints={"0": direction})
    steps = np.diff(bound.response_curves(bound.fit(data), data.features, 0, points), axis=1)
    assert (steps * direction).min() > -1e-12
    loose = np.diff(free.response_curves(free.fit(data), data.features, 0, points), axis=1)
    assert (loose * direction).min() < -0.1


def test_constraints_are_lightgbms_by_position() -> None:
    data = waves()
    options = {
        **PLAIN,
        "objective": "regression",
        "monotone_constraints": [0, 0, 0, 1],
        "monotone_constraints_method": "advanced",
        "interaction_constraints": [[1, 2], [0, 3]],
    }
    dataset = lightgbm.Dataset(data.features.values, data.target, params=options)
    plain = lightgbm.train(options, dataset, 20).predict(data.features.values, num_threads=1)
    trainer = trainer_of(
        monotone_constraints={"3": 1},
        monotone_constraints_method="advanced",
        interaction_constraints=[["1", "2"]],
    )
    assert np.array_equal(trainer.predict(trainer.fit(data), data.features)[:, 0], plain)


def paths(node: dict[str, Any], above: frozenset[int] = frozenset()) -> list[frozenset[int]]:
    """The features on the way to each leaf."""
    if "split_feature" not in node:
        return [above]
    here = above | {node["split_feature"]}
    return [*paths(node["left_child"], here), *paths(node["right_child"], here)]


def test_features_in_no_list_interact_with_each_other_only() -> None:
    data = waves()
    trainer = trainer_of(interaction_constraints=[["1", "2"]])
    trees = trainer.fit(data).booster.dump_model()["tree_info"]
    found = {path for tree in trees for path in paths(tree["tree_structure"])}
    assert all(path <= {1, 2} or path <= {0, 3} for path in found)
    assert {frozenset({1, 2}), frozenset({0, 3})} <= found


# Class weights


@pytest.mark.parametrize("task", ["binary", "multiclass"])
@pytest.mark.parametrize("weighted", [False, True])
def test_class_weights_are_those_of_lgbm_classifier(task: Task, *, weighted: bool) -> None:
    data = mixed_data(task, rows=300)
    weight = np.random.default_rng(0).uniform(0.5, 2, 300) if weighted else None
    data = replace(data, weight=weight)
    factors = {"yes": 5.0} if task == "binary" else {"b": 0.5, "c": 3.0}
    by_code = {data.classes.index(name): factor for name, factor in factors.items()}
    plain = lightgbm.LGBMClassifier(
        n_estimators=20, class_weight=by_code, random_state=0,
        **{key: value for key, value in PLAIN.items() if key != "seed"},
    )  # fmt: skip
    plain.fit(data.features.values, data.target, sample_weight=weight, categorical_feature=[3])
    trainer = trainer_of(class_weight=factors)
    raw = trainer.predict(trainer.fit(data), data.features)
    expected = plain.predict(data.features.values, raw_score=True)
    np.testing.assert_allclose(raw, np.asarray(expected).reshape(raw.shape), rtol=1e-12)
    without = trainer_of()
    assert not np.allclose(raw, without.predict(without.fit(data), data.features))


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_balanced_factors_are_scikit_learns(task: Task) -> None:
    data = mixed_data(task, rows=300)
    classes = np.arange(len(data.classes))
    factors = compute_class_weight("balanced", classes=classes, y=data.target)
    actual = data.with_class_weight("balanced").weight
    assert actual is not None
    np.testing.assert_allclose(actual, factors[data.target.astype(int)])
    assert np.ptp(factors) > 0.1
    doubled = replace(data, weight=np.where(data.target == 0, 2.0, 1.0)).with_class_weight(
        "balanced"
    )
    assert doubled.weight is not None
    totals = np.bincount(data.target.astype(int), weights=doubled.weight)
    np.testing.assert_allclose(totals, totals.mean())


def test_an_absent_class_has_no_say_in_balanced_factors() -> None:
    data = mixed_data("multiclass")
    rows = data.target != 1
    data = replace(data, features=data.features.take(rows), target=data.target[rows])
    weight = data.with_class_weight("balanced").weight
    assert weight is not None
    np.testing.assert_allclose(weight.sum(), len(data.target))


def test_classes_may_be_numbers_or_booleans_in_yaml() -> None:
    params = check_params("lightgbm", {"class_weight": {0: 1, 1: 2.5}})
    assert json.loads(params.model_dump_json())["class_weight"] == {"0": 1.0, "1": 2.5}
    params = check_params("lightgbm", {"class_weight": {True: 3}})
    assert json.loads(params.model_dump_json())["class_weight"] == {"true": 3.0}


# Parameters and data


def shape_of(task: Task) -> DataShape:
    classes = {"regression": (), "binary": ("no", "yes"), "multiclass": ("a", "b", "c")}[task]
    return DataShape(task, ("price", "size", "colour"), ("colour",), classes)


@pytest.mark.parametrize(
    ("task", "params", "where"),
    [
        ("binary", {"class_weight": {"yse": 2}}, "class_weight.yse"),
        ("regression", {"class_weight": "balanced"}, "class_weight"),
        ("regression", {"mc": {"prize": 1}}, "mc.prize"),
        ("regression", {"mc": {"colour": 1}}, "mc.colour"),
        ("multiclass", {"mc": {"price": 1}}, "mc"),
        ("regression", {"mc": {"price": 1}, "objective": "l1"}, "mc"),
        ("regression", {"mc": {"price": 1}, "objective": "quantile"}, "mc"),
        ("regression", {"interaction_constraints": [["price", "sise"]]},
         "interaction_constraints.0.1"),
        ("binary", {"objective": "l1"}, "objective"),
        ("regression", {"alpha": 0.5}, "alpha"),
        ("regression", {"top_rate": 0.5}, "top_rate"),
        ("regression", {"data_sample_strategy": "goss", "bagging_freq": 1}, "bagging_freq"),
        ("regression", {"data_sample_strategy": "goss", "top_rate": 0.95}, "other_rate"),
        ("regression", {"bagging_freq": 1, "pos_bagging_fraction": 0.5}, "pos_bagging_fraction"),
        ("binary", {"neg_bagging_fraction": 0.5}, "neg_bagging_fraction"),
        ("regression", {"monotone_penalty": 1.0}, "monotone_penalty"),
        ("regression", {"early_stopping_rounds": 9}, "early_stopping_rounds"),
        ("regression", {"max_rounds": 9}, "max_rounds"),
        ("regression", {"tweedie_variance_power": 1.2}, "tweedie_variance_power"),
        ("regression", {"poisson_max_delta_step": 1.2}, "poisson_max_delta_step"),
    ],
)  # fmt: skip
def test_parameters_that_do_not_fit_the_data(
    task: Task, params: dict[str, Any], where: str
) -> None:
    found = conflicts("lightgbm", params, shape_of(task))
    assert [problem.where for problem in found] == [f"trainer.params.{where}"]
    assert all(problem.hint for problem in found)


@pytest.mark.parametrize(
    ("task", "params"),
    [
        ("binary", {"class_weight": {"yes": 2}, "mc": {"price": -1}}),
        ("multiclass", {"class_weight": "balanced"}),
        ("regression", {"objective": "huber", "alpha": 0.5, "mc": {"price": 1}}),
        ("regression", {"interaction_constraints": [["price", "colour"]]}),
        ("binary", {"bagging_freq": 1, "pos_bagging_fraction": 0.5}),
        ("regression", {}),
    ],
)
def test_parameters_that_fit_the_data(task: Task, params: dict[str, Any]) -> None:
    assert conflicts("lightgbm", params, shape_of(task)) == []
