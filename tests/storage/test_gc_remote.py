"""``refeed gc`` in object storage: no lock, so only what is old is removed, write first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest

from steps.segments.compaction import GRACE_SECONDS
from steps.storage.base import storage_for
from steps.stores.base import open_store
from tests.segment_surgery import member_names
from tests.workspace import Workspace, small_table
from workflows import gc, local
from workflows.spec.load import load_spec
from workflows.spec.model import ExperimentSpec

LATER = GRACE_SECONDS + 60


@pytest.fixture(autouse=True)
def own_workers() -> Iterator[None]:
    """Stop the fork server around each test, since it keeps its first environment."""
    stop: Callable[[], None] = forkserver._forkserver._stop  # type: ignore[attr-defined]
    stop()
    yield
    stop()


@pytest.fixture(params=["local", "gs", "firestore"])
def spec(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Return a spec on each kind of storage and store."""
    lab = Workspace(tmp_path)
    lab.write_table(small_table(3))
    changes: dict[str, Any] = {"trainer": {"name": "linear"}}
    if request.param == "local":
        yield lab.write_spec(**changes)
        return
    changes |= {"output": f"{request.getfixturevalue('gcs')}/root"}
    if request.param == "firestore":
        changes |= {"store": request.getfixturevalue("firestore")}
    yield lab.write_spec(**changes)


def loaded(spec: Path) -> ExperimentSpec:
    return load_spec(spec).spec


def collect_garbage(spec: Path, keep: int | None = None, *, dry_run: bool = False) -> gc.Garbage:
    with gc.exclusive(loaded(spec)):
        found = gc.find_garbage(loaded(spec), keep)
        if not dry_run:
            gc.remove(loaded(spec), found)
    return found


def let_time_pass(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.time() + seconds
    monkeypatch.setattr("workflows.gc.time.time", lambda: now)


def runs(spec: Path) -> list[str]:
    from steps.contract import ProjectLayout  # noqa: PLC0415

    store = open_store(ProjectLayout(loaded(spec).output, "lab"), loaded(spec).store)
    return [record.run for record in store.runs("trial")]


def test_young_artifacts_stay_in_object_storage(spec: Path) -> None:
    first, second = local.run(spec), local.run(spec, overrides=["evaluate.seed=5"])
    found = collect_garbage(spec, keep=1)
    if "://" in loaded(spec).output:
        assert found.paths == []
        assert set(runs(spec)) == {first.run, second.run}
    else:
        assert first.layout.base in found.paths
        assert runs(spec) == [second.run]


def test_old_runs_and_what_only_they_use_are_removed(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = local.run(spec)
    second = local.run(spec, overrides=["evaluate.seed=5"])
    root, storage = loaded(spec).output, storage_for(loaded(spec).output)
    before = member_names(root)
    let_time_pass(monkeypatch, LATER)
    planned = collect_garbage(spec, keep=1, dry_run=True)
    assert first.layout.base in planned.paths
    assert member_names(root) == before
    assert runs(spec) == [second.run, first.run]
    done = collect_garbage(spec, keep=1)
    assert done.paths == planned.paths
    assert done.bytes == planned.bytes > 10_000
    assert not storage.objects(first.layout.base)
    assert runs(spec) == [second.run]
    left = member_names(root)
    assert [name for name in left if first.run in name] == []
    assert len([name for name in left if name.startswith("fit/")]) == 3
    again = local.run(spec, overrides=["evaluate.seed=5"])
    assert again.trained.cached == {"full": 3}


def test_members_of_removed_runs_leave_the_segments_that_kept_runs_share(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both runs share fits; one has explanations of its own, which go with it."""
    first = local.run(spec)
    second = local.run(spec, overrides=["explain.rows=40"])
    root = loaded(spec).output
    assert len(member_names(root, "explanation/*")) == 6
    let_time_pass(monkeypatch, LATER)
    collect_garbage(spec, keep=1)
    assert len(member_names(root, "explanation/*")) == 3
    assert len(member_names(root, "fit/*")) == len(member_names(root, "model/*")) == 3
    assert member_names(root, f"*{first.run}*") == []
    assert collect_garbage(spec, keep=1, dry_run=True).rewritten == []
    again = local.run(spec, overrides=["explain.rows=40"])
    assert again.trained.cached == {"full": 3}
    assert again.run != second.run


def test_an_unfinished_run_keeps_everything_it_may_use(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.run(spec)
    second = local.run(spec, overrides=["explain.rows=40"])
    storage, root = storage_for(loaded(spec).output), loaded(spec).output
    storage.delete(second.layout.done)
    before = member_names(root, "[!ar]*")  # results, but not attempts and records
    let_time_pass(monkeypatch, LATER)
    collect_garbage(spec)
    assert member_names(root, "[!ar]*") == before


def test_nothing_is_garbage_while_all_runs_are_kept(
    spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.run(spec)
    local.run(spec, overrides=["explain.rows=40"])
    let_time_pass(monkeypatch, LATER)
    assert collect_garbage(spec).paths == []
