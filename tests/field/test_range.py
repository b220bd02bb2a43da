"""Targets far from zero, and very large or small ones."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tests.field.conftest import Case
from tests.field.direct import codes, direct_skill


@pytest.mark.input("07-large-target")
def test_seconds_since_1970_are_predicted(case: Case) -> None:
    found = case.run()
    table = pd.read_csv(case.folder / "t.csv")
    features = [c for c in table if c not in {"meter", "ends_at"}]
    for name, rows in table.groupby("meter"):
        centered = rows["ends_at"] - rows["ends_at"].mean()
        assert direct_skill(codes(rows, *features), centered).agrees(found.skill[str(name)])
    curves = found.table("partial_dependence")
    assert curves["value"].between(table["ends_at"].min(), table["ends_at"].max()).all()


@pytest.mark.parametrize("task", ["l2", "l1", "quantile"])
@pytest.mark.parametrize(
    ("center", "unit"),
    [(0.0, 1.0), (1e9, 1.0), (-5e12, 3.0), (1e6, 1e-3), (0.0, 1e-12), (0.0, 1e100), (0.0, 3e-9)],
)
def test_skill_does_not_depend_on_unit_and_origin(
    case: Case, center: float, unit: float, task: str
) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    signal = np.where(x[:, 0] > 0, 2.0, -1.0) + x[:, 1] + rng.normal(size=400)
    table = pd.DataFrame({"part": "p", "a": x[:, 0], "b": x[:, 1], "plain": signal})
    table["moved"] = center + unit * signal
    table.to_parquet(case.folder / "t.parquet", index=False)
    skills = []
    for target in ("plain", "moved"):
        case.write(
            {
                "dataset": {
                    "source": "t.parquet",
                    "partition_by": "part",
                    "target": target,
                    "features": ["a", "b"],
                    "identity": ["a", "b"],
                },
                "trainer": {
                    "name": "lightgbm",
                    "params": {"num_leaves": 7, "rounds": 40, "objective": task},
                },
            }
        )
        found = case.run(output=target)
        skills.append(found.skill["p"])
        importance = found.table("importance").query("method == 'mean_abs_shap'")
        assert importance["value"].notna().all()
    assert skills[1] == pytest.approx(skills[0], abs=5e-3)


def test_a_target_too_small_for_lightgbm_is_a_typed_failure(case: Case) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"part": "p", "a": rng.normal(size=300), "y": 1e-100 * rng.normal(size=300)}
    )
    table.to_parquet(case.folder / "t.parquet", index=False)
    case.write({"dataset": {"source": "t.parquet", "partition_by": "part", "target": "y"}})
    found = case.run()
    row = found.table("partitions").iloc[0]
    assert (found.code, row["status"], row["reason"]) == (3, "failed", "trainer_error")
    assert "multiply the target" in row["message"]


def test_a_target_whose_squares_overflow_is_a_typed_failure(case: Case) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"part": "p", "a": rng.normal(size=300), "y": 1e250 * rng.normal(size=300)}
    )
    table.to_parquet(case.folder / "t.parquet", index=False)
    case.write({"dataset": {"source": "t.parquet", "partition_by": "part", "target": "y"}})
    found = case.run()
    row = found.table("partitions").iloc[0]
    assert (found.code, row["status"], row["reason"]) == (3, "failed", "trainer_error")
    assert "Divide the target" in row["message"]


def test_shap_values_of_a_moved_target_add_up(case: Case) -> None:
    """The base value holds the center, so base plus values is the prediction."""
    rng = np.random.default_rng(1)
    table = pd.DataFrame({"part": "p", "a": rng.normal(size=300)})
    table["y"] = 1.7e9 + 40 * table["a"] + rng.normal(size=300)
    table.to_parquet(case.folder / "t.parquet", index=False)
    case.write({"dataset": {"source": "t.parquet", "partition_by": "part", "target": "y"}})
    found = case.run()
    shap = found.table("shap_by_value")
    assert shap["mean"].abs().max() < 200
    curve = found.table("partial_dependence")
    assert curve["value"].min() > 1.7e9 - 300
    assert curve["centred"].abs().max() < 200
