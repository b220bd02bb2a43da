"""``refeed gc`` removes what no kept run refers to, and nothing that is in use."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from steps.contract import ProjectLayout
from steps.errors import TransientError
from steps.split.step import SplitResult
from steps.stores.base import open_store
from tests.workspace import Workspace, small_table
from workflows import gc, local
from workflows.spec.load import load_spec
from workflows.spec.model import ExperimentSpec


@pytest.fixture
def spec(lab: Workspace) -> Path:
    lab.write_table(small_table(2))
    return lab.write_spec(trainer={"name": "linear"})


def loaded(spec: Path) -> ExperimentSpec:
    return load_spec(spec).spec


def collect_garbage(spec: Path, keep: int | None = None) -> gc.Garbage:
    with gc.exclusive(loaded(spec)):
        found = gc.find_garbage(loaded(spec), keep)
        gc.remove(loaded(spec), found)
    return found


@pytest.mark.parametrize("engine", ["embedded", "beam"])
def test_gc_waits_for_a_split_in_progress(
    spec: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused: list[str] = []
    split: Callable[..., SplitResult] = local.split  # type: ignore[attr-defined]

    def during(*args: object) -> SplitResult:
        built = split(*args)
        with pytest.raises(TransientError, match="in progress"), gc.exclusive(loaded(spec)):
            pass
        refused.append(built.index.dataset)
        return built

    monkeypatch.setattr(local, "split", during)
    local.run(spec, overrides=[f"split.engine={engine}"])
    assert len(refused) == 1
    assert not collect_garbage(spec).runs


def test_run_waits_for_gc(spec: Path) -> None:
    local.run(spec)
    with (
        gc.exclusive(loaded(spec)),
        pytest.raises(TransientError, match="`refeed gc` is running"),
    ):
        local.run(spec)


def test_removed_run_leaves_the_store(lab: Workspace, spec: Path) -> None:
    first, second = local.run(spec), local.run(spec)
    found = collect_garbage(spec, keep=1)
    assert [run.run for run in found.runs] == [first.run]
    store = open_store(ProjectLayout(str(lab.folder / "runs"), "lab"))
    assert [record.run for record in store.runs()] == [second.run]


def test_intermediate_output_of_killed_jobs_is_removed(lab: Workspace, spec: Path) -> None:
    run = local.run(spec)
    project = ProjectLayout(str(lab.folder / "runs"), "lab")
    left = Path(project.build("abandoned").first_pass("job"))
    left.parent.mkdir(parents=True)
    left.touch()
    parts = Path(project.dataset("0" * 32).base, "parts")
    parts.mkdir(parents=True)
    collect_garbage(spec)
    assert not left.exists()
    assert not parts.exists()
    assert Path(run.layout.request).is_file()
    assert local.run(spec).trained.cached["full"] == 2


def test_ids_of_runs_within_one_second_sort_by_time() -> None:
    ids = []
    for _ in range(50):
        ids.append(local.new_run_id())
        time.sleep(0.001)
    assert ids == sorted(set(ids))
