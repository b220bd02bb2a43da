"""Runs on a real cluster equal runs on this machine, whatever fails on the way."""

from __future__ import annotations

import time

import pyarrow as pa

from steps.contract import RunAddress
from steps.storage.base import storage_for
from tests.e2e.conftest import Webhook
from tests.e2e.kubectl import needs_cluster, run_kubectl
from tests.e2e.partitions import healthy, rows_of, table_of
from tests.e2e.platform import (
    NAMESPACE,
    Platform,
    metrics,
    training_pod,
    wait_until,
    without_controller,
    workflow,
    workflows_of,
)
from tests.segment_surgery import results_of
from tests.workspace import small_table

pytestmark = needs_cluster


def test_transient_failure_is_retried_with_backoff(platform: Platform, name: str) -> None:
    source = platform.source(table_of([*healthy(4), "transient twice"]), name)
    spec = platform.spec(name, source)
    result = platform.submit(spec)
    assert result.json["counts"]["trained"] == 5
    pods = platform.pods(platform.address(spec, result.json["run"]), "train")
    assert [each.cause for each in pods] == ["transient", "done"]  # twice in the first: also alone
    assert platform.tables(result.json["folder"]) == platform.run_locally(spec, name)


def test_invalid_data_is_not_retried(platform: Platform, name: str, webhook: Webhook) -> None:
    source = platform.source(table_of(healthy(2)), name)
    result = platform.submit(platform.spec(name, source, dataset__target="nothing"), code=4)
    assert "there is no column 'nothing'" in result.err
    pods = platform.pods(platform.address(platform.folder / f"{name}.yaml", result.json["run"]))
    assert [(each.step, each.cause) for each in pods] == [("check", "done"), ("split", "failed")]
    (message,) = wait_until("the message", lambda: webhook.of(result.json["run"]))
    assert "there is no column 'nothing'" in message["text"]
    assert message["status"] == "failed"


def test_preempted_five_times_and_then_killed_for_memory(platform: Platform, name: str) -> None:
    source = platform.source(table_of([*healthy(20), "eats some"]), name)
    spec = platform.spec(name, source, trainer__params={"seconds": 1.2})
    address = platform.start_run(spec)
    (made,) = wait_until("the workflow", lambda: workflows_of(name))
    for number in range(1, 6):
        wait_until("a pod that trains", lambda number=number: _training(platform, address, number))
        # The pod records its start before the API server calls it running.
        pod = wait_until("its phase", lambda: training_pod(NAMESPACE, made))
        run_kubectl("-n", NAMESPACE, "delete", "pod", pod, "--wait=false", "--grace-period=20")
    wait_until("the end", lambda: workflow(made)["status"].get("phase") == "Succeeded", 480)
    pods = platform.pods(address, "train")
    causes = [each.cause for each in pods]
    assert set(causes[:5]) <= {"preempted", "lost"}
    assert causes[-2:] == ["more_memory", "done"]  # the pod dies of it or not: one step either way
    assert [each.class_offset for each in pods] == [0] * (len(causes) - 1) + [1]
    assert not {"transient", "error", "failed"} & set(causes)  # the budget is untouched
    assert platform.tables(address.run_layout.base) == platform.run_locally(spec, name)


def _training(platform: Platform, address: RunAddress, number: int) -> bool:
    """Return whether the training pod with that number is running."""
    pods = platform.pods(address, "train")
    return len(pods) == number and not pods[-1].cause


def test_one_crashing_partition_does_not_affect_the_others(platform: Platform, name: str) -> None:
    names = healthy(49)
    source = platform.source(table_of([*names[:25], "eats all", *names[25:]]), name)
    spec = platform.spec(name, source)
    result = platform.submit(spec)
    assert result.json["counts"] == {"trained": 49, "skipped": 0, "failed": 1}
    assert result.json["reasons"] == {"out_of_memory": 1}
    assert rows_of(result.json["folder"])["eats all"]["reason"] == "out_of_memory"
    pods = platform.pods(platform.address(spec, result.json["run"]), "train")
    assert sorted({each.class_offset for each in pods}) == [0, 1, 2]
    assert pods[-1].cause == "done"
    exposed = metrics()
    for status, count in result.json["counts"].items():
        labels = f'experiment="{name}",project="lab",status="{status}"'
        assert f"argo_workflows_refeed_partitions{{{labels}}} {count}\n" in exposed
    assert f'argo_workflows_refeed_run_seconds{{experiment="{name}",project="lab"}}' in exposed
    assert f'refeed_pods_ended_total{{cause="memory",experiment="{name}",project="lab"}}' in exposed


