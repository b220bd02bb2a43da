"""Records and attempts of a run, over retries, two writers, and pods that know their end late."""

from __future__ import annotations

from pathlib import Path

import pytest

from steps.contract import OldResultsLayout, RunMembers
from steps.records import PartitionKey, PartitionRecord
from steps.runtime.attempts import Attempt
from steps.segments.run_results import RunResults, attempt_members
from steps.segments.writer import write_segment
from steps.storage.local import LocalStorage

KEY = PartitionKey("string", "a")
ID = KEY.partition_id


def members(generation: int = 0, run: str = "run") -> RunMembers:
    return RunMembers("trial", run, generation)


def results(folder: Path, generation: int = 0) -> RunResults:
    found = RunResults(LocalStorage(), str(folder), members(generation), OldResultsLayout("", ""))
    found.refresh()
    return found


def attempt(number: int, outcome: str, worker: str = "w", shard: str = "s") -> Attempt:
    return Attempt(ID, number, outcome, "none", 1.0, 1.0, worker, "cpu", shard)


def put_record(folder: Path, status: str, generation: int = 0, run: str = "run") -> None:
    record = PartitionRecord(KEY, status)  # type: ignore[arg-type]  # one of the statuses
    name = members(generation, run).record(ID, final=status != "failed")
    write_segment(LocalStorage(), str(folder), {name: record.to_json().encode()})


def put_attempts(folder: Path, *attempts: Attempt, generation: int = 0) -> None:
    found = attempt_members(members(generation), attempts)
    write_segment(LocalStorage(), str(folder), found)


def test_a_failure_is_forgotten_by_a_retry_and_a_model_is_not(tmp_path: Path) -> None:
    put_record(tmp_path, "failed")
    assert results(tmp_path).record(ID).status == "failed"
    assert not results(tmp_path, generation=1).recorded
    put_record(tmp_path, "trained", generation=1)
    for generation in (1, 2, 3):
        assert results(tmp_path, generation).record(ID).status == "trained"


def test_a_model_counts_more_than_the_failure_of_another_pod(tmp_path: Path) -> None:
    for status in ("trained", "failed"):
        put_record(tmp_path, status)
    assert results(tmp_path).record(ID).status == "trained"
    assert results(tmp_path).count() == 1


def test_records_of_another_run_are_not_seen(tmp_path: Path) -> None:
    put_record(tmp_path, "trained", run="run-2")
    assert not results(tmp_path).recorded


def test_attempts_before_a_retry_are_history_of_the_run_only(tmp_path: Path) -> None:
    put_attempts(tmp_path, attempt(1, "lost"), attempt(2, "failed"))
    put_attempts(tmp_path, attempt(1, "trained"), generation=1)
    retried = results(tmp_path, generation=1)
    assert [each.outcome for each in retried.attempts("s")] == ["trained"]
    everything = retried.attempts(all_generations=True)
    assert [(each.attempt, each.outcome) for each in everything] == [
        (1, "lost"),
        (2, "failed"),
        (3, "trained"),
    ]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_what_the_next_pod_knows_replaces_dropped(tmp_path: Path, order: tuple[int, int]) -> None:
    ends = [attempt(1, "dropped"), attempt(1, "out_of_disk")]
    for position in order:
        put_attempts(tmp_path, ends[position])
    assert [each.outcome for each in results(tmp_path).attempts()] == ["out_of_disk"]


def test_a_pod_sees_attempts_of_its_own_shard(tmp_path: Path) -> None:
    put_attempts(tmp_path, attempt(1, "lost", shard="small-00001"))
    assert results(tmp_path).attempts("small-00002") == []
    assert len(results(tmp_path).attempts("small-00001")) == 1
    assert results(tmp_path).attempts("small-0000") == []
