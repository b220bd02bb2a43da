"""LightGBM with several threads: the same bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from unittest.mock import patch

import lightgbm
import numpy as np
import pytest

from containers.lightgbm import booster
from containers.lightgbm.params import LightGBMParams
from containers.lightgbm.trainer import LightGBMTrainer
from refeed import RowSubset, Task, TrainingData
from tests.trainers.support import TASKS, mixed_data

ROWS = 6000
"""More rows than LightGBM gives one thread: it cuts rows into blocks of 1,024 or more."""


def data_of(task: Task) -> TrainingData:
    """Dense, sparse and categorical columns with missing values, and weights."""
    data = mixed_data(task, ROWS)
    rng = np.random.default_rng(1)
    sparse = np.where(rng.random((ROWS, 6)) < 0.04, rng.normal(size=(ROWS, 6)), 0.0)
    values = np.column_stack([data.features.values, rng.normal(size=(ROWS, 4)), sparse])
    names = tuple(f"c{i}" for i in range(values.shape[1]))
    levels = (*data.features.levels, *(None,) * 10)
    features = replace(data.features, names=names, values=values, levels=levels)
    target = data.target
    if task == "regression":
        target = target + values[:, 9] + np.cbrt(rng.normal(size=ROWS))
    return replace(data, features=features, target=target, weight=rng.uniform(0.5, 2, ROWS))


def texts(data: TrainingData, threads: int, **params: Any) -> list[str]:
    """The saved models of two folds and of all rows."""
    trainer = LightGBMTrainer(LightGBMParams.model_validate({"rounds": 12, **params}))
    trainer.threads = threads
    rows = np.arange(len(data.target))
    subsets = [RowSubset(rows[rows % 3 != k], data.inner_folds) for k in (0, 1)]
    return [
        trainer.save(model).decode()
        for model in trainer.fit_subsets(data, [*subsets, RowSubset(rows, data.inner_folds)])
    ]


@pytest.mark.parametrize(
    "params",
    [
        {"num_leaves": 31},
        {"num_leaves": 15, "bagging_fraction": 0.6, "bagging_freq": 1, "feature_fraction": 0.7},
        {"num_leaves": 15, "data_sample_strategy": "goss"},
        {"num_leaves": 7, "max_bin": 1000, "extra_trees": True},
    ],
    ids=["plain", "bagging", "goss", "extra"],
)
@pytest.mark.parametrize("task", TASKS)
def test_models_do_not_depend_on_the_number_of_threads(task: Task, params: dict[str, Any]) -> None:
    data = data_of(task)
    expected = texts(data, 1, **params)
    assert len(set(expected)) == 3
    assert all("[num_threads: 1]" in text for text in expected)
    for threads in (2, 4):
        assert texts(data, threads, **params) == expected


@pytest.mark.parametrize("objective", ["l1", "huber", "quantile", "poisson", "tweedie"])
def test_objectives_do_not_depend_on_the_number_of_threads(objective: str) -> None:
    """Some renew the leaves from sorted residuals."""
    data = data_of("regression")
    data = replace(data, target=np.abs(data.target))
    assert texts(data, 4, objective=objective) == texts(data, 1, objective=objective)


def test_sums_of_any_size_do_not_depend_on_the_number_of_threads() -> None:
    """Gradients of all magnitudes, whose sums are rounded in the order of the additions."""
    data = data_of("regression")
    target = np.random.default_rng(2).normal(size=ROWS) ** 15
    data = replace(data, target=target * np.exp(3 * data.features.values[:, 5]))
    expected = texts(data, 1, num_leaves=31)
    assert texts(data, 2, num_leaves=31) == expected
    assert texts(data, 4, num_leaves=31) == expected
    with patch.dict(booster._FIXED, deterministic=False):  # the case is not trivial
        assert trees(texts(data, 4, num_leaves=31)) != trees(expected)


def trees(models: list[str]) -> list[str]:
    """The models without their parameters."""
    return [model.partition("\nparameters:")[0] for model in models]


def test_rounds_do_not_depend_on_the_number_of_threads() -> None:
    """Early stopping compares losses, which several threads sum up."""
    data = data_of("binary")
    rows = np.arange(ROWS * 2 // 3)
    inner = tuple((rows[rows % 3 != k], rows[rows % 3 == k]) for k in range(3))
    data = replace(data, inner_folds=inner)
    params = {"rounds": "auto", "max_rounds": 60, "early_stopping_round": 5, "num_leaves": 7}
    assert texts(data, 4, **params) == texts(data, 1, **params)


@pytest.mark.parametrize(("strategy", "expected"), [("bagging", 4), ("goss", 1)])
def test_lightgbm_gets_the_number_of_threads(strategy: str, expected: int) -> None:
    """With goss, the rows that LightGBM draws would depend on it."""
    data = data_of("regression")
    with patch.object(lightgbm, "Booster", wraps=lightgbm.Booster) as made:
        texts(data, 4, data_sample_strategy=strategy)
    assert {call.args[0]["num_threads"] for call in made.call_args_list} == {expected}
    assert LightGBMTrainer.uses_threads
    assert LightGBMTrainer(LightGBMParams()).threads == 1
