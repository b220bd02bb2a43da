"""Values of features: missing as information, numbers and dates written as text, large numbers."""

from __future__ import annotations

import re

import lightgbm
import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.metrics import root_mean_squared_error

from tests.field.conftest import Case, Outcome
from tests.field.direct import DEFAULTS, codes, direct_skill

SPEC = {"source": "t.csv", "partition_by": "part", "target": "y", "min_rows": 50}


# --- missing is a value -----------------------------------------------------------------------


def missing_cells(found: Outcome, table: str, feature: str) -> pd.DataFrame:
    """Return the rows about missing values by partition."""
    rows = found.table(table)
    return rows[(rows["feature"] == feature) & rows["grid_missing"]].set_index("partition")


@pytest.mark.input("20-flag-or-empty")
def test_a_flag_that_is_set_or_empty_is_explained(case: Case) -> None:
    code, text = case.validate()
    assert code == 0
    assert "same value in every row" not in text
    found = case.run()
    table = pd.read_csv(case.folder / "t.csv")
    warnings = found.table("data_warnings")
    assert not (
        warnings["kind"].isin(["constant", "constant_within"]) & (warnings["column"] == "promo")
    ).any()
    curves = found.table("partial_dependence").query("feature == 'promo'").set_index("partition")
    cells = missing_cells(found, "partial_dependence", "promo")
    for name, rows in table.groupby("store"):
        means = rows.groupby(rows["promo"].isna())["units"].mean()
        curve = curves.loc[str(name)]
        flagged = curve[curve["grid_value"] == "Y"]["value"].item()
        assert cells.loc[str(name), "value"] < flagged
        # Partial dependence shrinks the difference of the means a little.
        assert flagged - cells.loc[str(name), "value"] == pytest.approx(
            means[False] - means[True], rel=0.2
        )
        assert cells.loc[str(name), "support"] == rows["promo"].isna().sum()
        shap = (
            found.table("shap_by_value")
            .query("feature == 'promo'")
            .set_index("partition")
            .loc[str(name)]
        )
        assert (
            shap[shap["grid_missing"]]["mean"].item()
            < 0
            < shap[~shap["grid_missing"]]["mean"].item()
        )
    assert cells["grid_value"].isna().all()


def gaps(seed: int = 0) -> pd.DataFrame:
    """A number that is missing where the target is high, and in one partition a level too."""
    rng = np.random.default_rng(seed)
    rows = 600
    table = pd.DataFrame(
        {"part": rng.choice(["a", "b", "c"], rows), "x": rng.normal(size=rows).round(3)}
    )
    table["level"] = rng.choice(["red", "blue", "missing", "(missing)"], rows)
    lost = rng.random(rows) < 0.3
    table["y"] = (table["x"] + 3 * lost + rng.normal(size=rows)).round(3)
    table.loc[lost, "x"] = np.nan
    table.loc[lost & (table["part"] == "a"), "level"] = None
    return table


def test_numbers_and_levels_have_a_missing_cell_even_where_a_partition_lacks_none(
    case: Case,
) -> None:
    table = gaps()
    table.to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": SPEC})
    found = case.run()
    for feature in ("x", "level"):
        cells = missing_cells(found, "partial_dependence", feature)
        lost = table[feature].isna().groupby(table["part"]).sum()
        assert cells["support"].to_dict() == lost.to_dict()
        assert (cells["extrapolated"] == (lost == 0)).all()
    rows = found.table("partial_dependence").query("feature == 'level'")
    assert set(rows["grid_value"].dropna()) == {"red", "blue", "missing", "(missing)"}
    numbers = missing_cells(found, "partial_dependence", "x")["value"]
    curve = found.table("partial_dependence").query("feature == 'x' and not grid_missing")
    assert (numbers - curve.groupby("partition")["value"].mean() > 1).all()


