"""The checkpoint of a split, stored in the run's folder so that a restarted split resumes.

With it, a run does not depend on changes that other runs make to the project's snapshots and
pointers.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from steps.errors import DamagedError, MissingInputError
from steps.records import canonical_json
from steps.storage.base import Storage, read_parsed


@dataclass(frozen=True)
class SplitCheckpoint:
    """The dataset build that a run has started.

    Attributes:
        snapshot: text that fixes the source's rows; empty for a source that needs none.
        ignored_version: version of the pointer that the run ignores, see ``DatasetPointer``.
    """

    snapshot: str
    ignored_version: str


class CheckpointFile:
    """The checkpoint of one run.

    Args:
        uri: URI of the checkpoint; empty for a run that never resumes.
        storage: storage of the checkpoint.
    """

    def __init__(self, uri: str, storage: Storage) -> None:
        self.uri, self.storage = uri, storage

    def read(self) -> SplitCheckpoint | None:
        """Return the checkpoint; None if it does not exist or cannot be read."""
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
        """Delete the checkpoint, so the next split starts from the beginning."""
        if self.uri:
            self.storage.delete(self.uri)


def _parse(text: bytes) -> SplitCheckpoint:
    renamed = {"pin": "snapshot", "outdated": "ignored_version"}  # keys of older versions
    fields = {renamed.get(key, key): value for key, value in json.loads(text).items()}
    return SplitCheckpoint(**fields)
