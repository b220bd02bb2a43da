"""Pins: a source that others change is read as of the moment when its data set was begun.

A split that is killed and started again finds the pin, and reads the same rows; two that start at
once share one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from steps.errors import DamagedError, MissingInputError, TerminalError
from steps.split.sources.base import LiveSource, Source
from steps.storage.base import Storage, read_parsed

LIFE_SECONDS = 24 * 3600.0
"""An older pin is of a data set that nobody goes on with."""


@contextmanager
def snapshot_lock(source: Source, uri: str, storage: Storage) -> Iterator[SnapshotLock]:
    """Hold a source's rows fixed; the pin goes when the data set is made, or never can be.

    Args:
        source: of the rows.
        uri: of the pin.
        storage: of the pin.
    """
    pin = SnapshotLock(source, uri, storage)
    try:
        yield pin
    except TerminalError:
        pin.remove()
        raise
    finally:
        pin.close()
    pin.remove()


class SnapshotLock:
    """The pin of one source; of a file, which has none, it does nothing.

    Attributes:
        text: that fixes the rows; empty as long as nothing does.
    """

    def __init__(self, source: Source, uri: str, storage: Storage) -> None:
        self.source = source if isinstance(source, LiveSource) else None
        self.uri, self.storage = uri, storage
        self.text = ""

    def go_on(self, text: str) -> bool:
        """Fix the rows that a text fixes, unless it is too old to be meant; whether they are."""
        if self.source is None:
            return True
        try:
            self.source.go_on(text)
        except (ValueError, KeyError, TypeError):  # of another version
            return False
        if time.time() - self.source.begun() > LIFE_SECONDS:
            self.source.forget()
            return False
        self.text = text
        return True

    def find(self, *, fresh: bool) -> None:
        """Go on with the pin that is stored, unless it is of no use.

        Args:
            fresh: it is of none.
        """
        if self.source is None or not self.storage.exists(self.uri):
            return
        if fresh or not self._take():
            self.storage.delete(self.uri)

    def put(self) -> None:
        """Fix the rows, or take over what another process has fixed in the meantime."""
        if self.source is None or self.text:
            return
        text = self.source.begin()
        if self.storage.create(self.uri, text.encode()):
            self.text = text
        elif not self._take():
            self.text = text  # the other has ended already

    def remove(self) -> None:
        """Remove the pin, unless it is another process's."""
        if self.text and self._read() == self.text:
            self.storage.delete(self.uri)

    def close(self) -> None:
        """Close what the source holds open."""
        if self.source is not None:
            self.source.close()

    def _read(self) -> str:
        try:
            return read_parsed(self.storage, self.uri, bytes.decode)
        except (MissingInputError, DamagedError):
            return ""

    def _take(self) -> bool:
        """Go on with the pin that is stored; whether there is one that can be gone on with."""
        text = self._read()
        return bool(text) and self.go_on(text)
