"""Snapshots: a source that changes is read as of the moment at which its dataset was begun.

The snapshot is stored, so a split that is killed and restarted reads the same rows, and two splits
that start at the same time share one.
"""

from __future__ import annotations

import time

from steps.errors import DamagedError, MissingInputError
from steps.split.sources.base import LiveSource, Source
from steps.storage.base import Storage, read_parsed

LIFE_SECONDS = 24 * 3600.0
"""An older snapshot belongs to a split that nobody will resume."""


class SnapshotLock:
    """The stored snapshot of one source. A file has none, and the methods do nothing.

    Args:
        source: whose rows are fixed.
        uri: of the stored snapshot.
        storage: of the stored snapshot.

    Attributes:
        text: fixes the rows; empty until something does.
    """

    def __init__(self, source: Source, uri: str, storage: Storage) -> None:
        self.source = source if isinstance(source, LiveSource) else None
        self.uri, self.storage = uri, storage
        self.text = ""

    def resume(self, text: str) -> bool:
        """Read the rows that ``text`` fixes, unless it is too old; return whether it does so."""
        if self.source is None:
            return True
        try:
            self.source.resume(text)
        except (ValueError, KeyError, TypeError):  # written by another version
            return False
        if time.time() - self.source.snapshot_time() > LIFE_SECONDS:
            self.source.release()
            return False
        self.text = text
        return True

    def find(self, *, fresh: bool) -> None:
        """Resume the stored snapshot; delete it if it cannot be resumed.

        Args:
            fresh: delete it in any case.
        """
        if self.source is None or not self.storage.exists(self.uri):
            return
        if fresh or not self._resume_stored():
            self.storage.delete(self.uri)

    def acquire(self) -> None:
        """Fix the rows now, or share the snapshot that another process has stored meanwhile."""
        if self.source is None or self.text:
            return
        text = self.source.take_snapshot()
        if self.storage.create(self.uri, text.encode()):
            self.text = text
        elif not self._resume_stored():
            self.text = text  # the other process has already ended

    def remove(self) -> None:
        """Delete the stored snapshot, unless it is another process's."""
        if self.text and self._read() == self.text:
            self.storage.delete(self.uri)

    def close(self) -> None:
        """Close the source's connections."""
        if self.source is not None:
            self.source.close()

    def _read(self) -> str:
        try:
            return read_parsed(self.storage, self.uri, bytes.decode)
        except (MissingInputError, DamagedError):
            return ""

    def _resume_stored(self) -> bool:
        text = self._read()
        return bool(text) and self.resume(text)
