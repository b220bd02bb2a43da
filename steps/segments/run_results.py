"""Results of one run: its records and attempts, and the models and explanations they name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import replace
from functools import cached_property
from typing import Self

from steps.contract import (
    CacheLayout,
    OldResultsLayout,
    RunAddress,
    RunLayout,
    RunMembers,
    final_model_member,
    model_card_member,
)
from steps.errors import MissingInputError
from steps.records import PartitionRecord, RunRequest, canonical_json
from steps.runtime.attempts import Attempt
from steps.segments.compaction import salvage
from steps.segments.reader import SegmentReader
from steps.storage.base import Storage, read_parsed


def read_generation(storage: Storage, run: RunLayout) -> int:
    """Return how often a run was retried."""
    try:
        generation: int = read_parsed(storage, run.generation, json.loads)["generation"]
    except MissingInputError:
        return 0
    return generation


def write_generation(storage: Storage, run: RunLayout, generation: int) -> None:
    """Record a retry: partitions that failed before have neither record nor history."""
    storage.write(run.generation, canonical_json({"generation": generation}).encode())


class RunResults:
    """Results of one run, as far as they are stored.

    Args:
        storage: storage of the project's artifacts.
        folder: the folder of segments that the run uses.
        members: names of the run's members.
        old: paths of the results if a version before segments wrote them.
    """

    def __init__(
        self, storage: Storage, folder: str, members: RunMembers, old: OldResultsLayout
    ) -> None:
        self._storage, self.members, self._old = storage, members, old
        self.segments = SegmentReader(storage, folder)
        self._records: dict[str, str] = {}
        self._final: dict[str, bool] = {}

    @classmethod
    def open(cls, storage: Storage, address: RunAddress, request: RunRequest) -> Self:
        """Return the results of a run, with the list of what is stored now."""
        cache = cache_of(address, request)
        generation = read_generation(storage, address.run_layout)
        members = RunMembers(address.experiment, address.run, generation)
        old = OldResultsLayout(address.run_layout.base, cache.base)
        results = cls(storage, cache.segment_folder(request.fit_context), members, old)
        results.refresh()
        return results

    def refresh(self) -> None:
        """Look again for results that have been stored since."""
        self.segments.refresh()
        self._records, self._final = {}, {}
        for name in self.segments:
            parsed = self.members.parse_record(name)
            if parsed is not None and not self._final.get(parsed[0]):
                self._records[parsed[0]], self._final[parsed[0]] = name, parsed[1]

    @property
    def recorded(self) -> Collection[str]:
        """Ids of partitions that have a record."""
        return self._records.keys()

    def count(self) -> int:
        """Return how many partitions have a record, also of a version before segments."""
        return len(self._records) or len(self._storage.names(self._old.records))

    def is_final(self, partition_id: str) -> bool:
        """Return whether the record of a partition outlives retries."""
        return self._final[partition_id]

    def record_names(self, partition_ids: Iterable[str]) -> dict[str, str]:
        """Return the name of each record by partition id, without partitions that have none."""
        return {each: self._records[each] for each in partition_ids if each in self._records}

    def record(self, partition_id: str) -> PartitionRecord:
        """Read how training ended for one partition.

        Raises:
            MissingInputError: the partition has no record.
            DamagedError: the record cannot be parsed.
        """
        name = self._records.get(partition_id)
        if name is None:
            uri = self._old.record(partition_id)
            return read_parsed(self._storage, uri, PartitionRecord.from_json)
        return PartitionRecord.from_json(self.segments.read(name))

    def records(self) -> dict[str, PartitionRecord]:
        """Read all records, by partition id; without damaged ones."""
        found = self.segments.read_many(self._records.values())
        return {
            each: PartitionRecord.from_json(found[name])
            for each, name in sorted(self._records.items())
            if name in found
        }

    def attempts(self, shard: str = "", *, all_generations: bool = False) -> list[Attempt]:
        """Return attempts at partitions of the run or of a shard, by partition and number.

        An attempt may be stored twice, as dropped by the pod and with the cause of the pod's end as
        its successor knows it: then only the second is returned.

        Args:
            shard: name of the shard; empty for all.
            all_generations: include attempts before the last retry, numbered from 1 over all.
        """
        prefix, generation = self.members.attempts(shard), self.members.generation
        names = [
            name
            for name in self.segments
            if name.startswith(prefix)
            and (all_generations or RunMembers.generation_of(name) == generation)
        ]
        found = self.segments.read_many(names)
        ends: dict[tuple[str, int, int], Attempt] = {}
        for name in sorted(found):
            attempt = Attempt.from_json(found[name])
            key = attempt.partition_id, RunMembers.generation_of(name), attempt.attempt
            if key not in ends or ends[key].outcome == "dropped":
                ends[key] = attempt
        ordered = [ends[key] for key in sorted(ends)]
        return _numbered(ordered) if all_generations else ordered

    def model_suffix(self, key: str) -> str:
        """Return how the name of a final model ends, such as ``.txt``, by the key of its fit.

        Raises:
            MissingInputError: it was deleted.
        """
        if key in self._suffixes:
            return self._suffixes[key]
        folder, _, stem = self._old.final_model(key, "").rpartition("/")
        for name in self._storage.names(folder):
            if name.startswith(f"{stem}."):
                return name.removeprefix(stem)
        uri = self.segments.folder
        raise MissingInputError(f"The model {key!r} in {uri!r} was deleted.", uri=uri)

    @cached_property
    def _suffixes(self) -> dict[str, str]:
        """How the name of each final model ends, by the key of its fit."""
        prefix = final_model_member("", "")
        names = (name.removeprefix(prefix) for name in self.segments if name.startswith(prefix))
        return {key: f".{end}" for key, _, end in (name.partition(".") for name in names)}

    def final_model(self, key: str, suffix: str) -> bytes:
        """Return the model fitted on all rows of a partition, by the key of its fit.

        Raises:
            MissingInputError: it was deleted.
            DamagedError: its bytes were changed.
        """
        return self._read(final_model_member(key, suffix), self._old.final_model(key, suffix))

    def model_card(self, key: str) -> bytes:
        """Return the description of a model.

        Raises:
            MissingInputError: it was deleted.
            DamagedError: its bytes were changed.
        """
        return self._read(model_card_member(key), self._old.model_card(key))

    def salvage_damaged(self) -> None:
        """Write the readable members of damaged segments again, and delete the segments."""
        for name in sorted(self.segments.damaged):
            salvage(self._storage, self.segments, name)

    def _read(self, member: str, old_uri: str) -> bytes:
        try:
            return self.segments.read(member)
        except MissingInputError as error:
            try:
                return self._storage.read(old_uri)
            except MissingInputError:
                raise error from None


def _numbered(attempts: Iterable[Attempt]) -> list[Attempt]:
    """Number the attempts at each partition from 1: a retry of the run begins again."""
    counts: Counter[str] = Counter()
    numbered = []
    for each in attempts:
        counts[each.partition_id] += 1
        numbered.append(replace(each, attempt=counts[each.partition_id]))
    return numbered


def cache_of(address: RunAddress, request: RunRequest) -> CacheLayout:
    """Return the cache of a run: a forced run has one of its own."""
    return address.run_layout.cache if request.force else address.layout.cache


def attempt_members(members: RunMembers, attempts: Iterable[Attempt]) -> dict[str, bytes]:
    """Return attempts as members of a segment."""
    named = {}
    for each in attempts:
        name = members.attempt(each.shard, each.partition_id, each.attempt, each.digest)
        named[name] = each.to_json().encode()
    return named