def test_a_single_missing_cell_anywhere_gives_every_partition_the_cell(case: Case) -> None:
    """Beyond the sample's 100,000 rows too: counts are exact."""
    rng = np.random.default_rng(1)
    rows = 150_000
    table = pd.DataFrame(
        {"part": rng.choice(["a", "b"], rows), "x": rng.normal(size=rows).round(4)}
    )
    table["y"] = (table["x"] + rng.normal(size=rows)).round(4)
    table.loc[77, "x"] = np.nan
    table.to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": SPEC, "explain": {"rows": 200}})
    cells = missing_cells(case.run(), "partial_dependence", "x")
    assert sorted(cells["support"]) == [0, 1]


def test_moving_a_missing_cell_changes_no_other_partition(case: Case) -> None:
    table = gaps()
    table.to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": {**SPEC, "features": ["x"]}})
    before = case.run()
    there = table[(table["part"] == "a") & table["x"].isna()].index[0]
    here = table[(table["part"] == "b") & table["x"].notna()].index[0]
    table.loc[[there, here], "x"] = table.loc[[here, there], "x"].to_numpy()
    table.to_csv(case.folder / "t.csv", index=False)
    after = case.run(output="after")
    for name in ("partial_dependence", "shap_by_value", "metrics"):
        one, other = (found.table(name).query("partition == 'c'") for found in (before, after))
        assert one.equals(other)
        assert not before.table(name).equals(after.table(name))


def test_one_value_or_missing_within_each_partition_is_not_constant(case: Case) -> None:
    rng = np.random.default_rng(2)
    rows = 600
    table = pd.DataFrame({"part": rng.choice(["a", "b"], rows), "x": rng.normal(size=rows)})
    since = rng.random(rows) < 0.4
    table["manager"] = np.where(since, table["part"].str.upper(), None)
    table["y"] = table["x"] + 2 * since + rng.normal(size=rows)
    table.to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": SPEC})
    found = case.run()
    assert "constant_within" not in set(found.table("data_warnings")["kind"])
    for name, part in table.groupby("part"):
        assert direct_skill(codes(part, "x", "manager"), part["y"]).agrees(found.skill[str(name)])


# --- text that stands for something ordered ---------------------------------------------------


@pytest.mark.input("02-text-time-order")
def test_time_in_text_is_read_as_dates(case: Case) -> None:
    found = case.run()
    iso = case.run("dataset.source=iso.csv", output="iso")
    assert found.skill == iso.skill
    table = pd.read_csv(case.folder / "iso.csv", parse_dates=["date"])
    for name, rows in table.groupby("store"):
        assert found.skill[str(name)] == pytest.approx(time_skill(rows), abs=0.02)


def time_skill(rows: pd.DataFrame, folds: int = 4) -> float:
    """Return the skill of LightGBM on blocks of time, each predicted from the blocks before it."""
    ordered = rows.sort_values("date", kind="stable")
    blocks = [ordered.iloc[rows] for rows in np.array_split(np.arange(len(ordered)), folds + 1)]
    truth, predicted, constant = [], [], []
    for number in range(1, folds + 1):
        train, test = pd.concat(blocks[:number]), blocks[number]
        model = lightgbm.LGBMRegressor(num_leaves=7, n_estimators=40, **DEFAULTS)
        model.fit(train[["fuel_index", "price"]], train["units"])
        truth.append(test["units"])
        predicted.append(model.predict(test[["fuel_index", "price"]]))
        constant.append(np.full(len(test), train["units"].mean()))
    y = np.concatenate(truth)
    losses = [root_mean_squared_error(y, np.concatenate(each)) for each in (predicted, constant)]
    return float(1 - losses[0] / losses[1])


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("%d/%m/%Y", None),
        ("%d.%m.%Y %H:%M", None),
        ("%d %b %Y", None),
        ("%Y-%m", None),
        ("%G-W%V", None),
        ("%Y/%m/%d", None),
        ("%m/%d/%Y", "ambiguous"),
        ("day %j", "no order"),
    ],
)
def test_formats_of_time(case: Case, pattern: str, expected: str | None) -> None:
    """A table of the first 12 days of each month, so that day and month can be confused."""
    rng = np.random.default_rng(0)
    rows = 480
    dates = pd.Series(pd.date_range("2020-01-01", "2024-12-31", freq="D"))
    days = dates[dates.dt.day <= (12 if expected == "ambiguous" else 28)].sample(
        rows, random_state=1
    )
    order = days.rank().to_numpy()
    table = pd.DataFrame(
        {"part": "p", "t": days.dt.strftime(pattern).to_numpy(), "x": rng.normal(size=rows)}
    )
    table["y"] = order / rows + 0.1 * rng.normal(size=rows)
    table.to_csv(case.folder / "t.csv", index=False)
    case.write(
        {"dataset": {**SPEC, "features": ["x"]}, "evaluate": {"method": "time", "time": "t"}}
    )
    code, text = case.validate()
    if expected is None:
        assert code == 0, text
        # Later blocks are higher, so the mean of the past is too low where the order is right.
        assert case.run().table("partitions")["constant_value"].item() > 0.3
        return
    assert code == 65
    words = " ".join(text.split())
    assert "evaluate.time" in words
    if expected == "ambiguous":
        assert "date(%d/%m/%Y)" in words
        assert "date(%m/%d/%Y)" in words
        assert case.validate("dataset.types={t: date(%m/%d/%Y)}")[0] == 0
    else:
        assert "no order in time" in words


