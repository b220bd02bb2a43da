"""Attempts of earlier pods: which partitions are suspect, and which need a larger class."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from typing import Literal

from steps.runtime.attempts import Attempt
from steps.train.workers.marks import Mark

_RAN_OUT: dict[str, Literal["out_of_memory", "out_of_disk"]] = {
    "memory": "out_of_memory",
    "disk": "out_of_disk",
}
"""Outcome of an attempt by the cause of its pod's end; any other cause says nothing about it."""
_SUSPICIOUS = {"lost", "trainer_error", *_RAN_OUT.values()}
"""Outcomes after which a partition is attempted last and alone."""


class History:
    """The attempts at a shard's partitions when a pod begins.

    Args:
        attempts: attempts that have ended, of this generation of the run.
        marks: marks that earlier pods have left because they were killed. The partitions that they
            name and that have no result were lost with their pod, and get an attempt here.
        previous_end: ``PodRecord.cause`` of the pod before this one of the same shard, as the
            workflow engine knows it.
        evicted: names of all earlier pods of the shard that were evicted for using too much disk.
            If the kubelet was slow to end one, it took the signal for a preemption and recorded its
            attempts as dropped, maybe after its successor had begun.

    Attributes:
        found: attempts that no pod has recorded, with the outcome that follows from the marks.
    """

    def __init__(
        self,
        attempts: Sequence[Attempt],
        marks: Iterable[Mark] = (),
        *,
        previous_end: str = "",
        evicted: AbstractSet[str] = frozenset(),
    ) -> None:
        self.found: list[Attempt] = []
        self._attempts: dict[str, dict[int, Attempt]] = defaultdict(dict)
        for each in attempts:
            if each.outcome == "dropped" and each.worker in evicted:
                each = replace(each, outcome="out_of_disk")  # noqa: PLW2901 - the one to record
                self.found.append(each)
            self._attempts[each.partition_id][each.attempt] = each
        for mark in marks:
            self._add_lost(mark, _RAN_OUT.get(previous_end, "lost"))

    def _add_lost(self, mark: Mark, outcome: str) -> None:
        """Add the attempts of a mark that have not ended.

        If they are no more than the pod trained at once, they were running, and one of them is to
        blame. Of a larger batch most had not begun: nothing is said about any of them.
        """
        lost = [
            task for task in mark.tasks if task.attempt not in self._attempts[task.partition_id]
        ]
        if len(lost) > mark.workers:
            outcome = "lost"
        for task in lost:
            attempt = task.ended(outcome, worker=mark.pod)
            self._attempts[task.partition_id][task.attempt] = attempt
            self.found.append(attempt)

    def last_attempt(self, partition_id: str) -> int:
        """Return the number of the last attempt; 0 if there was none."""
        return max(self._attempts[partition_id], default=0)

    def suspect(self, partition_id: str) -> bool:
        """Return whether an earlier attempt ended in a way that could affect other partitions."""
        return any(each.outcome in _SUSPICIOUS for each in self._of(partition_id))

    def class_offset(self, partition_id: str) -> int:
        """Return how many resource classes larger than the shard's own the partition needs."""
        offsets = [
            each.class_offset
            for each in self._of(partition_id)
            if each.outcome in _RAN_OUT.values()
        ]
        return max(offsets) + 1 if offsets else 0

    def ran_out_alone(
        self, partition_id: str, class_offset: int
    ) -> Literal["out_of_memory", "out_of_disk"] | None:
        """Return what it ran out of although it had a pod of that class to itself, if anything."""
        outcomes = {
            each.outcome
            for each in self._of(partition_id)
            if each.alone and each.class_offset >= class_offset
        }
        return next((each for each in _RAN_OUT.values() if each in outcomes), None)

    def _of(self, partition_id: str) -> Iterable[Attempt]:
        return self._attempts[partition_id].values()
