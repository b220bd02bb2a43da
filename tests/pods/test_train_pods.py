"""Training pods that are preempted, killed for memory or lost: the others keep their models."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from steps.errors import LargerClassError, TrainerError, TransientError
from steps.records import PartitionIndex, PodRecord, RunRequest
from steps.runtime.attempts import Attempt
from steps.storage.base import read_parsed
from steps.train.workers.marks import Mark
from steps.train.workers.pool import Pool
from steps.train.workers.worker import WorkerTask
from tests.pods.fake_project import COMMAND, FakeProject, FakeWorkflow, process_environment
from tests.segment_surgery import results_of
from tests.workspace import small_table
from workflows.pods.pod import Pod

FAULTY = {"name": "faulty", "params": {}}
ROWS = 60
OOM = ("OOMKilled (exit code 137): ", "Failed")
DISK = ("Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. ", "Failed")
FULL_NODE = ("The node was low on resource: ephemeral-storage. ", "Failed")
ENDS = pytest.mark.parametrize(("last", "cause"), [(OOM, "memory"), (DISK, "disk")])
SHARD = "train-small"


def numbered_table(**codes: float) -> pa.Table:
    """Partitions by name; the first feature is a fault's code, or says that there is none."""
    names = list(codes)
    table = small_table(len(names), rows=ROWS)
    table = table.set_column(0, "key", pa.array(np.repeat(names, ROWS)))
    return table.set_column(1, "number", pa.array(np.repeat(list(codes.values()), ROWS)))


def attempts(workflow: FakeWorkflow) -> list[Attempt]:
    return results_of(workflow.address).attempts()


def inputs(workflow: FakeWorkflow) -> dict[str, str]:
    return workflow.outputs | {"shard": "00000"}


def ready(world: FakeProject, table: pa.Table, **changes: Any) -> FakeWorkflow:
    """Return a workflow of the faulty trainer, up to its shards."""
    world.upload(table)
    workflow = world.workflow(trainer=FAULTY, **changes)
    workflow.run_check()
    assert workflow.run_split() == [(SHARD, "00000")]
    return workflow


def ids(workflow: FakeWorkflow) -> dict[str, str]:
    """Partition ids by key, whatever became of them."""
    return {key.text: key.partition_id for key in (entry.key for entry in _entries(workflow))}


def _entries(workflow: FakeWorkflow) -> Any:
    storage = workflow.world.storage
    request = read_parsed(storage, workflow.address.run_layout.request, RunRequest.from_json)
    uri = workflow.address.layout.dataset(request.dataset).index
    return read_parsed(storage, uri, PartitionIndex.from_json).entries


def leave_begun(
    workflow: FakeWorkflow,
    partition: str,
    number: int = 1,
    class_offset: int = 0,
    *,
    alone: bool = False,
) -> None:
    """Write the mark that a pod leaves if it is killed while a partition is in flight."""
    task = WorkerTask(partition, number, "small-00000", class_offset, alone=alone)
    mark = Mark("gone", 2, (task,))
    uri = workflow.address.run_layout.mark("small-00000", f"gone-{partition}-{number}")
    workflow.world.storage.write(uri, mark.to_json().encode())


def leave_pod(workflow: FakeWorkflow, number: int, class_offset: int = 0, cause: str = "") -> None:
    """Write the record of a killed pod, whose cause the next pod has not written yet."""
    record = PodRecord(
        "gone",
        workflow.name,
        "train-small-00000",
        number,
        "small",
        class_offset,
        "2026-01-01",
        cause=cause,
    )
    uri = workflow.address.run_layout.pod(workflow.name, record.step, number)
    workflow.world.storage.write(uri, record.to_json().encode())


