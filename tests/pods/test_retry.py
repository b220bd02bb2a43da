"""Going on with a run: under one name, so that a cluster takes only one of two at once."""

# ruff: noqa: ARG002 - a port has arguments that not every adapter needs

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from itertools import cycle

import pytest

from steps.contract import RunAddress
from steps.errors import TransientError, UsageError
from tests.pods.fake_project import CREATED, FakeProject, FakeWorkflow
from tests.workspace import small_table
from workflows.cluster.base import Manifest
from workflows.cluster.errors import ConflictError
from workflows.runs.find import FoundRun
from workflows.runs.submit import retry


@dataclass
class OneNamespace:
    """A fake cluster that holds Workflows by name and records those created.

    Attributes:
        held: by name.
        blind: whether it answers, each time in turn, as if it held nothing.
    """

    held: dict[str, Manifest] = field(default_factory=dict)
    blind: cycle[bool] = field(default_factory=lambda: cycle([False]))
    server: str = "a test server"
    whoami: str = "a test"

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        raise AssertionError("a retry leaves the template alone")

    def apply(self, manifest: Manifest) -> None:
        raise AssertionError("a retry leaves the template alone")

    def create(self, manifest: Manifest) -> Manifest:
        name = manifest["metadata"]["name"]
        if name in self.held:
            raise ConflictError(f"{name} already exists")
        manifest["metadata"]["creationTimestamp"] = CREATED
        self.held[name] = manifest
        return manifest

    def workflow(self, namespace: str, name: str) -> Manifest | None:
        return None if next(self.blind) else self.held.get(name)

    def workflows(self, namespace: str, selector: str) -> list[Manifest]:
        return list(self.held.values())

    def stop(self, namespace: str, name: str) -> None:
        self.held[name]["status"] = {"phase": "Failed"}


def found_run(workflow: FakeWorkflow) -> FoundRun:
    return FoundRun(workflow.stored(), workflow.address, "refeed-lab")


@pytest.fixture
def begun(world: FakeProject) -> FakeWorkflow:
    workflow = world.workflow()
    workflow.run_check()
    return workflow


def test_retry_keeps_run_id_and_has_its_own_name(begun: FakeWorkflow) -> None:
    cluster = OneNamespace()
    submitted = retry(found_run(begun), begun.world.platform, cluster)
    run = begun.address.run
    assert submitted.address == RunAddress(begun.world.root, "lab", "trial", run)
    (workflow,) = cluster.held.values()
    assert workflow["metadata"]["name"] == f"trial-{run.lower()}-1"
    assert "generateName" not in workflow["metadata"]
    parameters = {p["name"]: p["value"] for p in workflow["spec"]["arguments"]["parameters"]}
    assert parameters["run"] == run


def test_one_of_two_concurrent_retries_starts(begun: FakeWorkflow) -> None:
    cluster = OneNamespace()
    retry(found_run(begun), begun.world.platform, cluster)
    with pytest.raises(TransientError, match="is still running, as workflow 'trial-"):
        retry(found_run(begun), begun.world.platform, cluster)
    cluster.blind = cycle([True])  # both looked before either had created anything
    with pytest.raises(TransientError, match="is still running, as workflow 'trial-"):
        retry(found_run(begun), begun.world.platform, cluster)
    assert len(cluster.held) == 1


def test_unrecorded_ended_retry_does_not_block(begun: FakeWorkflow) -> None:
    cluster = OneNamespace()
    first = retry(found_run(begun), begun.world.platform, cluster)
    cluster.stop(first.namespace, first.workflow)
    second = retry(found_run(begun), begun.world.platform, cluster)
    assert [name.rpartition("-")[2] for name in (first.workflow, second.workflow)] == ["1", "2"]


def test_long_experiment_name_is_truncated(begun: FakeWorkflow) -> None:
    record = replace(begun.stored(), experiment="a" * 29 + "-" + "b" * 15)
    longest = FoundRun(record, begun.address, "refeed-lab")
    submitted = retry(longest, begun.world.platform, OneNamespace())
    assert len(submitted.workflow) <= 63
    assert submitted.workflow.startswith("a" * 29 + "-2026")


def test_removed_class_is_named(world: FakeProject) -> None:
    world.upload(small_table(3))
    workflow = world.workflow()
    workflow.run_check()
    workflow.run_split()
    layout = workflow.address.run_layout
    plan = json.loads(world.storage.read(layout.plan))
    plan["shards"]["huge"] = 2
    world.storage.write(layout.plan, json.dumps(plan).encode())
    with pytest.raises(
        UsageError, match="planned for the resource class 'huge', which no longer exists"
    ):
        workflow.run_split()
