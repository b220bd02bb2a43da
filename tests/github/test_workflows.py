"""The workflows in .github call existing make targets on supported Pythons, and pass actionlint."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes import absent

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted(GITHUB.glob("workflows/*.yml"))


def actionlint() -> str:
    """Return the path of actionlint; without it the test is skipped, and fails in CI."""
    install = "make tools, or go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
    return shutil.which("actionlint") or absent(f"actionlint is not on the PATH: {install}")


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return loaded


def test_workflows_pass_actionlint() -> None:
    command = [actionlint(), "-no-color", *map(str, WORKFLOWS)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_an_error(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yml"
    broken.write_text(WORKFLOWS[0].read_text(encoding="utf-8").replace("runs-on", "runs-onn"))
    done = subprocess.run([actionlint(), broken], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "runs-onn" in done.stdout


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_make_targets_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", makefile, re.MULTILINE))
    steps = [step for job in load(path)["jobs"].values() for step in job["steps"]]
    runs = " ; ".join(step.get("run", "") for step in steps)
    called = re.findall(r"\bmake (?:--[\w-]+ )*([\w-]+)", runs)
    assert called
    assert set(called) <= targets


def test_oldest_and_newest_python_are_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    oldest, beyond = re.findall(r"3\.(\d+)", project["requires-python"])
    tested = load(GITHUB / "workflows/ci.yml")["jobs"]["test-python"]["strategy"]["matrix"]
    assert tested["python"] == [f"3.{oldest}", f"3.{int(beyond) - 1}"]


@pytest.mark.parametrize("path", sorted(GITHUB.glob("ISSUE_TEMPLATE/[!c]*.yml")), ids=str)
def test_issue_template_is_complete(path: Path) -> None:
    template = load(path)
    assert {"name", "description", "labels", "body"} == set(template)
    assert len({part["id"] for part in template["body"]}) == len(template["body"])


def test_dependabot_watches_folders_that_exist() -> None:
    for update in load(GITHUB / "dependabot.yml")["updates"]:
        for folder in update.get("directories") or [update["directory"]]:
            assert list(ROOT.glob(folder.strip("/") or "pyproject.toml"))
