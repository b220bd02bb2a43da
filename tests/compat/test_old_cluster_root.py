"""A bucket that the pods of commit 6928035 wrote: one finished run, and one that was stopped.

See ``make_roots`` for how it was made, and for when to make a new one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from steps.errors import DataError
from tests.cluster.fake_server import fake_server
from tests.compat.make_roots import BUCKET, cluster_workflow
from tests.fakes import gcs_server, make_bucket
from tests.pods.fake_project import CREATED, FakeProject, FakeWorkflow
from workflows.cli.app import app

FINISHED, STOPPED = "20260102T030405-02cc", "20260102T030405-6a34"
ABSENT = (404, {"message": 'workflows.argoproj.io "x" not found'})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start an empty storage: the name of the bucket is part of the root."""
    with gcs_server() as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        yield url


@pytest.fixture
def old(
    server: str, old_root: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> FakeProject:
    """Put the old objects back into their bucket, and use the old installation file."""
    objects = old_root("cluster") / "bucket"
    make_bucket(server, BUCKET)
    world = FakeProject(f"gs://{BUCKET}", tmp_path, monkeypatch)
    for path in sorted(path for path in objects.rglob("*") if path.is_file()):
        world.storage.write(f"{world.root}/{path.relative_to(objects)}", path.read_bytes())
    monkeypatch.setenv("REFEED_INSTALLATION", str(tmp_path / "installation.yaml"))
    return world


def refeed(*words: str) -> Result:
    return CliRunner().invoke(app, words)


def answer(*words: str) -> Any:
    done = refeed(*words, "--json")
    assert done.exit_code == 0, done.exception
    return json.loads(done.stdout)


def retry(world: FakeProject, run: str, monkeypatch: pytest.MonkeyPatch) -> FakeWorkflow:
    """Retry a run through an Argo server that knows no Workflow; return the one it was sent."""
    name = f"trial-{run.lower()}-1"
    made = {"metadata": {"name": name, "namespace": "refeed-lab", "creationTimestamp": CREATED}}
    with fake_server(ABSENT, ABSENT, (200, made)) as argo:
        monkeypatch.setenv("ARGO_SERVER", argo.address)
        monkeypatch.setenv("ARGO_SECURE", "false")
        assert answer("retry", run, "--no-wait")["run"] == run
        (sent,) = [each.body["workflow"] for each in argo.requests if each.method == "POST"]
    assert sent["metadata"]["name"] == name
    return FakeWorkflow(world, sent, name, {})


def objects_below(world: FakeProject, *folders: str) -> dict[str, bytes]:
    """Return the content of objects by name."""
    names = [name for name in world.files() if name.startswith(folders)]
    return {name: world.storage.read(f"{world.root}/{name}") for name in names}


def test_old_runs_are_listed_and_shown(old: FakeProject) -> None:
    listed = answer("status")["runs"]
    assert {each["run"]: each["status"] for each in listed} == {
        FINISHED: "finished",
        STOPPED: "stopped",
    }
    finished, stopped = answer("status", FINISHED), answer("status", STOPPED)
    assert finished["counts"] == {"trained": 4, "skipped": 1, "failed": 0}
    assert finished["report"] == f"{finished['folder']}/report.html"
    assert finished["pods"] == {"done": 8}
    assert (stopped["done"], stopped["partitions"]) == (1, 5)
    assert "Stopped with strategy" in stopped["message"]
    for run in (FINISHED, STOPPED):
        assert run in refeed("status", run).stdout


def test_old_logs_are_shown(old: FakeProject) -> None:
    done = refeed("logs", FINISHED)
    assert done.exit_code == 0, done.exception
    assert "part 2" in done.stdout


def test_the_report_of_an_old_run_is_made_again(old: FakeProject) -> None:
    uri = f"{old.root}/lab/runs/trial/{FINISHED}/report.html"
    old.storage.delete(uri)
    assert answer("report", FINISHED)["report"] == uri
    assert FINISHED in old.storage.read(uri).decode()
    assert refeed("report", STOPPED).exit_code != 0


@pytest.mark.parametrize("run", [FINISHED, STOPPED])
def test_an_old_run_is_refused_with_a_command(
    old: FakeProject, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = f"lab/runs/trial/{run}"
    before = objects_below(old, folder, "lab/cache/")
    with fake_server() as argo:
        monkeypatch.setenv("ARGO_SERVER", argo.address)
        monkeypatch.setenv("ARGO_SECURE", "false")
        done = refeed("retry", run, "--no-wait")
        assert not [each for each in argo.requests if each.method == "POST"]
    assert "started by another version of Refeed" in str(done.exception)
    assert "refeed submit SPEC" in str(done.exception)
    assert objects_below(old, folder, "lab/cache/") == before


def test_a_pod_refuses_an_old_run_too(old: FakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    """A workflow that an old client retries, with images of this version."""
    monkeypatch.setattr("workflows.runs.submit.reject_other_version", lambda *_: None)
    workflow = retry(old, STOPPED, monkeypatch)
    with pytest.raises(DataError, match="started by another version of Refeed"):
        workflow.run_all()


def test_the_spec_of_an_old_run_runs_in_its_bucket(old: FakeProject) -> None:
    before = objects_below(old, "lab/")
    workflow = cluster_workflow(old, "trial-9", seed=1)
    workflow.run_all()
    assert workflow.outputs["run"] not in {FINISHED, STOPPED}
    after = objects_below(old, "lab/")
    changed = {name for name, content in before.items() if after.get(name) != content}
    assert not changed
