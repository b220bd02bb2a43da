"""Predicted costs of a run on a cluster: from the check step to ``refeed status``."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.pods.fake_project import FakeProject
from tests.workspace import small_table
from workflows.cli.runs import print_status, status_of
from workflows.planning.trainer_info import TrainerInfo
from workflows.runs.find import find_run


@pytest.mark.usefixtures("faulty")
def test_slow_trainer_gets_pods_on_its_first_run(world: FakeProject) -> None:
    """It states no model: the probe in check finds 0.4 s per fit. Four partitions take 1.6 s each,
    on two workers: the second pod saves more than a second."""
    world.upload(small_table(4))
    trainer = {"name": "faulty", "params": {"seconds": 0.4}}
    workflow = world.workflow(trainer=trainer, explain__shap=False)
    workflow.run_check()
    layout = workflow.address.run_layout
    info = TrainerInfo.from_json(world.storage.read(layout.trainer))
    assert info.cost is not None
    assert info.cost.source == "probe"
    assert workflow.run_split() == [("train-small", "00000"), ("train-small", "00001")]
    plan = json.loads(world.storage.read(layout.plan))["predicted"]
    assert 4 * 1.5 < plan["seconds"] < 4 * 3
    assert "probe" in plan["basis"]


def test_status_shows_predicted_and_then_actual_cost(
    world: FakeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    world.upload(small_table(3))
    workflow = world.workflow()
    workflow.run_check()
    shards = workflow.run_split()
    found = find_run(world.platform, workflow.outputs["run"])
    status = status_of(found, [])
    assert status["predicted"]["seconds"] > 0
    assert status["costs"] == {}
    print_status(found, status)
    assert "on one CPU, based on the trainer's own model" in shown(capsys)
    workflow.train(shards)
    workflow.run("collect", workflow.outputs)
    found = find_run(world.platform, workflow.outputs["run"])
    status = status_of(found, [])
    assert status["costs"]["partitions"] == 3
    print_status(found, status)
    text = shown(capsys)
    assert re.search(r"3 partitions predicted to take [\d.]+ s, took .* of CPU\): ratio \d", text)
    assert re.search(
        r"\d+ MiB predicted for a worker, \d+ MiB used at most: ratio [01]\.\d\d", text
    )


def shown(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_retry_keeps_the_probed_costs(
    world: FakeProject, faulty: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    del faulty
    world.upload(small_table(2))
    trainer = {"name": "faulty", "params": {"seconds": 0.02}}
    first = world.workflow("trial-1", trainer=trainer, explain__shap=False)
    first.run_check()
    uri = first.address.run_layout.trainer
    before = world.storage.read(uri)
    monkeypatch.setattr("workflows.planning.cost.probed_table", lambda _: pytest.fail("probed"))
    form = {"run": first.outputs["run"]}
    world.workflow("trial-2", form, trainer=trainer, explain__shap=False).run_check()
    assert world.storage.read(uri) == before
