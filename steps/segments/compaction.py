"""Merges small segments, and drops members that nobody needs.

The new segment is written first, and the old ones are deleted after a grace period, so that every
reader finds each member at any time.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from steps.contract import join
from steps.segments.archive import SegmentName, pack
from steps.segments.reader import SegmentReader
from steps.storage.base import Storage

GRACE_SECONDS = 8 * 24 * 3600.0
"""How long a replaced segment is kept: longer than a run may take."""
_ENOUGH = 8
"""Small segments in a folder that are worth merging: each costs every reader a request."""
_SMALL = 8 * 1024 * 1024
_LARGEST = 64 * 1024 * 1024
_MOST = 500
"""Segments merged into one; their names must fit into the comment of an archive."""


def compact(storage: Storage, reader: SegmentReader) -> None:
    """Merge the small segments of a folder if there are many, and delete long replaced ones."""
    for name in long_replaced(storage, reader):
        storage.delete(reader.uri(name))
    small = [each for each in map(SegmentName.parse, reader.segments) if each and _is_small(each)]
    live = [each for each in small if each.text not in reader.replaced]
    if len(live) < _ENOUGH:
        return
    for group in groups(live):
        if len(group) > 1:
            rewrite(storage, reader, group)


def rewrite(
    storage: Storage,
    reader: SegmentReader,
    segments: list[str],
    leave_out: AbstractSet[str] = frozenset(),
) -> str | None:
    """Write the members of some segments as one segment, and return its name.

    It replaces them for every reader from now on. The caller deletes them, now or later.

    Args:
        storage: storage of the segments.
        reader: reader of their folder.
        segments: names of the segments.
        leave_out: names of members that nobody needs.
    """
    footers = [reader.segments[name] for name in segments]
    names = {name for footer in footers for name in footer.members}
    members = reader.read_many(names - leave_out)
    if not members:
        return None
    # Segments that these had replaced may still exist, and must not come back.
    earlier = {name for footer in footers for name in footer.replaces}
    listed = _listed(storage, reader.folder, earlier)[: 2 * _MOST - len(segments)]
    text, content = pack(members, [*segments, *listed])
    storage.create(join(reader.folder, text), content)
    return text


def salvage(storage: Storage, reader: SegmentReader, segment: str) -> None:
    """Write the readable members of a damaged segment again, then delete it.

    Members that cannot be read are gone, and are computed again when they are needed.
    """
    footer = reader.segments.get(segment)
    if footer is not None:
        members = reader.read_many(footer.members)
        if members:
            text, content = pack(members, sorted(footer.replaces))
            storage.create(join(reader.folder, text), content)
    storage.delete(reader.uri(segment))


def long_replaced(
    storage: Storage, reader: SegmentReader, grace: float = GRACE_SECONDS
) -> list[str]:
    """Return names of segments that were replaced longer ago than the grace period.

    Args:
        storage: storage of the segments.
        reader: reader of their folder.
        grace: in seconds.
    """
    if not reader.replaced:
        return []
    written = {each.name: each.updated for each in storage.objects(reader.folder)}
    limit = time.time() - grace
    replaced = {
        name
        for segment, footer in reader.segments.items()
        for name in footer.replaces
        if written.get(segment, limit) < limit
    }
    return sorted(replaced & written.keys())


def _is_small(segment: SegmentName) -> bool:
    return segment.size < _SMALL


def _listed(storage: Storage, folder: str, names: Iterable[str]) -> list[str]:
    wanted = set(names)
    return [name for name in storage.names(folder) if name in wanted] if wanted else []


def groups(segments: Iterable[SegmentName]) -> Iterator[list[str]]:
    """Yield groups of segments that are small enough to be written as one each."""
    group: list[str] = []
    size = 0
    for each in sorted(segments, key=lambda each: each.text):
        if group and (size + each.size > _LARGEST or len(group) == _MOST):
            yield group
            group, size = [], 0
        group.append(each.text)
        size += each.size
    if group:
        yield group
