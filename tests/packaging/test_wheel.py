"""The wheel installs with each extra in a clean environment, so that hints to do so are true."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = Path(sys.executable).with_name("uv")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

IMPORTS = {
    "": ["refeed", "workflows.cli.app", "workflows.spec.load"],
    "argo": ["workflows.argo.compile", "workflows.cluster.kubernetes_api", "workflows.runs.submit"],
    "beam": ["steps.split.engines.beam.pipeline"],
    "bigquery": ["steps.google.bigquery.clients"],
    "collect": ["steps.collect.step"],
    "dataflow": ["steps.google.dataflow"],
    "ebm": ["containers.ebm.fitting", "steps.train.step"],
    "excel": ["python_calamine"],
    "firestore": ["steps.stores.firestore"],
    "gcs": ["steps.storage.gcs"],
    "google": ["steps.storage.gcs", "steps.stores.firestore", "steps.google.bigquery.clients"],
    "image-collect": ["workflows.pods.collect", "steps.split.coordination.cancel"],
    "image-split": ["workflows.pods.split"],
    "image-worker": ["steps.split.engines.beam.pipeline"],
    "lightgbm": ["containers.lightgbm.booster", "steps.train.step"],
    "linear": ["containers.linear.solvers", "steps.train.step"],
    "local": ["workflows.local", "workflows.api.run"],
    "split": ["steps.split.step", "steps.split.dataset.tfdv"],
    "train": ["steps.train.step"],
}
"""By extra: modules that it makes importable."""


def uv(*arguments: str | Path) -> None:
    done = subprocess.run(
        [UV, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--quiet", "--wheel", "--out-dir", folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def constraints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the locked versions: the test is about extras, not about new releases."""
    path = tmp_path_factory.mktemp("lock") / "constraints.txt"
    options = ("--frozen", "--all-extras", "--no-default-groups", "--no-emit-project")
    uv("export", "--quiet", *options, "--no-hashes", "-o", path)
    return path


def test_every_extra_is_tested() -> None:
    assert set(IMPORTS) == {"", *PROJECT["optional-dependencies"]}


@pytest.mark.slow
@pytest.mark.parametrize("extra", IMPORTS)
def test_extra_installs_what_it_promises(
    extra: str, wheel: Path, constraints: Path, tmp_path: Path
) -> None:
    python = tmp_path / "bin" / "python"
    uv("venv", "--quiet", "--python", sys.executable, tmp_path)
    package = f"refeed[{extra}] @ {wheel.as_uri()}" if extra else str(wheel)
    uv("pip", "install", "--quiet", "--python", python, "--constraint", constraints, package)
    code = "; ".join(f"import {module}" for module in IMPORTS[extra])
    done = subprocess.run(
        [python, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    program = [str(tmp_path / "bin" / "refeed"), "--version"]
    printed = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert printed.strip() == f"refeed {PROJECT['version']}"


def test_wheel_has_templates_and_style_sheets(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert "steps/collect/report/report.html.j2" in names
    assert {"steps/charts/charts.css", "steps/charts/palette.css"} <= names
    assert not [name for name in names if name.startswith("tests/")]
