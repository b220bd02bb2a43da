"""conftest and kustomize, called as people and CI call them."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.fakes import absent

ROOT = Path(__file__).parents[2]
POLICY = ROOT / "manifests" / "policy"
OVERLAYS = sorted(path.parent for path in ROOT.glob("manifests/overlays/*/kustomization.yaml"))
INSTALLATION = ROOT / "tests" / "argo" / "installation.yaml"
_INSTALL = {
    "conftest": "go install github.com/open-policy-agent/conftest@v0.71.1",
    "kustomize": "go install sigs.k8s.io/kustomize/kustomize/v5@v5.8.2",
}


@dataclass(frozen=True, order=True)
class Refusal:
    """What conftest says against one object.

    Attributes:
        rule: its name.
        object: kind, namespace and name, or Terraform's address.
        field: the path in it.
        message: all of that, and what to do.
    """

    rule: str
    object: str
    field: str
    message: str


def tool(name: str) -> str:
    """Where a tool is; without it the test is skipped, and fails in CI."""
    return shutil.which(name) or absent(f"{name} is not on the PATH: {_INSTALL[name]}")


def run(name: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Runs a tool of this module."""
    return subprocess.run(
        [tool(name), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
    )


def refusals(
    things: Iterable[Any],
    installation: Path = INSTALLATION,
    policies: Sequence[Path] = (),
    data: Sequence[Path] = (),
) -> list[Refusal]:
    """What conftest has against objects, or against one plan, sorted.

    Raises:
        AssertionError: conftest itself failed, or looked at nothing.
    """
    given = [f"--policy={path}" for path in (POLICY, *policies)]
    given += [f"--data={path}" for path in (POLICY / "data", installation, *data)]
    text = yaml.safe_dump_all(things)
    done = run("conftest", "test", *given, "--strict", "--output=json", "-", stdin=text)
    assert done.stdout, done.stderr
    results = json.loads(done.stdout)
    assert results, "conftest looked at nothing"
    failures = [found for result in results for found in result.get("failures", [])]
    return sorted(_refusal(found["metadata"], found["msg"]) for found in failures)


def _refusal(about: dict[str, str], message: str) -> Refusal:
    return Refusal(about["rule"], about["object"], about["field"], message)


@cache
def overlay(path: Path) -> list[dict[str, Any]]:
    """The objects that an overlay makes; not to be changed, for it is built once."""
    done = run("kustomize", "build", str(path))
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))
