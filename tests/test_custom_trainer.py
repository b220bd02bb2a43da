"""A trainer in a package of its own: built, installed beside Refeed in a clean place, and run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

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


@pytest.mark.slow
def test_a_trainer_of_ones_own(lab: Workspace) -> None:
    dist = lab.folder / "dist"
    for package in (ROOT, ROOT / "examples" / "custom_trainer"):
        command(UV, "build", "--quiet", "--wheel", package, "-o", dist, folder=lab.folder)
    clean = lab.folder / "clean"
    command(UV, "venv", "--quiet", "--python", sys.executable, clean, folder=lab.folder)
    refeed, forest = sorted(dist.glob("*.whl"), key=lambda path: "forest" in path.name)
    install: list[str | Path] = [
        UV,
        "pip",
        "install",
        "--quiet",
        "--python",
        clean / "bin" / "python",
    ]
    extra = f"refeed[split,train,collect] @ {refeed.as_uri()}"
    command(*install, extra, forest, folder=lab.folder)
    lab.write_table(small_table(3))
    spec = lab.write_spec(trainer={"name": "forest", "params": {"trees": 5}})
    program = clean / "bin" / "refeed"
    assert "forest" in command(program, "trainers", folder=lab.folder)
    result = json.loads(command(program, "run", spec, "--json", folder=lab.folder))
    assert result["counts"] == {"trained": 3, "skipped": 0, "failed": 0}
    importance = lab.read(result["folder"], "importance").to_pylist()
    assert {row["method"] for row in importance} == {"permutation"}
    lab.write_table(small_table(3).append_column("label", small_table(3)["level"]))
    label = lab.write_spec(
        trainer={"name": "forest", "params": {"trees": 5}},
        dataset__target="label",
        dataset__features=["number", "whole"],
    )
    result = json.loads(command(program, "run", label, "--json", folder=lab.folder))
    assert result["counts"]["trained"] == 3
    assert result["metric"] == "log_loss"
