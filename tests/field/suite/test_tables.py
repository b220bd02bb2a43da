"""Real tables: Refeed's numbers are those of pandas, scikit-learn and LightGBM used directly."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.inspection import permutation_importance

from tests.field.suite import direct
from tests.field.suite.case import Case, Key, is_text
from tests.field.suite.spread import Draws, deviations
from tests.field.suite.tables import PARAMS


@pytest.fixture(scope="module", params=PARAMS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(request.param, tmp_path_factory.mktemp(request.param.name))


def test_every_row_is_in_its_partition(case: Case) -> None:
    expected = {
        key: (len(rows), int(rows[case.table.target].isna().sum()))
        for key, rows in case.partitions.items()
    }
    found = {key: (row.rows, row.rows_without_target) for key, row in case.found.items()}
    assert found == expected


def test_partitions_are_trained_or_skipped_for_the_right_reason(case: Case) -> None:
    expected = {key: case.expected_status(key) for key in case.partitions}
    found = {key: (row.status, row.reason) for key, row in case.found.items()}
    assert found == expected


def test_the_features_are_those_of_the_spec(case: Case) -> None:
    """Numbers, dates and truth values have an order; text has none."""
    found = case.table_of("features")
    kinds = dict(zip(found["feature"], found["categorical"], strict=True))
    assert kinds == {name: name in case.categorical for name in case.features}
    types = dict(zip(found["feature"], found["type"], strict=True))
    texts = {name for name, kind in types.items() if kind == "string"}
    assert texts == {name for name in case.features if is_text(case.frame[name])}


def test_statistics_are_those_of_pandas(case: Case) -> None:
    """Rows, missing cells and distinct values of each column in each partition.

    For numbers also the mean, the standard deviation and the bounds.
    """
    statistics = case.table_of("column_statistics")
    statistics = statistics[statistics["scope"] == "partition"]
    found = {(row.key, row.column): row for row in statistics.itertuples()}
    columns = dict.fromkeys(case.columns)
    assert set(found) == {(key, name) for key in case.partitions for name in columns}
    wrong = []
    for (key, name), row in found.items():
        column = case.partitions[key][name]
        expected = [len(column), column.isna().sum(), column.nunique()]
        actual = [row.rows, row.missing, row.distinct]
        if not (is_text(case.frame[name]) or _only_orders(case, name, row.type)):
            numbers = direct.numbers_of(column) / (86_400 if row.type == "date" else 1)
            expected += _moments(numbers[~np.isnan(numbers)])
            actual += [row.mean, row.sd, row.min, row.max]
        if actual != pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True):
            wrong.append(f"{key} {name}: {actual}, not {expected}")
    assert not wrong, "\n".join(wrong[:10])


def _only_orders(case: Case, column: str, kind: str) -> bool:
    """Return true for text other than ISO 8601 that is used for the order of rows only.

    The test of time folds shows whether its order is that of time.
    """
    other_format = case.table.dates.get(column, "ISO8601") != "ISO8601"
    return kind == "string" and other_format and column not in case.features


def _moments(numbers: direct.Floats) -> list[float]:
    if not len(numbers):
        return [math.nan] * 4
    sd = numbers.std(ddof=1) if len(numbers) > 1 else math.nan
    return [numbers.mean(), sd, numbers.min(), numbers.max()]


def test_class_shares_are_those_of_pandas(case: Case) -> None:
    if not case.classes:
        pytest.skip("a regression; its mean is among the statistics")
    path = next(case.folder.glob("runs/*/datasets/*/statistics/column_top_values.parquet"))
    top = pd.read_parquet(path)
    top = top[(top["scope"] == "partition") & (top["column"] == case.table.target)]
    found = {(case.key(row.partition), row.value): row.count for row in top.itertuples(index=False)}
    expected = {
        (key, str(label)): count
        for key, rows in case.partitions.items()
        for label, count in rows[case.table.target].value_counts().items()
    }
    assert found == expected


def test_pooled_losses_are_those_of_the_folds_together(case: Case) -> None:
    """And skill is 1 - loss / loss of the constant prediction."""
    for key, row in case.found.items():
        if row.status == "trained":
            folds = case.folds_of(key)
            power = 1 if case.classes else 2  # the RMSE is the root of a mean
            for name in ("value", "constant_value"):
                pooled = np.average(folds[name] ** power, weights=folds["rows"]) ** (1 / power)
                assert getattr(row, name) == pytest.approx(pooled)
            assert row.skill == pytest.approx(1 - row.value / row.constant_value)


def test_every_row_is_held_out_once_in_folds_of_equal_size(case: Case) -> None:
    """Without groups the sizes differ by one row; by one row per class if the classes are dealt."""
    if case.evaluate["method"] != "kfold":
        pytest.skip("its folds are blocks in time")
    for key in case.trained:
        sizes = list(case.folds_of(key)["rows"])
        assert sum(sizes) == len(case.rows(key)), (key, sizes)
        if case.rows(key).groups is None:
            assert len(sizes) == case.evaluate["folds"]
            assert max(sizes) - min(sizes) <= max(1, len(case.classes)), (key, sizes)


def test_losses_are_within_the_spread_of_shuffles(case: Case) -> None:
    """Refeed's folds are one more shuffle, so its losses vary about their mean as the shuffles do.

    Six standard deviations, since the losses of few rows have longer tails than a normal
    distribution: with 200 partitions the largest deviation was 4.4. The loss of a constant exceeds
    the standard deviation of the target by a share of chi-square distribution, with one degree of
    freedom less than folds: eight deviations above its mean have a chance of 1 in 40,000. Half a
    percent of the constant's loss is for how counts of classes are rounded to folds, which no
    shuffle varies.
    """
    wrong = []
    rounding = 0.005 if case.classes else 0
    for what, times in (("value", 6), ("constant_value", 8)):
        for key, (off, deviation) in _deviations(case, what).items():
            if not abs(off) <= times * deviation + rounding:  # also where it is missing
                wrong.append(f"{key}: {what} is off by {off:.2g}, deviation {deviation:.2g}")
    assert not wrong, "\n".join(wrong)


def test_losses_of_a_table_are_right_on_average(case: Case) -> None:
    """Folds of different partitions are independent, so the errors of their losses cancel."""
    for what in ("value", "constant_value"):
        off, deviation = np.array(list(_deviations(case, what).values())).T
        assert abs(off.mean()) <= 5 * np.sqrt(np.sum(deviation**2)) / len(off) + 0.002, what


def _deviations(case: Case, what: str) -> dict[Key, tuple[float, float]]:
    """Return how far each loss is from the mean of the shuffles, and a standard deviation of that.

    Both as shares of the constant prediction's loss. For the loss of a constant, only the
    differences between the means of folds matter, whose squares fall with the rows.
    """
    if case.evaluate["method"] != "kfold":
        pytest.skip("its folds are not random: see the test of time folds")
    draws = [
        Draws(
            np.array([getattr(losses, what) for losses in case.shuffles[key]]),
            rows=len(case.rows(key)),
            order=2 if what == "constant_value" else 1,
        )
        for key in case.trained
    ]
    found = {}
    for key, drawn, deviation in zip(case.trained, draws, deviations(draws), strict=True):
        unit = case.shuffles[key][0].constant_value
        found[key] = (
            (getattr(case.found[key], what) - drawn.losses.mean()) / unit,
            deviation / unit,
        )
    return found


def test_time_folds_are_blocks_in_time_and_their_losses_exact(case: Case) -> None:
    """Each block is predicted from all before it; LightGBM on the same rows has the same loss."""
    if case.evaluate["method"] != "time":
        pytest.skip("its folds are random")
    wrong = []
    for key in case.trained:
        rows, folds = case.rows(key), case.folds_of(key)
        assert rows.times is not None
        _, ties = np.unique(rows.times[~np.isnan(rows.times)], return_counts=True)
        sizes = [int(count) for count in folds["rows"]]
        assert len(sizes) == case.evaluate["folds"]
        share = ties.sum() / (len(sizes) + 1)
        assert max(abs(size - share) for size in sizes) <= ties.max() + 1, (key, sizes)
        found = zip(folds["value"], folds["constant_value"], strict=True)
        for (training, held_out), (value, constant) in zip(
            case.blocks(key, sizes), found, strict=True
        ):
            drawn = (
                direct.losses(rows, [(order, held_out)], case.params)
                for order in direct.orders(training)
            )
            if not any((value, constant) == _close(each) for each in drawn):
                wrong.append(f"{key}, {len(training)} rows before: {value}, constant {constant}")
    assert not wrong, "\n".join(wrong)


def _close(losses: direct.Losses) -> Any:
    return pytest.approx((losses.value, losses.constant_value), rel=1e-6)


@pytest.mark.filterwarnings("ignore:Series.values returning")  # pyarrow, for time zones
def test_final_models_predict_as_lightgbm_does(case: Case) -> None:
    """The model of all rows, for the largest and the smallest partitions."""
    wrong = []
    for key in dict.fromkeys([*case.trained[:3], *case.trained[-3:]]):
        rows = case.rows(key)
        model = case.run.partition(case.found[key].partition).model
        frame = case.partitions[key].dropna(subset=[case.table.target])
        found = model.predict(frame[case.features])
        unit = 1 if rows.classes else rows.target.std()
        off = [np.inf]
        for expected in _predictions(rows, case.params):
            off.append(np.abs(found - expected).max() / unit)
            if off[-1] < 1e-6:
                break
        else:
            wrong.append(f"{key}: predictions differ by {min(off):.3g} standard deviations")
    assert not wrong, "\n".join(wrong)


def _predictions(rows: direct.Rows, params: dict[str, Any]) -> Iterator[direct.Floats]:
    everything = np.arange(len(rows))
    for order in direct.orders(everything):
        found = direct.predict(rows, direct.train(rows, order, params), everything)
        yield found[:, 1] if len(rows.classes) == 2 else found


def test_the_most_important_feature_is_that_of_scikit_learn(case: Case) -> None:
    """Where it is clear: the first feature leads by more than three deviations of the folds."""
    importance = case.table_of("importance")
    importance = importance[importance["method"] == "permutation"]
    wrong = []
    for key in case.trained[:2]:
        rows = case.rows(key)
        if case.evaluate["method"] == "time":
            splits = case.blocks(key, [int(count) for count in case.folds_of(key)["rows"]])
        else:
            splits = next(direct.shuffles(rows, case.evaluate["folds"], 1))
        values = np.array([_importance(rows, split, case) for split in splits])
        first, second = np.argsort(-values.mean(axis=0))[:2]
        lead = values[:, first] - values[:, second]
        if lead.mean() < 3 * lead.std(ddof=1) or lead.mean() < 0.05:
            continue
        found = importance[(importance["key"] == key) & (importance["rank"] == 1)]
        if list(found["feature"]) != [rows.names[first]]:
            wrong.append(f"{key}: {list(found['feature'])}, not {rows.names[first]!r}")
    assert not wrong, "\n".join(wrong)


def _importance(rows: direct.Rows, split: direct.Split, case: Case) -> direct.Floats:
    """Return the increase of the loss per feature, as a share of the constant prediction's."""
    training, test = split
    test = test[:: 1 + len(test) // 300]
    model = _Fitted(rows, direct.train(rows, training, case.params))
    found = permutation_importance(
        model, rows.features[test], rows.target[test], scoring=_Fitted.score, n_repeats=2,
        random_state=0,
    )  # fmt: skip
    base = _Fitted.loss(rows, rows.target[test], direct.constant(rows, training)[None, :])
    return np.asarray(found.importances_mean, np.float64) / base


class _Fitted:
    """A booster with the methods that scikit-learn asks for."""

    def __init__(self, rows: direct.Rows, booster: object) -> None:
        self.rows, self.booster = rows, booster

    def fit(self) -> None:
        raise NotImplementedError

    def score(self, features: direct.Floats, target: direct.Floats) -> float:
        found = np.asarray(self.booster.predict(features, num_threads=1))  # type: ignore[attr-defined]
        if len(self.rows.classes) == 2:
            found = np.column_stack([1 - found, found])
        return -self.loss(self.rows, target, found)

    @staticmethod
    def loss(rows: direct.Rows, target: direct.Floats, predictions: direct.Floats) -> float:
        """Return the squared error, or the log loss."""
        if not rows.classes:
            return float(np.mean((target - predictions.ravel()) ** 2))
        chosen = np.broadcast_to(predictions, (len(target), len(rows.classes)))
        return float(-np.log(chosen[np.arange(len(target)), target.astype(int)]).mean())
