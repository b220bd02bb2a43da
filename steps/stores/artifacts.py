"""The part of a store that needs no copy: results and statistics read from the artifacts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from steps.adapters import load_object
from steps.contract import ProjectLayout
from steps.results.partition_result import PartitionResult
from steps.storage.base import Storage
from steps.stores.base import Statistics


class ArtifactReader:
    """What a store need not keep, since it lies beside the artifacts: it finds it there."""

    def __init__(self, project: ProjectLayout, storage: Storage) -> None:
        self.project, self.storage = project, storage

    def put_results(self, experiment: str, run: str, results: Iterable[PartitionResult]) -> None:
        """See ``ExperimentStore.put_results``: the run's tables are the results."""

    def results(self, experiment: str, run: str) -> Iterator[PartitionResult]:
        """See ``ExperimentStore.results``."""
        layout = self.project.run(experiment, run)
        if self.storage.exists(layout.table("partitions", "parquet")):
            yield from load_object(_TABLES)(layout, self.storage)

    def put_statistics(self, dataset: str, statistics: Iterable[Statistics]) -> None:
        """See ``ExperimentStore.put_statistics``: the data set's tables are the statistics."""

    def statistics(self, dataset: str) -> Iterator[Statistics]:
        """See ``ExperimentStore.statistics``."""
        layout = self.project.dataset(dataset)
        if self.storage.exists(layout.index):
            yield from load_object(_STATISTICS)(layout, self.storage)


_TABLES = "steps.results.run_tables:results_of"
_STATISTICS = "steps.results.dataset_tables:documents"
"""Loaded on use: whoever only lists runs need not have pyarrow."""
