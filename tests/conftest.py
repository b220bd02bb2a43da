"""What all tests share."""

from __future__ import annotations

import importlib.metadata
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.lab import Lab

os.environ["COLUMNS"] = "120"
# A shell starts what runs in its background with Ctrl-C ignored, and processes inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
FAULTY = Path(__file__).parent / "faulty"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A fresh folder."""
    return Lab(tmp_path)


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, str]]:
    """Makes the faulty trainer visible as an installed plug-in; returns the environment for it."""
    if "faulty" not in {p.name for p in importlib.metadata.entry_points(group="refeed.trainers")}:
        monkeypatch.syspath_prepend(str(FAULTY))

    def environment() -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(FAULTY)}

    monkeypatch.setenv("PYTHONPATH", str(FAULTY))
    return environment
