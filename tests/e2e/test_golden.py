"""Argo's own linter and the API server accept every golden file."""

from __future__ import annotations

import subprocess

import pytest

from tests.argo.cases import CASES, GOLDEN, Case
from tests.e2e.kubectl import apply_local, needs_cluster, run_kubectl

pytestmark = needs_cluster


@pytest.fixture(scope="module")
def projects() -> None:
    apply_local()


def lint(*paths: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["argo", "lint", "--offline", "--no-color", *paths],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_argo_lint_passes(case: Case) -> None:
    paths = [str(case.path)]
    if case.kind == "cron-workflow":  # which is linted together with what it starts
        paths.append(str(GOLDEN / "plain.yaml"))
    output = lint(*paths)
    assert output.returncode == 0, output.stdout + output.stderr
    assert "no linting errors found" in output.stdout


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_api_server_accepts_golden_files(case: Case, projects: None) -> None:
    verb = "create" if case.kind == "workflow" else "apply"  # the first has no name yet
    output = run_kubectl(verb, "--dry-run=server", "-f", str(case.path))
    assert output.strip().endswith("(server dry run)")
