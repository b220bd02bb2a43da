"""A project whose experiment store is on Firestore: the same pods, the same commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from steps.errors import SpecError
from steps.records import canonical_json
from steps.stores.base import open_store
from tests.argo.cases import INSTALLATION
from tests.pods.fake_project import FakeProject, FakeWorkflow
from tests.workspace import Workspace, small_table
from workflows.pods import environment as env

COMMAND = [sys.executable, "-c", "from workflows.cli.app import main; main()"]


@pytest.fixture
def world(gcs: str, firestore: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProject:
    """An empty project with a store of its own."""
    return FakeProject(gcs, tmp_path, monkeypatch, f"{firestore}/experiments")


def refeed(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )


def finish(workflow: FakeWorkflow) -> None:
    workflow.status = "Failed"
    workflow.run("finish")


def test_a_run_on_a_cluster(world: FakeProject, tmp_path: Path) -> None:
    world.upload(small_table(3))
    workflow = world.workflow()
    workflow.run_all()
    stored, address = workflow.stored(), workflow.address
    assert stored.status == "finished"
    assert stored.counts == {"trained": 3, "skipped": 0, "failed": 0}
    assert not world.storage.exists(address.run_layout.status)  # it is in one place only
    store = open_store(address.layout, world.store)
    results = list(store.results("trial", address.run))
    assert len(results) == 3
    content = world.storage.read(address.run_layout.table("partitions", "parquet"))
    (tmp_path / "partitions.parquet").write_bytes(content)
    table = pq.read_table(tmp_path / "partitions.parquet").to_pylist()
    assert sorted(table, key=str) == sorted((each.row for each in results), key=str)

    raw = yaml.safe_load(INSTALLATION.read_text())
    raw["projects"] = {"lab": {"namespace": "lab", "root": world.root, "store": world.store}}
    installation = tmp_path / "installation.yaml"
    installation.write_text(yaml.safe_dump(raw, sort_keys=False))
    shown = refeed("status", "--installation", installation, "--json")
    assert shown.returncode == 0, shown.stderr
    assert [each["run"] for each in json.loads(shown.stdout)["runs"]] == [address.run]
    one = refeed("status", address.run, "--installation", installation, "--json")
    assert json.loads(one.stdout)["status"] == "finished", one.stderr
    page = tmp_path / "report.html"
    report = refeed("report", address.run, "--installation", installation, "-o", page)
    assert report.returncode == 0, report.stderr
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_the_exit_handler_closes_a_run(world: FakeProject) -> None:
    workflow = world.workflow()
    workflow.run_check()
    assert workflow.stored().status == "running"
    finish(workflow)
    assert workflow.stored().status == "stopped"


def test_pod_rejects_another_store(
    world: FakeProject, firestore: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.upload(small_table(3))
    workflow = world.workflow()
    changed = world.spec(store=f"{firestore}/another").model_dump(mode="json")
    environment = workflow.environment

    def tampered(*arguments: object, **how: object) -> dict[str, str]:
        values = environment(*arguments, **how)  # type: ignore[arg-type]
        return values | {env.SPEC: canonical_json(changed)}

    monkeypatch.setattr(workflow, "environment", tampered)
    with pytest.raises(SpecError, match="but the store of the project is"):
        workflow.run_check()


def test_an_earlier_run_in_the_store_corrects_the_predicted_cost(world: FakeProject) -> None:
    """The spec names no store: on a cluster it is the project's."""
    world.upload(small_table(3))
    first, second = world.workflow("trial-1"), world.workflow("trial-2")
    first.run_all()
    second.run_check()
    second.run_split()
    plan = json.loads(world.storage.read(second.address.run_layout.plan))
    assert f"3 partitions trained in run {first.outputs['run']}" in plan["predicted"]["basis"]


def test_a_run_on_a_laptop(lab: Workspace, firestore: str) -> None:
    lab.write_table(small_table(3))
    spec = lab.write_spec(trainer={"name": "linear"}, store=firestore)
    done = refeed("run", spec, "--json")
    assert done.returncode == 0, done.stderr
    assert "credential" not in done.stderr
    run = json.loads(done.stdout)["run"]
    assert not list(lab.folder.rglob("store.sqlite"))
    listed = json.loads(refeed("report", spec, "--list", "--json").stdout)["runs"]
    assert [(each["run"], each["status"]) for each in listed] == [(run, "finished")]
    report = refeed("report", spec)
    assert run in report.stdout, report.stderr


def test_laptop_without_firestore_reports_it(lab: Workspace) -> None:
    lab.write_table(small_table(3))
    spec = lab.write_spec(trainer={"name": "linear"}, store="firestore://acme-refeed")
    variables = {**os.environ, "CLOUDSDK_CONFIG": str(lab.folder), "NO_GCE_CHECK": "true"}
    for name in ("FIRESTORE_EMULATOR_HOST", "GOOGLE_APPLICATION_CREDENTIALS"):
        variables.pop(name, None)
    done = subprocess.run(
        [*COMMAND, "run", str(spec)],
        capture_output=True, text=True, check=False, timeout=120, env=variables,
    )  # fmt: skip
    assert done.returncode == 73
    assert "Not authenticated with Google Cloud, needed for firestore://acme-refeed" in done.stderr
    assert "gcloud auth application-default login" in done.stderr
    assert "train:" not in done.stderr  # it is found out before any work
