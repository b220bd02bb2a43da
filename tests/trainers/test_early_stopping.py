"""LightGBM with ``rounds: auto``: the number of rounds against plain LightGBM and scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special
from sklearn import metrics as sk

from containers.lightgbm.params import LightGBMParams
from containers.lightgbm.trainer import LightGBMTrainer
from refeed import Task, TrainingData
from steps.train.config import EvaluateConfig
from steps.train.evaluation.folds import make_folds
from steps.train.evaluation.inner_folds import InnerFolds, make_inner_folds
from steps.train.loss import LOSSES, Floats, Loss
from tests.science.truth import frame_of
from tests.trainers.support import mixed_data, run_python

SMALL = {
    "min_data_in_leaf": 2,
    "min_data_per_group": 2,
    "num_leaves": 6,
    "learning_rate": 0.3,
    "max_bin": 255,
}
FIXED = {
    "seed": 0,
    "verbosity": -1,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
}


def trainer_of(**params: Any) -> LightGBMTrainer:
    settings = {**SMALL, "rounds": "auto", "max_rounds": 60, "early_stopping_round": 60, **params}
    return LightGBMTrainer(LightGBMParams.model_validate(settings))


def thirds(rows: int) -> InnerFolds:
    fold = np.random.default_rng(0).integers(3, size=rows)
    return tuple((np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(3))


def data_of(objective: str, task: Task) -> TrainingData:
    data = mixed_data(task, rows=240)
    rng = np.random.default_rng(1)
    target = data.target
    if objective in {"poisson", "tweedie"}:
        target = rng.poisson(np.exp(0.8 * data.target)).astype(np.float64)
    elif objective == "gamma":
        target = np.exp(0.5 * data.target) * rng.gamma(2, 0.5, 240)
    elif task == "regression":
        target = data.target + rng.normal(size=240)
    return replace(data, target=target, inner_folds=thirds(240))


LOSS_OF: dict[str, Any] = {
    "l2": sk.mean_squared_error,
    "l1": sk.mean_absolute_error,
    "huber": lambda y, m, sample_weight: np.average(
        special.huber(0.9, y - m), weights=sample_weight
    ),
    "quantile": lambda y, m, sample_weight: sk.mean_pinball_loss(
        y, m, alpha=0.9, sample_weight=sample_weight
    ),
    "poisson": sk.mean_poisson_deviance,
    "gamma": sk.mean_gamma_deviance,
    "tweedie": lambda y, m, sample_weight: sk.mean_tweedie_deviance(
        y, m, power=1.5, sample_weight=sample_weight
    ),
    "binary": lambda y, m, sample_weight: sk.log_loss(y, m, sample_weight=sample_weight),
    "multiclass": lambda y, m, sample_weight: sk.log_loss(y, m, sample_weight=sample_weight),
}


def mean_losses(data: TrainingData, objective: str, params: dict[str, Any]) -> Floats:
    """The mean inner loss after each of 60 rounds: plain LightGBM, judged by scikit-learn."""
    losses = []
    values, weight = data.features.values, data.weight
    bins = lightgbm.Dataset(values, data.target, categorical_feature=[3], params=params)
    for train, held in data.inner_folds:
        dataset = lightgbm.Dataset(
            values[train], data.target[train], weight=None if weight is None else weight[train],
            reference=bins, params=params,
        )  # fmt: skip
        booster = lightgbm.train(params, dataset, 60)
        held_weight = None if weight is None else weight[held]
        predictions = [booster.predict(values[held], num_iteration=k) for k in range(1, 61)]
        judge = LOSS_OF[objective]
        losses.append([judge(data.target[held], m, sample_weight=held_weight) for m in predictions])
    mean: Floats = np.mean(losses, axis=0)
    return mean


CASES: list[tuple[str, Task]] = [
    *((name, "regression") for name in ("l2", "l1", "huber", "quantile")),
    *((name, "regression") for name in ("poisson", "gamma", "tweedie")),
    ("binary", "binary"),
    ("multiclass", "multiclass"),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("objective", "task"), CASES)
def test_the_rounds_have_the_smallest_mean_inner_loss(
    objective: str, task: Task, *, weighted: bool
) -> None:
    data = data_of(objective, task)
    if weighted:
        data = replace(data, weight=np.random.default_rng(2).uniform(0.2, 3, 240))
    params: dict[str, Any] = {**SMALL, **FIXED, "objective": objective}
    if task == "multiclass":
        params["num_class"] = 3
    expected = int(mean_losses(data, objective, params).argmin()) + 1
    chosen = {} if task != "regression" else {"objective": objective}
    model = trainer_of(**chosen).fit(data)
    assert model.booster.num_trees() // model.outputs == expected
    assert 1 < expected < 60  # the case is not trivial


@pytest.mark.parametrize("task", ["regression", "binary"])
def test_the_model_is_that_of_so_many_rounds_on_all_training_rows(task: Task) -> None:
    data = data_of("l2", task)
    auto = trainer_of()
    model = auto.fit(data)
    fixed = trainer_of(rounds=model.booster.num_trees(), max_rounds=1000, early_stopping_round=50)
    assert auto.save(model) == fixed.save(fixed.fit(data))
    assert auto.describe(model) == f"rounds: {model.booster.num_trees()}"
    assert fixed.describe(model) == ""


def test_an_offset_counts_in_the_inner_loss() -> None:
    """Of a regression it is the same as to subtract it from the target."""
    data = data_of("l2", "regression")
    offset = np.random.default_rng(3).normal(size=240) * 3
    shifted = replace(data, target=data.target + offset, offset=offset)
    trainer = trainer_of()
    found, expected = (trainer.fit(each).booster.num_trees() for each in (shifted, data))
    assert found == expected


def test_early_stopping_waits_for_a_number_of_rounds() -> None:
    data = data_of("l2", "regression")
    best = trainer_of().fit(data).booster.num_trees()
    assert trainer_of(max_rounds=best - 1).fit(data).booster.num_trees() < best
    losses = mean_losses(data, "l2", {**SMALL, **FIXED, "objective": "regression"})
    first_rise = int(np.flatnonzero(np.diff(losses) >= 0)[0]) + 1
    assert trainer_of(early_stopping_round=1).fit(data).booster.num_trees() == first_rise


@pytest.mark.parametrize("sampling", [1.0, 0.5])
def test_noise_needs_few_rounds(sampling: float) -> None:
    data = data_of("l2", "regression")
    noise = replace(data, target=np.random.default_rng(0).normal(size=240))
    trainer = trainer_of(bagging_fraction=sampling, bagging_freq=1)
    assert trainer.fit(noise).booster.num_trees() <= 3


def test_an_inner_fold_without_a_class_or_a_split_is_no_problem(
    capfd: pytest.CaptureFixture[str],
) -> None:
    data = data_of("l2", "binary")
    target = np.zeros(240)
    target[data.inner_folds[0][1][:5]] = 1  # the first fold trains on one class
    trainer = trainer_of()
    assert trainer.fit(replace(data, target=target)).booster.num_trees() >= 1
    few = data.take(np.arange(6))
    tiny = replace(
        few, inner_folds=((np.arange(3), np.arange(3, 6)),), target=np.tile([0.0, 1.0], 3)
    )
    assert trainer_of(min_data_in_leaf=20).fit(tiny).booster.num_trees() == 1
    assert capfd.readouterr() == ("", "")


SAVE = """
import hashlib
from dataclasses import replace
from tests.trainers.test_early_stopping import data_of, trainer_of
trainer = trainer_of(bagging_fraction=0.5, bagging_freq=1)
for task in ("regression", "binary", "multiclass"):
    print(hashlib.sha256(trainer.save(trainer.fit(data_of("l2", task)))).hexdigest())
