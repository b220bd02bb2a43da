"""Targets of classes: few events, and which class is predicted."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.field.conftest import Case
from tests.field.direct import average_precision, codes

SPEC = {"source": "t.csv", "partition_by": "part", "target": "y", "min_rows": 50}


# --- few events -------------------------------------------------------------------------------


@pytest.mark.input("12-one-event-auc")
def test_ranks_of_one_event_are_undefined(case: Case) -> None:
    found = case.run()
    pooled = found.table("metrics").query("scope == 'pooled'").set_index(["partition", "metric"])
    for metric in ("auc", "average_precision"):
        row = pooled.loc[("p3", metric)]
        assert np.isnan(row["value"])
        assert np.isnan(row["skill"])
        assert row["reason"] == "too_few_events"
    loss = pooled.loc[("p3", "log_loss")]
    # The constant's log loss follows by hand: 4 folds predict 1 in 311, one half a row in 312.
    table = pd.read_csv(case.folder / "t.csv").query("plan == 'p3'")
    assert (table["status"] == "churned").sum() == 1
    rows = len(table)
    train = rows - np.array([78, 78, 78, 78, 77])
    assert train.sum() == 4 * rows
    assert loss["constant_value"] == pytest.approx(0.0194, abs=2e-3)
    assert np.isnan([loss["skill_low"], loss["skill_high"], loss["standard_error"]]).all()
    assert loss["reason"] == "too_few_events"
    warning = found.table("data_warnings").query("kind == 'few_events'")["message"].item()
    assert "p3: 1" in warning
    assert "p3: 1" in case.validate()[1]
    assert found.table("partitions").set_index("partition").loc["p1", "skill_low"] < 1


def labelled(events: dict[str, int], rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """Return partitions with a number of rows of the class b each, the others of class a."""
    rng = np.random.default_rng(seed)
    parts = []
    for name, count in events.items():
        y = np.where(np.arange(rows) < count, "b", "a")
        x = rng.normal(size=rows) + (y == "b")
        parts.append(pd.DataFrame({"part": name, "x": x.round(4), "y": y}))
    return pd.concat(parts)


def test_an_interval_needs_ten_events_and_a_rank_two_in_a_fold(case: Case) -> None:
    labelled({"five": 5, "six": 6, "nine": 9, "ten": 10}).to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": SPEC})
    pooled = case.run().table("metrics").query("scope == 'pooled'").set_index("partition")
    auc = pooled[pooled["metric"] == "auc"]["value"]
    assert auc.isna().to_dict() == {"five": True, "six": False, "nine": False, "ten": False}
    bounds = pooled[pooled["metric"] == "log_loss"]["skill_low"]
    assert bounds.isna().to_dict() == {"five": True, "six": True, "nine": True, "ten": False}


def test_a_rare_third_class_has_no_interval_either(case: Case) -> None:
    table = labelled({"p": 6}, rows=400).assign(y=lambda t: t["y"].where(t["x"] < 2.5, "c"))
    assert table["y"].nunique() == 3
    table.to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": SPEC})
    found = case.run()
    row = found.table("metrics").query("scope == 'pooled' and metric == 'log_loss'")
    events = len(table) - table["y"].value_counts().max()
    assert row["skill_low"].isna().item() == (events < 10)


# --- the positive class -----------------------------------------------------------------------


@pytest.mark.input("13-positive-class")
def test_the_rarer_class_is_predicted_and_can_be_chosen(case: Case) -> None:
    table = pd.read_csv(case.folder / "t.csv")
    features = [c for c in table if c not in {"plan", "status"}]
    found = case.run()
    assert found.table("experiment")["positive_class"].item() == "churned"
    pooled = found.table("metrics").query("metric == 'average_precision' and scope == 'pooled'")
    precision = pooled.set_index("partition")["value"]
    for name in ("p1", "p2"):
        rows = table[table["plan"] == name]
        expected = average_precision(codes(rows, *features), rows["status"] == "churned")
        assert precision[name] == pytest.approx(expected, rel=0.3), name
        assert precision[name] < 0.2
    assert "probability of 'churned'" in case.validate()[1]
    other = case.run("dataset.positive=stayed", output="other")
    assert other.table("experiment")["positive_class"].item() == "stayed"
    curves = [
        run.table("partial_dependence").query(f"feature == {features[0]!r}")
        for run in (found, other)
    ]
    assert curves[0]["value"].to_numpy() == pytest.approx(
        1 - curves[1]["value"].to_numpy(), abs=0.05
    )


@pytest.mark.parametrize(
    ("classes", "rarer", "expected"),
    [
        (("no", "yes"), "no", "yes"),
        (("N", "Y"), "N", "Y"),
        (("none", "fraud"), "none", "fraud"),
        (("active", "lapsed"), "active", "active"),
        ((0, 1), 0, "1"),
        ((1, 2), 1, "2"),
        ((True, False), True, "true"),
    ],
)
def test_a_guess_of_the_positive_class(
    case: Case, classes: tuple[object, object], rarer: object, expected: str
) -> None:
    rng = np.random.default_rng(0)
    common = next(name for name in classes if name != rarer)
    rows = [rarer if i % 4 == 0 else common for i in range(200)]
    table = pd.DataFrame(
        {"part": "p", "x": rng.normal(size=200), "y": pd.Series(rows, dtype=object)}
    )
    table.to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": SPEC})
    assert f"the probability of '{expected}'" in case.validate()[1]


def test_a_positive_class_that_does_not_exist_is_an_error_at_its_line(case: Case) -> None:
    labelled({"p": 60}).to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": {**SPEC, "positive": "bb"}})
    code, text = case.validate()
    line = next(
        number
        for number, words in enumerate(case.spec.read_text().splitlines(), 1)
        if "positive" in words
    )
    assert code == 65
    assert f"spec.yaml:{line}:" in text
    assert "Did you mean 'b'?" in text
    assert case.run().code == 65
    case.write({"dataset": {**SPEC, "target": "x", "positive": "b"}})
    assert "dataset.positive" in case.validate()[1]
    assert yaml.safe_load(case.spec.read_text())["dataset"]["positive"] == "b"
