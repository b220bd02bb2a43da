"""Packing into resource classes: complete, within limits, and pods only where they save time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.errors import SpecError
from steps.records import PartitionEntry, PartitionKey
from workflows.installation.resource_classes import ResourceClass
from workflows.planning.packing import (
    BASE_MIB,
    START_SECONDS,
    WORKER_MIB,
    Packing,
    Work,
    fits,
    pack,
    pack_classes,
)
from workflows.spec.model import ExecutionConfig

CLASSES = (
    ResourceClass.named("small", cpu="2", memory="1024Mi"),
    ResourceClass.named("medium", cpu="4", memory="4Gi"),
    ResourceClass.named("large", cpu="8", memory="16Gi"),
)
BYTES_PER_ROW = 1600


def work_of(rows: int, number: int = 0, seconds: float | None = None) -> Work:
    """Return a partition that takes a millisecond per row, and 0.3 s in any case."""
    entry = PartitionEntry(PartitionKey("int64", str(number)), rows, (), "", (), 0)
    took = 0.3 + rows / 1000 if seconds is None else seconds
    return Work(entry, took, rows * BYTES_PER_ROW / 2**20)


def works(rows: Sequence[int]) -> list[Work]:
    return [work_of(count, number) for number, count in enumerate(rows)]


def equal_works(count: int, seconds: float) -> list[Work]:
    return [work_of(500, number, seconds) for number in range(count)]


def packed(given_ones: Sequence[Work], *, threads: int = 1, **execution: Any) -> Packing:
    return pack_classes(given_ones, CLASSES, ExecutionConfig(**execution), threads)


def pods(packing: Packing) -> int:
    return sum(map(len, packing.shards.values()))


def most_rows(resource_class: ResourceClass) -> int:
    """Return the rows of the largest partition that a pod of the class can train."""
    each = (resource_class.memory_mib - BASE_MIB) // resource_class.workers - WORKER_MIB
    return -(-((each + 1) << 20) // BYTES_PER_ROW) - 1


def shards_of(rows: Sequence[int], max_pods: int) -> dict[str, list[list[str]]]:
    packing = packed(works(rows), max_pods=max_pods)
    assert not packing.too_large
    return packing.shards


partition_rows = st.lists(st.integers(0, 3_000_000), max_size=60)
preferences = st.sampled_from(["time", "price"])


@settings(deadline=None)
@given(rows=partition_rows, max_pods=st.integers(1, 40), prefer=preferences)
def test_every_partition_is_in_one_shard_or_is_named_as_too_large(
    rows: list[int], max_pods: int, prefer: str
) -> None:
    given_ones = works(rows)
    packing = packed(given_ones, max_pods=max_pods, prefer=prefer)
    placed = [i for shards in packing.shards.values() for shard in shards for i in shard]
    refused = [work.partition_id for work in packing.too_large]
    assert sorted(placed + refused) == sorted(work.partition_id for work in given_ones)
    assert list(packing.shards) == [size.name for size in CLASSES]
    assert all(shard for shards in packing.shards.values() for shard in shards)
    used = sum(bool(shards) for shards in packing.shards.values())
    assert pods(packing) <= max(max_pods, used)


@settings(deadline=None)
@given(rows=partition_rows, max_pods=st.integers(1, 40))
def test_a_partition_goes_to_the_smallest_class_that_it_fits(
    rows: list[int], max_pods: int
) -> None:
    given_ones = works(rows)
    packing = packed(given_ones, max_pods=max_pods)
    where = {i: name for name, found in packing.shards.items() for shard in found for i in shard}
    limits = [most_rows(size) for size in CLASSES]
    for work in given_ones:
        fitting = [
            size.name for size, most in zip(CLASSES, limits, strict=True) if work.entry.rows <= most
        ]
        assert where.get(work.partition_id) == (fitting[0] if fitting else None)
    refused = {work.entry.rows for work in packing.too_large}
    assert refused == {each for each in rows if each > limits[-1]}


@settings(deadline=None)
@given(rows=partition_rows, max_pods=st.integers(1, 40), seed=st.integers(0, 9))
def test_the_order_of_the_partitions_does_not_matter(
    rows: list[int], max_pods: int, seed: int
) -> None:
    given_ones = works(rows)
    shuffled = [given_ones[i] for i in np.random.default_rng(seed).permutation(len(rows))]
    first, second = (packed(each, max_pods=max_pods) for each in (given_ones, shuffled))
    assert first.shards == second.shards


@settings(deadline=None)
@given(rows=partition_rows, max_pods=st.integers(1, 40))
def test_the_longest_shard_is_close_to_the_best(rows: list[int], max_pods: int) -> None:
    """No shard is longer than the mean by more than the partition that was put there last.

    Graham, SIAM J. Appl. Math. 17, 1969: a shard that gets another partition has least to do, so
    not more than the mean. Longest first, that partition is a small one wherever there are many.
    """
    given_ones = works(rows)
    cost = {work.partition_id: work.seconds for work in given_ones}
    for shards in packed(given_ones, max_pods=max_pods).shards.values():
        if not shards:
            continue
        loads = [sum(cost[i] for i in shard) for shard in shards]
        mean, longest = sum(loads) / len(loads), shards[loads.index(max(loads))]
        assert max(loads) <= mean + cost[longest[-1]] + 1e-6
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
    packing = packed(works(rows), max_pods=max_pods)
    used = [name for name, shards in packing.shards.items() if shards]
    assert used == ["small", "medium", "large"]
    assert pods(packing) <= max(max_pods, len(used))
    if 7 <= max_pods <= 100:
        assert pods(packing) >= max_pods * 0.8  # there is work for more


# --- the number of pods ---------------------------------------------------------------------


def test_a_thousand_partitions_of_a_minute_get_a_hundred_pods() -> None:
    """On two workers per pod: eight pods would take an hour, a hundred take five minutes."""
    given_ones = equal_works(1_000, 60)
    for prefer, expected in (("time", 100), ("price", 39)):
        packing = packed(given_ones, prefer=prefer)
        assert pods(packing) == expected
    assert {len(shard) for shard in packed(given_ones).shards["small"]} == {10}


@pytest.mark.parametrize(("prefer", "worth"), [("time", 1), ("price", START_SECONDS)])
@pytest.mark.parametrize("total", [3, 40, 400, 20_000])
def test_the_last_pod_is_worth_its_start_and_the_next_one_is_not(
    prefer: str, worth: float, total: float
) -> None:
    """Each of n pods with two workers takes total / (2 n) seconds."""
    n = pods(packed(equal_works(1_000, total / 1_000), prefer=prefer, max_pods=500))
    assert n == 1 or total / 2 / (n - 1) - total / 2 / n >= worth
    assert total / 2 / n - total / 2 / (n + 1) <= worth


def test_pods_that_wait_for_the_longest_partition_are_not_started() -> None:
    given_ones = [work_of(500, 0, seconds=600), *equal_works(101, 12)[1:]]
    packing = packed(given_ones)
    assert pods(packing) == 2  # 1,800 s on two workers each, of which one needs 600 s
    assert len(packing.shards["small"]) == 2


def test_little_work_gets_one_pod() -> None:
    assert pods(packed(equal_works(100, 0.02))) == 1


def test_fewer_partitions_than_workers_get_no_idle_pods() -> None:
    assert pods(packed(equal_works(4, 3_600))) == 2


def test_threads_per_fit_leave_fewer_workers() -> None:
    assert pods(packed(equal_works(4, 3_600), threads=2)) == 4
    small = CLASSES[0]
    assert [small.fits_at_once(threads) for threads in (1, 2, 3)] == [2, 1, 1]
    assert fits(small, 600, threads=2)
    assert not fits(small, 600, threads=1)


@pytest.mark.parametrize("most", [1, 3, 7])
def test_a_pod_gets_at_most_partitions_per_pod(most: int) -> None:
    given_ones = works([*range(100, 150), most_rows(CLASSES[0]) + 1])
    packing = packed(given_ones, partitions_per_pod=most)
    sizes = [len(shard) for shards in packing.shards.values() for shard in shards]
    assert max(sizes) == most
    assert sum(sizes) == 51
    assert len(packing.shards["small"]) == -(-50 // most)


def test_a_full_pod_gets_no_more_partitions_even_if_it_has_least_to_do() -> None:
    given_ones = [work_of(500, 0, seconds=1000), *equal_works(10, 1)[1:]]
    packing = packed(given_ones, partitions_per_pod=2, prefer="price")
    assert sorted(len(shard) for shard in packing.shards["small"]) == [2, 2, 2, 2, 2]


def test_partitions_per_pod_beyond_max_pods_is_an_error() -> None:
    given_ones = equal_works(150, 1)
    with pytest.raises(SpecError, match=r"1 per pod needs 150 pods, more than execution.max_pods"):
        packed(given_ones, partitions_per_pod=1)
    assert pods(packed(given_ones, partitions_per_pod=1, max_pods=150)) == 150
    with pytest.raises(SpecError) as caught:
        packed(equal_works(501, 1), partitions_per_pod=1, max_pods=500)
    assert "can be 500 at most" in caught.value.problems[0].hint


def test_a_class_gives_up_pods_that_save_least() -> None:
    """Without the limit the small class gets 38 pods and the medium one 100; both must shrink."""
    large = [
        work_of(most_rows(CLASSES[0]) + 1, 10_000 + number, seconds=400) for number in range(400)
    ]
    packing = packed([*equal_works(400, 8), *large], max_pods=20)
    counts = {name: len(shards) for name, shards in packing.shards.items()}
    assert counts["small"] + counts["medium"] == 20
    assert counts["small"] == 1  # 1,600 s with one pod, as the medium class takes 2,105 s on 19


# --- classes --------------------------------------------------------------------------------


def test_unused_class_has_an_empty_list() -> None:
    assert shards_of([], max_pods=5) == {"small": [], "medium": [], "large": []}
    small = shards_of([100, 100], max_pods=5)
    assert (len(small["small"]), small["medium"], small["large"]) == (1, [], [])
    large = shards_of([most_rows(CLASSES[1]) + 1], max_pods=5)
    assert (large["small"], large["medium"], len(large["large"])) == ([], [], 1)


def test_a_partition_that_fits_no_class_is_named_and_the_others_are_packed() -> None:
    limit = most_rows(CLASSES[-1])
    packing = packed(works([10, limit + 1, limit]), max_pods=10)
    assert [work.entry.rows for work in packing.too_large] == [limit + 1]
    assert sum(len(shard) for shards in packing.shards.values() for shard in shards) == 2


@pytest.mark.parametrize("max_pods", [3, 4, 10])
def test_each_used_class_gets_a_pod(max_pods: int) -> None:
    limits = [most_rows(size) for size in CLASSES]
    shards = shards_of([10, limits[0] + 1, *[limits[2]] * 100], max_pods)
    assert {name: len(found) for name, found in shards.items()} == {
        "small": 1,
        "medium": 1,
        "large": max_pods - 2,
    }


def test_more_shards_than_partitions_leave_none_empty() -> None:
    assert len(pack(equal_works(3, 1), 10)) == 3


def test_of_equal_times_the_partition_with_more_rows_comes_first() -> None:
    given_ones = [work_of(rows, i, 60.0 - i * 1e-9) for i, rows in enumerate([100, 300, 200])]
    (shard,) = pack(given_ones, 1)
    by_id = {work.partition_id: work.entry.rows for work in given_ones}
    assert [by_id[each] for each in shard] == [300, 200, 100]
