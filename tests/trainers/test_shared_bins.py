"""Bins that all models of a partition share, against LightGBM's own reference datasets."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import lightgbm
import numpy as np
import pytest

from containers.lightgbm.params import LightGBMParams
from containers.lightgbm.trainer import LightGBMTrainer
from containers.linear.params import LinearParams
from containers.linear.trainer import LinearTrainer
from refeed import RowSubset, Task, Trainer, TrainingData
from tests.trainers.support import TASKS, mixed_data

ROWS = 300
SMALL: dict[str, Any] = {
    "num_leaves": 7,
    "learning_rate": 0.1,
    "rounds": 15,
    "max_bin": 20,
    "min_data_in_leaf": 4,
    "min_data_per_group": 2,
    "cat_smooth": 1.0,
}
FIXED: dict[str, Any] = {"seed": 0, "verbosity": -1, "num_threads": 1, "deterministic": True}


def trainer_of(**params: Any) -> LightGBMTrainer:
    return LightGBMTrainer(LightGBMParams.model_validate({**SMALL, **params}))


def subsets_of(rows: int = ROWS) -> list[RowSubset]:
    """Three folds of unequal size, and all rows."""
    fold = np.random.default_rng(3).choice(3, p=[0.5, 0.3, 0.2], size=rows)
    return [*(RowSubset(np.flatnonzero(fold != k)) for k in range(3)), RowSubset(np.arange(rows))]


def with_roles(data: TrainingData, roles: str) -> TrainingData:
    """Return the data with weights or an offset."""
    rng = np.random.default_rng(4)
    if roles == "weight":
        return replace(data, weight=rng.uniform(0.2, 3, ROWS))
    return replace(data, offset=rng.normal(size=ROWS)) if roles == "offset" else data


def plain(data: TrainingData, rows: Any, params: dict[str, Any], rounds: int = 15) -> Any:
    """LightGBM trained on some rows, read again with the bins of all."""
    bins = lightgbm.Dataset(
        data.features.values, data.target, categorical_feature=[3], params=params
    )
    dataset = lightgbm.Dataset(
        data.features.values[rows],
        data.target[rows],
        weight=None if data.weight is None else data.weight[rows],
        init_score=None if data.offset is None else data.offset[rows],
        reference=bins,
        params=params,
    )
    return lightgbm.train(params, dataset, rounds)


@pytest.mark.parametrize(
    ("task", "roles"),
    [
        *((task, roles) for task in TASKS for roles in ("", "weight")),
        *((task, "offset") for task in TASKS if task in LightGBMTrainer.offset_tasks),
    ],
)
def test_models_are_lightgbms_with_the_bins_of_all_rows(task: Task, roles: str) -> None:
    data = with_roles(mixed_data(task, ROWS), roles)
    params = {**SMALL, **FIXED, "objective": task}
    params |= {"num_class": 3} if task == "multiclass" else {}
    params.pop("rounds")
    trainer = trainer_of(boost_from_average=roles != "offset")
    differ = []
    for subset, model in zip(subsets_of(), trainer.fit_subsets(data, subsets_of()), strict=True):
        expected = plain(data, subset.rows, params).predict(data.features.values, raw_score=True)
        found = trainer.predict(model, data.features)
        np.testing.assert_allclose(found, expected.reshape(found.shape), rtol=1e-6, atol=1e-6)
        alone = trainer.predict(trainer.fit(data.subset(subset)), data.features)
        differ.append(bool(np.abs(alone - found).max() > 1e-3))
    assert differ == [True, True, True, False]  # own bins give other models, except of all rows


@pytest.mark.parametrize("roles", ["", "weight", "offset"])
def test_a_model_never_sees_the_target_of_other_rows(roles: str) -> None:
    data = with_roles(mixed_data("regression", ROWS), roles)
    trainer = trainer_of()
    for subset in subsets_of()[:3]:
        other = np.setdiff1d(np.arange(ROWS), subset.rows)
        target = data.target.copy()
        target[other] = 1e9 + np.arange(len(other))
        changed = replace(data, target=target)
        for role in ("weight", "offset"):
            values = getattr(data, role)
            if values is not None:
                values = values.copy()
                values[other] = 7.0
                changed = replace(changed, **{role: values})
        [before] = trainer.fit_subsets(data, [subset])
        [after] = trainer.fit_subsets(changed, [subset])
        assert before.text == after.text


def test_a_model_does_not_depend_on_the_other_subsets() -> None:
    data, subsets, trainer = mixed_data("regression", ROWS), subsets_of(), trainer_of()
    together = [model.text for model in trainer.fit_subsets(data, subsets)]
    backwards = [model.text for model in trainer.fit_subsets(data, subsets[::-1])]
    alone = [trainer.fit_subsets(data, [subset])[0].text for subset in subsets]
    assert together == backwards[::-1] == alone
    assert trainer.fit(data).text == together[-1]


def test_all_thresholds_are_edges_of_the_same_bins() -> None:
    data, trainer = mixed_data("regression", ROWS), trainer_of(max_bin=8)
    *folds, final = trainer.fit_subsets(data, subsets_of())

    def thresholds(model: Any) -> set[tuple[int, str]]:
        columns, values = (
            " ".join(re.findall(rf"(?m)^{name}=(.*)", model.text)).split()
            for name in ("split_feature", "threshold")
        )
        return {(int(c), v) for c, v in zip(columns, values, strict=True) if c != "3"}

    own = [trainer.fit(data.subset(subset)) for subset in subsets_of()[:3]]
    assert len(set.union(*map(thresholds, [*folds, final]))) <= 3 * 8
    assert len(set.union(*map(thresholds, own))) > 3 * 8  # the case is not trivial


@pytest.mark.parametrize("center", [1e9, 1e12])
def test_labels_are_centred_for_each_subset(center: float) -> None:
    """Targets far from 0 keep their digits, whichever rows are left out."""
    data, trainer = mixed_data("regression", ROWS), trainer_of()
    target = data.target.copy()
    target[subsets_of()[0].rows] += 500.0  # so that the folds' centres differ
    target = np.round(target, 3)
    near, far = replace(data, target=target), replace(data, target=target + center)
    for model, moved in zip(
        trainer.fit_subsets(near, subsets_of()), trainer.fit_subsets(far, subsets_of()), strict=True
    ):
        expected = trainer.predict(model, data.features)
        found = trainer.predict(moved, data.features) - center
        assert np.abs(found - expected).max() < 0.05 * np.ptp(target)
        np.testing.assert_allclose(found.mean(), expected.mean(), atol=0.5)


def test_inner_folds_are_positions_in_the_subset() -> None:
    """The chosen rounds are those with the smallest loss on these held-out rows."""
    data = mixed_data("regression", ROWS)
    noise = np.random.default_rng(5).normal(size=ROWS)
    data = replace(data, target=data.target + noise)
    subset = subsets_of()[0]
    count = len(subset.rows)
    inner = tuple(
        (np.flatnonzero(np.arange(count) % 3 != k), np.flatnonzero(np.arange(count) % 3 == k))
        for k in range(3)
    )
    params = {**SMALL, **FIXED, "objective": "regression"}
    params.pop("rounds")
    losses = []
    for train, held in inner:
        booster = plain(data, subset.rows[train], params, 60)
        rows = subset.rows[held]
        values, target = data.features.values[rows], data.target[rows]
        losses.append(
            [
                np.mean((booster.predict(values, num_iteration=k) - target) ** 2)
                for k in range(1, 61)
            ]
        )
    expected = int(np.mean(losses, axis=0).argmin()) + 1
    trainer = trainer_of(rounds="auto", max_rounds=60, early_stopping_round=60)
    [model] = trainer.fit_subsets(data, [replace(subset, inner_folds=inner)])
    assert model.booster.num_trees() == expected
    assert 1 < expected < 60


def test_the_order_of_positions_is_that_of_the_rows() -> None:
    """LightGBM sorts the rows of a subset: targets in another order would belong to other rows."""
    data = mixed_data("regression", ROWS)
    with pytest.raises(ValueError, match="must ascend"):
        RowSubset(np.array([0, 2, 1]))
    rng = np.random.default_rng(6)
    rows = subsets_of()[0].rows
    inner = tuple((np.flatnonzero(rows % 3 != k), np.flatnonzero(rows % 3 == k)) for k in range(3))
    shuffled = tuple((rng.permutation(train), rng.permutation(held)) for train, held in inner)
    trainer = trainer_of(rounds="auto", max_rounds=40)
    ordered, other = (
        trainer.fit_subsets(data, [RowSubset(rows, folds)])[0] for folds in (inner, shuffled)
    )
    assert ordered.text == other.text
    assert ordered.booster.num_trees() > 1


@pytest.mark.parametrize("threshold", [5, 40])
def test_a_feature_is_left_out_only_if_no_fold_could_split_it(threshold: int) -> None:
    """A rare flag with 30 rows: of use to every fold with leaves of 5 rows, to none with 40."""
    data = mixed_data("regression", ROWS)
    values = data.features.values.copy()
    values[:, 0] = np.arange(ROWS) % 10 == 0
    data = replace(
        data, features=replace(data.features, values=values), target=10 * values[:, 0] + data.target
    )
    trainer = trainer_of(min_data_in_leaf=threshold)
    used = [trainer.gain(model)[0] > 0 for model in trainer.fit_subsets(data, subsets_of())]
    assert used == [threshold == 5] * 4


def test_the_default_fits_each_subset_alone() -> None:
    data, trainer = mixed_data("regression", ROWS), LinearTrainer(LinearParams())
    assert LinearTrainer.fit_subsets is Trainer.fit_subsets
    for subset, model in zip(subsets_of(), trainer.fit_subsets(data, subsets_of()), strict=True):
        expected = trainer.predict(trainer.fit(data.subset(subset)), data.features)
        assert np.array_equal(trainer.predict(model, data.features), expected)