def advised(words: str) -> list[tuple[str, str]]:
    """Return the entries of ``dataset.types`` in a message, as if they were pasted into a spec."""
    entries = map(yaml.safe_load, re.findall(r"dataset\.types: (\{.*?\})", words))
    return [pair for entry in entries for pair in entry.items()]


@pytest.mark.input("09-numbers-as-text")
def test_numbers_as_text_are_recognized_and_read(case: Case) -> None:
    code, text = case.validate()
    assert code == 0
    words = " ".join(text.split())
    types = dict(advised(words))
    assert types == {"income": "number(1,234.5)", "rate": "number(1234.5)"}
    silent = case.run().table("data_warnings")
    assert set(silent[silent["kind"] == "numbers_as_text"]["column"]) == {"income", "rate"}
    # With seed 0, skill is the lowest of 60 deals.
    found = case.run(f"dataset.types={types}", "evaluate.seed=1")
    table = pd.read_csv(case.folder / "t.csv", thousands=",")
    table["rate"] = table["rate"].str.rstrip("%").astype(float)
    for name, rows in table.groupby("segment"):
        assert direct_skill(codes(rows, "income", "rate"), rows["spend"]).agrees(
            found.skill[str(name)]
        )


@pytest.mark.input("09-numbers-as-text")
def test_a_target_of_money_gets_a_hint(case: Case) -> None:
    hint = "set dataset.types: {'spend': 'number(1,234.5)'}"
    code, text = case.validate("dataset.source=target.csv")
    refused = case.run("dataset.source=target.csv")
    assert code == refused.code == 65
    for words in (text, refused.output):
        assert "Its cells are numbers such as '$" in words
        assert hint in " ".join(words.split())
    found = case.run(
        "dataset.source=target.csv", hint.removeprefix("set ").replace(": ", "=", 1), output="b"
    )
    means = found.table("column_statistics").query("column == 'spend' and scope == 'partition'")
    table = pd.read_csv(case.folder / "t.csv", thousands=",")
    expected = table.groupby("segment")["spend"].mean()
    assert dict(zip(means["partition"], means["mean"], strict=True)) == pytest.approx(
        dict(expected)
    )


@pytest.mark.parametrize(
    ("cells", "kind", "mean"),
    [
        (["1.234,50", "7,5", "-12"], "number(1.234,5)", (1234.5 + 7.5 - 12) / 3),
        (["1 234,5", "7", "0,5"], "number(1 234,5)", (1234.5 + 7 + 0.5) / 3),
        (["(1,234.50)", "7.00", "USD 12.50"], "number(1,234.5)", (-1234.5 + 7 + 12.5) / 3),
        (["12'345.5", "7", "0.5"], "number(1'234.5)", (12345.5 + 7 + 0.5) / 3),
        (["1.234,50-", "7,5", "0,25 EUR"], "number(1.234,5)", (-1234.5 + 7.5 + 0.25) / 3),
        (["12.50-", "7.25", "3-"], "number(1234.5)", (-12.5 + 7.25 - 3) / 3),
    ],
)
def test_notations_of_numbers(case: Case, cells: list[str], kind: str, mean: float) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"part": "p", "n": np.tile(cells, 100), "y": rng.normal(size=300)})
    table.to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": SPEC})
    words = " ".join(case.validate()[1].split())
    assert ("n", kind) in advised(words)
    case.write({"dataset": {**SPEC, "types": {"n": kind}}})
    assert case.run().table("features")["mean"].item() == pytest.approx(mean)


