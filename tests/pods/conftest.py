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
    """A server of workers keeps the environment in which it began; a real pod has one of its own.

    So none is taken over from other tests, whose storage is not ours, and none is left to them.
    """
    stop: Callable[[], None] = forkserver._forkserver._stop  # type: ignore[attr-defined]
    stop()
    yield
    stop()


@pytest.fixture
def world(gcs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeProject:
    """An empty project."""
    return FakeProject(gcs, tmp_path, monkeypatch)
