"""Causes of pods' ends, recorded by the pod itself or by the next one."""

from __future__ import annotations

from pathlib import Path

import pytest

from steps.contract import RunLayout
from steps.errors import (
    LargerClassError,
    MissingInputError,
    OutOfDiskError,
    OutOfMemoryError,
    PreemptedError,
    RefeedError,
    SpecError,
    TransientError,
    UnavailableError,
)
from steps.records import PodRecord
from steps.storage.local import LocalStorage
from tests.pods.fake_project import FakeProject
from workflows.pods.pod import cause_of, open_pod
from workflows.pods.pod_ledger import Ledger, PodInfo

STEP = "train-small-00003"
OOM = "OOMKilled (exit code 137): "
DISK = "Pod ephemeral local storage usage exceeds the total limit of containers 1Gi. "


def open_ledger(
    folder: Path,
    *,
    step: str = STEP,
    workflow: str = "wf-1",
    class_offset: int = 0,
    message: str = "",
    status: str = "",
) -> Ledger:
    info = PodInfo(f"{workflow}-pod", workflow, step, "small", class_offset, message, status)
    return Ledger(RunLayout(str(folder)), LocalStorage(), info)


def stored(folder: Path) -> list[PodRecord]:
    return [PodRecord.from_json(path.read_bytes()) for path in sorted((folder / "pods").iterdir())]


def test_pod_is_recorded_at_start_and_end(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    (begun,) = stored(tmp_path)
    assert (begun.number, begun.cause, begun.ended, begun.resource_class) == (1, "", "", "small")
    ledger.update(3, 7, failed=1)
    assert [(each.done, each.total, each.statuses) for each in stored(tmp_path)] == [
        (3, 7, {"failed": 1})
    ]
    ledger.close("done")
    (ended,) = stored(tmp_path)
    assert (ended.cause, ended.done) == ("done", 3)
    assert ended.ended >= ended.began


@pytest.mark.parametrize(
    ("message", "status", "cause"),
    [
        (OOM, "Failed", "memory"),
        (DISK, "Failed", "disk"),
        ('Usage of EmptyDir volume "tmp" exceeds the limit "1Gi". ', "Failed", "disk"),
        ("Container main exceeded its local ephemeral storage limit", "Failed", "disk"),
        ("The node was low on resource: ephemeral-storage.", "Failed", "evicted"),
        ("The node was low on resource: memory. Threshold quantity: 100Mi", "Failed", "lost"),
        ("pod deleted during operation", "Error", "lost"),
        ("", "", "lost"),
        ("Error (exit code 137)", "Failed", "lost"),
        (OOM, "Running", "lost"),  # the message is about a pod before the one that vanished
    ],
)
def test_next_pod_records_the_cause_of_a_killed_pod(
    message: str, status: str, cause: str, tmp_path: Path
) -> None:
    open_ledger(tmp_path)
    second = open_ledger(tmp_path, message=message, status=status)
    assert second.record.number == 2
    assert second.previous_end == cause
    assert second.class_offset == (1 if cause in {"memory", "disk"} else 0)
    assert second.ended_by({"disk", "evicted"}) == (cause in {"disk", "evicted"})
    assert [each.cause for each in stored(tmp_path)] == [cause, ""]
    assert second.counted == 0


def test_recorded_cause_does_not_change(tmp_path: Path) -> None:
    open_ledger(tmp_path).close("transient")
    second = open_ledger(tmp_path, message=OOM, status="Failed")
    assert [each.cause for each in second.earlier] == ["transient"]
    assert second.previous_end != "memory"
    assert second.class_offset == 0


def test_an_evicted_pod_is_no_preempted_one(tmp_path: Path) -> None:
    """The kubelet sends both the same signal, so the pod itself records a preemption."""
    open_ledger(tmp_path).close("preempted")
    assert open_ledger(tmp_path, message="pod deleted", status="Failed").ended_by({"disk"}) == 0
    open_ledger(tmp_path).close("preempted")
    assert open_ledger(tmp_path, message=DISK, status="Failed").ended_by({"disk"}) == 1


def test_an_evicted_pod_that_outlives_its_successor_s_start_keeps_the_cause(tmp_path: Path) -> None:
    first = open_ledger(tmp_path)
    second = open_ledger(tmp_path, message=DISK, status="Failed")
    first.close("preempted")
    assert [each.cause for each in stored(tmp_path)] == ["disk", ""]
    assert second.evicted == {"wf-1-pod"}
    second.close("preempted")
    assert [each.cause for each in stored(tmp_path)] == ["disk", "preempted"]


def test_only_transient_errors_and_bugs_count_towards_the_budget(tmp_path: Path) -> None:
    causes = ["transient", "error", "preempted", "more_memory", "failed", "done", "memory", "lost"]
    for cause in causes:
        open_ledger(tmp_path).close(cause)
    assert open_ledger(tmp_path).counted == 2


def test_only_pods_of_the_same_step_of_the_same_workflow_count(tmp_path: Path) -> None:
    open_ledger(tmp_path, step="train-small-00004").close("transient")
    open_ledger(tmp_path, step="train-small-000033").close("transient")
    open_ledger(tmp_path, workflow="wf-11").close("transient")
    open_ledger(tmp_path, workflow="wf-2").close("transient")
    ledger = open_ledger(tmp_path)
    assert ledger.earlier == []
    assert ledger.record.number == 1
    assert {each.cause for each in stored(tmp_path) if each.workflow != "wf-1"} == {"transient"}


def test_only_the_previous_pod_indicates_out_of_memory(
    tmp_path: Path,
) -> None:
    open_ledger(tmp_path)
    open_ledger(tmp_path, message=OOM, status="Failed", class_offset=1)
    third = open_ledger(tmp_path, message="deleted", status="Error", class_offset=1)
    assert [each.cause for each in third.earlier] == ["memory", "lost"]
    assert third.previous_end != "memory"
    assert third.class_offset == 1  # it is still known to need more than the first had


def test_step_killed_twice_needs_two_classes_more(tmp_path: Path) -> None:
    open_ledger(tmp_path)
    open_ledger(tmp_path, message=OOM, status="Failed", class_offset=1)
    assert open_ledger(tmp_path, message=OOM, status="Failed", class_offset=1).class_offset == 2


# --- the pod around a step ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (TransientError("x"), "transient"),
        (PreemptedError("x"), "preempted"),
        (LargerClassError(1), "more_memory"),
        (SpecError("x", []), "failed"),
        (MissingInputError("x"), "failed"),
        (RefeedError("a bug"), "error"),
        (KeyError("a bug"), "error"),
        (KeyboardInterrupt(), "error"),
    ],
)
def test_cause_of_each_error(error: BaseException, cause: str) -> None:
    assert cause_of(error) == cause


