"""A project on a stand-in for Google Cloud Storage."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pods.world import World
from tests.storage.conftest import gcs, gcs_endpoint

__all__ = ["gcs", "gcs_endpoint", "world"]


@pytest.fixture
def world(gcs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """An empty project."""
    return World(gcs, tmp_path, monkeypatch)
