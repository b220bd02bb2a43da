"""The base model: what it is fitted on, what it is compared with, and what is computed again."""

from __future__ import annotations

import io
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pytest

from steps.contract import RunAddress
from steps.records import Roles
from steps.table.grid import numbers_of
from steps.train.comparison import Held, compare
from steps.train.config import EvaluateConfig
from steps.train.evaluation.folds import make_folds
from steps.train.evaluation.shared_folds import SharedFolds, clusters_of
from steps.train.frame import TargetRows, make_frame, target_rows
from steps.train.reading import frame_of, read_rows
from steps.train.workers.worker import open_context
from tests.segment_surgery import member_names
from tests.workspace import Workspace, small_table
from workflows import gc, local
from workflows.local import RunSummary
from workflows.spec.load import load_spec

COMPARE = {"base": "compare"}
PARTITIONS = 6


def compared(lab: Workspace, done: RunSummary) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lab.read(done.layout.base, "own_or_base").to_pylist()
    return rows


def archive_of(lab: Workspace, output: str = "runs") -> Path:
    (found,) = (lab.folder / output).glob("lab/cache/base/*/models.zip")
    return found


def test_losses_are_those_of_the_metrics_and_of_the_saved_models(lab: Workspace) -> None:
    """Own and constant loss equal the squared RMSE; base loss that of LightGBM on saved models."""
    features: dict[str, Any] = {
        "dataset__features": ["number", "whole"],
        "dataset__weight": "weight",
    }
    lab.write_table(small_table(PARTITIONS))
    done = local.run(lab.write_spec(**COMPARE, **features))
    partitions = lab.read(done.layout.base, "partitions").to_pylist()
    rows = compared(lab, done)
    assert [each["partition"] for each in rows] == [each["partition"] for each in partitions]
    for row, partition in zip(rows, partitions, strict=True):
        assert row["own_loss"] == pytest.approx(partition["value"] ** 2, rel=1e-12)
        assert row["constant_loss"] == pytest.approx(partition["constant_value"] ** 2, rel=1e-12)
        gain = (row["base_loss"] - row["own_loss"]) / row["constant_loss"]
        assert row["gain"] == pytest.approx(gain, rel=1e-9)
    archive = zipfile.ZipFile(archive_of(lab))
    models = [
        lightgbm.Booster(model_str=archive.read(name).decode())
        for name in sorted(archive.namelist())
        if name != "base.json"
    ]
    assert len(models) == 3
    roles = _roles(features=("number", "whole"))
    for row in rows:
        table = small_table(PARTITIONS)
        mine = table.filter(pa.compute.equal(table["key"], row["partition"]))
        held = target_rows(mine, roles)
        matrix = np.column_stack([numbers_of(held.batch[name]) for name in ("number", "whole")])
        fold = SharedFolds(3, 1).held_out(held, roles)
        predicted = np.array(
            [models[k].predict(x[None])[0] for k, x in zip(fold, matrix, strict=True)]
        )
        target, weight = numbers_of(held.batch["target"]), numbers_of(held.batch["weight"])
        loss = np.average((target - predicted) ** 2, weights=weight)
        assert row["base_loss"] == pytest.approx(loss, rel=1e-6)
    (experiment,) = lab.read(done.layout.base, "experiment").to_pylist()
    assert experiment["base_partitions"] == PARTITIONS
    assert experiment["base_gain_low"] < experiment["base_gain"] < experiment["base_gain_high"]


def _roles(features: tuple[str, ...] = ("number",), **changes: Any) -> Roles:
    known = {"group": "day", "time": None, "weight": "weight"}
    return Roles("key", "target", features, categorical=(), **(known | changes))


def _rows(roles: Roles, partitions: int = 4) -> TargetRows:
    return target_rows(small_table(partitions), roles)


def test_a_group_of_several_partitions_is_never_in_training() -> None:
    roles = _roles()
    rows = _rows(roles)
    folds = SharedFolds(5, 0)
    held, groups = folds.held_out(rows, roles), clusters_of(rows, roles)
    for number in range(5):
        training = folds.training(number, rows, roles)
        assert (held == number).any()
        assert not set(groups[training]) & set(groups[held == number])


