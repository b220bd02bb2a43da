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

from tests.cluster.fake_server import fake_server
from tests.compat.conftest import Pretend
from tests.compat.make_roots import BUCKET, TABLE, cluster_workflow
from tests.fakes import gcs_server, make_bucket
from tests.pods.fake_project import CREATED, FakeProject, FakeWorkflow
from tests.tables import Tables
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


def test_stopped_run_is_retried_to_the_same_tables(
    old: FakeProject, server: str, pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = f"lab/runs/trial/{STOPPED}"
    request = json.loads(old.storage.read(f"{old.root}/{run}/run.json"))
    same_libraries = pretend(request["versions"])
    kept = (f"{run}/records/", f"{run}/attempts/", f"{run}/shards/", "lab/cache/", "lab/datasets/")
    before = objects_below(old, *kept)
    # A fresh bucket gets the finished fits only where digits of new libraries may differ.
    cache = {} if same_libraries else objects_below(old, "lab/cache/")

    workflow = retry(old, STOPPED, monkeypatch)
    workflow.run_all()
    after = objects_below(old, *kept)
    assert workflow.outputs["run"] == STOPPED
    assert before.items() <= after.items()
    assert len([name for name in after if name.startswith(f"{run}/attempts/")]) == 5
    assert answer("status", STOPPED)["counts"] == {"trained": 4, "skipped": 1, "failed": 0}
    assert STOPPED in old.storage.read(f"{old.root}/{run}/report.html").decode()

    make_bucket(server, "fresh-root")
    fresh = FakeProject("gs://fresh-root", old.folder, monkeypatch)
    for name, content in cache.items():
        fresh.storage.write(f"{fresh.root}/{name}", content)
    fresh.storage.write(f"{fresh.root}/sources/{TABLE.name}", TABLE.read_bytes())
    undisturbed = cluster_workflow(fresh, "trial-1", seed=1)
    undisturbed.run_all()
    assert workflow.tables() == undisturbed.tables()
    assert len(workflow.tables()) >= 10


def test_a_finished_run_is_retried_without_a_fit(
    old: FakeProject, pretend: Pretend, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = f"lab/runs/trial/{FINISHED}"
    request = json.loads(old.storage.read(f"{old.root}/{run}/run.json"))
    same_libraries = pretend(request["versions"])
    kept = (f"{run}/records/", f"{run}/attempts/", "lab/cache/", "lab/datasets/")
    before, tables = objects_below(old, *kept), objects_below(old, f"{run}/tables/")
    retry(old, FINISHED, monkeypatch).run_all()
    assert objects_below(old, *kept) == before
    assert len([name for name in before if name.startswith(f"{run}/records/")]) == 5

    def comparable(files: dict[str, bytes]) -> Tables:
        """Leave out Parquet where another pyarrow wrote it: it signs its files."""
        return Tables({n: c for n, c in files.items() if same_libraries or n.endswith(".csv")})

    assert comparable(objects_below(old, f"{run}/tables/")) == comparable(tables)
    assert len(comparable(tables)) >= 10