def test_unexpected_error_is_retried(world: FakeProject) -> None:
    workflow = world.workflow()
    workflow.outputs = {"run": "20260101T000000-0000"}
    environment = workflow.environment("split", workflow.outputs)
    with (
        pytest.raises(RefeedError, match="Unexpected error: FileNotFoundError") as caught,
        workflow._as_pod(environment),
        open_pod(workflow.address, "split"),
    ):
        raise FileNotFoundError("/no/such/file")
    assert caught.value.exit_code == 70  # as an OSError it would end with 66, and for good
    assert isinstance(caught.value.__cause__, FileNotFoundError)
    assert workflow.pods() == [("split", 1, "error")]


def test_transient_error_is_retried_until_the_budget_is_used(world: FakeProject) -> None:
    workflow = world.workflow(execution__retries=2)
    workflow.outputs = {"run": "20260101T000000-0000"}

    def attempt(number: int) -> None:
        environment = workflow.environment("split", workflow.outputs, number=number)
        with workflow._as_pod(environment), open_pod(workflow.address, "split"):
            raise TransientError("throttled")

    for number in range(2):
        with pytest.raises(TransientError, match=r"^throttled$"):
            attempt(number)
    with pytest.raises(UnavailableError, match=r"failed 3 times .* Last error: throttled"):
        attempt(2)
    assert workflow.pods() == [
        ("split", 1, "transient"),
        ("split", 2, "transient"),
        ("split", 3, "failed"),
    ]
    assert workflow.stored().status == "failed"
    assert "Last error: throttled" in workflow.stored().message


def test_lost_and_preempted_pods_do_not_count(world: FakeProject) -> None:
    workflow = world.workflow(execution__retries=0)
    workflow.outputs = {"run": "20260101T000000-0000"}
    for number in range(4):
        environment = workflow.environment("split", workflow.outputs, number=number)
        with (
            pytest.raises(PreemptedError),
            workflow._as_pod(environment),
            open_pod(workflow.address, "split"),
        ):
            raise PreemptedError("preempted")
    assert {cause for _, _, cause in workflow.pods()} == {"preempted"}