def test_with_method_time_a_row_is_predicted_from_earlier_rows_of_every_partition() -> None:
    roles = _roles(group=None, time="day")
    rows = _rows(roles)
    frame = make_frame(rows, roles, (), 10)
    config = EvaluateConfig(method="time", time="day", folds=4)
    folds = SharedFolds.of(frame, rows, roles, config)
    times, held = numbers_of(rows.batch["day"]), folds.held_out(rows, roles)
    assert folds.count == 4
    assert (held == -1).any()
    for number in range(4):
        training = folds.training(number, rows, roles)
        assert training.any()
        assert times[training].max() < times[held == number].min()


def test_copies_of_a_row_share_a_fold_in_whatever_partition() -> None:
    table = small_table(2).append_column("row", pa.array(np.repeat(np.arange(90), 2)))
    roles = _roles(group=None, identity=("row",))
    rows = target_rows(table, roles)
    held, row = SharedFolds(3, 0).held_out(rows, roles), rows.batch["row"].to_numpy()
    assert all(len(set(held[row == each])) == 1 for each in set(row))


def test_only_new_rows_are_fitted_again_and_all_are_compared_again(lab: Workspace) -> None:
    table = small_table(PARTITIONS)
    lab.write_table(table)
    first = local.run(lab.write_spec(**COMPARE))
    assert first.trained.cached == {"none": PARTITIONS}
    again = local.run(lab.write_spec(**COMPARE))
    assert again.trained.cached == {"full": PARTITIONS}
    more = pa.concat_tables([table.slice(0, 1), table.slice(90, 1), table.slice(180, 1)])
    lab.write_table(pa.concat_tables([table, more]))
    third = local.run(lab.write_spec(**COMPARE))
    assert third.trained.cached == {"none": 3, "fit": PARTITIONS - 3}
    root = str(lab.folder / "runs")
    assert len(member_names(root, "fit/*")) == PARTITIONS + 3
    assert len(member_names(root, "comparison/*")) == 2 * PARTITIONS
    assert len(list((lab.folder / "runs").glob("lab/cache/base/*/models.zip"))) == 2


def test_a_run_without_it_has_the_same_other_tables_and_can_be_compared_later(
    lab: Workspace,
) -> None:
    lab.write_table(small_table(PARTITIONS))
    plain = local.run(lab.write_spec())
    assert compared(lab, plain) == []
    later = local.run(lab.write_spec(**COMPARE))
    assert later.trained.cached == {"fit": PARTITIONS}
    before, after = lab.tables(plain.layout.base), lab.tables(later.layout.base)
    changed = {name for name in before if before[name] != after[name]}
    assert {name.partition(".")[0] for name in changed} == {"own_or_base", "experiment"}
    assert "One model per partition, or one for all?" in Path(later.layout.report).read_text()


def test_the_order_of_rows_and_the_number_of_workers_change_no_byte(lab: Workspace) -> None:
    table = small_table(PARTITIONS)
    lab.write_table(table)
    one = local.run(lab.write_spec(output="one", **COMPARE))
    lab.write_table(table.take(np.random.default_rng(0).permutation(table.num_rows)))
    two = local.run(lab.write_spec(output="two", execution__workers=1, **COMPARE))
    assert lab.tables(one.layout.base) == lab.tables(two.layout.base)
    assert archive_of(lab, "one").read_bytes() == archive_of(lab, "two").read_bytes()


@pytest.mark.parametrize(
    ("target", "trainer"), [("flag", "lightgbm"), ("level", "lightgbm"), ("flag", "linear")]
)
def test_classes(lab: Workspace, target: str, trainer: str) -> None:
    """Own loss equals the log loss of the metrics; one class is missing in one partition."""
    table = small_table(PARTITIONS)
    rare = pa.compute.and_(
        pa.compute.equal(table["level"], "violet"), pa.compute.equal(table["key"], "part 2")
    )
    table = table.filter(pa.compute.invert(rare))
    lab.write_table(table)
    changes: dict[str, Any] = {
        "dataset__target": target,
        "dataset__features": ["number", "whole"],
        "trainer": {"name": trainer},
    }
    done = local.run(lab.write_spec(**COMPARE, **changes))
    partitions = {
        each["partition"]: each for each in lab.read(done.layout.base, "partitions").to_pylist()
    }
    rows = compared(lab, done)
    assert len(rows) == PARTITIONS
    for row in rows:
        assert row["own_loss"] == pytest.approx(partitions[row["partition"]]["value"], rel=1e-9)
        assert 0 < row["base_loss"] < 3


