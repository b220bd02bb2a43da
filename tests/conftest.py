"""What all tests share."""

from __future__ import annotations

import importlib.metadata
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from steps.train.workers.host import portable_cpu_env
from tests.tables import Tables, differences
from tests.workspace import Workspace

os.environ["COLUMNS"] = "120"
# No test depends on how fast the machine is.
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")
# A server of workers that a test starts by itself is taken over by runs of others.
os.environ.update(portable_cpu_env())
# A shell starts what runs in its background with Ctrl-C ignored, and processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
FAULTY = Path(__file__).parent / "faulty"


_LONGEST = (
    *("e2e/test_runs.py", "e2e/test_failures.py", "e2e/test_startup.py", "e2e/test_google.py"),
    *("semantics/test_services.py", "split/test_shared_job.py", "fuzz/test_random_tables.py"),
    *("docs/test_documented_commands.py", "split/test_dataflow.py"),
    *("sources/test_bigquery_snapshots.py", "cli/test_commands.py", "semantics/test_kill.py"),
    *("test_examples.py", "fuzz/test_random_specs.py", "packaging/test_wheel.py"),
)
"""Files whose tests take longest, the longest first. A worker takes a file at a time, so a long one
must not be the last. pytest ignores files among its arguments that are in a folder among them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first."""
    ranks = {Path(__file__).parent / name: rank for rank, name in enumerate(_LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say of tables that should be equal which are not, and from which line on."""
    if op == "==" and isinstance(left, Tables) and isinstance(right, Tables):
        return ["tables differ:", *differences(left, right)]
    return None


@pytest.fixture
def lab(tmp_path: Path) -> Workspace:
    """A fresh folder."""
    return Workspace(tmp_path)


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, str]]:
    """Makes the faulty trainer visible as an installed plug-in; returns the environment for it."""
    if "faulty" not in {p.name for p in importlib.metadata.entry_points(group="refeed.trainers")}:
        monkeypatch.syspath_prepend(str(FAULTY))

    def environment() -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(FAULTY)}

    monkeypatch.setenv("PYTHONPATH", str(FAULTY))
    return environment
