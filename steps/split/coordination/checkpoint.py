"""The checkpoint of a split: kept in the run's folder, so that a restarted split resumes.

It makes a run independent of what other runs do to the project's snapshots and pointers meanwhile.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from steps.errors import DamagedError, MissingInputError
from steps.records import canonical_json
from steps.storage.base import Storage, read_parsed


@dataclass(frozen=True)
class SplitCheckpoint:
    """What a run has begun to build.

    Attributes:
        snapshot: text that fixes the source's rows; empty if nothing has to.
        ignored_version: version of the pointer that the run ignores, see ``DatasetPointer``.
    """

    snapshot: str
    ignored_version: str


class CheckpointFile:
    """The checkpoint of one run.

    Args:
        uri: of the object; empty for a run that never resumes.
        storage: of the object.
    """

    def __init__(self, uri: str, storage: Storage) -> None:
        self.uri, self.storage = uri, storage

    def read(self) -> SplitCheckpoint | None:
        """Return the checkpoint; None if the run has not begun, or it cannot be read."""
        if not self.uri:
            return None
        try:
            return read_parsed(self.storage, self.uri, _parse)
        except (MissingInputError, DamagedError):
            return None

    def write(self, checkpoint: SplitCheckpoint) -> None:
        """Store a checkpoint."""
        if self.uri:
            self.storage.write(self.uri, canonical_json(asdict(checkpoint)).encode())

    def delete(self) -> None:
        """Have the next split start from the beginning."""
        if self.uri:
            self.storage.delete(self.uri)


def _parse(text: bytes) -> SplitCheckpoint:
    old = {"pin": "snapshot", "outdated": "ignored_version"}  # keys before they were renamed
    return SplitCheckpoint(**{old.get(key, key): value for key, value in json.loads(text).items()})
