"""Which data set was made of a source: found by the source's identity, before any row is read.

Two runs may want the same data set at once. Whoever ends it first writes the link and then removes
what the work left; so whoever misses any of that finds the link.
"""

from __future__ import annotations

import json

from steps.contract import ProjectLayout
from steps.errors import MissingInputError
from steps.records import PartitionIndex, canonical_json
from steps.storage.base import Storage, read_parsed


class BuiltElsewhereError(Exception):
    """Somebody else has made the data set since we looked for it."""


class DatasetPointer:
    """The data set of a source.

    Args:
        project: that it lies in.
        identity: of the source as it is, and of what is made of it.
        storage: of the project.
        outdated: version of the link that is passed over, since the source is to be read anew or
            the data set is gone; whoever else looks still finds it.
    """

    def __init__(
        self, project: ProjectLayout, identity: str, storage: Storage, outdated: str = ""
    ) -> None:
        self.project, self.identity, self.storage = project, identity, storage
        self.outdated, self._uri = outdated, project.source(identity)

    @classmethod
    def of_now(
        cls, project: ProjectLayout, identity: str, storage: Storage, *, anew: bool
    ) -> DatasetPointer:
        """The link as it is now, of use or not.

        Args:
            project: that it lies in.
            identity: see above.
            storage: of the project.
            anew: it is of no use, whatever it names.
        """
        link = cls(project, identity, storage)
        version = link._version()  # before we look: one that is written after that is of use
        if anew or link.find() is None:
            link.outdated = version
        return link

    def find(self) -> PartitionIndex | None:
        """The index of the data set, if it is made."""
        if self.outdated and self._version() == self.outdated:
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

    def _version(self) -> str:
        try:
            return self.storage.version(self._uri)
        except MissingInputError:
            return ""
