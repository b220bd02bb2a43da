"""Fixtures for tests against artifact roots that an older version wrote."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compat.make_roots import ROOTS, TABLE
from tests.pods.conftest import own_workers

__all__ = ["old_root", "own_workers"]


@pytest.fixture
def old_root(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that unpacks an archive of ``tests/compat/roots`` next to its source."""

    def unpack(name: str) -> Path:
        with tarfile.open(ROOTS / f"{name}.tar.xz") as tar:
            tar.extractall(tmp_path, filter="data")
        shutil.copy(TABLE, tmp_path)
        return tmp_path

    return unpack
