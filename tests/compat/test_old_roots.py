"""Artifact roots that commit 6928035 wrote on a laptop: still readable, but no longer a cache.

See ``make_roots`` for how they were made, and for when to make new ones.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

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
def test_a_finished_run_is_computed_again_next_to_the_old_one(
    trainer: str, old_root: Unpack
) -> None:
    """Types and folds have changed since, so neither dataset nor fits are reused."""
    root = old_root("finished")
    spec, run = root / f"{trainer}.yaml", run_folder(root, f"old-{trainer}")
    kept = [root / "runs" / "lab" / name for name in ("cache", "datasets")]
    before = [state(folder) for folder in [*kept, run]]
    result = answer("run", spec)
    assert result["run"] != run.name
    assert (result["dataset_reused"], result["resumed"]) == (False, False)
    assert result["cached"] == {"none": TRAINED + SKIPPED}
    for old, folder in zip(before, [*kept, run], strict=True):
        assert old.items() <= state(folder).items()
    listed = {each["run"] for each in answer("report", spec, "--list")["runs"]}
    assert listed == {run.name, result["run"]}


def test_the_dataset_of_an_old_root_is_built_again(old_root: Unpack) -> None:
    root = old_root("finished")
    made = answer("split", root / "linear.yaml")
    assert (made["reused"], made["partitions"], made["rows"]) == (False, TRAINED + SKIPPED, 372)
    assert Path(made["folder"]).is_relative_to(root)
    again = answer("split", root / "linear.yaml")
    assert (again["reused"], again["folder"]) == (True, made["folder"])


@each_trainer
def test_models_of_a_finished_run_are_written_as_files(
    trainer: str, old_root: Unpack, tmp_path: Path
) -> None:
    """They are in files per partition, as there were no segments."""
    root = old_root("finished")
    spec, run = root / f"{trainer}.yaml", run_folder(root, f"old-{trainer}")
    models = answer("models", spec, "--run", run.name, "-o", tmp_path / "models")["models"]
    trained = [each for each in models if each["status"] == "trained"]
    assert len(trained) == TRAINED
    for each in trained:
        assert (tmp_path / "models" / each["model"]).stat().st_size > 100
        card = (tmp_path / "models" / each["card"]).read_text()
        assert f"| {each['partition']} |" in card or f"= {each['partition']} |" in card


def test_old_results_go_with_the_run_that_used_them(old_root: Unpack) -> None:
    root = old_root("finished")
    answer("run", root / "linear.yaml")
    removed = answer("gc", root / "linear.yaml", "--keep", "1")["folders"]
    old = [each for each in removed if "/cache/" in each]
    assert len(old) == 2 * TRAINED
    assert not any(Path(each).exists() for each in old)
    assert (root / "runs" / "lab" / "cache" / "segments").is_dir()


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


def test_a_stopped_run_is_left_alone_and_a_new_one_started(old_root: Unpack) -> None:
    root = old_root("stopped")
    run = run_folder(root, "old-lightgbm")
    before = state(run)
    result = answer("run", root / "lightgbm.yaml")
    assert result["run"] != run.name
    assert result["resumed"] is False
    assert result["counts"] == {"trained": TRAINED, "skipped": SKIPPED, "failed": 0}
    assert state(run) == before
