"""Runs with an objective: headline metrics, refused targets, quantiles, and models that predict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import mean_poisson_deviance

import refeed
from refeed import Loss, SpecError
from steps.contract import TRAIN_VERSION
from steps.records import digest
from steps.train.keys import keys_of
from steps.train.workers.worker import open_context
from tests.command import refeed as command
from tests.segment_surgery import read_members
from tests.workspace import Workspace
from workflows.local import RunSummary, run

FEATURES = ["number", "level"]


def counts(rows: int = 90) -> pa.Table:
    """Counts in three partitions: two ordinary, one with a single row above 0."""
    rng = np.random.default_rng(3)
    number, level = rng.normal(size=(3, rows)).round(3), rng.choice(["red", "blue"], (3, rows))
    target = rng.poisson(np.exp(0.5 * number + (level == "red")))
    target[2] = 0
    target[2, 17] = 2
    return pa.table(
        {
            "key": np.repeat(["a", "b", "one event"], rows),
            "number": number.ravel(),
            "level": level.ravel(),
            "target": target.ravel(),
        }
    )


def spec_of(lab: Workspace, objective: str, **changes: Any) -> Path:
    params = {"objective": objective, "num_leaves": 4, "rounds": 8}
    trainer = {"name": "lightgbm", "params": {**params, **changes.pop("params", {})}}
    dataset = {"dataset__features": FEATURES, "evaluate__group": None, "evaluate__folds": 3}
    return lab.write_spec(trainer=trainer, **{**dataset, **changes})


def reasons(lab: Workspace, result: RunSummary) -> dict[str, tuple[str, str]]:
    rows = lab.read(result.layout.base, "partitions").to_pylist()
    return {row["partition"]: (row["status"], row["reason"]) for row in rows}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    lab = Workspace(tmp_path_factory.mktemp("objectives"))
    lab.write_table(counts())
    return lab


def test_a_partition_without_events_in_a_fold_is_skipped(lab: Workspace) -> None:
    result = run(spec_of(lab, "poisson"))
    assert reasons(lab, result) == {
        "a": ("trained", ""),
        "b": ("trained", ""),
        "one event": ("skipped", "constant_target"),
    }
    metrics = lab.read(result.layout.base, "partitions").to_pylist()
    assert {row["metric"] for row in metrics if row["status"] == "trained"} == {"poisson_deviance"}


def test_partitions_whose_targets_the_loss_cannot_take_are_skipped(lab: Workspace) -> None:
    table = counts()
    targets = np.array(table["target"].to_pylist())
    targets[5] = -1
    negative = table.set_column(3, "target", pa.array(targets))
    lab.write_table(negative, "negative.parquet")
    result = run(spec_of(lab, "poisson", dataset__source="negative.parquet"))
    assert reasons(lab, result)["a"] == ("skipped", "target_out_of_range")
    assert reasons(lab, result)["b"] == ("trained", "")
    messages = lab.read(result.layout.base, "partitions").to_pylist()
    message = next(row["message"] for row in messages if row["partition"] == "a")
    assert message == "The smallest target is -1, but poisson needs 0 or more."
    result = run(spec_of(lab, "gamma"))
    assert {reason for _, reason in reasons(lab, result).values()} == {"target_out_of_range"}


def test_validate_warns_of_targets_that_the_loss_cannot_take(lab: Workspace) -> None:
    code, output, _ = command("validate", spec_of(lab, "gamma"))
    assert code == 0
    text = " ".join(output.split())
    assert "The smallest 'target' is 0, but the loss gamma needs a number above 0." in text
    _, output, _ = command("validate", spec_of(lab, "poisson"))
    assert "The smallest" not in output


def test_the_level_of_the_pinball_metric_is_the_models(lab: Workspace) -> None:
    result = run(spec_of(lab, "quantile", params={"alpha": 0.75}))
    experiment = lab.read(result.layout.base, "experiment").to_pylist()[0]
    assert json.loads(experiment["evaluate"])["quantile"] == 0.75
    metrics = lab.read(result.layout.base, "metrics").to_pylist()
    assert metrics[0]["metric"] == "pinball"
    assert len({row["metric"] for row in metrics}) == 4


def test_another_level_for_the_metric_is_an_error(lab: Workspace) -> None:
    path = spec_of(lab, "quantile", params={"alpha": 0.75}, evaluate__quantile=0.4)
    with pytest.raises(SpecError, match="is not the quantile that the models"):
        run(path)
    for arguments in (("validate", path), ("validate", "--spec-only", path)):
        code, _, errors = command(*arguments)
        assert code == 65
        assert "evaluate.quantile: 0.4 is not the quantile" in errors


def test_models_of_a_log_link_predict_the_target(lab: Workspace) -> None:
    done = refeed.run(spec_of(lab, "poisson"))
    table = counts()
    rows = table.filter(pa.compute.field("key") == "a")
    model = done.partition("a").model
    codes = {"blue": 0, "red": 1}
    matrix = np.column_stack(
        [rows["number"].to_numpy(), [codes[level] for level in rows["level"].to_pylist()]]
    )
    plain = lightgbm.Booster(model_str=model.native.text)
    prediction = model.predict(rows)
    np.testing.assert_allclose(prediction, plain.predict(matrix), rtol=1e-12)
    target = rows["target"].to_numpy()
    assert mean_poisson_deviance(target, prediction) < mean_poisson_deviance(
        target, np.full(len(target), target.mean())
    )


def test_rounds_auto_gives_the_same_tables_whatever_the_rows_order(tmp_path: Path) -> None:
    lab = Workspace(tmp_path)
    table = counts()
    lab.write_table(table)
    params = {"rounds": "auto", "max_rounds": 40, "inner_folds": 3, "min_data_in_leaf": 5}
    one = run(spec_of(lab, "poisson", params=params))
    lab.write_table(table.take(np.random.default_rng(0).permutation(table.num_rows)))
    two = run(spec_of(lab, "poisson", params=params, execution__workers=1, output="other"))
    assert lab.tables(one.layout.base) == lab.tables(two.layout.base)
    cards = read_members(str(tmp_path / "runs"), "model-card/*")
    assert len(cards) == 2
    assert all(b"| Chosen by the fit | rounds: " in card for card in cards.values())


def test_rounds_auto_needs_groups_for_inner_folds(tmp_path: Path) -> None:
    lab = Workspace(tmp_path)
    table = counts()
    groups = np.tile(np.arange(90) % 3, 3)  # two groups to train on: no three inner folds
    lab.write_table(table.append_column("day", pa.array(groups)))
    result = run(spec_of(lab, "poisson", params={"rounds": "auto"}, evaluate__group="day"))
    assert reasons(lab, result)["a"] == ("skipped", "too_few_groups")
    rows = lab.read(result.layout.base, "partitions").to_pylist()
    assert "cannot be divided into 5 inner folds" in rows[0]["message"]


def test_the_key_of_a_fit_has_the_loss_only_if_it_is_not_the_default(
    lab: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the fits of earlier versions are found, except where the loss changed the metrics."""
    done = refeed.run(spec_of(lab, "l2"))
    context = open_context(done._context.address)
    entry, request = context.index.entries[0], context.request
    roles = request.roles
    before = digest(
        {
            "rows": entry.content,
            "target": [roles.target, request.task, request.classes],
            "features": [roles.features, sorted(roles.categorical), request.max_levels],
            "weight": roles.weight,
            "folds": [roles.group, roles.time, request.evaluate, *roles.identity],
            "trainer": [request.trainer, context.trainer.version],
            "versions": request.versions,
            "train": TRAIN_VERSION,
        }
    )
    assert keys_of(context, entry).fit == before
    monkeypatch.setattr(
        type(context.trainer), "loss", lambda *_: Loss("absolute_error", "identity")
    )
    assert keys_of(context, entry).fit != before
