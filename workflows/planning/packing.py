"""Packing of partitions into shards: by predicted memory and seconds, longest first.

A partition goes to the smallest resource class whose memory it fits. A class gets another pod as
long as the pod is worth its start; all classes together get at most ``max_pods``.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from steps.errors import Problem, SpecError
from steps.records import PartitionEntry
from workflows.installation.resource_classes import ResourceClass
from workflows.spec.model import MAX_PODS, ExecutionConfig, Preference

START_SECONDS = 20
"""Seconds from a pod's start to its first partition, if its image is on the node."""
WORTH_SECONDS: Mapping[Preference, float] = {"time": 1.0, "price": START_SECONDS}
"""Seconds by which a pod must shorten its class's training to be worth its start. With ``price``
that is what the start costs: a pod is paid for ``START_SECONDS`` in which it trains nothing."""

BASE_MIB = 320
"""Fixed memory of a training pod: interpreter, libraries and the process that forks workers."""
WORKER_MIB = 60
"""Fixed memory of a worker, beyond what it shares with the others."""
RESIDENT_MIB = 180
"""The same, with what it shares: its resident set before the first fit."""


@dataclass(frozen=True)
class Work:
    """The predicted cost of a partition.

    Attributes:
        entry: the partition.
        seconds: seconds that a worker needs.
        memory_mib: memory of a worker beyond ``WORKER_MIB``.
    """

    entry: PartitionEntry
    seconds: float
    memory_mib: float = 0.0

    @property
    def partition_id(self) -> str:
        """ID of the partition."""
        return self.entry.key.partition_id


def pack(works: Iterable[Work], shards: int, most: int | None = None) -> list[list[str]]:
    """Return partition ids per shard, the longest partition first.

    Longest processing time first: each partition goes to the shard with the least work, which keeps
    the longest shard within 4/3 of the optimum (Graham, SIAM J. Appl. Math. 17, 1969).

    Args:
        works: the partitions; their order does not matter.
        shards: maximum number of shards; empty shards are left out.
        most: maximum number of partitions per shard; None for any number.
    """
    ordered = sorted(works, key=_rank)
    loads = [(0.0, number) for number in range(shards)]
    packed: list[list[str]] = [[] for _ in range(shards)]
    for work in ordered:
        load, number = heapq.heappop(loads)
        packed[number].append(work.partition_id)
        if most is None or len(packed[number]) < most:
            heapq.heappush(loads, (load + work.seconds, number))
    return [shard for shard in packed if shard]


def _rank(work: Work) -> tuple[float, int, str]:
    """Return the key that sorts the partition that takes longest first.

    A probe of a slow trainer may find the same time for all sizes: then rows decide, not the last
    digits of an interpolation.
    """
    return -round(work.seconds, 3), -work.entry.rows, work.partition_id


def needed_mib(resource_class: ResourceClass, memory_mib: float, threads: int = 1) -> int:
    """Return the predicted memory of a pod whose workers need ``memory_mib`` each, in MiB."""
    workers = resource_class.fits_at_once(threads)
    return BASE_MIB + workers * (WORKER_MIB + int(memory_mib))


def fits(resource_class: ResourceClass, memory_mib: float, threads: int = 1) -> bool:
    """Return whether a pod of the class can train partitions that need so much memory."""
    return needed_mib(resource_class, memory_mib, threads) <= resource_class.memory_mib


@dataclass(frozen=True)
class Packing:
    """Partitions per shard and class.

    Attributes:
        shards: partition ids of each shard, by class; a class may have no shards.
        too_large: partitions that fit no class.
    """

    shards: dict[str, list[list[str]]]
    too_large: list[Work]


def pack_classes(
    works: Iterable[Work],
    classes: Sequence[ResourceClass],
    execution: ExecutionConfig,
    threads: int = 1,
) -> Packing:
    """Assign partitions to classes and pack each class.

    Args:
        works: the partitions; their order does not matter.
        classes: resource classes, smallest first.
        execution: limits and preference. ``max_pods`` holds for all classes together; each class in
            use has at least one pod.
        threads: CPUs that a fit needs.

    Raises:
        SpecError: ``partitions_per_pod`` needs more pods than ``max_pods``.
    """
    by_class: dict[str, list[Work]] = {each.name: [] for each in classes}
    too_large = []
    for work in works:
        smallest = next((c for c in classes if fits(c, work.memory_mib, threads)), None)
        if smallest is None:
            too_large.append(work)
        else:
            by_class[smallest.name].append(work)
    loads = {
        each.name: _Load.of(by_class[each.name], each.fits_at_once(threads), execution)
        for each in classes
        if by_class[each.name]
    }
    pods = _pods_by_class(loads, execution)
    most = execution.partitions_per_pod
    shards = {
        name: pack(group, pods[name], most) if group else [] for name, group in by_class.items()
    }
    return Packing(shards, too_large)


@dataclass(frozen=True)
class _Load:
    """The work of a resource class.

    Attributes:
        seconds: of all partitions, divided by the workers of a pod.
        longest: seconds of the longest partition.
        fewest: minimum number of pods.
        most: number of pods above which none has work for all its workers.
    """

    seconds: float
    longest: float
    fewest: int
    most: int

    @classmethod
    def of(cls, works: Sequence[Work], workers: int, execution: ExecutionConfig) -> _Load:
        per_pod = execution.partitions_per_pod
        return cls(
            seconds=sum(work.seconds for work in works) / workers,
            longest=max(work.seconds for work in works),
            fewest=math.ceil(len(works) / per_pod) if per_pod else 1,
            most=math.ceil(len(works) / workers),
        )

    def duration(self, pods: int) -> float:
        """Return the seconds of training with so many pods, without their start."""
        return max(self.seconds / pods, self.longest)

    def pods(self, preference: Preference) -> int:
        """Return the number of pods that are worth their start, at least ``fewest``.

        The next pod after n saves ``seconds / (n (n + 1))``, as long as the longest partition
        allows it.
        """
        worth = math.sqrt(0.25 + self.seconds / WORTH_SECONDS[preference]) - 0.5
        useful = math.ceil(self.seconds / self.longest) if self.longest else 1
        return max(self.fewest, 1, min(math.ceil(worth), useful, self.most))


def _pods_by_class(loads: Mapping[str, _Load], execution: ExecutionConfig) -> dict[str, int]:
    """Return pods by class, at most ``max_pods`` or one per class.

    Raises:
        SpecError: ``partitions_per_pod`` needs more.
    """
    needed = sum(load.fewest for load in loads.values())
    if needed > max(execution.max_pods, len(loads)):
        raise _too_many(execution, needed)
    pods = {name: load.pods(execution.prefer) for name, load in loads.items()}
    while sum(pods.values()) > max(execution.max_pods, len(loads)):
        spare = [name for name in pods if pods[name] > loads[name].fewest]
        pods[min(spare, key=lambda name: (loads[name].duration(pods[name] - 1), name))] -= 1
    return pods


def _too_many(execution: ExecutionConfig, needed: int) -> SpecError:
    per_pod = execution.partitions_per_pod
    raised = (
        f"Set execution.max_pods to {needed}"
        if needed <= MAX_PODS
        else f"execution.max_pods can be {MAX_PODS} at most"
    )
    problem = Problem(
        "execution.partitions_per_pod",
        f"{per_pod} per pod needs {needed:,} pods, more than execution.max_pods "
        f"({execution.max_pods:,}) allows",
        f"{raised}, allow more partitions per pod, or leave execution.partitions_per_pod out.",
    )
    return SpecError("the spec", [problem])
