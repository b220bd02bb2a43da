"""Reads members of all segments of a folder, with few requests."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from steps.contract import join
from steps.errors import DamagedError, MissingInputError
from steps.runtime.parallel import REQUESTS, map_ordered
from steps.segments.archive import Footer, Place, SegmentName, read_footer, unpack
from steps.storage.base import Storage

Item = TypeVar("Item")
Result = TypeVar("Result")

_GAP = 64 * 1024
"""Members with fewer bytes between them are read in one request: that is faster than a second."""
_LONGEST_RANGE = 16 * 1024 * 1024
"""Bytes of one request, at most, unless a single member is larger."""


class SegmentReader:
    """The members of all segments of a folder.

    It holds a snapshot of the list of segments. If a segment is gone, because it was merged into
    another one, the reader looks again, and a member that is in no segment does not exist.

    Args:
        storage: storage of the folder.
        folder: URI of the folder.

    Attributes:
        damaged: names of segments that cannot be read, or not completely.
    """

    def __init__(self, storage: Storage, folder: str) -> None:
        self._storage, self.folder = storage, folder
        self._footers: dict[str, Footer] = {}
        self._members: dict[str, Place] = {}
        self.damaged: set[str] = set()
        self._lock = threading.Lock()  # readers in several threads may look again at once

    @property
    def segments(self) -> dict[str, Footer]:
        """The index of each segment by name."""
        return self._footers

    def refresh(self) -> None:
        """List the folder again, and read the index of each new segment."""
        with self._lock:
            self._refresh()

    def _refresh(self) -> None:
        listed = [SegmentName.parse(name) for name in self._storage.names(self.folder)]
        names = {each.text: each for each in listed if each is not None}
        for gone in self._footers.keys() - names.keys():
            del self._footers[gone]
        new = [each for each in names.values() if each.text not in self._footers]
        self._read_footers([each for each in new if each.merged])
        replaced = self.replaced
        self._read_footers([each for each in new if not each.merged and each.text not in replaced])
        self._members = {
            name: place
            for footer in self._footers.values()
            for name, place in footer.members.items()
        }

    @property
    def replaced(self) -> frozenset[str]:
        """Names of segments that merged segments replace."""
        return frozenset().union(*(footer.replaces for footer in self._footers.values()))

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def size(self, name: str) -> int:
        """Return the bytes that a member takes in its segment."""
        return self._members[name].length

    def read(self, name: str) -> bytes:
        """Return the content of a member.

        Raises:
            MissingInputError: there is none.
            DamagedError: its bytes were changed.
        """
        found = self.read_many([name])
        if name in found:
            return found[name]
        place = self._members.get(name)
        uri = self.uri(place.segment) if place else join(self.folder, name)
        if place is not None:
            raise DamagedError(uri, f"{name} cannot be read")
        raise MissingInputError(f"No segment in {self.folder!r} has {name!r}.", uri=uri)

    def read_many(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the contents of members, without those that are missing or damaged.

        Segments with damaged members are added to ``damaged``.
        """
        wanted = set(names)
        found = self._read_present(wanted)
        if found.keys() < wanted:  # segments may have been merged since they were listed
            self.refresh()
            found |= self._read_present(wanted - found.keys())
        return found

    def uri(self, segment: str) -> str:
        """Return the URI of a segment."""
        return join(self.folder, segment)

    def _read_footers(self, names: list[SegmentName]) -> None:
        for name, footer in zip(names, self._map(self._footer, names), strict=True):
            if footer is not None:
                self._footers[name.text] = footer

    def _footer(self, name: SegmentName) -> Footer | None:
        uri = self.uri(name.text)
        try:
            tail = self._storage.read_range(uri, name.size - name.footer, name.footer)
            return read_footer(name, uri, tail)
        except MissingInputError:  # deleted since it was listed
            return None
        except DamagedError:
            self.damaged.add(name.text)
            return None

    def _read_present(self, names: set[str]) -> dict[str, bytes]:
        by_segment: dict[str, list[str]] = defaultdict(list)
        for name in names & self._members.keys():
            by_segment[self._members[name].segment].append(name)
        ranges = [part for each in by_segment.values() for part in self._ranges(each)]
        found: dict[str, bytes] = {}
        for part in self._map(self._read_range, ranges):
            found |= part
        return found

    def _ranges(self, names: list[str]) -> Iterator[list[str]]:
        """Yield groups of members of one segment that are read in one request."""
        ordered = sorted(names, key=lambda name: self._members[name].start)
        group: list[str] = []
        start = end = 0
        for name in ordered:
            place = self._members[name]
            if group and (place.start - end > _GAP or place.start - start > _LONGEST_RANGE):
                yield group
                group = []
            if not group:
                start = place.start
            group.append(name)
            end = place.start + place.length
        if group:
            yield group

    def _read_range(self, names: list[str]) -> dict[str, bytes]:
        places = [self._members[name] for name in names]
        segment, start = places[0].segment, places[0].start
        end = places[-1].start + places[-1].length
        uri = self.uri(segment)
        try:
            content = self._storage.read_range(uri, start, end - start)
        except MissingInputError:
            return {}
        found = {}
        for name, place in zip(names, places, strict=True):
            first = place.start - start
            try:
                found[name] = unpack(place, content[first : first + place.length], uri)
            except DamagedError:
                self.damaged.add(segment)
        return found

    def _map(self, work: Callable[[Item], Result], items: list[Item]) -> Iterator[Result]:
        """Yield results in order; a single item needs no thread."""
        if len(items) == 1:
            yield work(items[0])
        elif items:
            yield from map_ordered(work, items, REQUESTS)
