"""Predicted costs: composed from the trainer's fits, and corrected by measured costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from steps.contract import ProjectLayout
from steps.storage.base import storage_for
from steps.stores.base import open_store
from steps.train.config import EvaluateConfig, ExplainConfig, TrainerConfig
from steps.train.cost import (
    FEATURE_SECONDS,
    PARTITION_SECONDS,
    CostTable,
    FitCost,
    FitSize,
    partition_seconds,
)
from steps.train.probe import Measured, fitted, probe
from steps.train.registry import make_trainer
from steps.train.workers.host import Spent
from tests.workspace import Workspace, small_table
from workflows.local import run, split_only
from workflows.planning.actual import Actual, ActualPartition, Peak
from workflows.planning.cost import Basis, CostModel, History, cost_model
from workflows.planning.packing import RESIDENT_MIB
from workflows.planning.run_request import run_request
from workflows.planning.trainer_info import TrainerInfo, probed_table, table_of, trainer_info
from workflows.profile import profile
from workflows.spec.load import load_spec

SIZES = [FitSize(200, 5), FitSize(2_000, 30), FitSize(50_000, 12, 3), FitSize(300_000, 200)]
NOTHING = ExplainConfig(partial_dependence=False, shap=False, permutation_importance=0)


def second_per_row(size: FitSize) -> FitCost:
    return FitCost(size.rows, 10 * size.rows, size.rows / 1000)


def test_partition_by_hand() -> None:
    """Four folds fit 750 rows each, and the final model 1,000; 1,000 held-out rows are explained,
    each by one model. With explain.rows 500, half of them."""
    size, rest = FitSize(1000, 4), PARTITION_SECONDS + 4 * FEATURE_SECONDS
    evaluate = EvaluateConfig(folds=4)
    fits = 4 * 750 + 1000
    assert partition_seconds(second_per_row, size, evaluate, NOTHING) == pytest.approx(fits + rest)
    for rows, explained in ((1000, 10_000), (500, 5_000)):
        found = partition_seconds(second_per_row, size, evaluate, ExplainConfig(rows=rows))
        assert found == pytest.approx(fits + explained + rest)


def test_holdout_and_time_by_hand() -> None:
    size, rest = FitSize(1000, 4), PARTITION_SECONDS + 4 * FEATURE_SECONDS
    holdout = EvaluateConfig(method="holdout", fraction=0.3)
    found = partition_seconds(second_per_row, size, holdout, NOTHING)
    assert found == pytest.approx(700 + 1000 + rest)
    blocks = EvaluateConfig(method="time", folds=3, time="day")
    found = partition_seconds(second_per_row, size, blocks, NOTHING)
    assert found == pytest.approx(250 + 500 + 750 + 1000 + rest)


@pytest.mark.parametrize("trainer", ["lightgbm", "linear", "ebm"])
def test_table_is_near_the_formula_between_its_points(trainer: str) -> None:
    evaluate, explain = EvaluateConfig(), ExplainConfig()
    table = table_of({"name": trainer, "params": {}}, evaluate, explain)
    assert table is not None
    assert table == CostTable.from_raw(json.loads(json.dumps(table.to_raw())))
    cost = make_trainer(trainer, {}).fit_cost
    for size in SIZES:
        exact = partition_seconds(lambda each: cost(each) or FitCost(0), size, evaluate, explain)
        assert table.seconds_of(size) == pytest.approx(exact, rel=0.15)
        fit = cost(size)
        assert fit is not None
        memory = fit.memory_mib + size.rows * size.features * 40 / 2**20
        assert table.memory_of(size) == pytest.approx(memory, rel=0.1)


def test_more_rounds_leaves_folds_and_rows_cost_more() -> None:
    def seconds(params: dict[str, Any], folds: int = 5, rows: int = 5_000) -> float:
        trainer = {"name": "lightgbm", "params": params}
        table = table_of(trainer, EvaluateConfig(folds=folds), ExplainConfig())
        assert table is not None
        return table.seconds_of(FitSize(rows, 20))

    base = seconds({"rounds": 100, "num_leaves": 15})
    assert seconds({"rounds": 1000, "num_leaves": 15}) > 7 * base
    assert seconds({"rounds": 100, "num_leaves": 127}) > 1.5 * base
    assert seconds({"rounds": 100, "num_leaves": 15}, folds=10) > 1.5 * base
    assert seconds({"rounds": 100, "num_leaves": 15}, rows=50_000) > 5 * base
    assert seconds({"rounds": "auto", "num_leaves": 15}) > 4 * base


# --- correction by measured costs -----------------------------------------------------------


def model(scale: float = 1.0) -> CostModel:
    table = CostTable.build("trainer", second_per_row, EvaluateConfig(), NOTHING)
    return CostModel(table, 10, 1, Basis("trainer", scale=scale))


def measured(*seconds: tuple[int, float], peaks: tuple[Peak, ...] = ()) -> Actual:
    return Actual("before", tuple(ActualPartition(*each) for each in seconds), peaks)


def test_measured_seconds_scale_the_prediction() -> None:
    before = model()
    actual = measured((100, before.seconds(100) * 3), (900, before.seconds(900) * 3))
    after = before.corrected(actual)
    assert after.seconds(5_000) == pytest.approx(3 * before.seconds(5_000))
    assert (after.basis.run, after.basis.partitions, after.basis.factor) == ("before", 2, 1.5)
    assert before.corrected(None) is before


def test_measured_peaks_of_large_partitions_scale_the_memory_of_rows() -> None:
    before = model()
    rows = 1_000_000
    peak = Peak(rows, RESIDENT_MIB + 2 * before.memory_mib(rows))
    after = before.corrected(measured((rows, 1.0), peaks=(peak,)))
    assert after.memory_mib(2 * rows) == pytest.approx(2 * before.memory_mib(2 * rows))


def test_measured_peaks_of_small_partitions_add_what_the_trainer_needs_anyway() -> None:
    """A trainer with a library of 900 MiB; an extra of 20 MiB is noise."""
    before = model()
    for extra, expected in ((900.0, 900.0), (20.0, 0.0)):
        peak = Peak(100, RESIDENT_MIB + before.memory_mib(100) + extra)
        after = before.corrected(measured((100, 1.0), peaks=(peak,)))
        assert after.memory_mib(100) == pytest.approx(before.memory_mib(100) + expected)


def test_time_waiting_for_a_cpu_does_not_count_and_other_waiting_does() -> None:
    crowded = Spent(4.0, cpu_seconds=1.0, queued_seconds=2.9)
    assert crowded.busy_seconds == pytest.approx(1.1)
    on_gpu = Spent(4.0, cpu_seconds=0.1, queued_seconds=0.0)
    assert on_gpu.busy_seconds == 4.0


def test_prediction_is_recorded_and_compared(lab: Workspace) -> None:
    lab.write_table(small_table(3))
    spec = lab.write_spec()
    first = run(spec)
    costs = first.outcome.costs
    assert costs["partitions"] == 3
    plan = json.loads(Path(first.layout.plan).read_text())["predicted"]
    assert plan["seconds"] == pytest.approx(costs["predicted_seconds"], abs=0.01)
    assert "trainer's own model" in plan["basis"]
    assert costs["cpu_seconds"] > 0
    assert costs["memory_mib"] > 100
    second = run(lab.write_spec(explain__rows=61))
    plan = json.loads(Path(second.layout.plan).read_text())["predicted"]
    assert f"3 partitions trained in run {first.run}" in plan["basis"]
    assert second.outcome.costs == {}  # no partition was trained without the cache


def test_a_run_of_an_earlier_version_corrects_the_prediction(lab: Workspace) -> None:
    """It has no trainer.json, no predictions, and attempts without CPU time."""
    lab.write_table(small_table(3))
    result = run(lab.write_spec())
    for name in (result.layout.trainer, result.layout.predictions):
        Path(name).unlink()
    attempts = Path(result.layout.attempts_table)
    lines = [line.rsplit(",", 2)[0] for line in attempts.read_text().splitlines()]
    attempts.write_text("\n".join(lines) + "\n")
    found = profile(load_spec(lab.write_spec(trainer__params={"rounds": 9, "num_leaves": 4})))
    assert f"trained in run {result.run}" in found.estimate.basis


def test_information_of_an_earlier_version_has_one_thread_and_no_costs() -> None:
    old = '{"config":{"name":"a","params":{}},"versions":{},"tasks":["regression"]}'
    info = TrainerInfo.from_json(old)
    assert (info.threads, info.cost) == (1, None)
    assert TrainerInfo.from_json(info.to_json()) == info


# --- probe ----------------------------------------------------------------------------------


@pytest.mark.usefixtures("faulty")
def test_probe_measures_a_trainer_that_waits() -> None:
    cost = probe(TrainerConfig(name="faulty", params={"seconds": 0.2}), "regression")
    assert cost is not None
    assert 0.15 < cost(FitSize(500, 10)).seconds < 0.6
    assert cost(FitSize(100_000, 10)).seconds < 2  # its time does not depend on rows


@pytest.mark.usefixtures("faulty")
def test_probe_that_does_not_end_in_time_counts_as_its_deadline() -> None:
    cost = probe(TrainerConfig(name="faulty", params={"seconds": 60}), "regression", seconds=6)
    assert cost is not None
    assert cost(FitSize(500, 10)).seconds == pytest.approx(6, rel=0.6)


@pytest.mark.usefixtures("faulty")
def test_probe_of_a_trainer_that_fails_says_nothing() -> None:
    assert probe(TrainerConfig(name="faulty", params={"seconds": -1.0}), "regression") is None


def test_power_law_through_measured_fits() -> None:
    """Seconds in proportion to rows and to the square of the features."""
    fits = [
        Measured(FitSize(rows, features), rows * features**2 * 1e-6)
        for rows, features in ((100, 4), (400, 4), (400, 16), (1600, 16))
    ]
    cost = fitted(fits)
    assert cost(FitSize(16_000, 32)).seconds == pytest.approx(16_000 * 32**2 * 1e-6)
    assert cost(FitSize(16_000, 32, 5)).seconds == pytest.approx(5 * 16_000 * 32**2 * 1e-6)


@pytest.mark.usefixtures("faulty")
def test_unknown_trainer_is_corrected_by_its_earlier_run(lab: Workspace) -> None:
    """A second run needs no probe."""
    lab.write_table(small_table(3))
    path = lab.write_spec(trainer={"name": "faulty", "params": {"seconds": 0.1}})
    result = run(path)
    spec = load_spec(path).spec
    made = split_only(load_spec(path))
    info = trainer_info(spec)
    assert info.cost is None
    request = run_request(spec, made, "", info)
    project = ProjectLayout(spec.output, spec.project)
    history = History(project, storage_for(spec.output), open_store(project))
    costs = cost_model(spec, request, None, history)
    assert costs.basis.run == result.run
    assert 0.4 < costs.seconds(90) < 1.5  # three folds and the final fit, 0.1 s each


@pytest.mark.usefixtures("faulty")
def test_probe_of_a_spec_is_a_table(lab: Workspace) -> None:
    lab.write_table(small_table(2))
    path = lab.write_spec(trainer={"name": "faulty", "params": {"seconds": 0.05}})
    table = probed_table(load_spec(path).spec)
    assert table is not None
    assert table.source == "probe"
