"""Fixtures for tests against artifact roots that an older version wrote."""

from __future__ import annotations

import importlib.metadata
import shutil
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from refeed import __version__
from tests.compat.make_roots import ROOTS, TABLE
from tests.pods.conftest import own_workers
from workflows.plan import trainer_facts

__all__ = ["old_root", "own_workers", "pretend"]

Pretend = Callable[[Mapping[str, str]], bool]


@pytest.fixture
def old_root(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that unpacks an archive of ``tests/compat/roots`` next to its source."""

    def unpack(name: str) -> Path:
        with tarfile.open(ROOTS / f"{name}.tar.xz") as tar:
            tar.extractall(tmp_path, filter="data")
        shutil.copy(TABLE, tmp_path)
        return tmp_path

    return unpack


@pytest.fixture
def pretend() -> Iterator[Pretend]:
    """Return a function that makes the recorded versions appear to be the installed ones.

    Cache keys contain the versions of Refeed and of the libraries, so without it every update of
    the lock file would turn old roots into cold caches. The function returns whether these are the
    installed versions anyway: then new digits equal old ones.
    """
    home = trainer_facts.__globals__
    assert {"library_versions", "__version__"} <= home.keys(), "patch them where they are used now"
    with pytest.MonkeyPatch.context() as patch:

        def apply(recorded: Mapping[str, str]) -> bool:
            libraries = {name: value for name, value in recorded.items() if name != "refeed"}
            patch.setitem(home, "library_versions", lambda _: libraries)
            patch.setitem(home, "__version__", recorded["refeed"])
            installed = {name: importlib.metadata.version(name) for name in libraries}
            return installed | {"refeed": __version__} == recorded

        yield apply
