"""Attempts of earlier pods: which partitions are suspect, and which need more memory."""

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
"""Outcomes after which a partition is attempted last and alone."""


class History:
    """The attempts that a run's folder holds when a pod begins.

    An attempt that is still ``begun`` was running when its pod was killed. The workflow engine
    knows what killed the pod and passes it to the shard's next pod, which records it here.

    Args:
        run: paths of the run.
        storage: storage of the run.
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

    def last_attempt(self, partition_id: str) -> int:
        """Return the number of the last attempt; 0 if there was none."""
        return max(self._uris[partition_id], default=0)

    def suspect(self, partition_id: str) -> bool:
        """Return whether an earlier attempt ended in a way that could affect other partitions."""
        return any(each.outcome in _SUSPICIOUS for each in self._attempts(partition_id))

    def class_offset(self, partition_id: str) -> int:
        """Return how many resource classes larger than the shard's own the partition needs."""
        attempts = self._attempts(partition_id)
        offsets = [each.class_offset for each in attempts if each.outcome == "out_of_memory"]
        return max(offsets) + 1 if offsets else 0

    def ran_out_alone(self, partition_id: str, class_offset: int) -> bool:
        """Return whether it ran out of memory although it had a pod of that class to itself."""
        return any(
            each.outcome == "out_of_memory" and each.alone and each.class_offset >= class_offset
            for each in self._attempts(partition_id)
        )

    def _attempts(self, partition_id: str) -> list[Attempt]:
        if partition_id not in self._read:
            attempts = []
            for uri in self._uris[partition_id].values():
                attempt = read_parsed(self._storage, uri, Attempt.from_json)
                if attempt.outcome == BEGUN:
                    attempt = replace(attempt, outcome=self._outcome)
                    record_attempt(self._storage, self._run, attempt)
                attempts.append(attempt)
            self._read[partition_id] = attempts
        return self._read[partition_id]
