"""Every combination that a spec allows gives whole tables: tasks, trainers, methods, weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightgbm
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pytest

from steps.results.schema import TABLES
from tests.segment_surgery import delete_member, read_members
from tests.workspace import Workspace, small_table
from workflows.local import run

TASKS = {"regression": "target", "binary": "flag", "multiclass": "level"}
EVALUATE: dict[str, dict[str, Any]] = {
    "kfold": {"method": "kfold", "folds": 3, "seed": 2},
    "grouped": {"method": "kfold", "folds": 3, "group": "day"},
    "time": {"method": "time", "folds": 3, "time": "day"},
    "holdout": {"method": "holdout", "fraction": 0.3, "group": "day"},
}
FEATURES = ["number", "level", "whole", "flag", "weight"]


@pytest.mark.parametrize("method", EVALUATE)
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("trainer", ["lightgbm", "linear", "ebm"])
def test_whole_tables(trainer: str, task: str, method: str, lab: Workspace) -> None:
    lab.write_table(small_table(2, rows=200))
    target = TASKS[task]
    params = {"num_leaves": 4, "rounds": 5} if trainer == "lightgbm" else {}
    weighted = method in {"grouped", "time"}
    features = [name for name in FEATURES if name != target and not (weighted and name == "weight")]
    result = run(
        lab.write_spec(
            dataset__target=target,
            dataset__features=features,
            dataset__weight="weight" if weighted else None,
            trainer={"name": trainer, "params": params},
            evaluate=EVALUATE[method],
        )
    )
    assert result.outcome.counts == {"trained": 2, "skipped": 0, "failed": 0}
    assert lab.read(result.layout.base, "experiment")["task"].to_pylist() == [task]
    for name, table in TABLES.items():
        found = lab.read(result.layout.base, name)
        assert found.column_names == list(table.names)
        assert found.num_rows or name in {"data_warnings", "own_or_base"}
    metrics = lab.read(result.layout.base, "metrics")
    empty = metrics.filter(pc.is_null(metrics["skill_low"]))
    assert all(empty["reason"].to_pylist())
    folds = {"holdout": 1}.get(method, 3)
    assert set(metrics["fold"].to_pylist()) == {None, *range(folds)}
    dependence = lab.read(result.layout.base, "partial_dependence")
    assert dependence["value"].null_count == 0
    assert (dependence["fold_sd"].null_count == 0) == (folds > 1)
    classes = {
        "regression": {""},
        "binary": {"true"},
        "multiclass": {"blue", "green", "red", "violet"},
    }
    assert set(dependence["class"].to_pylist()) == classes[task]
    scale = "target" if task == "regression" else "probability"
    assert set(dependence["scale"].to_pylist()) == {scale}
    margin = "target" if task == "regression" else "log_odds"
    assert set(lab.read(result.layout.base, "shap_summary")["scale"].to_pylist()) == {margin}


def test_raw_partial_dependence_is_on_the_margin(lab: Workspace) -> None:
    lab.write_table(small_table(2, rows=200))
    dependence = {"grid": 4, "scale": "raw"}
    spec = lab.write_spec(
        dataset__target="flag",
        dataset__features=["number", "whole"],
        explain__partial_dependence=dependence,
    )
    found = lab.read(run(spec).layout.base, "partial_dependence")
    assert set(found["scale"].to_pylist()) == {"log_odds"}
    assert pc.min(found["value"]).as_py() < 0


def test_what_is_not_asked_for_is_left_out(lab: Workspace) -> None:
    lab.write_table(small_table(2))
    explain = {"partial_dependence": False, "shap": False, "permutation_importance": 0, "rows": 50}
    result = run(lab.write_spec(explain=explain))
    assert lab.read(result.layout.base, "partial_dependence").num_rows == 0
    assert lab.read(result.layout.base, "shap_summary").num_rows == 0
    assert set(lab.read(result.layout.base, "importance")["method"].to_pylist()) == {"gain"}
    assert Path(result.layout.report).stat().st_size > 1000


def test_final_models_are_lightgbms_own_with_a_card(lab: Workspace) -> None:
    lab.write_table(small_table(3))
    result = run(lab.write_spec())
    root = str(lab.folder / "runs")
    models = read_members(root, "model/*.txt")
    cards = read_members(root, "model-card/*.md")
    assert len(models) == len(cards) == 3
    for model, content in zip(models.values(), cards.values(), strict=True):
        booster = lightgbm.Booster(model_str=model.decode())
        assert booster.num_trees() == 8
        card = content.decode()
        assert "| Of the partition | key = part " in card
        assert "| rmse |" in card
    assert result.trained.cached == {"none": 3}


def test_operations_tell_what_differs_between_runs(lab: Workspace) -> None:
    lab.write_table(small_table(3))
    result = run(lab.write_spec())
    attempts = pa_csv.read_csv(result.layout.attempts_table).to_pylist()
    assert {row["run"] for row in attempts} == {result.run}
    assert {row["cached"] for row in attempts} == {"none"}
    assert all(row["seconds"] > 0 and row["peak_memory_mib"] > 20 for row in attempts)
    assert all(row["cpu"] and row["worker"] and row["attempt"] == 1 for row in attempts)
    logs = sorted(Path(result.layout.base, "logs").iterdir())
    lines = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    assert {"begin", "shard", "collected", "end"} <= {line["event"] for line in lines}
    assert all({"time", "step", "event"} <= set(line) for line in lines)


def test_a_missing_record_is_named_not_lost(lab: Workspace) -> None:
    """As when a training pod went for good: collect compares with the partition index."""
    from steps.collect.step import collect  # noqa: PLC0415
    from steps.contract import RunAddress  # noqa: PLC0415
    from steps.run_context import RunContext  # noqa: PLC0415
    from steps.runtime.progress import NoProgress  # noqa: PLC0415

    lab.write_table(small_table(3))
    result = run(lab.write_spec())
    delete_member(str(lab.folder / "runs"), "record/*")
    run_id = Path(result.layout.base).name
    address = RunAddress(str(lab.folder / "runs"), "lab", "trial", run_id)
    again = collect(RunContext.open(address), "table", NoProgress()).outcome
    assert again.counts == {"trained": 2, "skipped": 0, "failed": 1}
    assert again.reasons == {"no_record": 1}
    rows = lab.read(result.layout.base, "partitions").to_pylist()
    assert len([row for row in rows if row["reason"] == "no_record"]) == 1


@pytest.mark.parametrize("trainer", ["lightgbm", "linear", "ebm"])
def test_a_class_that_a_fold_has_not_seen_costs_little(trainer: str, lab: Workspace) -> None:
    """One row of a third class: whichever model is judged on it cannot have seen it."""
    table = small_table(1, rows=200)
    labels = ["rare" if i == 7 else "ab"[i % 2] for i in range(200)]
    for label, name in (
        ("three", labels),
        ("two", ["no" if x != "rare" else "yes" for x in labels]),
    ):
        lab.write_table(table.append_column("label", pa.array(name)))
        result = run(
            lab.write_spec(
                name=label,
                dataset__target="label",
                trainer={"name": trainer, "params": {"rounds": 5} if trainer == "lightgbm" else {}},
                evaluate={"method": "kfold", "folds": 3, "seed": 2},
            )
        )
        (line,) = result.ranking
        assert line.skill is not None
        assert line.skill > -0.2
