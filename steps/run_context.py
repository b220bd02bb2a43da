"""Which run a step works on, and with which storage and store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from steps.contract import DatasetLayout, ProjectLayout, RunAddress, RunLayout
from steps.records import RunRequest
from steps.segments.run_results import RunResults
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

    def dataset(self, request: RunRequest) -> DatasetLayout:
        """Return the paths of the run's dataset."""
        return self.project.dataset(request.dataset)

    def results(self, request: RunRequest) -> RunResults:
        """Return the results of the run, with the list of what is stored now."""
        return RunResults.open(self.storage, self.address, request)
