"""Check that every module and environment is formatted and valid and passes its tests."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.terraform.tools import EXAMPLE, ROOTS, TERRAFORM, Result, Workspace, error_of

TestResults = dict[str, Future[Result]]
every_root = pytest.mark.parametrize("root", ROOTS)


@pytest.fixture(scope="module")
def test_results(request: pytest.FixtureRequest, workspace: Workspace) -> Iterator[TestResults]:
    """Run the tests of the selected roots, two at a time."""
    selected = [getattr(item, "callspec", None) for item in request.session.items]
    roots = sorted({each.params["root"] for each in selected if each and "root" in each.params})
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {root: pool.submit(workspace.terraform, root, "test") for root in roots}
        pool.shutdown(cancel_futures=True)


def test_each_concern_has_a_module() -> None:
    names = "network cluster node-pools registry storage bigquery firestore dataflow identities"
    modules = {f"modules/{name}" for name in [*names.split(), "observability"]}
    assert set(ROOTS) == modules | {EXAMPLE}


def test_terraform_is_formatted(workspace: Workspace) -> None:
    result = workspace.terraform(".", "fmt", "-check", "-recursive")
    assert (result.returncode, result.stdout) == (0, ""), error_of(result)


@every_root
def test_root_is_valid(workspace: Workspace, root: str) -> None:
    result = workspace.terraform(root, "validate")
    assert result.returncode == 0, error_of(result)
    assert "Warning" not in result.stdout


@every_root
def test_root_tests_pass(test_results: TestResults, root: str) -> None:
    result = test_results[root].result()
    files = (TERRAFORM / root / "tests").glob("*.tftest.hcl")
    runs = sum(len(re.findall(r'(?m)^run "', each.read_text())) for each in files)
    assert f"{runs} passed, 0 failed" in result.stdout, error_of(result)
    assert runs >= 5


def test_tflint_passes(workspace: Workspace) -> None:
    result = workspace.tflint()
    assert (result.returncode, result.stdout.strip()) == (0, ""), error_of(result)
