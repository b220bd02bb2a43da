"""A project on an emulator of Google Cloud Storage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest

from tests.pods.fake_project import FakeProject
from tests.storage.conftest import firestore, firestore_address, gcs, gcs_endpoint

__all__ = [
    "firestore",
    "firestore_address",
    "gcs",
    "gcs_endpoint",
    "own_workers",
    "world",
]


@pytest.fixture(scope="module", autouse=True)
def own_workers() -> Iterator[None]:
    """Stop the fork server before and after each module, since it keeps its first environment.

    Other modules use another storage.
    """
    stop: Callable[[], None] = forkserver._forkserver._stop  # type: ignore[attr-defined]
    stop()
    yield
    stop()


@pytest.fixture
def world(gcs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProject:
    """An empty project."""
    return FakeProject(gcs, tmp_path, monkeypatch)