def test_a_decimal_comma_with_three_places_is_not_read_as_thousands(case: Case) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.uniform(-2, 2, 300).round(3)
    cells = [f"{number:.3f}".replace(".", ",") for number in numbers]
    pd.DataFrame({"part": "p", "n": cells, "y": rng.normal(size=300)}).to_csv(
        case.folder / "t.csv", index=False
    )
    case.write({"dataset": SPEC})
    assert advised(" ".join(case.validate()[1].split())) == [("n", "number(1234,5)")]
    case.write({"dataset": {**SPEC, "types": {"n": "number(1234,5)"}}})
    assert case.run().table("features")["mean"].item() == pytest.approx(numbers.mean())
    case.write({"dataset": {**SPEC, "types": {"n": "number(1,234.5)"}}})
    assert case.run().code == 65


def test_a_date_of_a_feature_in_text_is_warned_of(case: Case) -> None:
    rng = np.random.default_rng(0)
    days = pd.Series(pd.date_range("1990-01-01", periods=300)).dt.strftime("%m/%d/%Y 0:00:00")
    table = pd.DataFrame({"part": "p", "when": days, "y": rng.normal(size=300)})
    table.to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": SPEC})
    assert "timestamp(%m/%d/%Y %H:%M:%S)" in " ".join(case.validate()[1].split())
    warnings = case.run().table("data_warnings")
    assert "dates_as_text" in set(warnings["kind"])


# --- row numbers, and keys that are nearly the same -------------------------------------------


@pytest.mark.input("18-index-column")
@pytest.mark.parametrize("source", ["t.csv", "t.parquet"])
def test_an_index_without_a_name_is_no_feature(case: Case, source: str) -> None:
    found = case.run(f"dataset.source={source}")
    assert set(found.table("features")["feature"]) & {"", "__index_level_0__"} == set()
    table = pd.read_parquet(case.folder / "t.parquet")
    features = [c for c in table if c not in {"store", "y", "__index_level_0__"}]
    for name, rows in table.groupby("store"):
        assert direct_skill(codes(rows, *features), rows["y"]).agrees(found.skill[str(name)])


@pytest.mark.parametrize("name", ["Unnamed: 0", "rownames", "id"])
def test_a_row_number_with_a_name_is_warned_of(case: Case, name: str) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"part": rng.choice(["a", "b"], 400), name: range(400), "y": rng.normal(size=400)}
    )
    table.to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": SPEC})
    assert f"'{name}' has 400 distinct values in 400 sampled rows, like a row number" in " ".join(
        case.validate()[1].split()
    )
    assert "id_like" in set(case.run().table("data_warnings")["kind"])


@pytest.mark.parametrize(
    ("keys", "kind", "words"),
    [
        (["Paris", "paris ", "Rome"], "similar_keys", "'Paris' and 'paris '"),
        (["Tokyo", "\uff34okyo", "Osaka"], "similar_keys", "Tokyo"),
        (["New  York", "New York", "Rome"], "similar_keys", "New York"),
        (["north", "south", "Total"], "total_key", "'Total'"),
        (["\u5317", "\u5357", "\u5408\u8a08"], "total_key", "seems to hold sums"),
    ],
)
def test_keys_that_need_a_look(case: Case, keys: list[str], kind: str, words: str) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"part": np.tile(keys, 100), "x": rng.normal(size=300), "y": rng.normal(size=300)}
    )
    table.to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": SPEC})
    assert words in " ".join(case.validate()[1].split())
    assert kind in set(case.run().table("data_warnings")["kind"])
