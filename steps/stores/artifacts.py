"""The base of stores that read results and statistics from the artifacts, without a copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from steps.adapters import load_object
from steps.contract import ProjectLayout
from steps.results.partition_result import PartitionResult
from steps.storage.base import Storage
from steps.stores.base import Statistics


class ArtifactReader:
    """A reader of results and statistics in the artifact root, for stores that keep no copy."""

    def __init__(self, project: ProjectLayout, storage: Storage) -> None:
        self.project, self.storage = project, storage

    def put_results(self, experiment: str, run: str, results: Iterable[PartitionResult]) -> None:
        """See ``ExperimentStore.put_results``; does nothing, because the run's tables suffice."""

    def results(self, experiment: str, run: str) -> Iterator[PartitionResult]:
        """See ``ExperimentStore.results``."""
        layout = self.project.run(experiment, run)
        if self.storage.exists(layout.table("partitions", "parquet")):
            yield from load_object(_TABLES)(layout, self.storage)

    def put_statistics(self, dataset: str, statistics: Iterable[Statistics]) -> None:
        """See ``ExperimentStore.put_statistics``; does nothing, as the dataset's tables suffice."""

    def statistics(self, dataset: str) -> Iterator[Statistics]:
        """See ``ExperimentStore.statistics``."""
        layout = self.project.dataset(dataset)
        if self.storage.exists(layout.index):
            yield from load_object(_STATISTICS)(layout, self.storage)


_TABLES = "steps.results.run_tables:results_of"
_STATISTICS = "steps.results.dataset_tables:documents"
"""Loaded on use, because listing runs does not require pyarrow."""
