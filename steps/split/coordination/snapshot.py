"""Snapshots: read a source that changes as of the time when its build started.

The snapshot is stored, so a restarted split reads the same rows, and two splits that start at the
same time share one.
"""

from __future__ import annotations

import time

from steps.errors import DamagedError, MissingInputError
from steps.split.sources.base import LiveSource, Source
from steps.storage.base import Storage, read_parsed

LIFE_SECONDS = 24 * 3600.0
"""Maximum age of a snapshot. An older one belongs to an abandoned split."""


class StoredSnapshot:
    """The stored snapshot of one source. For a file, the methods do nothing.

    Args:
        source: the source whose rows are fixed.
        uri: URI of the stored snapshot.
        storage: storage of the stored snapshot.

    Attributes:
        text: text that fixes the rows; empty until they are fixed.
    """

    def __init__(self, source: Source, uri: str, storage: Storage) -> None:
        self.source = source if isinstance(source, LiveSource) else None
        self.uri, self.storage = uri, storage
        self.text = ""

    def resume(self, text: str) -> bool:
        """Read the rows that ``text`` fixes; return False if it is too old or invalid."""
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

    def resume_or_discard(self, *, discard: bool) -> None:
        """Resume the stored snapshot, or delete it if it cannot be resumed.

        Args:
            discard: delete the stored snapshot in any case.
        """
        if self.source is None or not self.storage.exists(self.uri):
            return
        if discard or not self._resume_stored():
            self.storage.delete(self.uri)

    def acquire(self) -> None:
        """Take a snapshot, or share one that another process has stored in the meantime."""
        if self.source is None or self.text:
            return
        text = self.source.take_snapshot()
        if self.storage.create(self.uri, text.encode()):
            self.text = text
        elif not self._resume_stored():
            self.text = text  # the other process has already ended

    def remove(self) -> None:
        """Delete the stored snapshot, unless it belongs to another process."""
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
