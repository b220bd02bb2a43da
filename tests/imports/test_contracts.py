"""Each import contract fails on an import that it forbids, planted in a new module."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("refeed", "workflows", "steps", "containers")
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
NAMES = {contract["id"]: contract["name"] for contract in SETTINGS["contracts"]}

PLANTS = {
    "layers": ("steps/table/planted.py", "workflows.spec.model"),
    "step-layers": ("steps/train/workers/planted.py", "steps.collect.outcome"),
    "workflow-layers": ("workflows/spec/planted.py", "workflows.planning.packing"),
    "kernel": ("steps/records.py", "numpy"),
    "plug-ins": ("containers/forest/planted.py", "steps.table.types"),
    "trainers-apart": ("containers/linear/planted.py", "containers.lightgbm.forest"),
    "lazy-api": ("refeed/planted.py", "workflows.local"),
    "lazy-adapters": ("steps/results/planted.py", "steps.storage.gcs"),
    "dataflow": ("workflows/runs/planted_dataflow.py", "steps.google.dataflow"),
    "lightgbm": ("workflows/planning/planted.py", "lightgbm"),
    "scikit-learn": ("steps/train/evaluation/planted.py", "sklearn.metrics"),
    "interpret": ("containers/ebm/planted.py", "interpret"),
    "tests-only": ("steps/charts/planted.py", "pandas"),
    "google": ("steps/split/sources/planted.py", "google.cloud.storage"),
    "beam": ("steps/split/dataset/planted.py", "apache_beam"),
    "hera": ("workflows/runs/planted.py", "hera.workflows"),
    "kubernetes": ("workflows/pods/planted.py", "kubernetes"),
    "terminal": ("steps/runtime/planted.py", "rich.progress"),
    "pods": ("workflows/pods/planted_installation.py", "workflows.installation.model"),
}
"""By contract: a file, and a module whose import the contract forbids there."""

SECTION = re.compile(r"\n-{4,}\n")


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return the report of each broken contract, by name, on a copy with all plants."""
    copy = tmp_path_factory.mktemp("planted")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("*.pyc"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    (copy / "tests" / "imports").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "imports" / "contract_types.py", copy / "tests" / "imports")
    for file, imported in PLANTS.values():
        path = copy / file
        path.parent.mkdir(exist_ok=True)
        (path.parent / "__init__.py").touch()
        with path.open("a") as stream:
            stream.write(f"\nimport {imported}\n")
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    report = " ".join(done.stdout.split("Broken contracts")[1].split("\n"))
    starts = {name: report.find(name) for name in NAMES.values() if name in report}
    ends = sorted([*starts.values(), len(report)])
    return {
        name: report[start : next(end for end in ends if end > start)]
        for name, start in starts.items()
    }


@pytest.mark.parametrize("contract", NAMES)
def test_contract_fails_on_a_planted_import(contract: str, broken: dict[str, str]) -> None:
    file, imported = PLANTS[contract]
    planted = file.removesuffix(".py").replace("/", ".")
    assert NAMES[contract] in broken
    report = broken[NAMES[contract]]
    assert planted in report
    assert imported.split(".")[0] in report


def test_contract_fails_on_a_module_without_a_layer(tmp_path: Path) -> None:
    for package in PACKAGES:
        shutil.copytree(ROOT / package, tmp_path / package)
    shutil.copytree(ROOT / "tests" / "imports", tmp_path / "tests" / "imports")
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    (tmp_path / "steps" / "novelty.py").touch()
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "novelty" in done.stdout
