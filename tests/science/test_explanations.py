"""Explanations of fold models against scikit-learn, brute force and known truths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from scipy import special
from sklearn import metrics as sk
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.inspection import partial_dependence

from containers.lightgbm.params import LightGBMParams
from containers.lightgbm.trainer import LightGBMTrainer
from containers.linear.params import LinearParams
from containers.linear.trainer import LinearTrainer
from refeed import Trainer, TrainingData
from steps.records import canonical_json
from steps.train.config import EvaluateConfig, ExplainConfig
from steps.train.evaluation.evaluate import Rows
from steps.train.evaluation.folds import Fold, make_folds
from steps.train.explanation.context import ExplainContext, ExplainedFold, mean_and_sd, seen_rows
from steps.train.explanation.explain import explain
from steps.train.explanation.importance import _shuffle
from steps.train.frame import Frame
from steps.train.trainer import Floats
from tests.science.truth import (
    CLASSES,
    cell,
    frame_of,
    grid_of,
    halves,
    read,
    roles_of,
    select,
    table_of,
)

TASKS = ("regression", "binary", "multiclass")
FEATURES = ("number", "colour", "noise")


def trees() -> Trainer[Any, Any]:
    small = {"num_leaves": 6, "rounds": 15, "min_data_in_leaf": 3, "min_data_per_group": 3}
    return LightGBMTrainer(LightGBMParams.model_validate({**small, "cat_smooth": 1.0}))


def line(alpha: float = 1e-6) -> Trainer[Any, Any]:
    return LinearTrainer(LinearParams(alpha=alpha))


@dataclass(frozen=True)
class Case:
    """A partition, its fold models, and their explanations."""

    work: ExplainContext
    tables: dict[str, Rows]

    @property
    def frame(self) -> Frame:
        return self.work.frame

    @property
    def task(self) -> str:
        return self.work.task

    def weight(self, seen: ExplainedFold) -> Floats:
        return (
            np.ones(len(seen.rows)) if self.frame.weight is None else self.frame.weight[seen.rows]
        )

    def raw(self, seen: ExplainedFold) -> Floats:
        return np.asarray(self.work.trainer.predict(seen.model, seen.features))


def fit_and_explain(
    frame: Frame, task: str, trainer: Trainer[Any, Any], grid: Any, **config: Any
) -> Case:
    """Fit the folds, explain them."""
    folds = make_folds(frame, EvaluateConfig(folds=3)).parts
    models = [
        trainer.fit(
            TrainingData(
                features=frame.features.take(fold.train),
                target=frame.target[fold.train],
                weight=None if frame.weight is None else frame.weight[fold.train],
                task=task,  # type: ignore[arg-type]
                classes=frame.classes,
                seed=0,
                offset=None if frame.offset is None else frame.offset[fold.train],
            )
        )
        for fold in folds
    ]
    settings = ExplainConfig.model_validate(config)
    seen = seen_rows(frame, folds, models, settings.rows)
    work = ExplainContext(trainer, task, frame, seen, grid, settings, 0)  # type: ignore[arg-type]
    return Case(work, explain(work))


def case(
    task: str,
    *,
    weighted: bool = False,
    shuffled: bool = False,
    trainer: Trainer[Any, Any] | None = None,
    **config: Any,
) -> Case:
    """A partition of a larger table: the grid has levels and values that it lacks."""
    rng = np.random.default_rng(4)
    rows = 260
    number = rng.normal(size=rows).round(1)
    colour = rng.choice(
        ["red", "green", "blue", "pink", "grey"], rows, p=[0.4, 0.3, 0.2, 0.06, 0.04]
    )
    noise = rng.normal(size=rows)
    score = number + 1.5 * (colour == "red") - (colour == "blue") + 0.4 * rng.normal(size=rows)
    names = CLASSES[task]
    target: Any = score
    if names:
        target = np.array(names)[np.digitize(score, [0.3] if task == "binary" else [-0.2, 1.2])]
    table = table_of(
        key=["k"] * rows,
        target=target,
        number=[None if i % 9 == 0 else value for i, value in enumerate(number)],
        colour=[None if i % 11 == 0 else value for i, value in enumerate(colour)],
        noise=noise,
        w=rng.uniform(0.2, 3, rows),
    )
    roles = roles_of(FEATURES, categorical=("colour",), weight="w" if weighted else None)
    inner = np.flatnonzero((np.abs(noise) < 1.2) & (colour != "pink"))
    if shuffled:
        inner = rng.permutation(inner)
    frame = read(table.take(inner), roles, classes=names)
    return fit_and_explain(
        frame, task, trainer or trees(), grid_of(table, roles, 8), **{"rows": 120, **config}
    )


def probabilities(raw: Floats) -> Floats:
    """By SciPy, one column per class."""
    if raw.shape[1] == 1:
        return np.column_stack([special.expit(-raw), special.expit(raw)])
    return np.asarray(special.softmax(raw, axis=1))


class _Regressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    def __init__(self, trainer: Any, seen: Any, classes: Any) -> None:
        self.trainer = trainer
        self.seen = seen
        self.classes = classes
        self.classes_ = np.array(classes)

    def fit(self, values: Floats, target: Floats) -> None:
        """Only asked for its existence."""

    def _raw(self, values: Floats) -> Floats:
        features = self.seen.features
        predicted = self.trainer.predict(
            self.seen.model, type(features)(features.names, values, features.levels)
        )
        return np.asarray(predicted)

    def predict(self, values: Floats) -> Floats:
        return self._raw(values)[:, 0]


class _Classifier(ClassifierMixin, _Regressor):  # type: ignore[misc]
    def predict_proba(self, values: Floats) -> Floats:
        return probabilities(self._raw(values))

    def decision_function(self, values: Floats) -> Floats:
        raw = self._raw(values)
        return raw[:, 0] if raw.shape[1] == 1 else raw


# --- partial dependence ----------------------------------------------------------------------


@pytest.mark.parametrize("make", [trees, line])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("task", "scale"),
    [
        ("regression", "probability"),
        ("binary", "probability"),
        ("multiclass", "probability"),
        ("binary", "raw"),
    ],
)
def test_curves_are_scikit_learns_fold_by_fold(
    task: str, scale: str, make: Any, *, weighted: bool
) -> None:
    explained = case(
        task,
        weighted=weighted,
        trainer=make(),
        partial_dependence={"grid": 8, "scale": scale},
        shap=False,
        permutation_importance=0,
    )
    work, rows = explained.work, explained.tables["partial_dependence"]
    method = {"regression": "auto", "binary": "decision_function" if scale == "raw" else "auto"}
    for column, name in enumerate(FEATURES):
        points = work.frame.points(column, work.grid[name])
        curves = []
        for seen in work.folds:
            kind = _Regressor if task == "regression" else _Classifier
            average = partial_dependence(
                kind(work.trainer, seen, work.frame.classes),
                seen.features.values,
                [column],
                sample_weight=explained.weight(seen) if weighted else None,
                custom_values={column: points},
                method="brute",
                response_method=method.get(task, "auto"),
            )["average"]
            curves.append(average)
        expected = np.array(curves)  # (folds, classes, points)
        assert np.ptp(expected.mean(axis=0), axis=-1).max() > (0 if name == "noise" else 0.05)
        labels = {"regression": [""], "binary": ["yes"], "multiclass": ["a", "b", "c"]}[task]
        support = select(rows, "support", feature=name, **{"class": labels[0]})
        far = select(rows, "extrapolated", feature=name, **{"class": labels[0]})
        assert any(far) or name == "number"  # the case is not trivial
        mass = np.where(far, 0, support)
        for output, label in enumerate(labels):
            where = {"feature": name, "class": label}
            curve = expected[:, output]
            centred = curve - (curve * mass).sum(axis=1, keepdims=True) / mass.sum()
            for cells, values in [
                ("value", curve.mean(axis=0)),
                ("fold_sd", curve.std(axis=0, ddof=1)),
                ("centred", centred.mean(axis=0)),
                ("centred_fold_sd", centred.std(axis=0, ddof=1)),
            ]:
                np.testing.assert_allclose(
                    select(rows, cells, **where), values, rtol=1e-9, atol=1e-9
                )
            assert select(rows, "grid_value", **where) == list(work.grid[name].values)
            unit = {"regression": "target", "binary": "log_odds" if scale == "raw" else None}
            assert set(select(rows, "scale", **where)) == {unit.get(task) or "probability"}


def test_probabilities_of_all_classes_sum_to_one() -> None:
    rows = case("multiclass").tables["partial_dependence"]
    total = sum(np.array(select(rows, "value", **{"class": label})) for label in "abc")
    np.testing.assert_allclose(total, 1)
    centred = sum(np.array(select(rows, "centred", **{"class": label})) for label in "abc")
    np.testing.assert_allclose(centred, 0, atol=1e-12)


def test_the_positive_class_is_the_last_one() -> None:
    """'yes' where the score is high, and the score grows with the number."""
    explained = case("binary", trainer=line())
    rows = explained.tables["partial_dependence"]
    assert set(rows["class"]) == {"yes"}
    curve = select(rows, "value", feature="number")
    assert curve == sorted(curve)
    assert curve[-1] - curve[0] > 0.3
    shap = explained.tables["shap_by_value"]
    assert set(shap["class"]) == {"yes"}
    means = select(shap, "mean", feature="number")
    assert means == sorted(means)
    assert set(explained.tables["shap_summary"]["scale"]) == {"log_odds"}


# --- permutation importance ------------------------------------------------------------------


def loss(explained: Case, seen: ExplainedFold, raw: Floats) -> float:
    """By scikit-learn: squared error or log loss."""
    target, weight = explained.frame.target[seen.rows], explained.weight(seen)
    if explained.task == "regression":
        return float(sk.mean_squared_error(target, raw[:, 0], sample_weight=weight))
    labels = range(len(explained.frame.classes))
    return float(sk.log_loss(target, probabilities(raw), labels=labels, sample_weight=weight))


def constant_loss(explained: Case, seen: ExplainedFold) -> float:
    train = seen.fold.train
    target = explained.frame.target[train]
    weight = (
        np.ones(len(train)) if explained.frame.weight is None else explained.frame.weight[train]
    )
    if explained.task == "regression":
        raw = np.full((len(seen.rows), 1), np.average(target, weights=weight))
    else:
        prior = np.bincount(target.astype(int), weights=weight) / weight.sum()
        raw = np.tile(np.log(prior), (len(seen.rows), 1))
        raw = raw[:, 1:] - raw[:, :1] if len(prior) == 2 else raw
    return loss(explained, seen, raw)


def shares(explained: Case) -> Floats:
    """Each shuffle predicted on its own; shape (folds, features)."""
    repeats = explained.work.config.permutation_importance
    grown = np.zeros((len(explained.work.folds), len(FEATURES)))
    for i, seen in enumerate(explained.work.folds):
        base = loss(explained, seen, explained.raw(seen))
        for column in range(len(FEATURES)):
            for repeat in range(repeats):
                source = _shuffle(explained.work, seen, column, repeat)
                features = seen.features.with_column(column, seen.features.values[source, column])
                raw = explained.work.trainer.predict(seen.model, features)
                grown[i, column] += (loss(explained, seen, raw) - base) / repeats
    return np.asarray(
        grown / np.mean([constant_loss(explained, seen) for seen in explained.work.folds])
    )


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("weighted", [False, True])
def test_permutation_importance_by_hand(task: str, *, weighted: bool) -> None:
    explained = case(task, weighted=weighted, permutation_importance=3, shap=False)
    expected = shares(explained)
    rows = explained.tables["importance"]
    for column, name in enumerate(FEATURES):
        where = {"feature": name, "method": "permutation"}
        assert cell(rows, "value", **where) == pytest.approx(expected[:, column].mean(), abs=1e-9)
        sd = expected[:, column].std(ddof=1)
        assert cell(rows, "fold_sd", **where) == pytest.approx(sd, abs=1e-9)
        assert cell(rows, "folds", **where) == 3
        assert cell(rows, "scale", **where) == "share_of_constant_loss"
    values = select(rows, "value", method="permutation")
    ranks = select(rows, "rank", method="permutation")
    assert [values[ranks.index(rank)] for rank in (1, 2, 3)] == sorted(values, reverse=True)


def test_a_shuffle_is_one_cycle_with_every_partner_equally_likely() -> None:
    explained = case("regression", rows=30, permutation_importance=100, shap=False)
    seen = explained.work.folds[0]
    count = len(seen.rows)
    hits = np.zeros((count, count))
    for column in range(3):
        for repeat in range(1000):
            source = _shuffle(explained.work, seen, column, repeat)
            assert sorted(source) == list(range(count))
            hits[np.arange(count), source] += 1
            place, length = int(source[0]), 1
            while place:
                place, length = int(source[place]), length + 1
            assert length == count
    assert (np.diag(hits) == 0).all()
    share = hits[~np.eye(count, dtype=bool)] / 3000
    expected = 1 / (count - 1)
    assert np.abs(share - expected).max() < 4.5 * np.sqrt(expected * (1 - expected) / 3000)


def test_few_rows_do_not_make_importance_smaller() -> None:
    """The mean over many shuffles is that over all pairs of different rows, without 1 - 1/n."""
    explained = case("regression", rows=18, permutation_importance=100, trainer=line(), shap=False)
    constant = np.mean([constant_loss(explained, seen) for seen in explained.work.folds])
    grown = []
    for seen in explained.work.folds:
        count = len(seen.rows)
        pairs = [np.roll(np.arange(count), shift) for shift in range(1, count)]
        losses = [
            loss(
                explained,
                seen,
                explained.work.trainer.predict(
                    seen.model, seen.features.with_column(0, seen.features.values[pair, 0])
                ),
            )
            for pair in pairs
        ]
        grown.append(np.mean(losses) - loss(explained, seen, explained.raw(seen)))
    value = cell(explained.tables["importance"], "value", feature="number", method="permutation")
    assert value == pytest.approx(np.mean(grown) / constant, rel=0.04)
    assert max(len(seen.rows) for seen in explained.work.folds) < 12  # 1 / n would be seen


@pytest.mark.parametrize(("rows", "unit"), [(600, 1.0), (3000, 1000.0)])
def test_importance_is_twice_the_share_of_variance_whatever_size_and_unit(
    rows: int, unit: float
) -> None:
    """Of a linear truth: a shuffled value is off by b (x - x'), whose variance is 2 b^2 var(x)."""
    rng = np.random.default_rng(0)
    slopes, sd = np.array([2.0, 1.0, 0.0]), 1.5
    values = rng.normal(size=(rows, 3))
    target = unit * (values @ slopes + sd * rng.normal(size=rows)) + 7 * unit
    table = table_of(key=["k"] * rows, target=target, **dict(zip(FEATURES, values.T, strict=True)))
    roles = roles_of(FEATURES)
    explained = fit_and_explain(
        read(table, roles),
        "regression",
        line(),
        grid_of(table, roles),
        rows=rows,
        permutation_importance=10,
    )
    variance = (slopes**2).sum() + sd**2
    explained_rows = explained.tables["importance"]
    for name, slope in zip(FEATURES, slopes, strict=True):
        value = cell(explained_rows, "value", feature=name, method="permutation")
        assert value == pytest.approx(2 * slope**2 / variance, rel=0.12, abs=0.01)
        # |SHAP| of a linear effect is |b| |x - mean|, in units of the target.
        size = cell(explained_rows, "value", feature=name, method="mean_abs_shap")
        assert size == pytest.approx(unit * slope * np.sqrt(2 / np.pi), rel=0.1, abs=0.1 * unit)
    assert set(select(explained_rows, "scale", method="mean_abs_shap")) == {"target"}


def test_a_noise_feature_has_none() -> None:
    explained = case("regression", trainer=line(), permutation_importance=20)
    rows = explained.tables["importance"]
    assert abs(cell(rows, "value", feature="noise", method="permutation")) < 0.01
    assert cell(rows, "value", feature="number", method="permutation") > 0.3


def test_what_leaves_permutation_undefined_has_a_reason() -> None:
    target = np.r_[np.ones(10), np.zeros(2)]
    frame = frame_of(target, values=np.random.default_rng(0).normal(size=(12, 2)))
    folds = halves(12)
    trainer = line()
    data = [
        TrainingData(frame.features.take(f.train), target[f.train], None, "regression", (), 0)
        for f in folds
    ]
    models = [trainer.fit(part) for part in data]
    config = ExplainConfig(partial_dependence=False, shap=False)
    for rows, reason in [(2, "one_row_per_fold"), (12, "")]:
        seen = [
            ExplainedFold(
                model,
                fold,
                fold.held_out[: rows // 2],
                frame.features.take(fold.held_out[: rows // 2]),
            )
            for model, fold in zip(models, folds, strict=True)
        ]
        work = ExplainContext(
            trainer,
            "regression",
            frame,
            seen,
            grid_of(table_of(x0=[1.0], x1=[1.0]), roles_of(("x0", "x1"))),
            config,
            0,
        )
        explained = explain(work)["importance"]
        assert explained["reason"] == [reason] * 2
        assert [value is None for value in explained["value"]] == [bool(reason)] * 2
        canonical_json(explained)


# --- gain and SHAP ---------------------------------------------------------------------------


def test_gain_is_a_share_of_each_folds_total() -> None:
    explained = case("regression")
    gains = np.array([explained.work.trainer.gain(seen.model) for seen in explained.work.folds])
    expected = gains / gains.sum(axis=1, keepdims=True)
    rows = explained.tables["importance"]
    np.testing.assert_allclose(select(rows, "value", method="gain"), expected.mean(axis=0))
    np.testing.assert_allclose(select(rows, "fold_sd", method="gain"), expected.std(axis=0, ddof=1))
    assert sum(select(rows, "value", method="gain")) == pytest.approx(1)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("weighted", [False, True])
def test_shap_tables_are_means_over_rows_then_folds(task: str, *, weighted: bool) -> None:
    explained = case(task, weighted=weighted)
    work = explained.work
    parts = [work.trainer.shap_values(seen.model, seen.features) for seen in work.folds]
    weights = [explained.weight(seen) for seen in work.folds]
    labels = {"regression": [""], "binary": ["yes"], "multiclass": ["a", "b", "c"]}[task]
    summary, by_value = explained.tables["shap_summary"], explained.tables["shap_by_value"]
    for part, seen in zip(parts, work.folds, strict=True):
        assert part is not None
        np.testing.assert_allclose(
            part.values.sum(axis=1) + part.base, explained.raw(seen), rtol=1e-9, atol=1e-9
        )
    for column, name in enumerate(FEATURES):
        total = np.zeros(len(work.folds))
        for output, label in enumerate(labels):
            folds = [part.values[:, column, output] for part in parts if part is not None]
            where = {"feature": name, "class": label}
            signed = [np.average(v, weights=w) for v, w in zip(folds, weights, strict=True)]
            size = np.array(
                [np.average(abs(v), weights=w) for v, w in zip(folds, weights, strict=True)]
            )
            total += size
            for cells, values in [("mean", np.array(signed)), ("mean_abs", size)]:
                assert cell(summary, cells, **where) == pytest.approx(np.mean(values), abs=1e-12)
                sd = cell(summary, f"{cells}_fold_sd", **where)
                assert sd == pytest.approx(np.std(values, ddof=1), abs=1e-12)
            assert cell(summary, "rows", **where) == 120
            _assert_cells(explained, by_value, column, where, folds, weights)
        row = {"feature": name, "method": "mean_abs_shap"}
        assert cell(explained.tables["importance"], "value", **row) == pytest.approx(total.mean())


def _assert_cells(
    explained: Case,
    rows: Rows,
    column: int,
    where: dict[str, str],
    folds: list[Floats],
    weights: list[Floats],
) -> None:
    """Group the explained rows by their cell, one by one."""
    grid = explained.work.grid[where["feature"]]
    codes = explained.frame.codes[column]
    groups: dict[int, dict[int, list[tuple[float, float]]]] = {}
    for fold, seen in enumerate(explained.work.folds):
        for row, value in enumerate(seen.features.values[:, column]):
            if np.isnan(value):
                continue
            if codes is None:
                place = int(np.argmin([abs(value - point) for point in grid.numbers]))
            else:
                place = grid.values.index(codes.names[int(value)])
            pairs = groups.setdefault(place, {}).setdefault(fold, [])
            pairs.append((folds[fold][row], weights[fold][row]))
    assert select(rows, "grid_index", **where) == sorted(groups)
    for place, inside in groups.items():
        means = [
            np.average(np.array(each)[:, 0], weights=np.array(each)[:, 1])
            for each in inside.values()
        ]
        here = {**where, "grid_index": place}
        assert cell(rows, "mean", **here) == pytest.approx(np.mean(means), abs=1e-12)
        sd = cell(rows, "fold_sd", **here)
        assert (sd is None) == (len(means) == 1)
        if sd is not None:
            assert sd == pytest.approx(np.std(means, ddof=1), abs=1e-12)
        assert cell(rows, "rows", **here) == sum(map(len, inside.values()))
        assert cell(rows, "grid_value", **here) == grid.values[place]


# --- which rows ------------------------------------------------------------------------------


def test_only_rows_that_the_model_has_not_seen_are_explained() -> None:
    explained = case("regression", rows=50)
    chosen = np.concatenate([seen.rows for seen in explained.work.folds])
    assert len(chosen) == len(set(chosen)) == 50
    for seen in explained.work.folds:
        assert not set(seen.rows) & set(seen.fold.train)
        assert set(seen.rows) <= set(seen.fold.held_out)
        np.testing.assert_array_equal(
            seen.features.values, explained.frame.features.values[seen.rows]
        )
    # No two rows are equal here, so they are those with the smallest hashes.
    assert sorted(chosen) == list(range(50))


def test_copies_of_rows_do_not_crowd_out_the_others() -> None:
    """Ten different rows, each a hundred times: a sample of a hundred has some of all."""
    values = np.repeat(np.arange(10.0), 100)
    table = table_of(key=["k"] * 1000, target=values, x=values)
    frame = read(table, roles_of(("x",)))
    folds = make_folds(frame, EvaluateConfig(folds=5)).parts
    seen = seen_rows(frame, folds, [None] * 5, 100)
    counts = np.bincount(
        np.concatenate([part.features.values[:, 0] for part in seen]).astype(int), minlength=10
    )
    assert counts.sum() == 100
    assert counts.min() >= 3
    assert counts.max() <= 20
    assert len(seen) == 5


def test_explanations_do_not_depend_on_the_order_of_rows() -> None:
    one = case("multiclass", weighted=True)
    other = case("multiclass", weighted=True, shuffled=True)
    assert canonical_json(one.tables) == canonical_json(other.tables)


def test_spread_is_numpys_and_leaves_gaps_out() -> None:
    values = np.random.default_rng(0).normal(size=(5, 4))
    values[:4, 1] = np.nan
    values[:, 2] = np.nan
    values[0, 3] = np.nan
    means, deviations = mean_and_sd(values)
    np.testing.assert_allclose(means[[0, 1, 3]], np.nanmean(values[:, [0, 1, 3]], axis=0))
    assert np.isnan(means[2])
    assert deviations[1] is None
    assert deviations[2] is None
    assert deviations[0] == pytest.approx(values[:, 0].std(ddof=1))
    assert deviations[3] == pytest.approx(values[1:, 3].std(ddof=1))


def test_a_fold_is_what_was_held_out() -> None:
    fold = Fold(np.array([0, 1]), np.array([2]))
    frame = frame_of(np.arange(3.0))
    (seen,) = seen_rows(frame, [fold], ["model"], 10)
    assert (seen.model, list(seen.rows)) == ("model", [2])
