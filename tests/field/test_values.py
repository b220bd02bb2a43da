"""Values of features: missing as information, numbers and dates written as text, large numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.field.conftest import Case, Outcome
from tests.field.direct import codes, direct_skill

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
