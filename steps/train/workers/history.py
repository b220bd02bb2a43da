"""What earlier pods of a run tried, and how that ended: who is suspect, who needs more memory."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from steps.contract import RunLayout
from steps.runtime.attempts import (
    BEGUN,
    Attempt,
    attempt_uris,
    partition_and_number,
    record_attempt,
)
from steps.storage.base import Storage, read_parsed

_SUSPICIOUS = {"lost", "out_of_memory", "trainer_error"}
"""Outcomes after which a partition is tried last and alone."""


class History:
    """The tries at partitions that are in a run's folder when a pod begins.

    A try that is still ``begun`` was in flight when its pod was killed. What killed the pod is
    known to the workflow engine, which tells the next pod of the shard, which writes it down here.

    Args:
        run: where the tries lie.
        storage: of the run.
        killed_for_memory: the pod before this one of the same shard ran out of memory.
    """

    def __init__(self, run: RunLayout, storage: Storage, *, killed_for_memory: bool) -> None:
        self._run, self._storage = run, storage
        self._outcome = "out_of_memory" if killed_for_memory else "lost"
        self._uris: dict[str, dict[int, str]] = defaultdict(dict)
        for name, uri in attempt_uris(storage, run).items():
            partition_id, number = partition_and_number(name)
            self._uris[partition_id][number] = uri
        self._read: dict[str, list[Attempt]] = {}

    def attempt_uris(self, partition_id: str) -> int:
        """The number of the last try; 0 if there was none."""
        return max(self._uris[partition_id], default=0)

    def suspect(self, partition_id: str) -> bool:
        """Whether an earlier try ended in a way that could hurt others."""
        return any(each.outcome in _SUSPICIOUS for each in self._attempts(partition_id))

    def class_offset(self, partition_id: str) -> int:
        """How many resource classes larger than the shard's own the partition needs."""
        attempt_uris = self._attempts(partition_id)
        steps = [each.class_offset for each in attempt_uris if each.outcome == "out_of_memory"]
        return max(steps) + 1 if steps else 0

    def ran_out_alone(self, partition_id: str, class_offset: int) -> bool:
        """Whether it ran out of memory with all that a pod of so large a class has to itself."""
        return any(
            each.outcome == "out_of_memory" and each.alone and each.class_offset >= class_offset
            for each in self._attempts(partition_id)
        )

    def _attempts(self, partition_id: str) -> list[Attempt]:
        if partition_id not in self._read:
            uris = self._uris[partition_id].values()
            self._read[partition_id] = [self._settled(uri) for uri in uris]
        return self._read[partition_id]

    def _settled(self, uri: str) -> Attempt:
        attempt = read_parsed(self._storage, uri, Attempt.from_json)
        if attempt.outcome == BEGUN:
            attempt = replace(attempt, outcome=self._outcome)
            record_attempt(self._storage, self._run, attempt)
        return attempt
