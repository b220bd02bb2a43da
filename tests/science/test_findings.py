"""Warnings of the data: numbers against scikit-learn and scipy, thresholds from both sides."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from scipy.stats import spearmanr
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score

from steps.records import Column, PartitionEntry, PartitionKey, Roles
from steps.results.schema import COLUMN_STATISTICS, TOP_VALUES_TABLE
from steps.results.writer import arrow_table
from steps.split.dataset.statistics_tables import rows_of
from steps.table.data_warnings import DataWarning, WarningInputs, find_data_warnings, rows_by_column
from steps.table.drift import PartitionVariance
from steps.table.hashing import row_hashes
from steps.table.leakage import Target, cells_of
from steps.table.merging import WholeTable
from steps.table.sample import BottomSample
from steps.table.statistics import group_statistics
from steps.table.summaries import TableSummary

Floats = NDArray[np.float64]
TYPES = {"double": "float64", "int64": "int64", "string": "string", "bool": "bool"}


def facts_of(rows: pa.Table, key: str = "key") -> WarningInputs:
    """What a split would know of a table."""
    rows = rows.sort_by(key).combine_chunks()
    batch = rows.to_batches()[0]
    columns = [Column(field.name, TYPES[str(field.type)]) for field in rows.schema]
    names = rows.column(key).to_pylist()
    starts = [0, *(at for at in range(1, len(names)) if names[at] != names[at - 1])]
    seen = group_statistics(batch, np.array(starts))
    whole, summary = WholeTable(len(columns)), TableSummary(rows.column_names)
    whole.add_values(seen.sketches)
    for group in seen.groups:
        whole.add(group)
    summary.add(batch)
    sampler = BottomSample(100_000)
    sampler.add(batch, row_hashes(batch))
    sample = sampler.sample(rows.schema)
    levels = {name: column.levels for name, column in summary.columns.items()}
    entries = [
        PartitionEntry(PartitionKey("string", names[start]), 1, (), "", (), 1) for start in starts
    ]
    items: list[Any] = [*zip(entries, seen.groups, strict=True)]
    found = rows_of([*items, (None, whole.statistics(sample, levels))], columns)
    statistics = arrow_table(COLUMN_STATISTICS, found[COLUMN_STATISTICS.name])
    top = arrow_table(TOP_VALUES_TABLE, found[TOP_VALUES_TABLE.name])
    spread = PartitionVariance(rows.column_names)
    for start in range(0, statistics.num_rows, 7):  # as they come from a file: cut anywhere
        spread.add(statistics.slice(start, 7))
    spread.add_values(top)
    return WarningInputs(
        columns=rows_by_column(statistics),
        largest={
            row["column"]: row["count"]
            for row in top.to_pylist()
            if row["scope"] == "table" and row["rank"] == 1
        },
        spread=spread,
        partition_rows=[group.rows for group in seen.groups],
        sample=sample,
        others={},
        keys=(),
    )


PARTITIONS, ROWS = 20, 60


def table(**columns: Any) -> pa.Table:
    """Twenty partitions of 60 rows with a target of noise, and more columns."""
    rng = np.random.default_rng(5)
    count = PARTITIONS * ROWS
    key = [f"p{at:02d}" for at in np.repeat(np.arange(PARTITIONS), ROWS)]
    return pa.table({"key": key, "y": rng.normal(size=count), **columns})


def found_in(rows: pa.Table, task: str = "regression") -> list[DataWarning]:
    features = tuple(name for name in rows.column_names if name not in {"key", "y"})
    kinds = {field.name: str(field.type) for field in rows.schema}
    levels = tuple(name for name in features if kinds[name] == "string")
    return find_data_warnings(
        facts_of(rows), Roles("key", "y", features, levels, None, None, None), task
    )


def kinds(found: list[DataWarning]) -> list[tuple[str, str]]:
    return [(each.kind, each.column) for each in found]


def noise(seed: int = 1) -> Floats:
    return np.random.default_rng(seed).normal(size=PARTITIONS * ROWS)


WHICH = np.repeat(np.arange(PARTITIONS), ROWS)


def test_noise_is_nothing_to_warn_of() -> None:
    levels = np.random.default_rng(2).choice(["a", "b", "c"], PARTITIONS * ROWS)
    assert found_in(table(number=noise(), level=levels)) == []


# --- leakage --------------------------------------------------------------------------------


def test_share_explained_is_scikit_learns_r2_of_the_cells_means() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=4000)
    y = x**2 + rng.normal(size=4000)
    weights = rng.integers(1, 4, 4000).astype(float)
    half = np.arange(4000) % 2 == 0
    target = Target(pa.array(y), "regression", weights, half)
    cells = cells_of(pa.array(x), categorical=False)
    dummies = np.eye(cells.max() + 1)[cells]
    model = LinearRegression(fit_intercept=False).fit(dummies[half], y[half], weights[half])
    expected = r2_score(y[~half], model.predict(dummies[~half]), sample_weight=weights[~half])
    values, _ = target._values
    assert target._explained(cells, values) == pytest.approx(expected, abs=1e-9)
    assert expected > 0.5  # where no line explains anything


def test_share_of_classes_is_the_variance_weighted_mean_of_indicators() -> None:
    rng = np.random.default_rng(4)
    level = rng.choice(list("abcd"), 3000)
    classes = np.where(rng.random(3000) < 0.7, level, rng.choice(list("abc"), 3000))
    half = np.arange(3000) % 2 == 0
    target = Target(pa.array(classes), "multiclass", np.ones(3000), half)
    cells = cells_of(pa.array(level), categorical=True)
    share = target.explained_by(pa.array(level), categorical=True)
    dummies, names = np.eye(4)[cells], np.unique(classes)
    y = (classes[:, None] == names).astype(float)
    model = LinearRegression(fit_intercept=False).fit(dummies[half], y[half])
    actual = model.predict(dummies[~half])
    assert share == pytest.approx(r2_score(y[~half], actual, multioutput="variance_weighted"))


@pytest.mark.parametrize("correlation", [0.5, 0.9, 0.99])
def test_of_ranks_it_is_near_the_square_of_spearmans(correlation: float) -> None:
    rng = np.random.default_rng(6)
    x = rng.normal(size=40_000)
    y = np.exp(3 * (correlation * x + np.sqrt(1 - correlation**2) * rng.normal(size=40_000)))
    half = np.arange(40_000) % 2 == 0
    share = Target(pa.array(y), "regression", np.ones(40_000), half).explained_by(
        pa.array(x), categorical=False
    )
    assert share == pytest.approx(spearmanr(x, y).statistic ** 2, abs=0.02)


@pytest.mark.parametrize(
    ("scale", "warned"), [(0.1, True), (0.4, True), (0.7, False), (2.0, False)]
)
def test_a_feature_that_is_nearly_the_target(scale: float, warned: bool) -> None:
    rows = table(other=noise())
    twin = -rows["y"].to_numpy() + scale * noise(7)  # explains 1 / (1 + scale ** 2)
    found = found_in(rows.append_column("twin", pa.array(twin)))
    assert kinds(found) == ([("leakage", "twin")] if warned else [])
    if warned:
        assert found[0].number == pytest.approx(1 / (1 + scale**2), abs=0.06)
        assert "'twin' alone explains" in found[0].message


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_feature_that_is_the_class(task: str) -> None:
    names = ["no", "yes"] if task == "binary" else ["no", "so so", "yes"]
    classes = np.random.default_rng(8).choice(names, PARTITIONS * ROWS)
    code = np.where(classes == "yes", 1.5, 0.0) + (classes == "so so") + 0.01 * noise()
    rows = table(code=code, other=noise()).drop_columns(["y"])
    rows = rows.append_column("y", pa.array(classes))
    assert kinds(found_in(rows, task)) == [("leakage", "code")]


def test_an_identifier_is_no_leak() -> None:
    names = [f"row {at}" for at in range(PARTITIONS * ROWS)]
    assert kinds(found_in(table(name=names))) == [("id_like", "name")]


# --- missing, constant, identifiers ---------------------------------------------------------


@pytest.mark.parametrize(("share", "warned"), [(0.90, False), (0.96, True), (1.0, True)])
def test_nearly_all_missing(share: float, warned: bool) -> None:
    gone = np.random.default_rng(9).random(PARTITIONS * ROWS) < share
    found = found_in(table(gap=pa.array(noise(), mask=gone)))
    assert kinds(found) == ([("missing", "gap")] if warned else [])
    if warned:
        assert found[0].number == gone.mean()
    if share == 1:
        assert "in 100% of the rows, and in 20 of 20 partitions in all of them" in found[0].message


def test_constant() -> None:
    gone = np.arange(PARTITIONS * ROWS) % 2 == 0
    found = found_in(
        table(one=np.ones(PARTITIONS * ROWS), same=pa.array(np.zeros(len(gone)), mask=gone))
    )
    assert kinds(found) == [("constant", "one")]  # one value or missing is not constant


@pytest.mark.parametrize(("varied", "warned"), [(0, True), (1, True), (3, False)])
def test_constant_within_partitions(varied: int, warned: bool) -> None:
    place = WHICH * 10 + (varied > WHICH) * (np.arange(PARTITIONS * ROWS) % 2)
    found = found_in(table(place=place))
    assert kinds(found) == [("constant_within" if warned else "drift", "place")]
    if varied == 1:
        assert "within 19 of 20 partitions" in found[0].message


@pytest.mark.parametrize(("copies", "warned"), [(1, True), (2, True), (3, False)])
def test_a_text_like_an_identifier(copies: int, warned: bool) -> None:
    names = [f"name {at // copies}" for at in range(PARTITIONS * ROWS)]
    found = [each for each in kinds(found_in(table(name=names))) if each[0] == "id_like"]
    assert found == ([("id_like", "name")] if warned else [])


def test_counter_is_an_identifier_and_a_measurement_is_not() -> None:
    counter = np.random.default_rng(1).permutation(PARTITIONS * ROWS)
    assert kinds(found_in(table(counter=counter))) == [("id_like", "counter")]
    assert not found_in(table(counter=counter.astype(float)))
    assert not found_in(table(counter=counter // 2))


# --- drift ----------------------------------------------------------------------------------


@pytest.mark.parametrize("apart", [0.0, 0.5, 3.0])
def test_share_between_partitions_is_the_adjusted_r2_of_the_partition(apart: float) -> None:
    x = noise() + apart * WHICH / 4 + 1e6  # an offset must not cost digits
    facts = facts_of(table(x=x))
    at = list(facts.columns).index("x")
    share = facts.spread.between(at, facts.columns["x"]["sd"])
    dummies = np.eye(PARTITIONS)[WHICH]
    plain = r2_score(x, LinearRegression(fit_intercept=False).fit(dummies, x).predict(dummies))
    count = len(x)
    adjusted = 1 - (1 - plain) * (count - 1) / (count - PARTITIONS)
    assert share == pytest.approx(max(adjusted, 0), abs=1e-8)
    assert (apart == 0.0) == (share < 0.05)


def test_drift_of_numbers_missing_values_and_levels() -> None:
    rng = np.random.default_rng(10)
    count = PARTITIONS * ROWS
    level = np.where(rng.random(count) < 0.9, np.array(list("abcdefghijklmnopqrst"))[WHICH], "z")
    found = found_in(
        table(
            apart=noise() + WHICH,
            near=noise() + WHICH / 100,
            gap=pa.array(noise(), mask=WHICH < 8),
            dotted=pa.array(noise(), mask=rng.random(count) < 0.3),
            level=level,
            fair=rng.choice(list("abcd"), count),
        )
    )
    assert kinds(found) == [("drift", "apart"), ("drift_missing", "gap"), ("drift_levels", "level")]
    assert "in 0% to 100% of a partition's rows" in found[1].message


def test_share_of_guesses_saved_by_hand() -> None:
    """Two partitions: 30 a and 10 b, 5 a and 35 b. Guessing b for all errs 35 times of 80, guessing
    by partition 10 + 5 times: lambda is 1 - 15 / 35."""
    rows = pa.table(
        {"key": ["p"] * 40 + ["q"] * 40, "level": list("a" * 30 + "b" * 10 + "a" * 5 + "b" * 35)}
    )
    facts = facts_of(rows)
    at = list(facts.columns).index("level")
    assert facts.largest["level"] == 45
    assert facts.spread.levels_between(at, 45) == pytest.approx(1 - 15 / 35)


@pytest.mark.parametrize(("features", "warned"), [(6, False), (7, True)])
def test_few_rows_per_feature(features: int, warned: bool) -> None:
    found = found_in(table(**{f"x{at}": noise(at + 20) for at in range(features)}))
    assert kinds(found) == ([("few_rows", "")] if warned else [])


def test_numbers_beyond_what_a_square_holds() -> None:
    huge = np.where(WHICH % 2 == 0, 1e300, -1e300)
    assert ("constant_within", "huge") in kinds(found_in(table(huge=huge)))
