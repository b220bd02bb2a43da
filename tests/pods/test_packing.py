"""Packing into resource classes: nobody is lost, nobody is too large, no shard is far too long."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.records import PartitionEntry, PartitionKey
from workflows.installation.resource_classes import ResourceClass
from workflows.planning.packing import (
    _FIXED_COST_ROWS,
    BASE_MIB,
    CELL_BYTES,
    POD_COST_ROWS,
    WORKER_MIB,
    fits,
    pack_classes,
)

FEATURES = 20
CLASSES = (
    ResourceClass.named("small", cpu="2", memory="1024Mi"),
    ResourceClass.named("medium", cpu="4", memory="4Gi"),
    ResourceClass.named("large", cpu="8", memory="16Gi"),
)


def entries(rows: Sequence[int]) -> list[PartitionEntry]:
    return [
        PartitionEntry(PartitionKey("int64", str(i)), count, (), "", (), 0)
        for i, count in enumerate(rows)
    ]


def most_rows(resource_class: ResourceClass) -> int:
    """Return the rows of the largest partition that a pod of the class can train."""
    each = (resource_class.memory_mib - BASE_MIB) // resource_class.workers - WORKER_MIB
    return -(-((each + 1) << 20) // (FEATURES * CELL_BYTES)) - 1


def shards_of(rows: Sequence[int], max_pods: int) -> dict[str, list[list[str]]]:
    packing = pack_classes(entries(rows), FEATURES, CLASSES, max_pods)
    assert not packing.too_large
    return packing.shards


partition_rows = st.lists(st.integers(0, 3_000_000), max_size=60)


@settings(deadline=None)
@given(rows=partition_rows, max_pods=st.integers(1, 40))
def test_every_partition_is_in_one_shard_or_is_named_as_too_large(
    rows: list[int], max_pods: int
) -> None:
    given_ones = entries(rows)
    packing = pack_classes(given_ones, FEATURES, CLASSES, max_pods)
    placed = [i for shards in packing.shards.values() for shard in shards for i in shard]
    refused = [entry.key.partition_id for entry in packing.too_large]
    assert sorted(placed + refused) == sorted(entry.key.partition_id for entry in given_ones)
    assert list(packing.shards) == [size.name for size in CLASSES]
    assert all(shard for shards in packing.shards.values() for shard in shards)
    used = sum(bool(shards) for shards in packing.shards.values())
    assert sum(map(len, packing.shards.values())) <= max(max_pods, used)


@settings(deadline=None)
@given(rows=partition_rows, max_pods=st.integers(1, 40))
def test_a_partition_goes_to_the_smallest_class_that_it_fits(
    rows: list[int], max_pods: int
) -> None:
    given_ones = entries(rows)
    packing = pack_classes(given_ones, FEATURES, CLASSES, max_pods)
    where = {i: name for name, found in packing.shards.items() for shard in found for i in shard}
    limits = [most_rows(size) for size in CLASSES]
    for entry in given_ones:
        fitting = [
            size.name for size, most in zip(CLASSES, limits, strict=True) if entry.rows <= most
        ]
        assert where.get(entry.key.partition_id) == (fitting[0] if fitting else None)
    assert {entry.rows for entry in packing.too_large} == {r for r in rows if r > limits[-1]}


@settings(deadline=None)
@given(rows=partition_rows, max_pods=st.integers(1, 40), seed=st.integers(0, 9))
def test_the_order_of_the_partitions_does_not_matter(
    rows: list[int], max_pods: int, seed: int
) -> None:
    given_ones = entries(rows)
    shuffled = [given_ones[i] for i in np.random.default_rng(seed).permutation(len(rows))]
    first, second = (
        pack_classes(each, FEATURES, CLASSES, max_pods) for each in (given_ones, shuffled)
    )
    assert first.shards == second.shards


@settings(deadline=None)
@given(rows=partition_rows, max_pods=st.integers(1, 40))
def test_the_longest_shard_is_close_to_the_best(rows: list[int], max_pods: int) -> None:
    """No shard is longer than the mean by more than the partition that was put there last.

    Graham, SIAM J. Appl. Math. 17, 1969: a shard that gets another partition has least to do, so
    not more than the mean. Longest first, that partition is a small one wherever there are many.
    """
    given_ones = entries(rows)
    cost = {entry.key.partition_id: entry.rows + _FIXED_COST_ROWS for entry in given_ones}
    for shards in pack_classes(given_ones, FEATURES, CLASSES, max_pods).shards.values():
        if not shards:
            continue
        loads = [sum(cost[i] for i in shard) for shard in shards]
        mean, longest = sum(loads) / len(loads), shards[loads.index(max(loads))]
        assert max(loads) <= mean + cost[longest[-1]]
        assert max(loads) <= 4 / 3 * (mean + max(cost[i] for shard in shards for i in shard))
        assert [cost[i] for i in shards[0]] == sorted((cost[i] for i in shards[0]), reverse=True)


@pytest.mark.parametrize("max_pods", [1, 2, 3, 7, 100, 500])
def test_pods_stay_bounded_for_ten_thousand_partitions(max_pods: int) -> None:
    rows = (
        np.random.default_rng(0)
        .lognormal(8, 2, 10_000)
        .astype(int)
        .clip(1, most_rows(CLASSES[-1]))
        .tolist()
    )
    packing = pack_classes(entries(rows), FEATURES, CLASSES, max_pods)
    used = [name for name, shards in packing.shards.items() if shards]
    assert used == ["small", "medium", "large"]
    pods = sum(map(len, packing.shards.values()))
    assert pods <= max(max_pods, len(used))
    if max_pods >= 7:
        assert pods >= max_pods * 0.8  # there is work for nearly twenty times as many


def test_little_work_gets_few_pods() -> None:
    shards = shards_of([200] * 100, max_pods=100)  # 50,000 rows with what each costs anyway
    assert len(shards["small"]) == 1
    assert 100 * (200 + _FIXED_COST_ROWS) <= POD_COST_ROWS
    assert len(shards_of([200] * 401, max_pods=100)["small"]) == 3


def test_unused_class_has_an_empty_list() -> None:
    assert shards_of([], max_pods=5) == {"small": [], "medium": [], "large": []}
    small = shards_of([100, 100], max_pods=5)
    assert (len(small["small"]), small["medium"], small["large"]) == (1, [], [])
    large = shards_of([most_rows(CLASSES[1]) + 1], max_pods=5)
    assert (large["small"], large["medium"], len(large["large"])) == ([], [], 1)


def test_a_partition_that_fits_no_class_is_named_and_the_others_are_packed() -> None:
    limit = most_rows(CLASSES[-1])
    packing = pack_classes(entries([10, limit + 1, limit]), FEATURES, CLASSES, 10)
    assert [entry.rows for entry in packing.too_large] == [limit + 1]
    assert sum(len(shard) for shards in packing.shards.values() for shard in shards) == 2


def test_the_same_rows_with_more_features_need_a_larger_class() -> None:
    rows = most_rows(CLASSES[0])
    assert fits(CLASSES[0], rows, FEATURES)
    assert not fits(CLASSES[0], rows, FEATURES * 2)
    assert fits(CLASSES[1], rows, FEATURES * 2)


@pytest.mark.parametrize("max_pods", [3, 4, 10])
def test_each_used_class_gets_a_pod(max_pods: int) -> None:
    limits = [most_rows(size) for size in CLASSES]
    shards = shards_of([10, limits[0] + 1, *[limits[2]] * 100], max_pods)
    assert {name: len(found) for name, found in shards.items()} == {
        "small": 1,
        "medium": 1,
        "large": max_pods - 2,
    }
