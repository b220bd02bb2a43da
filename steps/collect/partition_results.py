"""Results of the train step: per partition its record and, if trained, fit and explanation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from steps.contract import CacheLayout
from steps.errors import DamagedError, LostArtifactError, MissingInputError
from steps.records import PartitionEntry, PartitionIndex, PartitionRecord
from steps.run_context import RunContext
from steps.runtime.lost_artifacts import RUN_AGAIN
from steps.runtime.parallel import REQUESTS, map_ordered
from steps.storage.base import read_parsed


@dataclass(frozen=True)
class PartitionArtifacts:
    """One partition as train left it.

    Attributes:
        entry: its row of the partition index.
        record: how training ended; a partition without a record has failed.
        tables: rows by table, and the number of folds; empty unless it is trained.
    """

    entry: PartitionEntry
    record: PartitionRecord
    tables: dict[str, Any] = field(default_factory=dict)


class PartitionResultReader:
    """Reads the results of all partitions, some ahead: in object storage each is a request.

    Args:
        context: context of the run.
        cache: paths of the run's fits and explanations.
        index: index of its dataset.
    """

    def __init__(self, context: RunContext, cache: CacheLayout, index: PartitionIndex) -> None:
        self._run, self._storage = context.run, context.storage
        self._cache, self._index = cache, index
        self._lost: list[str] = []

    def read(self) -> Iterator[PartitionArtifacts]:
        """Yield all partitions in the order of the index.

        Raises:
            LostArtifactError: results in the cache were deleted or damaged. After the last
                partition, the records that name them are removed, so that train computes them.
        """
        yield from map_ordered(self._read, self._index.entries, REQUESTS)
        if self._lost:
            for partition_id in self._lost:
                self._storage.delete(self._run.record(partition_id))
            raise LostArtifactError(
                f"The results of {len(self._lost)} of {len(self._index.entries)} partitions were "
                "deleted from the cache or damaged.",
                hint=RUN_AGAIN,
            )

    def _read(self, entry: PartitionEntry) -> PartitionArtifacts:
        uri = self._run.record(entry.key.partition_id)
        tables: dict[str, Any] = {}
        try:
            if self._storage.exists(uri):
                record = read_parsed(self._storage, uri, PartitionRecord.from_json)
            else:
                message = "The train step left no record of it."
                record = PartitionRecord(entry.key, "failed", "no_record", message)
            if record.status == "trained":
                fit = read_parsed(self._storage, self._cache.fit(record.fit), json.loads)
                uri = self._cache.explanation(record.explanation)
                tables = {**read_parsed(self._storage, uri, json.loads), **fit}
        except DamagedError as error:
            self._storage.delete(error.uri)
            return self._without_results(entry)
        except MissingInputError:
            return self._without_results(entry)
        return PartitionArtifacts(entry, record, tables)

    def _without_results(self, entry: PartitionEntry) -> PartitionArtifacts:
        self._lost.append(entry.key.partition_id)
        return PartitionArtifacts(entry, PartitionRecord(entry.key, "failed", "no_record", ""))