@pytest.mark.parametrize(("last", "cause"), [("OOM", "memory"), ("DISK", "disk")])
def test_step_out_of_memory_or_disk_moves_to_next_class_until_the_largest(
    last: str, cause: str, world: FakeProject
) -> None:
    message = {"OOM": OOM, "DISK": DISK}[last]
    workflow = world.workflow()
    workflow.outputs = {"run": "20260101T000000-0000"}

    def attempt(number: int, class_offset: int, last: tuple[str, str]) -> None:
        environment = workflow.environment(
            "split", workflow.outputs, number=number, class_offset=class_offset, last=last
        )
        with workflow._as_pod(environment), open_pod(workflow.address, "split") as pod:
            assert pod.ledger.record.resource_class == ["small", "medium", "large"][class_offset]
            raise SystemExit

    with pytest.raises(SystemExit):
        attempt(0, 0, ("", ""))
    _unclose(world, workflow.address.run_layout.pods)
    with pytest.raises(LargerClassError) as caught:
        attempt(1, 0, (message, "Failed"))
    assert caught.value.exit_code == 101
    with pytest.raises(SystemExit):
        attempt(2, 1, ("", "Failed"))
    _unclose(world, workflow.address.run_layout.pods)
    with pytest.raises(LargerClassError) as caught:
        attempt(3, 1, (message, "Failed"))
    assert caught.value.exit_code == 102
    with pytest.raises(SystemExit):
        attempt(4, 2, ("", "Failed"))
    _unclose(world, workflow.address.run_layout.pods)
    expected = {"memory": OutOfMemoryError, "disk": OutOfDiskError}[cause]
    with pytest.raises(expected, match="the largest resource class"):
        attempt(5, 2, (message, "Failed"))
    assert [cause for _, _, cause in workflow.pods()] == [
        cause,
        "more_memory",
        cause,
        "more_memory",
        cause,
        "failed",
    ]
    assert workflow.stored().status == "failed"


def test_a_split_without_retries_still_moves_to_a_class_with_more_disk(
    world: FakeProject,
) -> None:
    workflow = world.workflow(execution__retries=0)
    workflow.outputs = {"run": "20260101T000000-0000"}
    for number, expected in enumerate((PreemptedError, LargerClassError)):
        last = (DISK, "Failed") if number else ("", "")
        environment = workflow.environment("split", workflow.outputs, number=number, last=last)
        with (
            pytest.raises(expected),
            workflow._as_pod(environment),
            open_pod(workflow.address, "split"),
        ):
            raise PreemptedError("the kubelet's signal")


def test_a_step_that_full_nodes_evict_ends_after_its_retries(world: FakeProject) -> None:
    """A larger class would not help, and each attempt repeats work that may be billed."""
    workflow = world.workflow(execution__retries=2)
    workflow.outputs = {"run": "20260101T000000-0000"}
    last = ("The node was low on resource: ephemeral-storage. ", "Failed")
    for number in range(3):
        environment = workflow.environment("split", workflow.outputs, number=number, last=last)
        with (
            pytest.raises(PreemptedError),
            workflow._as_pod(environment),
            open_pod(workflow.address, "split"),
        ):
            raise PreemptedError("the kubelet's signal")
    environment = workflow.environment("split", workflow.outputs, number=3, last=last)
    with (
        pytest.raises(
            OutOfDiskError,
            match=r"^The step cannot go on\. Its pods were evicted 3 times for lack of disk\. Last",
        ),
        workflow._as_pod(environment),
        open_pod(workflow.address, "split"),
    ):
        pass
    assert [cause for _, _, cause in workflow.pods()] == ["evicted"] * 3 + ["failed"]
    assert "evicted 3 times" in workflow.stored().message


def _unclose(world: FakeProject, folder: str) -> None:
    """As if the last pod had been killed: its record says nothing of an end."""
    uri = f"{folder}/{world.storage.names(folder)[-1]}"
    record = PodRecord.from_json(world.storage.read(uri))
    raw = record.to_json().replace(f'"cause":"{record.cause}"', '"cause":""')
    world.storage.write(uri, raw.encode())
