"""Fixtures for tests against artifact roots that an older version wrote."""

from __future__ import annotations

import importlib.metadata
import shutil
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from refeed import __version__
from tests.compat.make_roots import ROOTS, TABLE
from tests.pods.conftest import own_workers
from workflows.planning.run_request import trainer_info

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
def pretend(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Pretend:
    """Return a function that makes the recorded versions appear to be the installed ones.

    Cache keys contain the versions of Refeed and of the libraries, and a worker refuses others than
    its run was begun with. So without it, every update of the lock file would fail these tests. The
    function returns whether these are the installed versions anyway: then digits are the same too.
    """

    def apply(recorded: Mapping[str, str]) -> bool:
        libraries = {name: text for name, text in recorded.items() if name != "refeed"}
        installed = {name: importlib.metadata.version(name) for name in libraries}
        found = tmp_path_factory.mktemp("distributions")  # first on the path, for workers as well
        for name, text in libraries.items():
            folder = found / f"{name.replace('-', '_')}-{text}.dist-info"
            folder.mkdir()
            (folder / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {name}\nVersion: {text}\n"
            )
        monkeypatch.syspath_prepend(str(found))
        home = trainer_info.__globals__
        assert home["__version__"] == __version__, "patch it where a run takes it from"
        monkeypatch.setitem(home, "__version__", recorded["refeed"])
        return {**installed, "refeed": __version__} == recorded

    return apply
