"""Attempts of earlier pods: which partitions are suspect, and which need a larger class."""

from __future__ import annotations

import pytest

from steps.runtime.attempts import Attempt
from steps.train.workers.history import History
from steps.train.workers.marks import Mark
from steps.train.workers.worker import WorkerTask


def ended(partition: str, number: int, outcome: str, class_offset: int = 0) -> Attempt:
    return Attempt(partition, number, outcome, "none", 0.0, 0.0, "w", "c", "s", class_offset)


def begun(*partitions: str, workers: int = 2, class_offset: int = 0, alone: bool = False) -> Mark:
    tasks = (WorkerTask(each, 1, "s", class_offset, alone=alone) for each in partitions)
    return Mark("w", workers, tuple(tasks))


def test_an_attempt_that_an_evicted_pod_dropped_is_to_blame() -> None:
    """The kubelet takes longer to end the pod than the pod waits for its attempts."""
    dropped = [ended("pa", 1, "dropped")]
    assert not History(dropped, previous_end="preempted").suspect("pa")
    assert not History(dropped, previous_end="disk", evicted={"another pod"}).suspect("pa")
    history = History(dropped, previous_end="preempted", evicted={"another pod", "w"})
    assert history.suspect("pa")
    assert history.class_offset("pa") == 1
    assert [each.outcome for each in history.found] == ["out_of_disk"]


@pytest.mark.parametrize("previous_end", ["memory", "disk"])
def test_partition_in_a_pod_out_of_memory_or_disk_needs_next_class(previous_end: str) -> None:
    marks = [begun("pa", "pc"), begun("pb", class_offset=1)]
    history = History([ended("pc", 1, "trained")], marks, previous_end=previous_end)
    names = ("pa", "pb", "pc", "pd")
    assert [history.class_offset(name) for name in names] == [1, 2, 0, 0]
    assert [history.suspect(name) for name in names] == [True, True, False, False]
    assert [history.last_attempt(name) for name in names] == [1, 1, 1, 0]
    assert {each.partition_id for each in history.found} == {"pa", "pb"}


@pytest.mark.parametrize("previous_end", ["memory", "disk"])
def test_a_batch_that_had_not_all_begun_is_tried_alone_in_the_same_class(previous_end: str) -> None:
    history = History([], [begun("pa", "pb", "pc", workers=2)], previous_end=previous_end)
    for name in ("pa", "pb", "pc"):
        assert history.suspect(name)
        assert history.class_offset(name) == 0
    assert {each.outcome for each in history.found} == {"lost"}


def test_what_ran_out_alone_in_the_largest_class_has_failed() -> None:
    mark = begun("pa", class_offset=2, alone=True)
    history = History([], [mark], previous_end="memory")
    assert history.ran_out_alone("pa", 2) == "out_of_memory"
    assert history.ran_out_alone("pa", 3) is None


def test_partition_in_lost_pod_is_retried_alone_in_same_class() -> None:
    history = History([], [begun("pa")])
    assert history.class_offset("pa") == 0
    assert history.suspect("pa")
    assert [each.outcome for each in history.found] == ["lost"]


def test_attempt_that_ended_is_not_lost_with_its_pod() -> None:
    history = History([ended("pa", 1, "trained")], [begun("pa")], previous_end="memory")
    assert not history.suspect("pa")
    assert history.found == []


@pytest.mark.parametrize(
    ("outcome", "suspect"),
    [
        ("dropped", False),
        ("trained", False),
        ("skipped", False),
        ("lost", True),
        ("out_of_memory", True),
        ("out_of_disk", True),
        ("trainer_error", True),
    ],
)
def test_only_attempts_that_could_harm_others_are_suspect(outcome: str, suspect: bool) -> None:
    assert History([ended("pa", 1, outcome)]).suspect("pa") is suspect