# --- preempted ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_stopped_pod_keeps_finished_work_and_next_pod_resumes(
    world: FakeProject, faulty: Callable[[], dict[str, str]]
) -> None:
    environment = faulty()
    names = {f"part{i}": float(i) for i in range(24)}
    world.upload(numbered_table(**names))
    trainer = {"name": "faulty", "params": {"seconds": 0.3}}
    workflow = world.workflow(trainer=trainer, execution__max_pods=1)
    workflow.run_check()
    workflow.run_split()
    process = subprocess.Popen(
        [*COMMAND, *workflow.command(SHARD, inputs(workflow))[1:]],
        env=process_environment(environment | workflow.environment(SHARD, inputs(workflow))),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    end = time.monotonic() + 90
    while len(workflow.records()) < 3 and time.monotonic() < end:
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 143, errors.decode()
    assert b"Traceback" not in errors
    finished = set(workflow.records())
    assert 3 <= len(finished) < len(names)
    assert all(record.status == "trained" for record in workflow.records().values())
    assert {attempt.outcome for attempt in attempts(workflow)} == {"trained"}
    assert {attempt.worker for attempt in attempts(workflow)} == {"trial-1-train-small-0"}
    assert workflow.pods()[-1] == ("train-small-00000", 1, "preempted")
    assert workflow.stored().status == "running"
    before = {attempt.partition_id for attempt in attempts(workflow)}
    workflow.run(SHARD, inputs(workflow), number=1, last=("", "Failed"))
    assert set(workflow.records()) == set(names)
    tries = Counter(attempt.partition_id for attempt in attempts(workflow))
    assert set(tries.values()) == {1}  # what was finished was not trained again
    assert len(before) == len(finished)
    left = workflow.run("collect", workflow.outputs)
    assert (left["trained"], left["pods-preempted"]) == ("24", "1")
    whole = world.workflow("trial-2", form={"force": "true"}, trainer=trainer)
    whole.run_all()
    assert whole.tables() == workflow.tables()


# --- killed for memory or disk --------------------------------------------------------------------


@ENDS
def test_partition_out_of_memory_or_disk_waits_for_next_class(
    last: tuple[str, str], cause: str, world: FakeProject, faulty: Callable[[], dict[str, str]]
) -> None:
    faulty()
    workflow = ready(world, numbered_table(big=1.0, good=2.0, fine=3.0))
    big = ids(workflow)["big"]
    leave_pod(workflow, 1)
    leave_begun(workflow, big)
    with pytest.raises(LargerClassError) as caught:
        workflow.run(SHARD, inputs(workflow), number=1, last=last)
    assert caught.value.exit_code == 101
    assert set(workflow.records()) == {"good", "fine"}
    assert [cause for step, _, cause in workflow.pods() if step.startswith("train")] == [
        cause,
        "more_memory",
    ]
    workflow.run(SHARD, inputs(workflow), number=2, class_offset=1, last=("", "Failed"))
    assert {record.status for record in workflow.records().values()} == {"trained"}
    final = [each for each in attempts(workflow) if each.partition_id == big][-1]
    assert (final.attempt, final.class_offset, final.outcome) == (2, 1, "trained")
    left = workflow.run("collect", workflow.outputs)
    assert (left[f"pods-{cause}"], left["trained"]) == ("1", "3")


def test_two_suspects_out_of_memory_are_retried_one_by_one(
    world: FakeProject, faulty: Callable[[], dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty()
    workflow = ready(world, numbered_table(one=1.0, two=2.0, good=3.0))
    leave_pod(workflow, 1)
    suspects = [ids(workflow)["one"], ids(workflow)["two"]]
    for partition in suspects:
        leave_begun(workflow, partition)
    together = watch_orders(monkeypatch)
    with pytest.raises(LargerClassError):
        workflow.run(SHARD, inputs(workflow), number=1, last=OOM)
    assert together == [[ids(workflow)["good"]]]
    together.clear()
    workflow.run(SHARD, inputs(workflow), number=2, class_offset=1, last=("", "Failed"))
    assert together == [[], *([each] for each in sorted(suspects))]
    assert len(workflow.records()) == 3


def watch_orders(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Which partitions the pool is given at once."""
    seen: list[list[str]] = []
    original = Pool._run_together

    def watched(self: Pool, orders: Any) -> None:
        seen.append([order.partition_id for order in orders])
        original(self, orders)

    monkeypatch.setattr(Pool, "_run_together", watched)
    return seen


@ENDS
def test_partition_fails_after_largest_class_and_others_train(
    last: tuple[str, str], cause: str, world: FakeProject, faulty: Callable[[], dict[str, str]]
) -> None:
    faulty()
    workflow = ready(world, numbered_table(big=1.0, good=2.0, fine=3.0))
    big = ids(workflow)["big"]
    for step in range(3):
        leave_pod(workflow, step + 1, step)
        leave_begun(workflow, big, step + 1, step, alone=step > 0)
        if step < 2:
            with pytest.raises(LargerClassError) as caught:
                workflow.run(SHARD, inputs(workflow), number=1, class_offset=step, last=last)
            assert caught.value.exit_code == 101 + step
            forget_pod(workflow, step + 2)
    workflow.run(SHARD, inputs(workflow), number=3, class_offset=2, last=last)
    record = workflow.records()["big"]
    assert (record.status, record.reason) == ("failed", f"out_of_{cause}")
    assert cause in record.message
    assert {name for name, each in workflow.records().items() if each.status == "trained"} == {
        "good",
        "fine",
    }
    tries = [each for each in attempts(workflow) if each.partition_id == big]
    assert [(each.outcome, each.class_offset) for each in tries] == [
        (f"out_of_{cause}", offset) for offset in range(3)
    ]
    left = workflow.run("collect", workflow.outputs)
    assert (left["trained"], left["failed"]) == ("2", "1")


@pytest.mark.parametrize("last", [DISK, FULL_NODE])
def test_a_shard_evicted_too_often_fails_the_partitions_that_are_left(
    last: tuple[str, str], world: FakeProject, faulty: Callable[[], dict[str, str]]
) -> None:
    """Also if no partition is to blame, for example a node that other pods fill."""
    faulty()
    workflow = ready(
        world,
        numbered_table(one=1.0, two=2.0),
        execution__classes=["small"],
        execution__retries=1,
    )
    for number in (1, 2, 3):
        leave_pod(workflow, number, cause="" if number == 3 else "evicted")
    workflow.run(SHARD, inputs(workflow), number=3, last=last)
    for record in workflow.records().values():
        assert (record.status, record.reason) == ("failed", "out_of_disk")
        assert record.message.startswith("Its pods were evicted 3 times for lack of disk. Last tim")
        assert record.message.endswith(last[0].strip())
    assert workflow.pods()[-1] == ("train-small-00000", 4, "done")


def test_a_shard_evicted_less_often_goes_on(
    world: FakeProject, faulty: Callable[[], dict[str, str]]
) -> None:
    faulty()
    workflow = ready(
        world, numbered_table(one=1.0), execution__classes=["small"], execution__retries=1
    )
    for number in (1, 2):
        leave_pod(workflow, number, cause="" if number == 2 else "evicted")
    workflow.run(SHARD, inputs(workflow), number=2, last=FULL_NODE)
    assert workflow.records()["one"].status == "trained"


def forget_pod(workflow: FakeWorkflow, number: int) -> None:
    """Make room for a pod of the same number, so that a test need not count both kinds."""
    layout = workflow.address.run_layout
    workflow.world.storage.delete(layout.pod(workflow.name, "train-small-00000", number))


def test_trainer_out_of_memory_tries_all_classes(
    world: FakeProject, faulty: Callable[[], dict[str, str]]
) -> None:
    faulty()
    workflow = ready(world, numbered_table(memory=102.0, good=2.0))
    for step in (0, 1):
        with pytest.raises(LargerClassError) as caught:
            workflow.run(SHARD, inputs(workflow), number=step, class_offset=step)
        assert caught.value.exit_code == 101 + step
        assert set(workflow.records()) == {"good"}
    workflow.run(SHARD, inputs(workflow), number=2, class_offset=2)
    record = workflow.records()["memory"]
    assert (record.status, record.reason) == ("failed", "out_of_memory")


def test_single_class_has_no_larger_one(
    world: FakeProject, faulty: Callable[[], dict[str, str]]
) -> None:
    faulty()
    workflow = ready(world, numbered_table(big=1.0, good=2.0), execution__classes=["small"])
    leave_pod(workflow, 1)
    leave_begun(workflow, ids(workflow)["big"], alone=True)
    workflow.run(SHARD, inputs(workflow), number=1, last=OOM)
    assert workflow.records()["big"].reason == "out_of_memory"
    assert workflow.records()["good"].status == "trained"


def test_two_suspects_in_the_only_class_have_not_failed_yet(
    world: FakeProject, faulty: Callable[[], dict[str, str]]
) -> None:
    faulty()
    workflow = ready(world, numbered_table(big=1.0, good=2.0), execution__classes=["small"])
    leave_pod(workflow, 1)
    for name in ("big", "good"):
        leave_begun(workflow, ids(workflow)[name])
    workflow.run(SHARD, inputs(workflow), number=1, last=OOM)
    assert {record.status for record in workflow.records().values()} == {"trained"}
    tried = [each for each in attempts(workflow) if each.outcome == "trained"]
    assert [each.alone for each in tried] == [True, True]


def test_image_with_other_versions_trains_nothing(
    world: FakeProject, faulty: Callable[[], dict[str, str]]
) -> None:
    faulty()
    workflow = ready(world, numbered_table(one=1.0))
    uri = workflow.address.run_layout.request
    text = workflow.world.storage.read(uri).decode()
    request = RunRequest.from_json(text)
    older = replace(request, versions={**request.versions, "numpy": "1.0"})
    workflow.world.storage.write(uri, older.to_json().encode())
    with pytest.raises(TrainerError, match=r"The run started with numpy 1\.0"):
        workflow.run(SHARD, inputs(workflow))
    assert not workflow.records()


# --- lost, and passing failures -------------------------------------------------------------------


def test_partition_in_lost_pod_is_retried_in_same_class(
    world: FakeProject, faulty: Callable[[], dict[str, str]]
) -> None:
    faulty()
    workflow = ready(world, numbered_table(one=1.0, two=2.0))
    leave_pod(workflow, 1)
    leave_begun(workflow, ids(workflow)["one"])
    workflow.run(SHARD, inputs(workflow), number=1, last=("pod deleted", "Error"))
    assert {record.status for record in workflow.records().values()} == {"trained"}
    assert {each.outcome for each in attempts(workflow)} == {"lost", "trained"}
    left = workflow.run("collect", workflow.outputs)
    assert (left["pods-lost"], left["pods-memory"]) == ("1", "0")


def test_transient_failure_is_retried_by_later_pods_within_budget(
    world: FakeProject, faulty: Callable[[], dict[str, str]]
) -> None:
    faulty()
    workflow = ready(world, numbered_table(busy=107.0, good=2.0), execution__retries=2)
    for number in range(2):
        with pytest.raises(TransientError, match="1 partitions failed with a temporary error"):
            workflow.run(SHARD, inputs(workflow), number=number)
        assert set(workflow.records()) == {"good"}
    workflow.run(SHARD, inputs(workflow), number=2)
    record = workflow.records()["busy"]
    assert (record.status, record.reason) == ("failed", "trainer_error")
    assert "busy" in record.message
    causes = [cause for step, _, cause in workflow.pods() if step.startswith("train")]
    assert causes == ["transient", "transient", "done"]


def test_pod_takes_retry_budget_from_spec(world: FakeProject) -> None:
    workflow = world.workflow(execution__retries=0)
    workflow.run_check()
    seen: list[bool] = []

    def look(pod: Pod, *_: object) -> None:
        seen.append(pod.has_retries_left)
        raise KeyboardInterrupt

    world.patch.setattr("workflows.pods.split._build", look)
    with pytest.raises(Exception, match="failed 1 times"):
        workflow.run("split", workflow.outputs)
    assert seen == [False]
