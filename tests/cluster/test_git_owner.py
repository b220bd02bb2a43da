"""`refeed submit` leaves alone what Argo CD would revert, and CronWorkflows follow templates."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.argo.cases import installation, small_spec
from workflows.cli.cluster import _print_started
from workflows.cluster.base import Manifest
from workflows.cluster.git_owner import GitOwner, git_owner
from workflows.runs.submit import submit

WEEKLY = small_spec(schedule={"cron": "0 6 * * 1", "timezone": "Europe/Paris"})
TEMPLATE_ID = "project-demo:argoproj.io/WorkflowTemplate:refeed-demo/small"
CREATED = {"name": "small-abcde", "creationTimestamp": "2026-01-01T00:00:00Z"}


@dataclass
class RecordingCluster:
    """A fake cluster that holds templates and schedules, and records what is done to it."""

    held: dict[str, Manifest] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    server: str = "a test server"
    whoami: str = "a test"

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        assert (namespace, name) == ("refeed-demo", "small")
        return self.held.get(kind)

    def apply(self, manifest: Manifest) -> None:
        self.done.append(manifest["kind"])

    def create(self, manifest: Manifest) -> Manifest:
        self.done.append(manifest["kind"])
        return {**manifest, "metadata": {**manifest["metadata"], **CREATED}}

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.done.append("pause")

    def workflow(self, namespace: str, name: str) -> Manifest | None:
        raise NotImplementedError

    def workflows(self, namespace: str, selector: str) -> list[Manifest]:
        raise NotImplementedError

    def stop(self, namespace: str, name: str) -> None:
        raise NotImplementedError


def current(kind: str = "WorkflowTemplate", **metadata: Any) -> Manifest:
    names = {"name": "small", "namespace": "refeed-demo"}
    return {"kind": kind, "metadata": names | metadata, "spec": {}}


def tracked(identity: str, kind: str = "WorkflowTemplate", **more: str) -> Manifest:
    return current(kind, annotations={"argocd.argoproj.io/tracking-id": identity, **more})


@pytest.mark.parametrize(
    ("manifest", "owner"),
    [
        (current(), None),
        (current(annotations=None, labels=None), None),
        (tracked(TEMPLATE_ID), GitOwner("project-demo", "")),
        (
            tracked(TEMPLATE_ID, **{"refeed/spec-file": "experiments/monday.yaml"}),
            GitOwner("project-demo", "experiments/monday.yaml"),
        ),
        (
            tracked("argocd_x:argoproj.io/CronWorkflow:refeed-demo/small", "CronWorkflow"),
            GitOwner("argocd_x", ""),
        ),
        # A copy of an object that Git owns, under another name or kind.
        (tracked("project-demo:argoproj.io/WorkflowTemplate:refeed-demo/monday"), None),
        (tracked("project-demo:argoproj.io/CronWorkflow:refeed-demo/small"), None),
        (tracked("nonsense"), None),
        # The other tracking method of Argo CD.
        (current(labels={"app.kubernetes.io/instance": "demo"}), GitOwner("demo", "")),
        (current(labels={"argocd.argoproj.io/instance": "demo"}), GitOwner("demo", "")),
        (current(labels={"app.kubernetes.io/part-of": "refeed"}), None),
    ],
)
def test_owner_is_read_from_the_marks_of_argo_cd(
    manifest: Manifest, owner: GitOwner | None
) -> None:
    assert git_owner(manifest) == owner


def test_new_template_is_applied_and_known_before_its_schedule() -> None:
    cluster = RecordingCluster()
    made = submit(WEEKLY, installation(), cluster, sleep=cluster.sleep)
    assert cluster.done == ["WorkflowTemplate", "pause", "CronWorkflow", "Workflow"]
    assert made.scheduled
    assert made.owner is None


def test_template_that_exists_needs_no_pause() -> None:
    cluster = RecordingCluster({"WorkflowTemplate": current()})
    submit(WEEKLY, installation(), cluster, sleep=cluster.sleep)
    assert cluster.done == ["WorkflowTemplate", "CronWorkflow", "Workflow"]


def test_unscheduled_spec_needs_no_pause() -> None:
    cluster = RecordingCluster()
    made = submit(small_spec(), installation(), cluster, sleep=cluster.sleep)
    assert cluster.done == ["WorkflowTemplate", "Workflow"]
    assert not made.scheduled


CRON_ID = "project-demo:argoproj.io/CronWorkflow:refeed-demo/small"
OWNED = {
    "both": {
        "WorkflowTemplate": tracked(TEMPLATE_ID),
        "CronWorkflow": tracked(CRON_ID, "CronWorkflow"),
    },
    "the template": {"WorkflowTemplate": tracked(TEMPLATE_ID)},
    "the schedule": {
        "WorkflowTemplate": current(),
        "CronWorkflow": tracked(CRON_ID, "CronWorkflow"),
    },
}


@pytest.mark.parametrize("case", OWNED)
def test_only_the_run_is_started_if_git_owns(case: str) -> None:
    cluster = RecordingCluster(copy.deepcopy(OWNED[case]))
    made = submit(WEEKLY, installation(), cluster, sleep=cluster.sleep)
    assert cluster.done == ["Workflow"]
    assert made.owner == GitOwner("project-demo", "")
    assert not made.scheduled


def test_object_without_its_kind_is_recognized() -> None:
    """The Argo server returns objects without kind and apiVersion."""
    template = tracked(TEMPLATE_ID)
    del template["kind"]
    cluster = RecordingCluster({"WorkflowTemplate": template})
    made = submit(small_spec(), installation(), cluster, sleep=cluster.sleep)
    assert made.owner == GitOwner("project-demo", "")


@pytest.mark.parametrize(
    ("file", "shown"),
    [
        ({"refeed/spec-file": "experiments/monday.yaml"}, "change experiments/monday.yaml, run"),
        ({}, "change its spec in experiments/, run"),
    ],
)
def test_submit_says_what_to_change(
    file: dict[str, str], shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster = RecordingCluster({"WorkflowTemplate": tracked(TEMPLATE_ID, **file)})
    _print_started(submit(WEEKLY, installation(), cluster, sleep=cluster.sleep))
    errors = capsys.readouterr().err
    assert "small is owned by Git (Argo CD application project-demo)" in errors
    assert shown in errors
    assert "applied as a CronWorkflow" not in errors
