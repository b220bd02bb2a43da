"""Segments: whole or absent, never doubled, and read with few requests."""

from __future__ import annotations

import io
import os
import time
import zipfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from steps.errors import DamagedError, MissingInputError, OutputError
from steps.segments import compaction
from steps.segments.archive import SegmentName, pack, read_footer
from steps.segments.compaction import GRACE_SECONDS, compact, long_replaced, rewrite, salvage
from steps.segments.reader import SegmentReader
from steps.segments.writer import SegmentWriter, write_segment
from steps.storage.base import Storage, storage_for
from steps.storage.local import LocalStorage


@pytest.fixture(params=["local", "gs"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Return an empty folder of segments on each kind of storage."""
    if request.param == "local":
        return str(tmp_path / "segments")
    return f"{request.getfixturevalue('gcs')}/segments"


@pytest.fixture
def storage(folder: str) -> Storage:
    return storage_for(folder)


def reader_of(storage: Storage, folder: str) -> SegmentReader:
    reader = SegmentReader(storage, folder)
    reader.refresh()
    return reader


def content_of(number: int) -> bytes:
    return f"{number} ".encode() * (number % 50 + 1)


def members_of(numbers: range) -> dict[str, bytes]:
    return {f"fit/{number}.json": content_of(number) for number in numbers}


def age(folder: str, seconds: float) -> None:
    """Make all segments of a local folder older."""
    for path in Path(folder).iterdir():
        then = path.stat().st_mtime - seconds
        os.utime(path, (then, then))


# --- format -----------------------------------------------------------------------------------


def test_any_zip_program_opens_a_segment() -> None:
    name, content = pack({"model/a.txt": b"tree", "fit/a.json": b"{}"})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["fit/a.json", "model/a.txt"]  # models last
    parsed = SegmentName.parse(name)
    assert parsed is not None
    assert (parsed.size, parsed.merged) == (len(content), False)


def test_equal_members_give_equal_segments_in_any_order() -> None:
    members = members_of(range(20))
    assert pack(members) == pack(dict(reversed(members.items())))


def test_other_files_in_the_folder_are_ignored(storage: Storage, folder: str) -> None:
    storage.write(f"{folder}/notes.txt", b"mine")
    storage.write(f"{folder}/{'0' * 32}-5.zip", b"mine!")
    write_segment(storage, folder, members_of(range(2)))
    reader = reader_of(storage, folder)
    assert sorted(reader) == ["fit/0.json", "fit/1.json"]
    assert not reader.damaged


# --- reading ----------------------------------------------------------------------------------


class Counting(LocalStorage):
    """Local storage that counts reads, and can lose a page of a listing."""

    def __init__(self) -> None:
        self.reads: Counter[str] = Counter()
        self.hidden: set[str] = set()

    def read_range(self, uri: str, start: int, length: int) -> bytes:
        """See ``Storage.read_range``."""
        self.reads[uri.rpartition("/")[2]] += 1
        return super().read_range(uri, start, length)

    def names(self, uri: str) -> list[str]:
        """See ``Storage.names``."""
        return [name for name in super().names(uri) if name not in self.hidden]


def test_members_are_read_back_with_one_request_per_segment(tmp_path: Path) -> None:
    storage, folder = Counting(), str(tmp_path)
    for start in (0, 100, 200):
        write_segment(storage, folder, members_of(range(start, start + 100)))
    reader = reader_of(storage, folder)
    assert set(storage.reads.values()) == {1}  # the indexes
    wanted = members_of(range(300))
    assert reader.read_many(wanted) == wanted
    assert set(storage.reads.values()) == {2}
    reader.refresh()
    assert set(storage.reads.values()) == {2}  # an index is read once


def test_collect_reads_one_range_though_models_are_stored_too(tmp_path: Path) -> None:
    storage, folder = Counting(), str(tmp_path)
    models = {f"model/{number}.txt": os.urandom(100_000) for number in range(10)}
    write_segment(storage, folder, models | members_of(range(10)))
    reader = reader_of(storage, folder)
    assert reader.read_many(members_of(range(10))) == members_of(range(10))
    assert set(storage.reads.values()) == {2}


def test_a_missing_member_is_absent_or_an_error(storage: Storage, folder: str) -> None:
    write_segment(storage, folder, members_of(range(2)))
    reader = reader_of(storage, folder)
    assert reader.read_many(["fit/0.json", "fit/9.json"]) == {"fit/0.json": content_of(0)}
    with pytest.raises(MissingInputError, match=r"No segment in .* has 'fit/9.json'"):
        reader.read("fit/9.json")


def test_a_lost_page_of_the_list_hides_members_until_the_next_look(tmp_path: Path) -> None:
    storage, folder = Counting(), str(tmp_path)
    write_segment(storage, folder, members_of(range(5)))
    storage.hidden = set(storage.names(folder))
    write_segment(storage, folder, members_of(range(5, 10)))
    reader = reader_of(storage, folder)
    assert "fit/0.json" not in reader
    storage.hidden = set()
    assert reader.read_many(members_of(range(10))) == members_of(range(10))


# --- damage -----------------------------------------------------------------------------------


def only_segment(storage: Storage, folder: str) -> str:
    (name,) = storage.names(folder)
    return f"{folder}/{name}"


def flip(storage: Storage, uri: str, position: int) -> None:
    content = bytearray(storage.read(uri))
    content[position] ^= 0xFF
    storage.write(uri, bytes(content))


@pytest.mark.parametrize("size", [0, 1, 40, -1])
def test_a_torn_segment_counts_as_absent_and_can_be_written_again(
    storage: Storage, folder: str, size: int
) -> None:
    write_segment(storage, folder, members_of(range(5)))
    uri = only_segment(storage, folder)
    storage.write(uri, storage.read(uri)[:size])
    reader = reader_of(storage, folder)
    assert not list(reader)
    assert reader.damaged == {uri.rpartition("/")[2]}
    salvage(storage, reader, *reader.damaged)
    write_segment(storage, folder, members_of(range(5)))
    assert sorted(reader_of(storage, folder)) == sorted(members_of(range(5)))


def test_a_changed_byte_is_noticed_and_the_other_members_are_salvaged(
    storage: Storage, folder: str
) -> None:
    write_segment(storage, folder, members_of(range(20)))
    reader = reader_of(storage, folder)
    uri = only_segment(storage, folder)
    place = reader.segments[uri.rpartition("/")[2]].members["fit/7.json"]
    flip(storage, uri, place.start + 1)
    wanted = members_of(range(20))
    found = reader.read_many(wanted)
    assert found == {name: each for name, each in wanted.items() if name != "fit/7.json"}
    with pytest.raises(DamagedError):
        reader.read("fit/7.json")
    salvage(storage, reader, *reader.damaged)
    again = reader_of(storage, folder)
    assert set(again) == set(found)
    assert not again.damaged
    assert not storage.exists(uri)


# --- writing ----------------------------------------------------------------------------------


def test_two_writers_of_equal_members_store_them_once(storage: Storage, folder: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: write_segment(storage, folder, members_of(range(9))), range(8)))
    assert len(storage.names(folder)) == 1
    assert reader_of(storage, folder).read_many(members_of(range(9))) == members_of(range(9))


def test_two_writers_may_store_a_member_twice(storage: Storage, folder: str) -> None:
    write_segment(storage, folder, members_of(range(6)))
    write_segment(storage, folder, members_of(range(3, 9)))
    reader = reader_of(storage, folder)
    assert reader.read_many(members_of(range(9))) == members_of(range(9))


def test_writer_stores_in_time_and_says_what_is_durable(tmp_path: Path) -> None:
    storage, folder = LocalStorage(), str(tmp_path)
    with SegmentWriter(storage, folder, seconds=0.2) as writer:
        writer.put(members_of(range(1)), "first")
        assert writer.tick() == []
        time.sleep(0.25)
        assert writer.tick() == []  # an upload has begun
        end = time.monotonic() + 5
        stored: list[str] = []
        while not stored and time.monotonic() < end:
            stored = writer.tick()
        assert stored == ["first"]
        assert "fit/0.json" in reader_of(storage, folder)
        writer.put(members_of(range(1, 2)), "second")
    assert sorted(reader_of(storage, folder)) == ["fit/0.json", "fit/1.json"]


def test_writer_stores_what_it_has_when_the_block_fails(tmp_path: Path) -> None:
    def fail() -> None:
        with SegmentWriter(LocalStorage(), str(tmp_path)) as writer:
            writer.put(members_of(range(3)))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert len(list(reader_of(LocalStorage(), str(tmp_path)))) == 3


def test_writer_reports_a_full_disk(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")  # a file where the folder should be
    writer = SegmentWriter(LocalStorage(), str(blocked))
    writer.put(members_of(range(3)))
    with pytest.raises(OutputError, match="Cannot write"):
        writer.flush()


# --- merging ----------------------------------------------------------------------------------


def test_many_small_segments_become_one_and_old_ones_stay_for_a_while(tmp_path: Path) -> None:
    storage, folder = LocalStorage(), str(tmp_path)
    for number in range(10):
        write_segment(storage, folder, members_of(range(number, number + 1)))
    before = set(storage.names(folder))
    compact(storage, reader_of(storage, folder))
    (merged,) = set(storage.names(folder)) - before
    assert merged.startswith("merged-")
    reader = reader_of(storage, folder)
    assert list(reader.segments) == [merged]  # readers need one index only
    assert reader.read_many(members_of(range(10))) == members_of(range(10))
    compact(storage, reader_of(storage, folder))
    assert before < set(storage.names(folder))
    age(folder, GRACE_SECONDS + 60)
    compact(storage, reader_of(storage, folder))
    assert storage.names(folder) == [merged]
    assert reader_of(storage, folder).read_many(members_of(range(10))) == members_of(range(10))


def test_few_segments_are_left_alone(tmp_path: Path) -> None:
    storage, folder = LocalStorage(), str(tmp_path)
    for number in range(7):
        write_segment(storage, folder, members_of(range(number, number + 1)))
    before = storage.names(folder)
    compact(storage, reader_of(storage, folder))
    assert storage.names(folder) == before


def test_merging_merged_segments_does_not_bring_replaced_ones_back(tmp_path: Path) -> None:
    storage, folder = LocalStorage(), str(tmp_path)
    for wave in range(8):
        for number in range(8):
            write_segment(
                storage, folder, members_of(range(wave * 8 + number, wave * 8 + number + 1))
            )
        compact(storage, reader_of(storage, folder))
    reader = reader_of(storage, folder)
    assert reader.read_many(members_of(range(64))) == members_of(range(64))
    assert len(reader.segments) < 16
    age(folder, GRACE_SECONDS + 60)
    compact(storage, reader_of(storage, folder))
    left = set(storage.names(folder))
    assert left == {
        name for name in reader_of(storage, folder).segments if name not in reader.replaced
    }
    assert set(reader_of(storage, folder)) == set(members_of(range(64)))


def test_a_reader_finds_all_members_while_they_are_merged_and_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even without any grace period: a segment that is gone means to look again."""
    monkeypatch.setattr(compaction, "GRACE_SECONDS", 0.0)
    storage, folder = LocalStorage(), str(tmp_path)
    for number in range(10):
        write_segment(storage, folder, members_of(range(number * 5, number * 5 + 5)))
    reader = reader_of(storage, folder)
    compact(storage, reader_of(storage, folder))
    for name in long_replaced(storage, reader_of(storage, folder), grace=-1):
        storage.delete(f"{folder}/{name}")
    assert len(storage.names(folder)) == 1
    assert reader.read_many(members_of(range(50))) == members_of(range(50))


def test_left_out_members_are_gone_and_all_others_stay(storage: Storage, folder: str) -> None:
    write_segment(storage, folder, members_of(range(10)))
    write_segment(storage, folder, members_of(range(10, 20)))
    reader = reader_of(storage, folder)
    rewrite(storage, reader, list(reader.segments), {"fit/3.json", "fit/13.json"})
    again = reader_of(storage, folder)
    assert set(again) == set(members_of(range(20))) - {"fit/3.json", "fit/13.json"}


class Killed(LocalStorage):
    """Local storage whose process is killed at its n-th write or deletion."""

    def __init__(self, step: int) -> None:
        self._steps = iter(range(step))

    def create(self, uri: str, content: bytes) -> bool:
        """See ``Storage.create``."""
        self._count()
        return super().create(uri, content)

    def delete(self, uri: str) -> None:
        """See ``Storage.delete``."""
        self._count()
        super().delete(uri)

    def _count(self) -> None:
        if next(self._steps, None) is None:
            raise KeyboardInterrupt


@pytest.mark.parametrize("step", range(12))
def test_merging_that_is_killed_at_any_step_loses_nothing(tmp_path: Path, step: int) -> None:
    folder = str(tmp_path)
    for number in range(10):
        write_segment(LocalStorage(), folder, members_of(range(number, number + 1)))
    compact(LocalStorage(), reader_of(LocalStorage(), folder))
    age(folder, GRACE_SECONDS + 60)
    for number in range(10, 20):
        write_segment(LocalStorage(), folder, members_of(range(number, number + 1)))
    with suppress(KeyboardInterrupt):
        compact(Killed(step), reader_of(LocalStorage(), folder))
    reader = reader_of(LocalStorage(), folder)
    assert reader.read_many(members_of(range(20))) == members_of(range(20))


def test_groups_are_bounded_in_number_and_size() -> None:
    """The list of replaced segments has to fit into the comment of an archive: 65,535 bytes."""
    many = [
        SegmentName(f"{number:032x}-1000-100.zip", 1000, 100, merged=False)
        for number in range(1200)
    ]
    assert [len(group) for group in compaction.groups(many)] == [500, 500, 200]
    large = [
        SegmentName(f"{number:032x}-1-1.zip", 40 << 20, 1, merged=False) for number in range(3)
    ]
    assert [len(group) for group in compaction.groups(large)] == [1, 1, 1]
    names = [f"merged-{number:032x}-12345678-1234567.zip" for number in range(1000)]
    name, content = pack({"fit/a.json": b"{}"}, names)
    parsed = SegmentName.parse(name)
    assert parsed is not None
    assert len(read_footer(parsed, "uri", content[-parsed.footer :]).replaces) == 1000
