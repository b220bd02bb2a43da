"""Artifact roots that commit 6928035 wrote on a laptop: still readable, and still a warm cache.

See ``make_roots`` for how they were made, and for when to make new ones.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.compat.conftest import Pretend
from tests.workspace import Workspace
from workflows.cli.app import app

Unpack = Callable[[str], Path]
TRAINED, SKIPPED = 4, 1

each_trainer = pytest.mark.parametrize("trainer", ["linear", "lightgbm"])


def refeed(*words: str | Path) -> Result:
    return CliRunner().invoke(app, list(map(str, words)))


def answer(*words: str | Path) -> Any:
    done = refeed(*words, "--json")
    assert done.exit_code == 0, done.exception
    return json.loads(done.stdout)


def run_folder(root: Path, experiment: str) -> Path:
    """Return the folder of the only run in the archive."""
    (folder,) = root.glob(f"runs/lab/runs/{experiment}/*")
    return folder


def versions_of(run: Path) -> dict[str, str]:
    found: dict[str, str] = json.loads((run / "run.json").read_text())["versions"]
    return found


def state(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Return time and content of all files."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@each_trainer
def test_a_finished_run_is_listed_and_its_report_made_again(trainer: str, old_root: Unpack) -> None:
    root = old_root("finished")
    spec, run = root / f"{trainer}.yaml", run_folder(root, f"old-{trainer}")
    (listed,) = answer("report", spec, "--list")["runs"]
    assert (listed["run"], listed["status"]) == (run.name, "finished")
    assert listed["counts"] == {"trained": TRAINED, "skipped": SKIPPED, "failed": 0}
    (run / "report.html").unlink()
    assert answer("report", spec, "--run", run.name)["report"] == str(run / "report.html")
    page = (run / "report.html").read_text()
    assert run.name in page
    assert all(f"part {i}" in page for i in range(TRAINED))


@each_trainer
def test_a_finished_run_is_repeated_without_a_fit(
    trainer: str, old_root: Unpack, pretend: Pretend
) -> None:
    root = old_root("finished")
    spec, run = root / f"{trainer}.yaml", run_folder(root, f"old-{trainer}")
    same_libraries = pretend(versions_of(run))
    kept = [root / "runs" / "lab" / name for name in ("cache", "datasets")]
    before = [state(folder) for folder in kept]
    result = answer("run", spec)
    assert result["run"] != run.name
    assert (result["dataset_reused"], result["resumed"]) == (True, False)
    assert result["cached"] == {"full": TRAINED, "none": SKIPPED}
    assert [state(folder) for folder in kept] == before
    assert all(before)
    suffixes = {".csv", ".parquet"} if same_libraries else {".csv"}  # pyarrow signs its files
    old = {path.name for path in (run / "tables").iterdir() if path.suffix in suffixes}
    assert len(old) >= 10
    for name in sorted(old):
        new = Path(result["folder"], "tables", name)
        assert new.read_bytes() == (run / "tables" / name).read_bytes(), name


def test_the_dataset_of_an_old_root_is_found(old_root: Unpack) -> None:
    root = old_root("finished")
    made = answer("split", root / "linear.yaml")
    assert (made["reused"], made["partitions"], made["rows"]) == (True, TRAINED + SKIPPED, 372)
    assert Path(made["folder"]).is_relative_to(root)


def test_no_file_of_a_finished_root_is_garbage(old_root: Unpack) -> None:
    root = old_root("finished")
    assert answer("gc", root / "linear.yaml", "--dry-run")["folders"] == []


def test_a_stopped_run_is_listed_and_has_no_report_yet(old_root: Unpack) -> None:
    root = old_root("stopped")
    run = run_folder(root, "old-lightgbm").name
    (listed,) = answer("report", root / "lightgbm.yaml", "--list")["runs"]
    assert (listed["run"], listed["status"]) == (run, "running")  # it could not say that it ends
    refused = refeed("report", root / "lightgbm.yaml", "--run", run)
    assert refused.exit_code != 0


def test_stopped_run_is_resumed_to_the_same_tables(old_root: Unpack, pretend: Pretend) -> None:
    root = old_root("stopped")
    spec, run = root / "lightgbm.yaml", run_folder(root, "old-lightgbm")
    same_libraries = pretend(versions_of(run))
    finished = sorted(path.name for path in (run / "records").iterdir())
    assert 1 < len(finished) < TRAINED + SKIPPED
    fresh = root / "fresh"
    fresh.mkdir()
    shutil.copy(root / "table.csv", fresh)
    shutil.copy(spec, fresh)
    if not same_libraries:  # digits of new libraries may differ: take the finished fits from here
        shutil.copytree(root / "runs" / "lab" / "cache", fresh / "runs" / "lab" / "cache")
    kept = [run / "records", run / "attempts", root / "runs" / "lab" / "cache"]
    before = [state(folder) for folder in kept]

    result = answer("run", spec)
    assert (result["run"], result["folder"]) == (run.name, str(run))
    assert (result["resumed"], result["dataset_reused"]) == (True, True)
    assert result["finished_before"] == len(finished)
    assert result["cached"] == {"none": TRAINED + SKIPPED - len(finished)}
    assert result["counts"] == {"trained": TRAINED, "skipped": SKIPPED, "failed": 0}
    for old, folder in zip(before, kept, strict=True):
        assert old.items() <= state(folder).items(), f"{folder}: what was finished is kept"
    attempts = sorted(path.name for path in (run / "attempts").iterdir())
    assert {f"{name.removesuffix('.json')}-001.json" for name in finished} <= set(attempts)
    assert len(attempts) == TRAINED + SKIPPED  # no partition was trained twice

    undisturbed = answer("run", fresh / "lightgbm.yaml")
    lab = Workspace(root)
    assert lab.tables(run) == lab.tables(undisturbed["folder"])
    assert len(lab.tables(run)) >= 10
