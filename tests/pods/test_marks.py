"""Marks: durable before the first fit of a batch, and gone when a pod ends by itself."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from steps.contract import RunLayout
from steps.storage.local import LocalStorage
from steps.train.workers import marks
from steps.train.workers.marks import Mark, MarkWriter, read_marks
from steps.train.workers.worker import WorkerTask
from tests.pods.fake_project import COMMAND, FakeProject, process_environment
from tests.pods.test_train_pods import SHARD, attempts, inputs, numbered_table, watch_orders


def tasks(count: int) -> list[WorkerTask]:
    return [WorkerTask(f"p{number:03d}", 1, "s") for number in range(count)]


def writer(folder: Path, order: Sequence[WorkerTask], workers: int = 2) -> MarkWriter:
    made = MarkWriter(LocalStorage(), RunLayout(str(folder)), "s", workers)
    made.start(order)
    return made


def marked(folder: Path) -> list[str]:
    """Return the partitions of the only mark."""
    (mark,) = read_marks(LocalStorage(), RunLayout(str(folder)), "s").values()
    return [task.partition_id for task in mark.tasks]


def test_a_durable_mark_names_each_partition_before_it_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(marks, "BATCH_SECONDS", 1000.0)
    order = tasks(50)
    mark = writer(tmp_path, order)
    sizes = []
    for task in order:
        mark.cover(task)
        assert task.partition_id in marked(tmp_path)
        sizes.append(len(marked(tmp_path)))
    assert sizes[:3] == [2, 2, 10]  # a batch is at most four times the last one
    assert len(set(sizes)) == 4
    mark.remove()
    assert not read_marks(LocalStorage(), RunLayout(str(tmp_path)), "s")


def test_a_slow_trainer_has_small_batches(tmp_path: Path) -> None:
    mark = writer(tmp_path, tasks(50))
    mark._began -= 3600  # one fit takes half an hour
    for task in tasks(7):
        mark.cover(task)
    assert len(marked(tmp_path)) == 8


def test_what_is_stored_leaves_the_next_mark(tmp_path: Path) -> None:
    order = tasks(4)
    mark = writer(tmp_path, order)
    mark.cover(order[0])
    mark.forget(["p000"])
    mark.cover(order[2])
    assert marked(tmp_path) == ["p001", "p002", "p003"]


def test_a_suspect_has_a_mark_of_its_own(tmp_path: Path) -> None:
    mark = writer(tmp_path, [])
    for task in (task.again() for task in tasks(3)):
        mark.cover(task)
        assert marked(tmp_path) == [task.partition_id]
        mark.forget([task.partition_id])


def test_a_mark_comes_back_as_it_was_written() -> None:
    mark = Mark("pod", 4, tuple(tasks(3)))
    assert Mark.from_json(mark.to_json()) == mark


def test_a_damaged_mark_is_dropped(tmp_path: Path) -> None:
    uri = RunLayout(str(tmp_path)).mark("s", "pod")
    LocalStorage().write(uri, b"{")
    assert read_marks(LocalStorage(), RunLayout(str(tmp_path)), "s") == {}
    assert not LocalStorage().exists(uri)


@pytest.mark.slow
def test_partitions_of_a_killed_pods_batch_are_tried_alone(
    world: FakeProject, faulty: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = faulty()
    names = {f"part{i}": float(i) for i in range(8)}
    world.upload(numbered_table(**names))
    workflow = world.workflow(
        trainer={"name": "faulty", "params": {"seconds": 0.5}}, execution__max_pods=1
    )
    workflow.run_check()
    workflow.run_split()
    process = subprocess.Popen(
        [*COMMAND, *workflow.command(SHARD, inputs(workflow))[1:]],
        env=process_environment(environment | workflow.environment(SHARD, inputs(workflow))),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    run = workflow.address.run_layout
    end = time.monotonic() + 60
    named: set[str] = set()
    while len(named) < 4 and time.monotonic() < end:  # the second batch has begun
        assert process.poll() is None, process.communicate()
        left = read_marks(world.storage, run, "small-00000").values()
        named = {task.partition_id for mark in left for task in mark.tasks}
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    stored = {record.key.partition_id for record in workflow.records().values()}
    together = watch_orders(monkeypatch)
    workflow.run(SHARD, inputs(workflow), number=1, last=("pod deleted", "Error"))
    alone = sorted(named - stored)
    assert len(alone) >= 2
    assert together[1:] == [[partition_id] for partition_id in alone]
    assert set(workflow.records()) == set(names)
    lost = {each.partition_id for each in attempts(workflow) if each.outcome == "lost"}
    assert lost == set(alone)
    assert not world.storage.objects(run.marks)
