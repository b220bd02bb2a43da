"""Rows that repeat, and rows that share a group."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.field.conftest import Case
from tests.field.direct import codes, direct_skill


@pytest.mark.input("01-few-distinct-rows")
def test_equal_rows_are_spread_over_the_folds(case: Case) -> None:
    """Titanic: 2,201 people in 24 distinct rows."""
    found = case.run()
    assert found.code == 0
    table = pd.read_csv(case.folder / "titanic.csv")
    assert set(found.skill) == set(table["class"])
    for name, rows in table.groupby("class"):
        direct = direct_skill(codes(rows, "sex", "age"), rows["survived"] == "yes")
        assert direct.agrees(found.skill[str(name)]), (name, direct, found.skill)
    folds = found.table("metrics").query("metric == 'log_loss' and scope == 'fold'")
    sizes = folds.groupby("partition")["rows"]
    assert (sizes.max() - sizes.min() <= 1).all()
    warnings = found.table("data_warnings")
    share = warnings[warnings["kind"] == "repeated"]["number"].item()
    assert share == pytest.approx(table.duplicated().mean())
    assert "98.9% of the rows are equal to an earlier row" in " ".join(case.validate()[1].split())
    # The standard error is that of independent rows: about the sd of a loss / sqrt(rows).
    pooled = found.table("metrics").query("metric == 'brier' and scope == 'pooled'")
    assert (pooled["standard_error"] < 0.5 / np.sqrt(pooled["rows"])).all()


def few_levels(seed: int) -> pd.DataFrame:
    """Ratings in a survey: a score of 1 to 5 follows from two answers and chance."""
    rng = np.random.default_rng(seed)
    rows = 1200
    answer, channel = rng.integers(1, 4, rows), rng.choice(["shop", "web"], rows)
    score = np.clip(answer + (channel == "web") + rng.integers(-1, 2, rows), 1, 5)
    return pd.DataFrame(
        {"region": rng.choice(["north", "south"], rows), "answer": answer, "channel": channel}
    ).assign(score=score)


@pytest.mark.parametrize("target", ["score", "satisfied"])
def test_a_survey_of_few_answers_is_judged_as_scikit_learn_judges_it(
    case: Case, target: str
) -> None:
    table = few_levels(1).assign(satisfied=lambda t: np.where(t["score"] >= 4, "yes", "no"))
    table[["region", "answer", "channel", target]].to_csv(case.folder / "t.csv", index=False)
    case.write(
        {"dataset": {"source": "t.csv", "partition_by": "region", "target": target, "min_rows": 50}}
    )
    found = case.run()
    for name, rows in table.groupby("region"):
        values = rows["score"] if target == "score" else rows["satisfied"] == "yes"
        assert direct_skill(codes(rows, "answer", "channel"), values).agrees(found.skill[str(name)])


def test_a_table_that_is_written_twice_counts_each_row_twice_and_says_so(case: Case) -> None:
    """A join that doubled all rows: half of them repeat, and both copies are observations."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=400)
    table = pd.DataFrame(
        {"part": rng.choice(["a", "b"], 400), "x": x, "y": x + rng.normal(size=400)}
    )
    pd.concat([table, table]).to_csv(case.folder / "t.csv", index=False)
    case.write(
        {"dataset": {"source": "t.csv", "partition_by": "part", "target": "y", "min_rows": 50}}
    )
    found = case.run()
    assert found.rows == (2 * table["part"].value_counts()).to_dict()
    warnings = found.table("data_warnings")
    assert warnings[warnings["kind"] == "repeated"]["number"].item() == pytest.approx(0.5)
    held_out = found.table("metrics").query("metric == 'rmse' and scope == 'pooled'")
    assert dict(zip(held_out["partition"], held_out["rows"], strict=True)) == found.rows


def test_groups_of_few_rows_get_the_shared_folds(case: Case) -> None:
    """Forty days in two stores: a day has one fold in both, and the tables show the balance."""
    rng = np.random.default_rng(3)
    rows = 1000
    day = rng.integers(0, 40, rows)
    effect = rng.normal(size=40)[day]
    table = pd.DataFrame(
        {"store": rng.choice(["a", "b"], rows), "day": day, "x": rng.normal(size=rows)}
    )
    table["y"] = table["x"] + effect + rng.normal(size=rows)
    table.to_csv(case.folder / "t.csv", index=False)
    case.write(
        {
            "dataset": {
                "source": "t.csv",
                "partition_by": "store",
                "target": "y",
                "features": ["x"],
            },
            "evaluate": {"group": "day"},
        }
    )
    found = case.run()
    for name, part in table.groupby("store"):
        direct = direct_skill(codes(part, "x"), part["y"], group=part["day"])
        assert direct.agrees(found.skill[str(name)])
    partitions = found.table("partitions")
    assert (partitions["folds"] == 5).all()
    assert not partitions["own_folds"].any()
    folds = found.table("metrics").query("metric == 'rmse' and scope == 'fold'")
    assert sorted(set(folds["fold"])) == [0, 1, 2, 3, 4]
    largest = folds.groupby("partition")["rows"].max() / folds.groupby("partition")["rows"].sum()
    assert list(partitions.set_index("partition")["largest_fold"]) == pytest.approx(list(largest))