def test_few_rows_of_a_large_table_are_sampled(lab: Workspace) -> None:
    table = small_table(PARTITIONS, rows=600)
    lab.write_table(table)
    done = local.run(lab.write_spec(base={"mode": "compare", "max_rows": 1000}))
    assert len(compared(lab, done)) == PARTITIONS
    about = zipfile.ZipFile(io.BytesIO(archive_of(lab).read_bytes())).read("base.json").decode()
    context = open_context(_address(done))
    assert context.base is not None
    assert 900 < context.base.rows < 1100
    assert context.base.all_rows == table.num_rows - table["target"].null_count
    assert '"reason":""' in about


def _address(done: RunSummary) -> Any:
    root, project, _, experiment, run = str(done.layout.base).rsplit("/", 4)
    return RunAddress(root, project, experiment, run)


def test_one_slope_or_a_slope_of_its_own(lab: Workspace) -> None:
    """Partitions of one distribution gain nothing by own models; with own slopes they do."""
    rng = np.random.default_rng(5)
    key, x = np.repeat([f"part {i:02d}" for i in range(12)], 300), rng.normal(size=3600)
    noise = rng.normal(size=3600)
    verdicts = []
    for slope in (np.full(12, 1.0), np.linspace(-2, 2, 12)):
        target = np.repeat(slope, 300) * x + noise
        lab.write_table(pa.table({"key": key, "number": x, "target": target}))
        features: dict[str, Any] = {"dataset__features": ["number"], "evaluate__group": None}
        done = local.run(lab.write_spec(base="auto", **features))
        (experiment,) = lab.read(done.layout.base, "experiment").to_pylist()
        better = [each["better"] for each in compared(lab, done)]
        verdicts.append((experiment["base_gain_low"], experiment["base_gain_high"], better))
    (_, high, same), (low, _, own) = verdicts
    assert high < 0
    assert "own" not in same
    assert low > 0.2
    assert own.count("own") >= 8


def test_auto_needs_ten_partitions(lab: Workspace) -> None:
    lab.write_table(small_table(9))
    assert compared(lab, local.run(lab.write_spec(base="auto"))) == []


def test_a_wrong_mode_names_what_is_allowed(lab: Workspace) -> None:
    lab.write_table(small_table(2))
    with pytest.raises(Exception, match="compare") as caught:
        local.run(lab.write_spec(base="both"))
    assert "base" in str(caught.value)


def test_gc_keeps_the_base_model_of_a_kept_run_only(lab: Workspace) -> None:
    lab.write_table(small_table(PARTITIONS))
    spec = lab.write_spec(**COMPARE)
    done = local.run(spec)
    loaded = load_spec(spec).spec
    assert not gc.find_garbage(loaded, None).paths
    shutil.rmtree(done.layout.base)
    folder = str(archive_of(lab).parent)
    assert folder in gc.find_garbage(loaded, None).paths


def test_a_base_model_whose_scores_are_not_finite_is_a_reason_not_a_failed_partition(
    lab: Workspace,
) -> None:
    lab.write_table(small_table(PARTITIONS))
    context = open_context(_address(local.run(lab.write_spec(**COMPARE))))
    entry = context.index.entries[0]
    rows = read_rows(context, entry)
    frame = frame_of(context, rows)
    folds = make_folds(frame, context.evaluation).parts
    own = Held(frame, folds, [frame.target[fold.held_out][:, None] for fold in folds])
    trainer, base = context.trainer, context.base
    assert base is not None
    assert "gain" in compare(context, base, rows, own)

    class Broken:
        def predict(self, _model: object, features: Any) -> Any:
            return np.full((features.rows, 1), np.inf)

        def loss(self, task: Any) -> Any:
            return trainer.loss(task)

    broken = replace(context, trainer=Broken())  # type: ignore[arg-type]
    assert compare(broken, base, rows, own) == {"reason": "base_not_finite"}
