"""Packing of partitions into shards: by predicted memory and cost, largest first.

A partition goes to the smallest resource class whose memory it fits; the partitions of a class are
packed into as many shards as are worth a pod each, and all classes together have at most
``max_pods``.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from steps.records import PartitionEntry
from workflows.installation.resource_classes import ResourceClass

_FIXED_COST_ROWS = 300
"""What a partition costs whatever its size, in rows: measured as the time of a fit of few rows."""


def pack(entries: Iterable[PartitionEntry], shards: int) -> list[list[str]]:
    """Partition ids per shard, the largest partition first.

    Longest processing time first: each partition goes to the shard that has least to do, which
    keeps the longest shard within 4/3 of the best (Graham, SIAM J. Appl. Math. 17, 1969).

    Args:
        entries: the partitions; their order does not matter.
        shards: at the most; empty shards are left out.
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
"""What a training pod takes whatever it trains: interpreter, libraries, the server of workers."""
WORKER_MIB = 60
"""What a worker takes whatever it trains, beyond what it shares with the others."""
CELL_BYTES = 80
"""What a worker takes per row and feature: the rows, the copies for folds, the bins. Measured
with LightGBM on 20 features: 79 bytes at 100,000 rows, 61 at 400,000."""
POD_COST_ROWS = 100_000
"""Less work than this (in rows) is not worth a pod of its own: it takes seconds to start."""


def needed_mib(resource_class: ResourceClass, rows: int, features: int) -> int:
    """Return the predicted memory of a pod that trains partitions of ``rows`` rows, in MiB."""
    per_worker = WORKER_MIB + (rows * features * CELL_BYTES >> 20)
    return BASE_MIB + resource_class.workers * per_worker


def fits(resource_class: ResourceClass, rows: int, features: int) -> bool:
    """Return whether a pod of the class can train partitions of ``rows`` rows."""
    return needed_mib(resource_class, rows, features) <= resource_class.memory_mib


@dataclass(frozen=True)
class Packing:
    """Who is trained where.

    Attributes:
        shards: by class, the partition ids of each shard; every class is there, maybe empty.
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
        features: of the data set.
        classes: the smallest first.
        max_pods: shards of all classes together, at the most (and at least one per class in use).
    """
    by_class: dict[str, list[PartitionEntry]] = {each.name: [] for each in classes}
    too_large = []
    for entry in entries:
        fitting = next((c for c in classes if fits(c, entry.rows, features)), None)
        if fitting is None:
            too_large.append(entry)
        else:
            by_class[fitting.name].append(entry)
    pods = _pods_by_class({name: _cost(found) for name, found in by_class.items()}, max_pods)
    shards = {name: pack(found, pods[name]) if found else [] for name, found in by_class.items()}
    return Packing(shards, too_large)


def _cost(entries: Sequence[PartitionEntry]) -> int:
    return sum(entry.rows + _FIXED_COST_ROWS for entry in entries)


def _pods_by_class(costs: dict[str, int], max_pods: int) -> dict[str, int]:
    """Pods by class, in proportion to the work; the largest share gives way to the others."""
    used = {name: cost for name, cost in costs.items() if cost}
    total = sum(used.values())
    pods = {
        name: max(1, min(-(-cost // POD_COST_ROWS), max_pods * cost // total))
        for name, cost in used.items()
    }
    while sum(pods.values()) > max(max_pods, len(pods)):
        pods[max(pods, key=lambda name: (pods[name], name))] -= 1
    return pods