def test_run_survives_a_killed_controller(platform: Platform, name: str) -> None:
    source = platform.source(table_of(healthy(12)), name)
    spec = platform.spec(name, source, trainer__params={"seconds": 0.3})
    address = platform.start_run(spec)
    (made,) = wait_until("the workflow", lambda: workflows_of(name))
    wait_until("a training pod", lambda: training_pod(NAMESPACE, made))
    with without_controller():
        time.sleep(5)
    wait_until("the end", lambda: workflow(made)["status"].get("phase") == "Succeeded", 480)
    assert platform.tables(address.run_layout.base) == platform.run_locally(spec, name)
    assert len(results_of(address).recorded) == 12


def test_stopped_run_is_retried_after_its_workflow_is_deleted(
    platform: Platform, name: str, webhook: Webhook
) -> None:
    source = platform.source(table_of([*healthy(12), "raises"]), name)
    changes = {"trainer__params": {"seconds": 1.0}, "execution__max_failed_fraction": 0.5}
    spec = platform.spec(name, source, **changes)
    address = platform.start_run(spec)
    (made,) = wait_until("the workflow", lambda: workflows_of(name))
    storage, request = storage_for(address.root), address.run_layout.request
    wait_until("records", lambda: storage.exists(request) and results_of(address).recorded)
    stopped = platform.refeed("stop", address.run)
    assert stopped.code == 0, stopped.err
    wait_until("the end", lambda: workflow(made)["status"].get("phase") == "Failed")
    wait_until("the pod's last seconds", lambda: training_pod(NAMESPACE, made) is None)
    before = results_of(address).records()
    assert 0 < len(before) < 13
    assert wait_until("the message", lambda: webhook.of(address.run))[0]["status"] == "stopped"
    run_kubectl("-n", NAMESPACE, "delete", "workflow", made)
    status = platform.refeed("status", address.run, "--json").json
    assert (status["status"], status["done"]) == ("stopped", len(before))
    lines = platform.refeed("logs", address.run, "--partition", "healthy 0011").out
    assert "status=trained" in lines
    assert "healthy 0003" not in lines
    retried = platform.refeed("retry", address.run, "--json")
    assert retried.code == 0, retried.err
    assert retried.json["run"] == address.run
    after = results_of(address).records()
    assert {each: after[each] for each in before} == before
    assert platform.tables(address.run_layout.base) == platform.run_locally(spec, name)


def test_too_many_failures_fail_the_run_with_its_tables_written(
    platform: Platform, name: str, webhook: Webhook
) -> None:
    source = platform.source(table_of([*healthy(3), "raises"]), name)
    spec = platform.spec(name, source)
    result = platform.submit(spec, code=3)
    assert result.json["status"] == "Failed"
    assert "1 of 4 partitions failed" in result.err
    assert platform.tables(result.json["folder"]) == platform.run_locally(spec, name)
    (message,) = wait_until("the message", lambda: webhook.of(result.json["run"]))
    assert message["counts"] == {"trained": 3, "skipped": 0, "failed": 1}
    assert message["report"] in message["text"]
    log = platform.refeed("logs", result.json["run"], "--partition", "raises").out
    assert "RuntimeError" in log
    assert "faulty_trainers" in log  # where in the trainer's code


def test_too_large_partition_names_the_class_to_add(platform: Platform, name: str) -> None:
    large = small_table(1, rows=2_000_000)
    large = large.set_column(0, "key", pa.array(["large"] * large.num_rows))
    source = platform.source(pa.concat_tables([large, table_of(healthy(1))]), name)
    features = [f"{column}" for column in ("number", "level", "whole", "flag", "weight")]
    changes = {"dataset__features": features, "execution__max_failed_fraction": 0.5}
    changes["execution__classes"] = ["small"]
    result = platform.submit(platform.spec(name, source, **changes))
    row = rows_of(result.json["folder"])["large"]
    assert (row["status"], row["reason"]) == ("failed", "too_large")
    assert "Add a class with at least 2 GiB" in str(row["message"])