"""


def test_another_process_saves_the_same_bytes() -> None:
    first = run_python(SAVE)
    assert len(set(first.split())) == 3
    assert run_python(SAVE) == first


# Inner folds


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(3, 30), st.integers(2, 6))
def test_inner_folds_keep_groups_together(seed: int, groups: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    group = rng.integers(groups, size=120)
    frame = frame_of(rng.normal(size=120), groups=group)
    train = np.flatnonzero(group != 0)
    folds = make_inner_folds(frame, train, EvaluateConfig(seed=7), count, LOSSES["regression"])
    own = group[train]
    for fit, held in folds:
        assert not set(own[fit]) & set(own[held])
        assert sorted({*fit, *held}) == list(range(len(train)))
    assert folds or len(set(own)) < 3


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(5, 40), st.integers(2, 6))
def test_inner_folds_of_time_never_look_ahead(seed: int, times: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    time = rng.integers(1, times, size=200)
    frame = frame_of(rng.normal(size=200), time=time)
    train = np.flatnonzero(time <= times // 2 + 2)
    config = EvaluateConfig(method="time", time="t")
    folds = make_inner_folds(frame, train, config, count, LOSSES["regression"])
    own = time[train]
    for fit, held in folds:
        assert own[fit].max() < own[held].min()
    assert folds or len(set(own)) <= count


def test_inner_folds_depend_on_the_training_rows_only() -> None:
    rng = np.random.default_rng(0)
    frame = frame_of(rng.normal(size=100))
    train = np.flatnonzero(np.arange(100) % 4)
    changed = replace(frame, target=np.where(np.arange(100) % 4, frame.target, 99.0))
    one, two = (
        make_inner_folds(each, train, EvaluateConfig(), 5, LOSSES["regression"])
        for each in (frame, changed)
    )
    assert len(one) == 5
    for (fit, held), (fit2, held2) in zip(one, two, strict=True):
        assert np.array_equal(fit, fit2)
        assert np.array_equal(held, held2)
    sizes = [len(held) for _, held in one]
    assert max(sizes) - min(sizes) <= 1


def test_inner_folds_are_not_the_other_folds_again() -> None:
    """With the same seed, the groups of a fold would share an inner fold."""
    rng = np.random.default_rng(0)
    group = rng.integers(60, size=600)
    frame = frame_of(rng.normal(size=600), groups=group)
    config = EvaluateConfig(seed=3)
    inner = make_inner_folds(frame, slice(None), config, 5, LOSSES["regression"])
    outer = make_folds(frame, config).parts
    held = inner[0][1]
    together = [len(np.intersect1d(held, fold.held_out)) / len(held) for fold in outer]
    assert max(together) < 0.6


def test_an_inner_fold_that_the_loss_cannot_fit_is_left_out() -> None:
    target = np.zeros(40)
    target[3] = 2.0
    frame = frame_of(target)
    folds = make_inner_folds(frame, slice(None), EvaluateConfig(), 4, Loss("poisson", "log"))
    assert len(folds) == 3
    assert all(3 in fit for fit, _ in folds)
