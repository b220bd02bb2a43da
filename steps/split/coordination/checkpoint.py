"""What a run has begun to make: kept in the run's folder, for whoever goes on after a kill.

What others do to the project's pins and links meanwhile does not concern a run that has begun.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from steps.errors import DamagedError, MissingInputError, TerminalError
from steps.records import canonical_json
from steps.storage.base import Storage, read_parsed


@dataclass(frozen=True)
class SplitCheckpoint:
    """What a run has begun.

    Attributes:
        pin: text that fixes the source's rows; empty if nothing has to.
        outdated: version of the link that the run passes over, see ``Link``.
    """

    pin: str
    outdated: str


class CheckpointFile:
    """The memory of one run.

    Args:
        uri: of the object; empty for a run that begins anew each time.
        storage: of the object.
    """

    def __init__(self, uri: str, storage: Storage) -> None:
        self.uri, self.storage = uri, storage

    def recall(self) -> SplitCheckpoint | None:
        """What the run has begun, if it has."""
        if not self.uri:
            return None
        try:
            return read_parsed(
                self.storage, self.uri, lambda text: SplitCheckpoint(**json.loads(text))
            )
        except (MissingInputError, DamagedError):
            return None

    def keep(self, begun: SplitCheckpoint) -> None:
        """Keep what is begun now."""
        if self.uri:
            self.storage.write(self.uri, canonical_json(asdict(begun)).encode())

    def forget(self) -> None:
        """Begin anew next time."""
        if self.uri:
            self.storage.delete(self.uri)


@contextmanager
def open_checkpoint(uri: str, storage: Storage) -> Iterator[CheckpointFile]:
    """The memory of a run, which forgets what never can be made: somebody has to mend it first."""
    memory = CheckpointFile(uri, storage)
    try:
        yield memory
    except TerminalError:
        memory.forget()
        raise
