"""Writes segments while the caller computes the next results."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from steps.contract import join
from steps.segments.archive import pack
from steps.storage.base import Storage

FLUSH_SECONDS = 8.0
"""The oldest result that is not stored is at most this old, plus the time of an upload: a process
that is killed loses no more than that."""
FLUSH_BYTES = 32 * 1024 * 1024
"""A segment is written early when its members have this many bytes."""


def write_segment(storage: Storage, folder: str, members: Mapping[str, bytes]) -> None:
    """Write members as one segment. If the folder has it already, nothing changes.

    Raises:
        OutputError: the location cannot be written.
    """
    name, content = pack(members)
    storage.create(join(folder, name), content)


class SegmentWriter:
    """Collects members, and writes a segment of them every few seconds in a thread.

    As a context manager it writes what is left at the end, also after an error.

    Args:
        storage: storage of the folder.
        folder: URI of the folder of segments.
        seconds: age at which the oldest member is written.
    """

    def __init__(self, storage: Storage, folder: str, seconds: float = FLUSH_SECONDS) -> None:
        self._storage, self._folder, self._seconds = storage, folder, seconds
        self._members: dict[str, bytes] = {}
        self._waiting: list[str] = []
        self._bytes = 0
        self._oldest = 0.0
        self._thread = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None
        self._uploading: list[str] = []
        self._stored: list[str] = []

    def put(self, members: Mapping[str, bytes], label: str = "") -> None:
        """Add members to the next segment; ``tick`` returns the label when they are stored."""
        if not self._members:
            self._oldest = time.monotonic()
        self._members |= members
        self._waiting.append(label)
        self._bytes += sum(map(len, members.values()))

    def tick(self) -> list[str]:
        """Start to write a segment if it is time, and return the labels stored since the last call.

        Raises:
            OutputError: an earlier segment could not be written.
        """
        if self._running is not None and self._running.done():
            self._finish()
        due = time.monotonic() - self._oldest >= self._seconds or self._bytes >= FLUSH_BYTES
        if self._members and due:
            if self._running is not None and self._bytes < 2 * FLUSH_BYTES:
                return self._take_stored()  # the upload takes long, and memory is left
            self._finish()
            self._start()
        return self._take_stored()

    def flush(self) -> list[str]:
        """Write everything and wait for it, and return the labels stored since ``tick``.

        Raises:
            OutputError: a segment could not be written.
        """
        self._finish()
        if self._members:
            self._start()
            self._finish()
        return self._take_stored()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.flush()
        except Exception:
            if error is None:  # else the first error is raised
                raise
        finally:
            self._thread.shutdown()

    def _start(self) -> None:
        members, self._members, self._bytes = self._members, {}, 0
        self._uploading, self._waiting = self._waiting, []
        self._running = self._thread.submit(write_segment, self._storage, self._folder, members)

    def _finish(self) -> None:
        """Wait for the segment that is being written, if any."""
        if self._running is not None:
            running, self._running = self._running, None
            running.result()
            self._stored += self._uploading

    def _take_stored(self) -> list[str]:
        stored, self._stored = self._stored, []
        return stored
