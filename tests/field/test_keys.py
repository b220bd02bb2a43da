"""One model per combination of several columns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.field.conftest import Case
from tests.field.direct import codes, direct_skill


@pytest.mark.input("21-two-keys")
def test_one_model_per_store_and_brand(case: Case) -> None:
    assert case.validate()[0] == 0
    found = case.run()
    table = pd.read_csv(case.folder / "oj.csv")
    groups = table.groupby(["store", "brand"])
    partitions = found.table("partitions").set_index(["key_store", "key_brand"])
    assert sorted(partitions["rows"]) == [185, 193, 201, 221]
    for (store, brand), rows in groups:
        row = partitions.loc[(store, brand)]
        assert row["rows"] == len(rows)
        features = [c for c in table if c not in {"store", "brand", "qty"}]
        assert direct_skill(codes(rows, *features), rows["qty"]).agrees(row["skill"])
    for name in ("metrics", "importance", "partial_dependence", "shap_summary", "shap_by_value"):
        columns = list(found.table(name).columns[:4])
        assert columns == ["partition_id", "partition", "key_store", "key_brand"]
    statistics = found.table("column_statistics").query("scope == 'partition'")
    assert set(statistics["key_brand"]) == set(table["brand"])
    assert found.table("features")["feature"].isin(["store", "brand"]).sum() == 0


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (["a / b", "a"], ["c", "b / c"]),
        (["a/", "a"], ["/b", "//b"]),
        (["x", "x "], ["y", "y"]),
        (["", " "], ["", ""]),
    ],
)
def test_keys_that_look_alike_stay_apart(case: Case, left: list[str], right: list[str]) -> None:
    rng = np.random.default_rng(0)
    rows = 300
    which = np.arange(rows) % 2
    table = pd.DataFrame(
        {
            "l": np.array(left, object)[which],
            "r": np.array(right, object)[which],
            "x": rng.normal(size=rows),
        }
    ).assign(y=lambda t: t["x"] + rng.normal(size=rows))
    table.to_csv(case.folder / "t.csv", index=False, quoting=1)
    dataset = {"source": "t.csv", "partition_by": ["l", "r"], "target": "y", "min_rows": 50}
    case.write({"dataset": dataset})
    found = case.run()
    assert found.code == 0, found.output
    parts = pd.read_parquet(found.tables / "partitions.parquet")
    assert {(a, b) for a, b in zip(parts["key_l"], parts["key_r"], strict=True)} == set(
        zip(left, right, strict=True)
    )
    assert list(parts["rows"]) == [150, 150]


def test_keys_of_other_types_and_missing_parts(case: Case) -> None:
    rng = np.random.default_rng(0)
    rows = 400
    table = pd.DataFrame(
        {
            "year": rng.choice([2023, 2024], rows),
            "day": pd.to_datetime(rng.choice(["2024-01-31", "2024-02-29"], rows)),
            "x": rng.normal(size=rows),
        }
    )
    table["y"] = table["x"] + rng.normal(size=rows)
    table.loc[:9, "day"] = pd.NaT
    table.to_parquet(case.folder / "t.parquet", index=False)
    dataset = {
        "source": "t.parquet",
        "partition_by": ["year", "day"],
        "target": "y",
        "min_rows": 50,
    }
    case.write({"dataset": dataset})
    found = case.run()
    parts = found.table("partitions")
    assert set(parts["partition"].dropna()) == {
        f"{year} / 2024-{day}T00:00:00Z" for year in (2023, 2024) for day in ("01-31", "02-29")
    }
    (missing,) = parts[parts["partition"].isna()].to_dict("records")
    assert (missing["reason"], missing["rows"]) == ("null_key", 10)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["part", "kindd"], "Did you mean 'kind'?"),
        (["part", "part"], "more than once"),
        (["part", "y"], "target and partition_by are both 'y'"),
        ([], "partition_by"),
    ],
)
def test_keys_that_cannot_be_used_are_refused(case: Case, keys: list[str], words: str) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"part": ["a"] * 100, "kind": ["b"] * 100, "y": rng.normal(size=100)})
    table.assign(x=1).to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": {"source": "t.csv", "partition_by": keys, "target": "y"}})
    code, text = case.validate()
    assert code == 65
    assert words in " ".join(text.split())
