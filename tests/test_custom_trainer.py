"""A trainer in a package of its own: built, installed with Refeed in a new environment, run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.compat.digests import differences, same_digits
from tests.workspace import Workspace, small_table

ROOT = Path(__file__).parent.parent
UV = Path(sys.executable).with_name("uv")


def command(*arguments: str | Path, folder: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    done = subprocess.run(
        list(map(str, arguments)), cwd=folder, env=environment, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def install(folder: Path) -> Path:
    """Build Refeed and the trainer, and install them in a clean place; return its ``refeed``.

    Libraries have the locked versions, so that numbers stay the same until the lock file changes.
    """
    dist, clean, locked = folder / "dist", folder / "clean", folder / "constraints.txt"
    for package in (ROOT, ROOT / "examples" / "custom_trainer"):
        command(UV, "build", "--quiet", "--wheel", package, "-o", dist, folder=folder)
    export = ("export", "--quiet", "--project", ROOT, "--frozen", "--extra", "local")
    options = ("--no-default-groups", "--no-emit-project", "--no-hashes", "-o", locked)
    command(UV, *export, *options, folder=folder)
    command(UV, "venv", "--quiet", "--python", sys.executable, clean, folder=folder)
    refeed, forest = sorted(dist.glob("*.whl"), key=lambda path: "forest" in path.name)
    python = clean / "bin" / "python"
    extra = f"refeed[split,train,collect] @ {refeed.as_uri()}"
    packages = ("--python", python, "--constraint", locked, extra, forest)
    command(UV, "pip", "install", "--quiet", *packages, folder=folder)
    return clean / "bin" / "refeed"


def run_custom_trainer(folder: Path) -> dict[str, dict[str, Any]]:
    """Run a regression and a classification; return what ``refeed run --json`` prints of each."""
    lab, program = Workspace(folder), install(folder)
    assert "forest" in command(program, "trainers", folder=folder)
    trainer = {"name": "forest", "params": {"trees": 5}}
    lab.write_table(small_table(3))
    spec = lab.write_spec(trainer=trainer)
    numbers = command(program, "run", spec, "--json", folder=folder)
    lab.write_table(small_table(3).append_column("label", small_table(3)["level"]))
    spec = lab.write_spec(
        trainer=trainer, dataset__target="label", dataset__features=["number", "whole"]
    )
    classes = command(program, "run", spec, "--json", folder=folder)
    return {
        "custom_trainer": json.loads(numbers),
        "custom_trainer-classes": json.loads(classes),
    }


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    return run_custom_trainer(tmp_path_factory.mktemp("custom"))


@pytest.mark.slow
def test_a_trainer_of_ones_own(results: dict[str, dict[str, Any]]) -> None:
    numbers, classes = results["custom_trainer"], results["custom_trainer-classes"]
    assert numbers["counts"] == {"trained": 3, "skipped": 0, "failed": 0}
    importance = Workspace(Path()).read(numbers["folder"], "importance").to_pylist()
    assert {row["method"] for row in importance} == {"permutation"}
    assert classes["counts"]["trained"] == 3
    assert classes["metric"] == "log_loss"


@pytest.mark.slow
@same_digits
def test_it_has_the_committed_tables_and_reports(results: dict[str, dict[str, Any]]) -> None:
    runs = {name: Path(result["folder"]) for name, result in results.items()}
    found = [line for name, run in runs.items() for line in differences(name, run)]
    assert not found, "\n".join(found)
