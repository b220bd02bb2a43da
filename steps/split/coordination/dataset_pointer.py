"""The pointer from a source to its dataset, which finds an existing dataset without reading rows.

Two runs may build the same dataset at the same time. The first to finish writes the pointer before
it removes intermediate output, so a run that misses some of that output finds the pointer.
"""

from __future__ import annotations

import json

from steps.contract import ProjectLayout
from steps.errors import DamagedError, MissingInputError
from steps.records import Json, PartitionIndex, canonical_json
from steps.runtime.lost_artifacts import complete_index
from steps.storage.base import Storage, read_parsed


class BuiltElsewhereError(Exception):
    """Another run has published the dataset in the meantime."""


class DatasetPointer:
    """A stored reference to the dataset that was built from a source.

    Args:
        project: the project that contains the dataset.
        identity: digest of the source's state and of the settings that shape the dataset.
        storage: storage of the project.
        ignored_version: version of the pointer that is ignored, because the source has to be read
            again or the dataset is lost. Other runs still use it.
    """

    def __init__(
        self, project: ProjectLayout, identity: str, storage: Storage, ignored_version: str = ""
    ) -> None:
        self.project, self.identity, self.storage = project, identity, storage
        self.ignored_version, self._uri = ignored_version, project.pointer(identity)

    @classmethod
    def current(
        cls, project: ProjectLayout, identity: str, storage: Storage, *, rebuild: bool
    ) -> DatasetPointer:
        """Return the current pointer, which ignores its present version if the dataset is lost.

        Args:
            project: the project that contains the dataset.
            identity: digest of the source's state and settings.
            storage: storage of the project.
            rebuild: ignore the present version in any case.
        """
        pointer = cls(project, identity, storage)
        version = pointer.version()  # read first, so a version written later is not ignored
        if rebuild or pointer.find() is None:
            pointer.ignored_version = version
        return pointer

    def find(self, *, same_run: bool = False) -> PartitionIndex | None:
        """Return the index of the dataset; None if it has to be built.

        Args:
            same_run: return it even if another run may not use it.
        """
        if self.ignored_version and self.version() == self.ignored_version:
            return None
        try:
            content = read_parsed(self.storage, self._uri, json.loads)
            dataset, reusable = content["dataset"], content.get("reusable", True)
        except (MissingInputError, DamagedError):
            return None
        if not (reusable or same_run):
            return None
        return complete_index(self.project.dataset(dataset), self.storage)

    def put(self, index: PartitionIndex, *, reusable: bool = True) -> None:
        """Write a pointer to a complete dataset.

        Args:
            index: the dataset's index.
            reusable: other runs that find the source in the same state may use the dataset.
        """
        facts: dict[str, Json] = {"dataset": index.dataset}
        content = canonical_json(facts if reusable else {**facts, "reusable": False}).encode()
        self.storage.write(self._uri, content)

    def version(self) -> str:
        """Return a text that changes whenever the pointer is written; empty if there is none."""
        try:
            return self.storage.version(self._uri)
        except MissingInputError:
            return ""
