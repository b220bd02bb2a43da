"""Attempts of earlier pods: which partitions are suspect, and which need more memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Literal

from steps.contract import RunLayout
from steps.runtime.attempts import (
    BEGUN,
    Attempt,
    attempt_uris,
    partition_and_number,
    record_attempt,
)
from steps.storage.base import Storage, read_parsed

_RAN_OUT: dict[str, Literal["out_of_memory", "out_of_disk"]] = {
    "memory": "out_of_memory",
    "disk": "out_of_disk",
}
"""Outcome of an attempt by the cause of its pod's end; any other cause says nothing about it."""
_SUSPICIOUS = {"lost", "trainer_error", *_RAN_OUT.values()}
"""Outcomes after which a partition is attempted last and alone."""


class History:
    """The attempts that a run's folder holds when a pod begins.

    An attempt that is still ``begun`` was running when its pod was killed. The workflow engine
    knows what killed the pod and passes it to the shard's next pod, which records it here.

    Args:
        run: paths of the run.
        storage: storage of the run.
        previous_end: ``PodRecord.cause`` of the pod before this one of the same shard.
        evicted: names of all earlier pods of the shard that were evicted for using too much disk.
            If the kubelet was slow to end one, it took the signal for a preemption and recorded its
            attempts as dropped, maybe after its successor had begun.
    """

    def __init__(
        self,
        run: RunLayout,
        storage: Storage,
        *,
        previous_end: str = "",
        evicted: AbstractSet[str] = frozenset(),
    ) -> None:
        self._run, self._storage = run, storage
        self._outcome = _RAN_OUT.get(previous_end, "lost")
        self._evicted = evicted
        self._uris: dict[str, dict[int, str]] = defaultdict(dict)
        for name, uri in attempt_uris(storage, run).items():
            partition_id, number = partition_and_number(name)
            self._uris[partition_id][number] = uri
        self._read: dict[str, list[Attempt]] = {}

    def last_attempt(self, partition_id: str) -> int:
        """Return the number of the last attempt; 0 if there was none."""
        return max(self._uris[partition_id], default=0)

    def suspect(self, partition_id: str) -> bool:
        """Return whether an earlier attempt ended in a way that could affect other partitions."""
        return any(each.outcome in _SUSPICIOUS for each in self._attempts(partition_id))

    def class_offset(self, partition_id: str) -> int:
        """Return how many resource classes larger than the shard's own the partition needs."""
        attempts = self._attempts(partition_id)
        offsets = [each.class_offset for each in attempts if each.outcome in _RAN_OUT.values()]
        return max(offsets) + 1 if offsets else 0

    def ran_out_alone(
        self, partition_id: str, class_offset: int
    ) -> Literal["out_of_memory", "out_of_disk"] | None:
        """Return what it ran out of although it had a pod of that class to itself, if anything."""
        outcomes = {
            each.outcome
            for each in self._attempts(partition_id)
            if each.alone and each.class_offset >= class_offset
        }
        return next((each for each in _RAN_OUT.values() if each in outcomes), None)

    def _attempts(self, partition_id: str) -> list[Attempt]:
        if partition_id not in self._read:
            attempts = []
            for uri in self._uris[partition_id].values():
                attempt = read_parsed(self._storage, uri, Attempt.from_json)
                outcome = attempt.outcome
                if outcome == BEGUN:
                    outcome = self._outcome
                elif outcome == "dropped" and attempt.worker in self._evicted:
                    outcome = "out_of_disk"
                if outcome != attempt.outcome:
                    attempt = replace(attempt, outcome=outcome)
                    record_attempt(self._storage, self._run, attempt)
                attempts.append(attempt)
            self._read[partition_id] = attempts
        return self._read[partition_id]
