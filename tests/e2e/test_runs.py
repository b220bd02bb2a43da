"""Runs on a real cluster equal runs on this machine, whatever befalls them on the way."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from benchmarks.argo import sizes
from steps.contract import RunAddress
from steps.storage.base import storage_for
from tests.e2e.conftest import Webhook
from tests.e2e.kubectl import kubectl, needs_cluster, run_kubectl
from tests.e2e.platform import (
    NAMESPACE,
    Platform,
    metrics,
    training_pod,
    wait_until,
    without_controller,
    workflow,
)
from tests.workspace import small_table

pytestmark = needs_cluster

ROWS = 60
FAULTS = {"raises": 101.0, "eats some": 108.0, "eats all": 109.0, "transient twice": 110.0}
EXAMPLES = Path(__file__).parents[2] / "examples"


def table_of(names: list[str], rows: int = ROWS) -> pa.Table:
    """Partitions named by their fault; all others are healthy, and larger."""
    sizes = [rows if name in FAULTS else rows + 10 + i for i, name in enumerate(names)]
    table = small_table(1, rows=sum(sizes))
    code = np.repeat([FAULTS.get(name, 1.0) for name in names], sizes)
    table = table.set_column(0, "key", pa.array(np.repeat(names, sizes)))
    return table.set_column(1, "number", pa.array(code))


def healthy(count: int) -> list[str]:
    return [f"healthy {i:04d}" for i in range(count)]


def rows_of(platform: Platform, folder: str) -> dict[str, dict[str, object]]:
    content = storage_for(folder).read(f"{folder}/tables/partitions.parquet")
    rows = pa.parquet.read_table(pa.BufferReader(content)).to_pylist()
    return {str(row["partition"]): row for row in rows}


def test_flights_submitted_with_make_equal_the_run_on_this_machine(
    platform: Platform, flights: Path
) -> None:
    spec = EXAMPLES / "flights" / "spec.yaml"
    result = platform.refeed("submit", spec, "--upload", "--json")
    assert result.code == 0, result.err
    assert result.json["counts"] == {"trained": 89, "skipped": 16, "failed": 0}
    here = platform.refeed("run", spec, "--json", "--set", f"output={platform.folder / 'flights'}")
    assert platform.tables(result.json["folder"]) == platform.tables(here.json["folder"])
    again = platform.refeed("submit", spec, "--upload", "--json", "--label", "once more")
    assert again.json["cached"] == {"full": 89}
    assert platform.tables(again.json["folder"]) == platform.tables(here.json["folder"])
    pods = platform.pods(platform.address(_with_output(platform, spec), again.json["run"]))
    assert {each.cause for each in pods} == {"done"}


def _with_output(platform: Platform, spec: Path) -> Path:
    copy = platform.folder / "flights.yaml"
    copy.write_text(spec.read_text().replace("output: ../../runs", "output: gs://refeed-demo"))
    return copy


def test_progress_counts_partitions(platform: Platform, name: str) -> None:
    source = platform.source(table_of(healthy(12)), name)
    platform.start_run(platform.spec(name, source, trainer__params={"seconds": 0.8}))
    (made,) = wait_until("the workflow", lambda: _workflows(name))
    seen: list[str] = []

    def ended() -> bool:
        status = workflow(made)["status"]
        seen.append(status.get("progress", ""))
        return status.get("phase") in {"Succeeded", "Failed", "Error"}

    wait_until("the end", ended, 480)
    assert seen[-1] == "15/15"  # twelve partitions, and check, split, collect
    training = {each for each in seen if each.endswith("/14")}  # collect is not there yet
    assert len(training) > 2, seen


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
    (made,) = wait_until("the workflow", lambda: _workflows(name))
    for number in range(1, 6):
        wait_until("a pod that trains", lambda number=number: _training(platform, address, number))
        pod = training_pod(NAMESPACE, made)
        assert pod is not None
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


def _workflows(name: str) -> list[str]:
    selector = f"refeed/experiment={name}"
    return run_kubectl(
        *("-n", NAMESPACE, "get", "workflows", "-l", selector),
        *("-o", "jsonpath={.items[*].metadata.name}"),
    ).split()


def test_one_crashing_partition_does_not_affect_the_others(platform: Platform, name: str) -> None:
    names = healthy(49)
    source = platform.source(table_of([*names[:25], "eats all", *names[25:]]), name)
    spec = platform.spec(name, source)
    result = platform.submit(spec)
    assert result.json["counts"] == {"trained": 49, "skipped": 0, "failed": 1}
    assert result.json["reasons"] == {"out_of_memory": 1}
    assert rows_of(platform, result.json["folder"])["eats all"]["reason"] == "out_of_memory"
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
    (made,) = wait_until("the workflow", lambda: _workflows(name))
    wait_until("a training pod", lambda: training_pod(NAMESPACE, made))
    with without_controller():
        time.sleep(5)
    wait_until("the end", lambda: workflow(made)["status"].get("phase") == "Succeeded", 480)
    assert platform.tables(address.run_layout.base) == platform.run_locally(spec, name)
    assert len(storage_for(address.root).names(address.run_layout.records)) == 12


def test_stopped_run_is_retried_after_its_workflow_is_deleted(
    platform: Platform, name: str, webhook: Webhook
) -> None:
    source = platform.source(table_of([*healthy(12), "raises"]), name)
    changes = {"trainer__params": {"seconds": 0.5}, "execution__max_failed_fraction": 0.5}
    spec = platform.spec(name, source, **changes)
    address = platform.start_run(spec)
    (made,) = wait_until("the workflow", lambda: _workflows(name))
    storage, records = storage_for(address.root), address.run_layout.records
    wait_until("records", lambda: storage.names(records))
    stopped = platform.refeed("stop", address.run)
    assert stopped.code == 0, stopped.err
    wait_until("the end", lambda: workflow(made)["status"].get("phase") == "Failed")
    wait_until("the pod's last seconds", lambda: training_pod(NAMESPACE, made) is None)
    before = {name: storage.read(f"{records}/{name}") for name in storage.names(records)}
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
    after = {name: storage.read(f"{records}/{name}") for name in before}
    assert after == before
    assert platform.tables(address.run_layout.base) == platform.run_locally(spec, name)


@pytest.mark.parametrize("partitions", [0, 1])
def test_no_or_few_partitions(platform: Platform, name: str, partitions: int) -> None:
    table = table_of(healthy(max(partitions, 1)))
    name = f"e2e-partitions-{partitions}"
    source = platform.source(table.slice(0, table.num_rows if partitions else 0), name)
    spec = platform.spec(name, source)
    if not partitions:
        result = platform.submit(spec, code=4)
        assert "The source has no rows, so there is nothing to train on." in result.err
        return
    result = platform.submit(spec)
    nodes = workflow(result.json["workflow"])["status"]["nodes"].values()
    phases = {node["displayName"]: node["phase"] for node in nodes}
    assert (phases["train-medium"], phases["train-large"]) == ("Skipped", "Skipped")
    assert platform.tables(result.json["folder"]) == platform.run_locally(spec, name)


def test_a_thousand_partitions_in_twenty_pods_and_a_small_workflow(
    platform: Platform, name: str
) -> None:
    source = platform.source(table_of(healthy(1000), rows=15), name)
    spec = platform.spec(name, source, execution__max_pods=20, dataset__min_rows=5)
    result = platform.submit(spec)
    assert result.json["counts"] == {"trained": 1000, "skipped": 0, "failed": 0}
    made = workflow(result.json["workflow"])
    pods = [each for each in made["status"]["nodes"].values() if each["type"] == "Pod"]
    assert len([each for each in pods if each["templateName"] == "train-small"]) <= 20
    assert platform.tables(result.json["folder"]) == platform.run_locally(spec, name)
    fixed, per_pod = sizes(made)
    assert fixed + 100 * per_pod < 256 << 10  # 10,000 partitions, at most 100 pods


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


def test_two_submits_with_different_trainers_at_once(platform: Platform, name: str) -> None:
    source = platform.source(small_table(4, rows=80), name)
    spec = platform.spec(name, source, trainer={"name": "linear", "params": {}})
    boosted = ("--set", "trainer={name: lightgbm, params: {num_leaves: 4, rounds: 5}}")
    both = [platform.start("submit", spec, "--json", *more) for more in ((), boosted)]
    ended = [process.communicate(timeout=900) for process in both]
    assert [process.returncode for process in both] == [0, 0], ended
    folders = [json.loads(out)["folder"] for out, _ in ended]
    assert platform.tables(folders[0]) == platform.run_locally(spec, name)
    assert platform.tables(folders[1]) == platform.run_locally(spec, name, *boosted)


def test_ctrl_c_stops_following_but_not_the_run(platform: Platform, name: str) -> None:
    spec = platform.spec(name, platform.source(table_of(healthy(2)), name))
    process = platform.start("submit", spec)
    wait_until("the workflow", lambda: _workflows(name))
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Stopped following; the run continues" in err
    (made,) = _workflows(name)
    wait_until("the end", lambda: workflow(made)["status"].get("phase") == "Succeeded", 360)


def test_too_large_partition_names_the_class_to_add(platform: Platform, name: str) -> None:
    large = small_table(1, rows=2_000_000)
    large = large.set_column(0, "key", pa.array(["large"] * large.num_rows))
    source = platform.source(pa.concat_tables([large, table_of(healthy(1))]), name)
    features = [f"{column}" for column in ("number", "level", "whole", "flag", "weight")]
    changes = {"dataset__features": features, "execution__max_failed_fraction": 0.5}
    changes["execution__classes"] = ["small"]
    result = platform.submit(platform.spec(name, source, **changes))
    row = rows_of(platform, result.json["folder"])["large"]
    assert (row["status"], row["reason"]) == ("failed", "too_large")
    assert "Add a class with at least 2 GiB" in str(row["message"])


def test_forbid_applies_to_scheduled_and_manual_runs(platform: Platform, name: str) -> None:
    source = platform.source(table_of(healthy(3)), name)
    schedule = {"cron": "* * * * *", "concurrency": "forbid"}
    changes = {"schedule": schedule, "trainer__params": {"seconds": 1.5}}
    spec = platform.spec(name, source, **changes)
    try:
        for _ in range(2):
            platform.start_run(spec)
        wait_until("a scheduled run", lambda: len(_workflows(name)) >= 3, 150)
        busy: list[int] = []
        wait_until("two ends", lambda: _ended(name, busy) >= 2, 480)
    finally:
        kubectl("-n", NAMESPACE, "delete", "cronworkflow", name)
        kubectl("-n", NAMESPACE, "delete", "workflows", "-l", f"refeed/experiment={name}")
    assert max(busy) == 1  # never two runs with pods at once


def _ended(name: str, busy: list[int]) -> int:
    """Runs that have ended; notes down how many have pods that run."""
    selector = f"refeed/experiment={name}"
    raw = run_kubectl("-n", NAMESPACE, "get", "workflows", "-l", selector, "-o", "json")
    found = json.loads(raw)["items"]
    phases = [each.get("status", {}).get("phase") for each in found]
    running = [
        each
        for each in found
        if any(
            node["type"] == "Pod" and node["phase"] == "Running"
            for node in each.get("status", {}).get("nodes", {}).values()
        )
    ]
    busy.append(len(running))
    return sum(phase in {"Succeeded", "Failed", "Error"} for phase in phases)
