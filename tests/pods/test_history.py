"""Attempts of earlier pods: who is suspect, and who needs a larger class."""

from __future__ import annotations

from pathlib import Path

import pytest

from steps.contract import RunLayout
from steps.runtime.attempts import Attempt, attempt_uris, delete_attempts, record_attempt
from steps.storage.local import LocalStorage
from steps.train.workers.history import History


def leave(folder: Path, partition: str, number: int, outcome: str, class_offset: int = 0) -> None:
    layout = RunLayout(str(folder))
    attempt = Attempt(partition, number, outcome, "none", 0.0, 0.0, "w", "c", "s", class_offset)
    record_attempt(LocalStorage(), layout, attempt)


def test_end_of_an_attempt_overrides_its_start(tmp_path: Path) -> None:
    layout, storage = RunLayout(str(tmp_path)), LocalStorage()
    leave(tmp_path, "a", 1, "begun")
    leave(tmp_path, "a", 1, "trained")
    leave(tmp_path, "b", 2, "begun")
    assert storage.names(layout.started_attempts) == ["a-001.json", "b-002.json"]
    assert storage.names(layout.attempts) == ["a-001.json"]
    assert attempt_uris(storage, layout) == {
        "a-001.json": layout.attempt("a", 1),
        "b-002.json": layout.started_attempt("b", 2),
    }
    delete_attempts(storage, layout, {"a"})
    assert list(attempt_uris(storage, layout)) == ["b-002.json"]


def history(folder: Path, previous_end: str = "", *evicted: str) -> History:
    return History(
        RunLayout(str(folder)),
        LocalStorage(),
        previous_end=previous_end,
        evicted=frozenset(evicted),
    )


def test_an_attempt_that_an_evicted_pod_dropped_is_to_blame(tmp_path: Path) -> None:
    """The kubelet takes longer to end the pod than the pod waits for its attempts."""
    leave(tmp_path, "pa", 1, "dropped")
    assert not history(tmp_path, "preempted").suspect("pa")
    assert not history(tmp_path, "disk", "another pod").suspect("pa")
    attempts = history(tmp_path, "preempted", "another pod", "w")
    assert attempts.suspect("pa")
    assert attempts.class_offset("pa") == 1
    assert history(tmp_path).class_offset("pa") == 1  # it is recorded


@pytest.mark.parametrize("previous_end", ["memory", "disk"])
def test_partition_in_a_pod_out_of_memory_or_disk_needs_next_class(
    previous_end: str, tmp_path: Path
) -> None:
    leave(tmp_path, "pa", 1, "begun")
    leave(tmp_path, "pb", 1, "begun", class_offset=1)
    leave(tmp_path, "pc", 1, "trained")
    attempts = history(tmp_path, previous_end)
    assert [attempts.class_offset(name) for name in ("pa", "pb", "pc", "pd")] == [1, 2, 0, 0]
    assert [attempts.suspect(name) for name in ("pa", "pb", "pc", "pd")] == [
        True,
        True,
        False,
        False,
    ]
    assert [attempts.last_attempt(name) for name in ("pa", "pb", "pc", "pd")] == [1, 1, 1, 0]


def test_partition_in_lost_pod_is_retried_alone_in_same_class(
    tmp_path: Path,
) -> None:
    leave(tmp_path, "pa", 1, "begun")
    attempts = history(tmp_path)
    assert attempts.class_offset("pa") == 0
    assert attempts.suspect("pa")


def test_settled_attempt_does_not_change(tmp_path: Path) -> None:
    leave(tmp_path, "pa", 1, "begun")
    history(tmp_path, "memory").suspect("pa")
    later = history(tmp_path)
    assert later.class_offset("pa") == 1


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
def test_only_attempts_that_could_harm_others_are_suspect(
    outcome: str, suspect: bool, tmp_path: Path
) -> None:
    leave(tmp_path, "pa", 1, outcome)
    assert history(tmp_path).suspect("pa") is suspect


def test_attempts_of_other_shards_are_ignored(tmp_path: Path) -> None:
    leave(tmp_path, "pa", 1, "begun")
    leave(tmp_path, "pb", 1, "begun")
    history(tmp_path, "memory").class_offset("pa")
    assert history(tmp_path).class_offset("pb") == 0
