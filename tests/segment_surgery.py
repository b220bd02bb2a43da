"""Looks into segments, and loses or damages single members, as lost objects and bad disks do."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from steps.contract import RunAddress, join
from steps.records import RunRequest
from steps.segments.archive import pack
from steps.segments.reader import SegmentReader
from steps.segments.run_results import RunResults
from steps.storage.base import Storage, read_parsed, storage_for


def readers(storage: Storage, root: str) -> Iterator[SegmentReader]:
    """Yield a reader of each folder of segments anywhere below a root."""
    names = (each.name for each in storage.objects(root) if "/segments/" in f"/{each.name}")
    for folder in sorted({name.rpartition("/")[0] for name in names}):
        reader = SegmentReader(storage, join(root, folder))
        reader.refresh()
        yield reader


def member_names(root: str, pattern: str = "*") -> list[str]:
    """Return the sorted names of all stored members that match a pattern."""
    found = (name for reader in readers(storage_for(root), root) for name in reader)
    return sorted(name for name in found if fnmatchcase(name, pattern))


def read_members(root: str, pattern: str) -> dict[str, bytes]:
    """Return all stored members that match a pattern."""
    contents: dict[str, bytes] = {}
    for reader in readers(storage_for(root), root):
        contents |= reader.read_many(name for name in reader if fnmatchcase(name, pattern))
    return contents


def delete_member(root: str, pattern: str) -> None:
    """Remove the first member that matches; the others of its segment stay."""
    storage = storage_for(root)
    reader, segment, member = _first(storage, root, pattern)
    others = reader.segments[segment].members.keys() - {member}
    contents = reader.read_many(others)
    storage.delete(reader.uri(segment))
    if contents:
        name, content = pack(contents)
        storage.write(reader.uri(name), content)


def damage_member(root: str, pattern: str) -> None:
    """Change a byte of the first member that matches."""
    storage = storage_for(root)
    reader, segment, member = _first(storage, root, pattern)
    place = reader.segments[segment].members[member]
    content = bytearray(storage.read(reader.uri(segment)))
    content[place.start + place.length // 2] ^= 0xFF
    storage.write(reader.uri(segment), bytes(content))


def results_of(address: RunAddress) -> RunResults:
    """Return the results of a run."""
    storage = storage_for(address.root)
    request = read_parsed(storage, address.run_layout.request, RunRequest.from_json)
    return RunResults.open(storage, address, request)


def _first(storage: Storage, root: str, pattern: str) -> tuple[SegmentReader, str, str]:
    for reader in readers(storage, root):
        for segment, footer in sorted(reader.segments.items()):
            for member in sorted(footer.members):
                if fnmatchcase(member, pattern):
                    return reader, segment, member
    raise LookupError(f"no member matches {pattern!r}")
