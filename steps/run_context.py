"""Which run a step works on, and with which storage and store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from steps.contract import CacheLayout, DatasetLayout, ProjectLayout, RunAddress, RunLayout
from steps.records import PartitionRecord, RunRequest
from steps.storage.base import Storage, read_parsed, storage_for
from steps.stores.base import ExperimentStore, open_store


@dataclass(frozen=True)
class RunContext:
    """One run with its storage and experiment store.

    Attributes:
        address: address of the run.
        storage: storage of the project's artifacts.
        store: the project's experiment store.
    """

    address: RunAddress
    storage: Storage
    store: ExperimentStore

    @classmethod
    def open(cls, address: RunAddress, store: str | None = None) -> Self:
        """Open storage and store of a run.

        Args:
            address: address of the run.
            store: URI of the store; None for the store in the artifact root.

        Raises:
            SpecError: root or store need an adapter that is unknown or not installed.
        """
        return cls(address, storage_for(address.root), open_store(address.layout, store))

    @property
    def project(self) -> ProjectLayout:
        """Paths of the project's artifacts."""
        return self.address.layout

    @property
    def run(self) -> RunLayout:
        """Paths of the run's artifacts."""
        return self.address.run_layout

    def request(self) -> RunRequest:
        """Read the request that train and collect carry out.

        Raises:
            MissingInputError: the run does not exist.
            DamagedError: the request cannot be parsed.
        """
        return read_parsed(self.storage, self.run.request, RunRequest.from_json)

    def record(self, partition_id: str) -> PartitionRecord:
        """Read how training ended for one partition.

        Raises:
            MissingInputError: the partition has no record.
            DamagedError: the record cannot be parsed.
        """
        uri = self.run.record(partition_id)
        return read_parsed(self.storage, uri, PartitionRecord.from_json)

    def dataset(self, request: RunRequest) -> DatasetLayout:
        """Return the paths of the run's dataset."""
        return self.project.dataset(request.dataset)

    def cache(self, request: RunRequest) -> CacheLayout:
        """Return the paths of models and explanations: a forced run has a cache of its own."""
        return self.run.cache if request.force else self.project.cache
