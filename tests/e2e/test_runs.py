"""Runs on a real cluster equal runs on this machine."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from benchmarks.argo import sizes
from tests.e2e.kubectl import kubectl, needs_cluster
from tests.e2e.partitions import healthy, table_of
from tests.e2e.platform import NAMESPACE, Platform, wait_until, workflow, workflows_of
from tests.workspace import small_table

pytestmark = needs_cluster

EXAMPLES = Path(__file__).parents[2] / "examples"


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
    (made,) = wait_until("the workflow", lambda: workflows_of(name))
    seen: list[str] = []

    def ended() -> bool:
        status = workflow(made)["status"]
        seen.append(status.get("progress", ""))
        return status.get("phase") in {"Succeeded", "Failed", "Error"}

    wait_until("the end", ended, 480)
    assert seen[-1] == "15/15"  # twelve partitions, and check, split, collect
    training = {each for each in seen if each.endswith("/14")}  # collect is not there yet
    assert len(training) > 2, seen


def test_a_slow_trainer_gets_more_pods(platform: Platform, name: str) -> None:
    """Its time is measured by a probe in check, since it states none."""
    source = platform.source(table_of(healthy(24)), name)
    changes = {"trainer__params": {"seconds": 1.0}, "execution__max_pods": 4}
    spec = platform.spec(name, source, **changes)
    result = platform.submit(spec)
    assert result.json["counts"] == {"trained": 24, "skipped": 0, "failed": 0}
    address = platform.address(spec, result.json["run"])
    steps = {each.step for each in platform.pods(address, "train")}
    assert len(steps) == 4
    status = platform.refeed("status", address.run).out
    assert "predicted" in status.lower()
    assert platform.tables(result.json["folder"]) == platform.run_locally(spec, name)


def test_a_base_model_is_fitted_once_and_tables_equal_those_of_a_local_run(
    platform: Platform, name: str
) -> None:
    source = platform.source(table_of(healthy(12)), name)
    changes = {"base": "compare", "trainer": {"name": "linear", "params": {}}}
    spec = platform.spec(name, source, **changes)
    result = platform.submit(spec)
    nodes = workflow(result.json["workflow"])["status"]["nodes"].values()
    assert {node["displayName"]: node["phase"] for node in nodes}["base"] == "Succeeded"
    tables = platform.tables(result.json["folder"])
    assert tables == platform.run_locally(spec, name)
    again = platform.submit(spec)
    nodes = workflow(again.json["workflow"])["status"]["nodes"].values()
    assert {node["displayName"]: node["phase"] for node in nodes}["base"] == "Skipped"
    assert platform.tables(again.json["folder"]) == tables


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
    wait_until("the workflow", lambda: workflows_of(name))
    time.sleep(3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Stopped following; the run continues" in err
    (made,) = workflows_of(name)
    wait_until("the end", lambda: workflow(made)["status"].get("phase") == "Succeeded", 360)


def test_forbid_applies_to_scheduled_and_manual_runs(platform: Platform, name: str) -> None:
    source = platform.source(table_of(healthy(3)), name)
    schedule = {"cron": "* * * * *", "concurrency": "forbid"}
    changes = {"schedule": schedule, "trainer__params": {"seconds": 1.5}}
    spec = platform.spec(name, source, **changes)
    try:
        for _ in range(2):
            platform.start_run(spec)
        wait_until("a scheduled run", lambda: len(workflows_of(name)) >= 3, 150)
        busy: list[int] = []
        wait_until("two ends", lambda: _ended(name, busy) >= 2, 480)
    finally:
        kubectl("-n", NAMESPACE, "delete", "cronworkflow", name)
        kubectl("-n", NAMESPACE, "delete", "workflows", *workflows_of(name))
    assert max(busy) == 1  # never two runs with pods at once


def _ended(name: str, busy: list[int]) -> int:
    """Return how many runs have ended, and append to ``busy`` how many have running pods."""
    found = [workflow(each) for each in workflows_of(name)]
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
