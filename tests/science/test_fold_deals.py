"""Folds follow from content: no order, no copy and no column order matters; groups stay whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.train.config import EvaluateConfig
from steps.train.evaluation.folds import Fold, make_folds
from steps.train.frame import Frame
from tests.science.truth import CLASSES, frame_of, read, roles_of, table_of


def held_values(frame: Frame, folds: list[Fold]) -> list[list[float]]:
    """Per fold, the held-out targets, sorted: which rows they are."""
    return [sorted(frame.target[fold.held_out]) for fold in folds]


def dealt(values: list[float], columns: dict[str, Any], **config: Any) -> list[list[float]]:
    table = table_of(key=["k"] * len(values), target=values, **columns)
    roles = roles_of(("x",), group="group" if "group" in columns else None)
    frame = read(table, roles)
    return held_values(frame, make_folds(frame, EvaluateConfig(**config)))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 15), min_size=6, max_size=40),
    st.randoms(use_true_random=False),
    st.integers(0, 5),
    st.sampled_from(["kfold", "holdout"]),
)
def test_order_of_rows_does_not_matter_and_copies_stay_together(
    values: list[int], random: Any, seed: int, method: str
) -> None:
    config = {"folds": 3, "seed": seed, "method": method, "fraction": 0.4}
    rows = [(float(value), value % 5) for value in values]
    one = dealt([y for y, _ in rows], {"x": [x for _, x in rows]}, **config)
    random.shuffle(rows)
    other = dealt([y for y, _ in rows], {"x": [x for _, x in rows]}, **config)
    assert one == other
    for first in range(len(one)):
        for second in range(first):
            assert not set(one[first]) & set(one[second])  # equal rows share a fold
    if one and method == "kfold":
        assert sorted(value for fold in one for value in fold) == sorted(
            map(float, values)
        )  # each is held out once
    if method == "kfold" and len(set(values)) < 3:
        assert one == []


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(["regression", "binary", "multiclass"]))
def test_groups_are_whole_and_folds_are_balanced(data: st.DataObject, task: str) -> None:
    rows = data.draw(st.integers(4, 60))
    groups = np.array(data.draw(st.lists(st.integers(0, 14), min_size=rows, max_size=rows)))
    target = data.draw(
        st.lists(st.integers(0, max(1, len(CLASSES[task]) - 1)), min_size=rows, max_size=rows)
    )
    present = sorted(set(target))
    codes = np.array([present.index(value) for value in target])
    classes = CLASSES[task][: len(present)]
    frame = frame_of(codes, task=task, groups=groups, classes=classes)
    count = data.draw(st.integers(2, 5))
    folds = make_folds(frame, EvaluateConfig(folds=count, seed=data.draw(st.integers(0, 3))))
    if len(set(groups)) < count:
        assert folds == []
        return
    assert len(folds) == count
    sizes = []
    for fold in folds:
        assert not set(groups[fold.train]) & set(groups[fold.held_out])
        assert sorted([*fold.train, *fold.held_out]) == list(range(rows))
        sizes.append(len(set(groups[fold.held_out])))
    assert sum(sizes) == len(set(groups))
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("folds", [2, 5, 7])
@pytest.mark.parametrize("seed", range(3))
def test_classes_are_spread_to_within_one_row(folds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.choice(3, 200, p=[0.8, 0.15, 0.05]).astype(np.float64)
    frame = frame_of(target, task="multiclass")
    counts = np.array(
        [
            np.bincount(target[fold.held_out].astype(int), minlength=3)
            for fold in make_folds(frame, EvaluateConfig(folds=folds, seed=seed))
        ]
    )
    assert (np.ptp(counts, axis=0) <= 1).all()
    assert np.ptp(counts.sum(axis=1)) <= 1


@pytest.mark.parametrize("method", ["kfold", "holdout"])
@pytest.mark.parametrize("seed", range(10))
def test_groups_with_rare_rows_are_spread(seed: int, method: str) -> None:
    """Ten groups of a hundred hold the positive rows, in the minority in each of them."""
    groups = np.repeat(np.arange(100), 10)
    target = ((groups < 10) & (np.arange(1000) % 10 < 2)).astype(np.float64)
    frame = frame_of(target, task="binary", groups=groups)
    config = EvaluateConfig.model_validate({"seed": seed, "method": method, "fraction": 0.2})
    for fold in make_folds(frame, config):
        assert target[fold.held_out].sum() == 4
        assert len(fold.held_out) == 200


def test_another_seed_gives_another_deal() -> None:
    frame = frame_of(np.arange(100.0))
    deals = {
        tuple(map(tuple, held_values(frame, make_folds(frame, EvaluateConfig(seed=seed)))))
        for seed in range(20)
    }
    assert len(deals) == 20


def test_deals_are_as_good_as_random() -> None:
    """Over seeds, each pair of rows shares one of 5 folds as often as chance has it."""
    rows, seeds = 20, 2000
    frame, together = frame_of(np.arange(float(rows))), np.zeros((rows, rows))
    for seed in range(seeds):
        for fold in make_folds(frame, EvaluateConfig(seed=seed)):
            together[np.ix_(fold.held_out, fold.held_out)] += 1
    share = together[np.triu_indices(rows, 1)] / seeds
    expected = (rows / 5 - 1) / (rows - 1)
    error = np.sqrt(expected * (1 - expected) / seeds)
    assert abs(share.mean() - expected) < 1e-12
    assert np.abs(share - expected).max() < 4.5 * error


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.2, 1 / 3, 0.5, 0.9])
@pytest.mark.parametrize("task", ["regression", "binary"])
def test_a_holdout_has_its_fraction(fraction: float, task: str) -> None:
    target = (np.arange(300) % 3 == 0).astype(np.float64)
    frame = frame_of(target, task=task)
    (fold,) = make_folds(frame, EvaluateConfig(method="holdout", fraction=fraction))
    assert abs(len(fold.held_out) - 300 * fraction) <= 1
    if task == "binary":
        assert abs(target[fold.held_out].sum() - 100 * fraction) <= 1
    assert sorted([*fold.train, *fold.held_out]) == list(range(300))


def test_a_holdout_of_nothing_is_no_fold() -> None:
    assert (
        make_folds(frame_of(np.arange(3.0)), EvaluateConfig(method="holdout", fraction=0.1)) == []
    )


# --- time ------------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=60), st.integers(2, 6))
def test_nobody_trains_on_the_future(times: list[int], count: int) -> None:
    """0 is a missing time: such rows are in no block."""
    time = np.array(times)
    ranks = np.searchsorted(np.unique(time[time > 0]), time) + 1
    ranks[time == 0] = 0
    folds = make_folds(
        frame_of(np.arange(float(len(time))), time=ranks),
        EvaluateConfig(method="time", time="t", folds=count),
    )
    distinct = set(times) - {0}
    if len(distinct) <= count:
        assert folds == []
        return
    assert len(folds) == count
    last = -1
    for fold in folds:
        assert time[fold.train].min() > 0
        assert time[fold.train].max() < time[fold.held_out].min()
        assert last < time[fold.held_out].min()  # blocks do not overlap, and are in order
        last = time[fold.held_out].max()
        # All of the past is trained on.
        assert len(fold.train) == ((time > 0) & (time < time[fold.held_out].min())).sum()
    assert last == max(times)


def test_blocks_of_time_have_about_equally_many_rows() -> None:
    time = np.random.default_rng(0).permutation(np.repeat(np.arange(1, 201), 3))
    folds = make_folds(
        frame_of(np.zeros(600), time=time), EvaluateConfig(method="time", time="t", folds=5)
    )
    sizes = [len(folds[0].train), *(len(fold.held_out) for fold in folds)]
    assert sum(sizes) == 600
    assert max(sizes) - min(sizes) <= 3


def test_a_heavy_day_empties_no_block() -> None:
    time = np.array([1] * 80 + [2, 3, 4, 5, 6])
    folds = make_folds(
        frame_of(np.zeros(85), time=time), EvaluateConfig(method="time", time="t", folds=5)
    )
    assert [set(time[fold.held_out]) for fold in folds] == [{2}, {3}, {4}, {5}, {6}]


def test_times_of_a_table_are_ranked_by_value() -> None:
    table = table_of(
        key=["k"] * 5, target=[0.0, 1.0, 2.0, 3.0, 4.0], x=[1] * 5, t=[10, 9, None, -3, 9]
    )
    frame = read(table, roles_of(("x",), time="t"))
    assert frame.time is not None
    assert dict(zip(frame.target, frame.time, strict=True)) == {0: 3, 1: 2, 2: 0, 3: 1, 4: 2}


def test_rows_of_unknown_group_are_groups_of_their_own() -> None:
    table = table_of(
        key=["k"] * 6,
        target=[0.0, 1.0, 2.0, 3.0, 4.0, 5.0],
        x=[1] * 6,
        g=["a", "a", None, None, "b", ""],
    )
    frame = read(table, roles_of(("x",), group="g"))
    group = dict(zip(frame.target, frame.groups, strict=True))
    assert group[0.0] == group[1.0]
    assert len(set(group.values())) == 5
