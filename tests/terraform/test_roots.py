"""Every module and environment: formatted, valid, and its own tests pass."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from tests.terraform.tools import EXAMPLE, ROOTS, TERRAFORM, Done, Workspace, last_words

Tested = dict[str, Future[Done]]
every_root = pytest.mark.parametrize("root", ROOTS)


@pytest.fixture(scope="module")
def tested(request: pytest.FixtureRequest, workspace: Workspace) -> Iterator[Tested]:
    """Tests of the roots that are asked for, two at a time."""
    asked = [getattr(item, "callspec", None) for item in request.session.items]
    roots = sorted({each.params["root"] for each in asked if each and "root" in each.params})
    with ThreadPoolExecutor(max_workers=2) as pool:
        yield {root: pool.submit(workspace.terraform, root, "test") for root in roots}
        pool.shutdown(cancel_futures=True)


def test_there_is_a_root_for_each_concern() -> None:
    concerns = "network cluster node-pools registry storage bigquery firestore dataflow identities"
    modules = {f"modules/{name}" for name in [*concerns.split(), "observability"]}
    assert set(ROOTS) == modules | {EXAMPLE}


def test_all_is_formatted(workspace: Workspace) -> None:
    done = workspace.terraform(".", "fmt", "-check", "-recursive")
    assert (done.returncode, done.stdout) == (0, ""), last_words(done)


@every_root
def test_a_root_is_valid(workspace: Workspace, root: str) -> None:
    done = workspace.terraform(root, "validate")
    assert done.returncode == 0, last_words(done)
    assert "Warning" not in done.stdout


@every_root
def test_the_tests_of_a_root_pass(tested: Tested, root: str) -> None:
    done = tested[root].result()
    files = (TERRAFORM / root / "tests").glob("*.tftest.hcl")
    runs = sum(len(re.findall(r'(?m)^run "', each.read_text())) for each in files)
    assert f"{runs} passed, 0 failed" in done.stdout, last_words(done)
    assert runs >= 5


def test_tflint_finds_nothing(workspace: Workspace) -> None:
    done = workspace.tflint()
    assert (done.returncode, done.stdout.strip()) == (0, ""), last_words(done)
