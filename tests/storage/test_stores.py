"""The experiment store: the same contract for both adapters."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from steps.contract import ProjectLayout
from steps.errors import DamagedError, OutputError
from steps.records import RunRecord
from steps.storage import storage_for
from steps.store import ExperimentStore, ObjectStore, SqliteStore, open_store

RECORD = RunRecord("lab", "trial", "20260102T030405-aaaa", "s", "d", "running", "2026-01-02")


@pytest.fixture(params=["sqlite", "objects in files", "objects in buckets"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ExperimentStore:
    """An empty store of each kind."""
    if request.param == "sqlite":
        return open_store(ProjectLayout(str(tmp_path), "lab"))
    if request.param == "objects in files":
        return ObjectStore(ProjectLayout(str(tmp_path), "lab"), storage_for(""))
    return open_store(ProjectLayout(f"{request.getfixturevalue('gcs')}/runs", "lab"))


class TestExperimentStore:
    """What every adapter promises."""

    def test_nothing_is_there_at_first(self, store: ExperimentStore) -> None:
        assert store.runs() == []
        assert store.runs("trial") == []

    def test_what_is_put_is_found(self, store: ExperimentStore) -> None:
        record = replace(RECORD, status="finished", counts={"trained": 3}, ended="2026-01-03")
        store.put(record)
        assert store.runs() == store.runs("trial") == [record]
        assert store.runs("another") == []

    def test_putting_again_replaces(self, store: ExperimentStore) -> None:
        store.put(RECORD)
        store.put(RECORD)
        store.put(replace(RECORD, status="failed"))
        assert [record.status for record in store.runs("trial")] == ["failed"]

    def test_the_newest_comes_first(self, store: ExperimentStore) -> None:
        for experiment, run in [("a", "2026-1"), ("b", "2026-2"), ("a", "2026-3")]:
            store.put(replace(RECORD, experiment=experiment, run=run))
        assert [record.run for record in store.runs()] == ["2026-3", "2026-2", "2026-1"]
        assert [record.run for record in store.runs("a")] == ["2026-3", "2026-1"]

    def test_several_may_write_at_once(self, store: ExperimentStore) -> None:
        records = [replace(RECORD, run=f"run-{n:02d}") for n in range(16)]
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(store.put, records))
        assert store.runs("trial") == records[::-1]


def test_a_local_root_has_the_embedded_store(tmp_path: Path) -> None:
    assert isinstance(open_store(ProjectLayout(str(tmp_path), "lab")), SqliteStore)


def test_a_run_that_was_never_put_is_left_out(gcs: str) -> None:
    project = ProjectLayout(gcs, "lab")
    storage_for(gcs).write(project.run("trial", "half-made").request, b"{}")
    store = open_store(project)
    store.put(RECORD)
    assert store.runs() == [RECORD]


def test_a_damaged_object_is_named(gcs: str) -> None:
    project = ProjectLayout(gcs, "lab")
    storage_for(gcs).write(project.run("trial", "x").status, b"no json")
    with pytest.raises(DamagedError, match=r"trial/x/status\.json"):
        open_store(project).runs()


def test_a_bucket_that_is_missing(gcs: str) -> None:
    with pytest.raises(OutputError, match="There is no bucket gs://never-made"):
        open_store(ProjectLayout("gs://never-made", "lab")).put(RECORD)
