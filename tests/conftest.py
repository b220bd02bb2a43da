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
