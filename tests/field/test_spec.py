"""What validate refuses, and runs that train little or nothing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tests.field.conftest import Case

SPEC = {"source": "t.csv", "partition_by": "part", "target": "y", "min_rows": 50}


def numbers(rows: int = 300, parts: int = 2, seed: int = 0) -> pd.DataFrame:
    """Return a table of a number and a target that follows from it."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows)
    part = [f"p{i % parts}" for i in range(rows)]
    return pd.DataFrame(
        {"part": part, "x": x, "kind": rng.choice(["a", "b"], rows), "y": x + rng.normal(size=rows)}
    )


# --- validate refuses what run refuses --------------------------------------------------------


@pytest.mark.input("11-validate-passes-what-run-refuses")
@pytest.mark.parametrize(
    ("changes", "field"),
    [
        pytest.param(
            ["explain.partial_dependence.features=[x]"], "dataset.categorical.1", id="categorical"
        ),
        pytest.param(
            ["dataset.categorical=[kind]"], "explain.partial_dependence.features.0", id="curves"
        ),
        pytest.param(
            [
                "dataset.categorical=[kind]",
                "explain.partial_dependence.features=[x]",
                "dataset.source=negative-weight.parquet",
                "dataset.weight=w",
            ],
            "dataset.weight",
            id="weight",
        ),
    ],
)
def test_validate_refuses_what_run_refuses(case: Case, changes: list[str], field: str) -> None:
    code, text = case.validate(*changes)
    assert code == 65
    assert field in text
    if field == "dataset.categorical.1":
        assert "Did you mean 'zip'?" in text
    found = case.run(*changes)
    assert found.code == 65
    assert field in found.output


@pytest.mark.parametrize(
    ("section", "value", "field"),
    [
        ("dataset", {"categorical": ["y"]}, "dataset.categorical.0"),
        (
            "dataset",
            {"features": {"exclude": ["kind"]}, "categorical": ["kind"]},
            "dataset.categorical.0",
        ),
        ("dataset", {"identity": ["xx"]}, "dataset.identity.0"),
        ("dataset", {"types": {"xx": "string"}}, "dataset.types"),
        ("dataset", {"types": {"x": "strng"}}, "dataset.types"),
        ("evaluate", {"method": "time", "time": "kind"}, "evaluate.time"),
        (
            "explain",
            {"partial_dependence": {"features": ["part"]}},
            "partial_dependence.features.0",
        ),
    ],
)
def test_names_that_fit_nothing_are_refused_at_their_place(
    case: Case, section: str, value: dict[str, object], field: str
) -> None:
    numbers().to_csv(case.folder / "t.csv", index=False)
    spec: dict[str, dict[str, object]] = {"dataset": dict(SPEC)}
    spec[section] = {**spec.get(section, {}), **value}
    case.write(spec)
    code, text = case.validate()
    assert code == 65
    assert field in text
    assert "spec.yaml:" in text
    assert case.run().code == 65


# --- little trained ---------------------------------------------------------------------------


@pytest.mark.input("19-no-model-exit-0")
def test_a_run_without_a_model_ends_with_3_and_says_what_would_train(case: Case) -> None:
    table = pd.read_csv(case.folder / "MathAchieve.csv")
    sizes = table["School"].value_counts()
    code, text = case.validate()
    assert code == 0
    words = " ".join(text.split())
    assert f"the largest partition below it has {sizes.max()} rows" in words
    found = case.run()
    assert found.code == 3
    words = " ".join(found.output.split())
    assert "No partition was trained" in words
    half = int(sizes.sort_values(ascending=False).iloc[79])
    assert f"dataset.min_rows: {half}" in words
    assert f"{(sizes >= half).sum()} of 160 partitions are trained" in words


@pytest.mark.input("19-no-model-exit-0")
def test_constant_models_are_not_best(case: Case) -> None:
    found = case.run("dataset.min_rows=40", "explain.shap=false")
    assert found.code == 0
    table = found.table("partitions").query("status == 'trained'")
    assert len(table) == 106
    constant = table["skill"].abs() < 1e-6
    assert 20 <= constant.sum() <= 40
    assert f"{constant.sum()} models predict a constant" in found.output
    worst = table[constant]["rank"].min()
    assert (table[~constant]["rank"] < worst).all()
    best = found.output.split("Best, by")[1].split("Worst, by")
    names = [
        {line.split()[0] for line in part.splitlines() if line.startswith("  ")} for part in best
    ]
    names = [{name for name in part if name.isdigit()} for part in names]
    assert names[0]
    assert not names[0] & names[1]
    assert not (names[0] | names[1]) & set(table[constant]["partition"])


def test_one_partition_is_best_and_there_is_no_list_of_the_worst(case: Case) -> None:
    numbers(300, 1).to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": {"source": "t.csv", "partition_by": "part", "target": "y"}})
    output = case.run().output
    assert "Best, by" in output
    assert "Worst" not in output


def test_fewer_than_half_trained_is_a_warning(case: Case) -> None:
    table = pd.concat(
        [numbers(300, 1), numbers(90, 3, seed=1).assign(part=lambda t: "q" + t["part"])]
    )
    table.to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": SPEC})
    found = case.run()
    assert found.code == 0
    assert "dataset.min_rows: 30, 4 of 4 partitions are trained" in " ".join(found.output.split())


def test_rows_next_to_a_skill_are_rows_with_a_target(case: Case) -> None:
    table = numbers(400)
    table.loc[table.index[:100], "y"] = np.nan
    table.to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": SPEC})
    lines = case.run().output.splitlines()
    shown = {
        words[0]: int(words[-1])
        for line in lines
        if (words := line.split()) and words[0] in {"p0", "p1"}
    }
    assert shown == {"p0": 150, "p1": 150}


def test_a_long_key_is_never_cut(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    key = "customer/0123456789/abcdefghijklmnopqrstuvwxyz/0123456789"
    numbers(200, 1).assign(part=key).to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": SPEC})
    monkeypatch.setenv("COLUMNS", "40")
    assert key in case.run().output


@pytest.mark.parametrize(
    ("level", "escaped"),
    [
        ("-5", False),
        ("-1,234.5 %", False),
        ("+49 30 123", False),
        ("-", False),
        ("=1+1", True),
        ("-1+2", True),
        ("@x", True),
    ],
)
def test_an_apostrophe_only_where_a_spreadsheet_would_compute(
    case: Case, level: str, escaped: bool
) -> None:
    table = numbers(200, 1).assign(kind=[level if i % 2 else "z" for i in range(200)])
    table.to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": {**SPEC, "types": {"kind": "string"}}})
    found = case.run()
    text = (found.tables / "shap_by_value.csv").read_text()
    assert (f"'{level}" in text) == escaped
    levels = pq.read_table(found.tables / "shap_by_value.parquet")["grid_value"].to_pylist()
    assert level in levels
