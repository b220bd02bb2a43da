"""Which data set was made of a source: found by the source's identity, before any row is read.

Two runs may want the same data set at once. Whoever ends it first writes the link and then removes
what the work left; so whoever misses any of that finds the link.
"""

from __future__ import annotations

import json

from steps.contract import ProjectLayout
from steps.errors import MissingInputError
from steps.records import PartitionIndex, canonical_json
from steps.storage import Storage, read_parsed


class MadeMeanwhileError(Exception):
    """Somebody else has made the data set since we looked for it."""


class Link:
    """The data set of a source.

    Args:
        project: that it lies in.
        identity: of the source as it is, and of what is made of it.
        storage: of the project.
        outdated: version of the link that is passed over, since the source is to be read anew;
            whoever else looks still finds it.
    """

    def __init__(
        self, project: ProjectLayout, identity: str, storage: Storage, outdated: str = ""
    ) -> None:
        self.project, self.storage = project, storage
        self._uri, self._outdated = project.source(identity), outdated

    def version(self) -> str:
        """Of the link as it is now; empty if there is none."""
        try:
            return self.storage.version(self._uri)
        except MissingInputError:
            return ""

    def find(self) -> PartitionIndex | None:
        """The index of the data set, if it is made."""
        if self._outdated and self.version() == self._outdated:
            return None
        try:
            made = read_parsed(self.storage, self._uri, json.loads)["dataset"]
            index = self.project.dataset(made).index
            return read_parsed(self.storage, index, PartitionIndex.from_json)
        except MissingInputError:
            return None

    def put(self, index: PartitionIndex) -> None:
        """Say which data set it is, once that is complete."""
        content = canonical_json({"dataset": index.dataset}).encode()
        self.storage.write(self._uri, content)
