"""Results of the train step: per partition its record and, if trained, fit and explanation."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from steps.contract import comparison_member, explanation_member, fit_member
from steps.errors import LostArtifactError
from steps.records import PartitionEntry, PartitionIndex, PartitionRecord
from steps.runtime.lost_artifacts import RUN_AGAIN
from steps.runtime.parallel import map_ordered
from steps.segments.run_results import RunResults

_CHUNK = 500
"""Partitions whose results are read together: few requests, and bounded memory."""


@dataclass(frozen=True)
class PartitionArtifacts:
    """One partition as train left it.

    Attributes:
        entry: its row of the partition index.
        record: how training ended; a partition without a record has failed.
        tables: rows by table, and the number of folds; empty unless it is trained.
        comparison: how its own models compare with the base model; None if they were not compared.
    """

    entry: PartitionEntry
    record: PartitionRecord
    tables: dict[str, Any] = field(default_factory=dict)
    comparison: dict[str, Any] | None = None


class PartitionResultReader:
    """Reads the results of all partitions, in chunks, one chunk ahead.

    Args:
        results: what train has stored.
        index: partition index of the dataset.
        expected: ids of partitions that train has recorded. If one has no record, it was lost.
    """

    def __init__(
        self, results: RunResults, index: PartitionIndex, expected: AbstractSet[str]
    ) -> None:
        self._results, self._index, self._expected = results, index, expected
        self._lost: list[str] = []

    def read(self) -> Iterator[PartitionArtifacts]:
        """Yield all partitions in the order of the index.

        Raises:
            LostArtifactError: results were deleted or damaged. What is damaged is removed after the
                last partition, so that train computes it again.
        """
        entries = self._index.entries
        chunks = (entries[i : i + _CHUNK] for i in range(0, len(entries), _CHUNK))
        for chunk, members in map_ordered(self._read, chunks, threads=1, ahead=1):
            for entry in chunk:
                yield self._parse(entry, members)
        self._results.salvage_damaged()
        if self._lost:
            raise LostArtifactError(
                f"The results of {len(self._lost)} of {len(self._index.entries)} partitions were "
                "deleted from the cache or damaged.",
                hint=RUN_AGAIN,
            )

    def _read(
        self, chunk: Sequence[PartitionEntry]
    ) -> tuple[Sequence[PartitionEntry], dict[str, bytes]]:
        """Read the records of a chunk, then what they refer to."""
        segments = self._results.segments
        names = self._results.record_names(entry.key.partition_id for entry in chunk)
        texts = segments.read_many(names.values())
        found = [PartitionRecord.from_json(text) for text in texts.values()]
        trained = [record for record in found if record.status == "trained"]
        wanted = [fit_member(record.fit) for record in trained]
        wanted += [explanation_member(record.explanation) for record in trained]
        wanted += [comparison_member(each.comparison) for each in trained if each.comparison]
        return chunk, texts | segments.read_many(wanted)

    def _parse(self, entry: PartitionEntry, members: dict[str, bytes]) -> PartitionArtifacts:
        partition_id = entry.key.partition_id
        name = self._results.record_names([partition_id]).get(partition_id)
        if name is None and partition_id not in self._expected:
            message = "The train step left no record of it."
            return PartitionArtifacts(
                entry, PartitionRecord(entry.key, "failed", "no_record", message)
            )
        try:
            record = PartitionRecord.from_json(members[name or ""])
            tables: dict[str, Any] = {}
            comparison: dict[str, Any] | None = None
            if record.status == "trained":
                tables |= json.loads(members[explanation_member(record.explanation)])
                tables |= json.loads(members[fit_member(record.fit)])
            if record.comparison:
                comparison = json.loads(members[comparison_member(record.comparison)])
        except KeyError:
            self._lost.append(partition_id)
            return PartitionArtifacts(entry, PartitionRecord(entry.key, "failed", "no_record", ""))
        return PartitionArtifacts(entry, record, tables, comparison)
