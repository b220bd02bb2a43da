"""Run conftest and kustomize."""

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
class Violation:
    """A violation that conftest reports.

    Attributes:
        rule: the name of the rule.
        object: the kind, namespace and name, or the Terraform address.
        field: the path in the object.
        message: the full message, with the remedy.
    """

    rule: str
    object: str
    field: str
    message: str


def tool(name: str) -> str:
    """Return the path of a tool. If it is missing, skip the test, or fail it in CI."""
    return shutil.which(name) or absent(f"{name} is not on the PATH: {_INSTALL[name]}")


def run(name: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a tool in the repository root."""
    return subprocess.run(
        [tool(name), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        cwd=ROOT,
    )


def violations(
    things: Iterable[Any],
    installation: Path = INSTALLATION,
    policies: Sequence[Path] = (),
    data: Sequence[Path] = (),
) -> list[Violation]:
    """Return conftest's violations for objects or a plan, sorted.

    Raises:
        AssertionError: if conftest fails or checks no input.
    """
    options = [f"--policy={path}" for path in (POLICY, *policies)]
    options += [f"--data={path}" for path in (POLICY / "data", installation, *data)]
    text = yaml.safe_dump_all(things)
    result = run("conftest", "test", *options, "--strict", "--output=json", "-", stdin=text)
    assert result.stdout, result.stderr
    results = json.loads(result.stdout)
    assert results, "conftest checked no input"
    failures = [each for checked in results for each in checked.get("failures", [])]
    return sorted(_violation(each["metadata"], each["msg"]) for each in failures)


def _violation(metadata: dict[str, str], message: str) -> Violation:
    return Violation(metadata["rule"], metadata["object"], metadata["field"], message)


@cache
def build_overlay(path: Path) -> list[dict[str, Any]]:
    """Return the objects of an overlay. The result is cached: do not modify it."""
    result = run("kustomize", "build", str(path))
    assert result.returncode == 0, result.stderr
    return list(yaml.safe_load_all(result.stdout))
