"""Packing of partitions into shards: by predicted memory and cost, largest first.

A partition goes to the smallest resource class whose memory it fits. The partitions of a class are
packed into as many shards as justify a pod each, with at most ``max_pods`` in all classes together.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from steps.records import PartitionEntry
from workflows.installation.resource_classes import ResourceClass

_FIXED_COST_ROWS = 300
"""Fixed cost of a partition, in rows: measured as the time of a fit with few rows."""


def pack(entries: Iterable[PartitionEntry], shards: int) -> list[list[str]]:
    """Return partition ids per shard, the largest partition first.

    Longest processing time first: each partition goes to the shard with the least work, which keeps
    the longest shard within 4/3 of the optimum (Graham, SIAM J. Appl. Math. 17, 1969).

    Args:
        entries: the partitions; their order does not matter.
        shards: maximum number of shards; empty shards are left out.
    """
    by_cost = sorted(entries, key=lambda entry: (-entry.rows, entry.key.partition_id))
    loads = [(0, number) for number in range(shards)]
    packed: list[list[str]] = [[] for _ in range(shards)]
    for entry in by_cost:
        load, number = heapq.heappop(loads)
        packed[number].append(entry.key.partition_id)
        heapq.heappush(loads, (load + entry.rows + _FIXED_COST_ROWS, number))
    return [shard for shard in packed if shard]


BASE_MIB = 320
"""Fixed memory of a training pod: interpreter, libraries and the process that forks workers."""
WORKER_MIB = 60
"""Fixed memory of a worker, beyond what it shares with the others."""
CELL_BYTES = 80
"""Memory of a worker per row and feature: the rows, the copies for folds, the bins. Measured
with LightGBM on 20 features: 79 bytes at 100,000 rows, 61 at 400,000."""
POD_COST_ROWS = 100_000
"""Minimum work of a pod, in rows: less does not justify its start, which takes seconds."""


def needed_mib(resource_class: ResourceClass, rows: int, features: int) -> int:
    """Return the predicted memory of a pod that trains partitions of ``rows`` rows, in MiB."""
    per_worker = WORKER_MIB + (rows * features * CELL_BYTES >> 20)
    return BASE_MIB + resource_class.workers * per_worker


def fits(resource_class: ResourceClass, rows: int, features: int) -> bool:
    """Return whether a pod of the class can train partitions of ``rows`` rows."""
    return needed_mib(resource_class, rows, features) <= resource_class.memory_mib


@dataclass(frozen=True)
class Packing:
    """Partitions per shard and class.

    Attributes:
        shards: partition ids of each shard, by class; a class may have no shards.
        too_large: partitions that fit no class.
    """

    shards: dict[str, list[list[str]]]
    too_large: list[PartitionEntry]


def pack_classes(
    entries: Iterable[PartitionEntry],
    features: int,
    classes: Sequence[ResourceClass],
    max_pods: int,
) -> Packing:
    """Assign partitions to classes and pack each class.

    Args:
        entries: the partitions; their order does not matter.
        features: number of features of the dataset.
        classes: resource classes, smallest first.
        max_pods: maximum number of shards in all classes together; each class in use has at least
            one.
    """
    by_class: dict[str, list[PartitionEntry]] = {each.name: [] for each in classes}
    too_large = []
    for entry in entries:
        smallest = next((c for c in classes if fits(c, entry.rows, features)), None)
        if smallest is None:
            too_large.append(entry)
        else:
            by_class[smallest.name].append(entry)
    costs = {
        name: sum(entry.rows + _FIXED_COST_ROWS for entry in group)
        for name, group in by_class.items()
    }
    pods = _pods_by_class(costs, max_pods)
    shards = {name: pack(group, pods[name]) if group else [] for name, group in by_class.items()}
    return Packing(shards, too_large)


def _pods_by_class(costs: dict[str, int], max_pods: int) -> dict[str, int]:
    """Return pods by class, in proportion to the cost, at most ``max_pods`` or one per class."""
    used = {name: cost for name, cost in costs.items() if cost}
    total = sum(used.values())
    pods = {
        name: max(1, min(-(-cost // POD_COST_ROWS), max_pods * cost // total))
        for name, cost in used.items()
    }
    while sum(pods.values()) > max(max_pods, len(pods)):
        pods[max(pods, key=lambda name: (pods[name], name))] -= 1
    return pods
