"""Fewer partitions than processes: each fit has several threads, and the same bytes."""

from __future__ import annotations

import pytest

from steps.train import step
from steps.train.partition import Inputs
from steps.train.workers.pool import _Worker
from steps.train.workers.worker import WorkerTask
from tests.workspace import Workspace, small_table
from workflows.local import run


@pytest.fixture(autouse=True)
def _few_rows_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "_ROWS_FOR_THREADS", 50)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the threads of each fit, in the order in which workers get them."""
    seen: list[int] = []
    give = _Worker.give

    def watched(self: _Worker, task: WorkerTask, inputs: Inputs) -> None:
        seen.append(inputs.threads)
        give(self, task, inputs)

    monkeypatch.setattr(_Worker, "give", watched)
    return seen


@pytest.mark.parametrize(
    ("partitions", "workers", "each"), [(1, 4, 4), (2, 4, 2), (3, 4, 1), (5, 4, 1), (1, 1, 1)]
)
def test_processes_without_a_partition_become_threads(
    partitions: int, workers: int, each: int, lab: Workspace, threads: list[int]
) -> None:
    lab.write_table(small_table(partitions))
    run(lab.write_spec(execution__workers=workers))
    assert threads == [each] * partitions


def test_a_small_partition_gets_one_thread(
    lab: Workspace, threads: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step, "_ROWS_FOR_THREADS", 500)
    lab.write_table(small_table(1))
    run(lab.write_spec(execution__workers=4))
    assert threads == [1]


def test_a_trainer_that_uses_one_thread_gets_one(lab: Workspace, threads: list[int]) -> None:
    lab.write_table(small_table(1))
    run(lab.write_spec(trainer={"name": "linear"}, execution__workers=4))
    assert threads == [1]


def test_tables_do_not_depend_on_the_number_of_threads(lab: Workspace) -> None:
    lab.write_table(small_table(1, rows=3000))
    tables = [
        lab.tables(run(lab.write_spec(execution__workers=each, output=f"with-{each}")).layout.base)
        for each in (1, 2, 4)
    ]
    assert tables[0] == tables[1] == tables[2]
