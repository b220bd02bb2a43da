"""Packing of partitions into shards: by predicted cost, largest first."""

from __future__ import annotations

import heapq
from collections.abc import Iterable

from steps.records import PartitionEntry

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
