"""The storage port: the same contract for every adapter."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from steps.errors import MissingInputError, OutputError, SpecError
from steps.storage.base import Storage, check_writable, storage_for

RACERS = 16
ODD_NAMES = [
    "plain",
    "with space",
    "a+b&c=d;e,f",
    "50%25?x#y",
    "quote'\"back\\slash",
    "[x]*~!(y)",
    "Größe-☃-中",
    ".hidden",
    "deep/er/and..deeper",
]


@pytest.fixture(params=["local", "gs"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return an empty root of each kind."""
    if request.param == "local":
        return str(tmp_path / "root")
    return f"{request.getfixturevalue('gcs')}/root"


@pytest.fixture
def storage(root: str) -> Storage:
    """Return the adapter of the root."""
    return storage_for(root)


class TestStorage:
    """The contract of every adapter."""

    @pytest.mark.parametrize("name", ODD_NAMES)
    def test_arbitrary_bytes_and_names(self, storage: Storage, root: str, name: str) -> None:
        content = bytes(range(256)) * 3
        storage.write(f"{root}/{name}", content)
        assert storage.exists(f"{root}/{name}")
        assert storage.read(f"{root}/{name}") == content
        assert storage.names(root) == [name.split("/", maxsplit=1)[0]]

    def test_empty_object_exists(self, storage: Storage, root: str) -> None:
        storage.write(f"{root}/empty", b"")
        assert storage.exists(f"{root}/empty")
        assert storage.read(f"{root}/empty") == b""

    def test_writing_replaces(self, storage: Storage, root: str) -> None:
        storage.write(f"{root}/x", b"a long first text")
        storage.write(f"{root}/x", b"second")
        assert storage.read(f"{root}/x") == b"second"

    def test_large_objects(self, storage: Storage, root: str, tmp_path: Path) -> None:
        content = os.urandom(1 << 20) * 20  # larger than one request of a client
        with storage.writer(f"{root}/streamed") as stream:
            stream.write(content[:100])
            stream.write(content[100:])
        storage.write(f"{root}/written", content)
        storage.download(f"{root}/streamed", tmp_path / "copy")
        assert storage.read(f"{root}/written") == content
        assert (tmp_path / "copy").read_bytes() == content

    def test_failed_writer_leaves_no_object(self, storage: Storage, root: str) -> None:
        def fail_half_way() -> None:
            with storage.writer(f"{root}/x") as stream:
                stream.write(b"half")
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail_half_way()
        assert not storage.exists(f"{root}/x")
        assert storage.names(root) == []
        storage.write(f"{root}/x", b"whole")
        with pytest.raises(ZeroDivisionError):
            fail_half_way()
        assert storage.read(f"{root}/x") == b"whole"

    def test_missing_objects(self, storage: Storage, root: str, tmp_path: Path) -> None:
        uri = f"{root}/gone"
        calls: list[Callable[[], object]] = [
            lambda: storage.read(uri),
            lambda: storage.version(uri),
            lambda: storage.download(uri, tmp_path / "copy"),
        ]
        for call in calls:
            with pytest.raises(
                MissingInputError, match=r"The (file|object) .*gone.* does not exist"
            ):
                call()
        assert not storage.exists(uri)
        assert not (tmp_path / "copy").exists()

    def test_ranges(self, storage: Storage, root: str) -> None:
        storage.write(f"{root}/x", bytes(range(100)))
        assert storage.read_range(f"{root}/x", 0, 3) == bytes(range(3))
        assert storage.read_range(f"{root}/x", 40, 10) == bytes(range(40, 50))
        assert storage.read_range(f"{root}/x", 95, 10) == bytes(range(95, 100))
        with pytest.raises(MissingInputError, match=r"gone.* does not exist"):
            storage.read_range(f"{root}/gone", 0, 3)

    def test_a_range_behind_the_end_is_empty(self, storage: Storage, root: str) -> None:
        storage.write(f"{root}/x", b"short")
        assert storage.read_range(f"{root}/x", 50, 10) == b""

    def test_objects_of_all_subfolders_with_size_and_time(
        self, storage: Storage, root: str
    ) -> None:
        before = time.time() - 5
        for name in ["b", "a/1", "a/2/deep", "ab"]:
            storage.write(f"{root}/folder/{name}", b"12345")
        storage.write(f"{root}/folders", b"")
        found = storage.objects(f"{root}/folder")
        assert [each.name for each in found] == ["a/1", "a/2/deep", "ab", "b"]
        assert {each.size for each in found} == {5}
        assert all(before < each.updated < time.time() + 5 for each in found)
        assert storage.objects(f"{root}/nowhere") == []

    def test_deleting_a_folder(self, storage: Storage, root: str) -> None:
        for name in ["folder/a", "folder/b/c", "folders"]:
            storage.write(f"{root}/{name}", b"")
        storage.delete_folder(f"{root}/folder")
        assert storage.names(root) == ["folders"]
        storage.delete_folder(f"{root}/folder")
        storage.delete_folder(f"{root}/folders")
        assert storage.names(root) == []

    def test_folder_is_not_an_object(self, storage: Storage, root: str) -> None:
        storage.write(f"{root}/folder/x", b"")
        assert not storage.exists(f"{root}/folder")

    def test_names_lists_direct_children(self, storage: Storage, root: str) -> None:
        for name in ["b", "a/1", "a/2/deep", "c/x", "ab"]:
            storage.write(f"{root}/{name}", b"")
        assert storage.names(root) == storage.names(f"{root}/") == ["a", "ab", "b", "c"]
        assert storage.names(f"{root}/a") == ["1", "2"]
        assert storage.names(f"{root}/nowhere") == []

    def test_names_of_many_objects(self, storage: Storage, root: str) -> None:
        wanted = [f"{n:04d}" for n in range(1200)]  # more than a page of a listing
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: storage.write(f"{root}/{name}/x", b""), wanted))
        assert storage.names(root) == wanted

    def test_deleting(self, storage: Storage, root: str) -> None:
        storage.write(f"{root}/x", b"")
        storage.delete(f"{root}/x")
        assert not storage.exists(f"{root}/x")
        storage.delete(f"{root}/x")

    def test_create_succeeds_only_once(self, storage: Storage, root: str) -> None:
        assert storage.create(f"{root}/x", b"first")
        assert not storage.create(f"{root}/x", b"second")
        assert storage.read(f"{root}/x") == b"first"
        storage.delete(f"{root}/x")
        assert storage.create(f"{root}/x", b"third")
        assert storage.names(root) == ["x"]

    def test_one_concurrent_create_succeeds(self, storage: Storage, root: str) -> None:
        for number in range(10):
            uri = f"{root}/{number}"

            def race(racer: int, uri: str = uri) -> bool:
                return storage.create(uri, b"%d" % racer)

            with ThreadPoolExecutor(RACERS) as pool:
                won = list(pool.map(race, range(RACERS)))
            assert sum(won) == 1
            assert storage.read(uri) == b"%d" % won.index(True)

    def test_each_write_has_a_new_version(self, storage: Storage, root: str) -> None:
        storage.write(f"{root}/x", b"same")
        first = storage.version(f"{root}/x")
        assert storage.version(f"{root}/x") == first
        storage.write(f"{root}/x", b"same")
        assert storage.version(f"{root}/x") != first

    def test_download_replaces(self, storage: Storage, root: str, tmp_path: Path) -> None:
        (tmp_path / "copy").write_bytes(b"something longer")
        storage.write(f"{root}/x", b"new")
        storage.download(f"{root}/x", tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == b"new"

    def test_write_check_leaves_no_trace(self, storage: Storage, root: str) -> None:
        check_writable(root)
        assert storage.names(root) == []

    def test_sweep_keeps_complete_objects(self, storage: Storage, root: str) -> None:
        storage.write(f"{root}/a/x", b"")
        storage.sweep(root)
        assert storage.names(f"{root}/a") == ["x"]

    @pytest.mark.parametrize("method", ["fork", "spawn"])
    def test_forked_process_shares_storage(self, storage: Storage, root: str, method: str) -> None:
        storage.write(f"{root}/x", b"1")
        with ProcessPoolExecutor(2, get_context(method)) as pool:
            list(pool.map(_copy, [root] * 3, ["0", "1", "2"]))
        assert storage.names(root) == ["0", "1", "2", "x"]


def _copy(root: str, name: str) -> None:
    storage = storage_for(root)
    storage.write(f"{root}/{name}", storage.read(f"{root}/x"))


def test_object_and_folder_of_the_same_name(gcs: str) -> None:
    storage = storage_for(gcs)
    storage.write(f"{gcs}/a", b"1")
    storage.write(f"{gcs}/a/b", b"2")
    assert storage.names(gcs) == ["a"]
    assert storage.read(f"{gcs}/a") == b"1"


def test_folder_marker_is_not_listed(gcs: str) -> None:
    storage = storage_for(gcs)
    storage.write(f"{gcs}/folder/", b"")  # like folders created in the web console
    assert storage.names(f"{gcs}/folder") == []
    assert storage.names(gcs) == ["folder"]


def test_read_only_local_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    storage = storage_for(str(tmp_path))
    for call in (storage.write, storage.create):
        with pytest.raises(OutputError, match="Cannot write"):
            call(f"{tmp_path}/file/x", b"")


def test_unknown_scheme() -> None:
    with pytest.raises(SpecError, match=r"s3:// is not supported.*\n.*gs://"):
        storage_for("s3://bucket/x")


def test_local_storage_imports_no_cloud_client(tmp_path: Path) -> None:
    code = (
        "import sys, steps.split.step, steps.stores.base; "
        "from steps.storage.base import storage_for; "
        "storage_for(sys.argv[1]).exists('x'); "
        "assert not {'google.cloud.storage', 'requests', 'steps.storage.gcs'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
