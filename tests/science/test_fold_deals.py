"""Folds follow from row identity and seed: no order of rows matters, and groups stay whole."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.train.config import EvaluateConfig
from steps.train.evaluation.folds import Fold, make_folds
from steps.train.frame import Frame
from tests.science.truth import frame_of, read, roles_of, table_of


def held_values(frame: Frame, folds: list[Fold]) -> list[list[float]]:
    """Per fold, the held-out targets, sorted: which rows they are."""
    return [sorted(frame.target[fold.held_out]) for fold in folds]


def dealt(values: list[float], columns: dict[str, Any], **config: Any) -> list[list[float]]:
    table = table_of(key=["k"] * len(values), target=values, **columns)
    roles = roles_of(("x",), group="group" if "group" in columns else None)
    frame = read(table, roles)
    return held_values(frame, make_folds(frame, EvaluateConfig(**config)).parts)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 15), min_size=6, max_size=40),
    st.randoms(use_true_random=False),
    st.integers(0, 5),
    st.sampled_from(["kfold", "holdout"]),
)
def test_order_of_rows_does_not_matter_and_each_row_is_held_out_once(
    values: list[int], random: Any, seed: int, method: str
) -> None:
    config = {"folds": 3, "seed": seed, "method": method, "fraction": 0.4}
    rows = [(float(value), value % 5) for value in values]
    one = dealt([y for y, _ in rows], {"x": [x for _, x in rows]}, **config)
    random.shuffle(rows)
    other = dealt([y for y, _ in rows], {"x": [x for _, x in rows]}, **config)
    assert one == other
    if method == "kfold":
        assert sorted(value for fold in one for value in fold) == sorted(map(float, values))
        sizes = [len(fold) for fold in one]
        assert max(sizes) - min(sizes) <= 1


def few_level_table(seed: int) -> pa.Table:
    """A table of 8 distinct rows: two features of two levels, and a target of two classes."""
    rng = np.random.default_rng(seed)
    sex, age = rng.integers(0, 2, 400), rng.integers(0, 2, 400)
    survived = rng.random(400) < np.where(sex == 1, 0.8, 0.3)
    return table_of(key=["k"] * 400, target=np.where(survived, "yes", "no"), sex=sex, age=age)


@pytest.mark.parametrize("classes", [("no", "yes"), ()])
def test_the_fold_of_a_copy_is_independent_of_its_target(classes: tuple[str, ...]) -> None:
    """Among rows with equal features, chi-squared of fold x target is as small as by chance.

    With classes, the folds are stratified: over all cells, each class is spread evenly.
    """
    statistic, freedom = 0.0, 0
    for seed in range(40):
        table = few_level_table(seed)
        if not classes:
            numbers = pc.equal(table["target"], "yes").cast(pa.float64())
            table = table.set_column(table.schema.get_field_index("target"), "target", numbers)
        frame = read(table, roles_of(("sex", "age")), classes)
        folds = make_folds(frame, EvaluateConfig(seed=seed)).parts
        assert [len(fold.held_out) for fold in folds] == [80] * 5
        fold_of = np.empty(400, int)
        for fold in folds:
            fold_of[fold.held_out] = fold.number
        for cell in np.unique(frame.features.values, axis=0):
            rows = (frame.features.values == cell).all(axis=1)
            counts = np.zeros((5, 2))
            np.add.at(counts, (fold_of[rows], frame.target[rows].astype(int)), 1)
            expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
            statistic += float(((counts - expected) ** 2 / expected).sum())
            freedom += 4
    assert 0.8 < statistic / freedom < 1.15  # its mean is 1, its standard deviation 0.056


def folds_by_row(table: pa.Table, **roles: Any) -> dict[int, int]:
    """Return the fold of each row by its column ``row``."""
    frame = read(table, roles_of(**roles))
    position = frame.features.names.index("row")
    return {
        int(row): fold.number
        for fold in make_folds(frame, EvaluateConfig()).parts
        for row in frame.features.values[fold.held_out, position]
    }


def test_a_variant_with_the_same_identity_keeps_each_row_in_its_fold() -> None:
    rng = np.random.default_rng(0)
    rows = np.arange(300)
    # Two rows have each id; their targets tell them apart.
    table = table_of(
        key=["k"] * 300, target=rng.normal(size=300), row=rows, id=rows // 2, a=rng.normal(size=300)
    )
    wider = table.append_column("b", pa.array(rng.normal(size=300)))
    parent = folds_by_row(table, features=("row", "a"), identity=("id",))
    assert len(set(parent.values())) == 5
    assert folds_by_row(table, features=("row",), identity=("id",)) == parent
    assert folds_by_row(wider, features=("row", "a", "b"), identity=("id",)) == parent
    assert folds_by_row(wider, features=("row", "a", "b")) != parent


@settings(max_examples=60, deadline=None)
@given(st.data(), st.sampled_from(["kfold", "holdout"]))
def test_groups_are_whole_and_each_training_part_has_two(data: st.DataObject, method: str) -> None:
    rows = data.draw(st.integers(4, 60))
    groups = np.array(data.draw(st.lists(st.integers(0, 14), min_size=rows, max_size=rows)))
    frame = frame_of(np.arange(float(rows)), groups=groups)
    seed, count = data.draw(st.integers(0, 3)), data.draw(st.integers(2, 5))
    config = {"folds": count, "seed": seed, "method": method, "fraction": 0.4}
    folds = make_folds(frame, EvaluateConfig.model_validate(config)).parts
    if len(set(groups)) < 3:
        assert folds == []
        return
    assert method == "holdout" or 2 <= len(folds) <= max(count, 3)
    for fold in folds:
        assert not set(groups[fold.train]) & set(groups[fold.held_out])
        assert sorted([*fold.train, *fold.held_out]) == list(range(rows))
        assert len(set(groups[fold.train])) >= 2
    if method == "kfold":
        assert sorted(np.concatenate([fold.held_out for fold in folds])) == list(range(rows))


def folds_by_group(groups: Any, seed: int = 0) -> tuple[dict[int, int], bool]:
    """Return the fold of each group, and whether the partition has folds of its own."""
    folds = make_folds(
        frame_of(np.arange(float(len(groups))), groups=groups), EvaluateConfig(seed=seed)
    )
    held = {int(g): fold.number for fold in folds.parts for g in np.array(groups)[fold.held_out]}
    return held, folds.own


def test_no_partition_of_few_groups_is_skipped_and_a_group_has_one_fold_in_all() -> None:
    """10,000 partitions of 5 to 30 groups out of 2,000.

    With 5 groups and 5 folds, all or all but one are in one fold with a chance of
    (5 + 100) / 5**5 = 3.4 %; with n groups the chance is (5 + 20 n) / 5**n.
    """
    rng = np.random.default_rng(0)
    shared, own, expected = dict[int, int](), 0, 0.0
    for _ in range(10_000):
        count = int(rng.integers(5, 31))
        groups = rng.choice(2000, count, replace=False)
        found, alone = folds_by_group(groups)
        assert set(found) == set(groups)
        assert 2 <= len(set(found.values())) <= 5
        expected += (5 + 20 * count) / 5**count
        own += alone
        if not alone:
            assert all(shared.setdefault(group, fold) == fold for group, fold in found.items())
    assert abs(own - expected) < 4 * np.sqrt(expected)
    assert len(shared) == 2000


def test_new_rows_move_no_group() -> None:
    before, _ = folds_by_group(np.repeat(np.arange(20), 3))
    after, _ = folds_by_group(np.repeat(np.arange(30), 2))
    assert {group: after[group] for group in before} == before
    other, _ = folds_by_group(np.repeat(np.arange(20), 3), seed=1)
    assert other != before


@pytest.mark.parametrize("folds", [2, 5, 7])
@pytest.mark.parametrize("seed", range(3))
def test_classes_are_spread_to_within_one_row(folds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = rng.choice(3, 200, p=[0.8, 0.15, 0.05]).astype(np.float64)
    frame = frame_of(target, task="multiclass")
    counts = np.array(
        [
            np.bincount(target[fold.held_out].astype(int), minlength=3)
            for fold in make_folds(frame, EvaluateConfig(folds=folds, seed=seed)).parts
        ]
    )
    assert (np.ptp(counts, axis=0) <= 1).all()
    assert np.ptp(counts.sum(axis=1)) <= 1


def test_another_seed_gives_another_deal() -> None:
    frame = frame_of(np.arange(100.0))
    deals = {
        tuple(map(tuple, held_values(frame, make_folds(frame, EvaluateConfig(seed=seed)).parts)))
        for seed in range(20)
    }
    assert len(deals) == 20


def test_deals_are_as_good_as_random() -> None:
    """Over seeds, each pair of rows shares one of 5 folds as often as chance has it."""
    rows, seeds = 20, 2000
    frame, together = frame_of(np.arange(float(rows))), np.zeros((rows, rows))
    for seed in range(seeds):
        for fold in make_folds(frame, EvaluateConfig(seed=seed)).parts:
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
    (fold,) = make_folds(frame, EvaluateConfig(method="holdout", fraction=fraction)).parts
    assert abs(len(fold.held_out) - 300 * fraction) <= 1
    if task == "binary":
        assert abs(target[fold.held_out].sum() - 100 * fraction) <= 1
    assert sorted([*fold.train, *fold.held_out]) == list(range(300))


def test_a_holdout_of_nothing_is_no_fold() -> None:
    config = EvaluateConfig(method="holdout", fraction=0.1)
    assert make_folds(frame_of(np.arange(3.0)), config).parts == []


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
    ).parts
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
    ).parts
    sizes = [len(folds[0].train), *(len(fold.held_out) for fold in folds)]
    assert sum(sizes) == 600
    assert max(sizes) - min(sizes) <= 3


def test_a_heavy_day_empties_no_block() -> None:
    time = np.array([1] * 80 + [2, 3, 4, 5, 6])
    folds = make_folds(
        frame_of(np.zeros(85), time=time), EvaluateConfig(method="time", time="t", folds=5)
    ).parts
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
    group = dict(zip(frame.target, frame.clusters, strict=True))
    assert group[0.0] == group[1.0]
    assert len(set(group.values())) == 5
