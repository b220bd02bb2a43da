"""A run exists from its submit, whatever keeps its first pod from starting."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from steps.errors import ForbiddenError, MissingInputError, UnavailableError
from steps.records import RunRecord
from tests.pods.fake_project import CREATED, FakeProject, FakeWorkflow
from tests.pods.one_namespace import OneNamespace
from workflows.argo.compile import compile_spec
from workflows.cluster.base import Manifest
from workflows.pods.environment import run_id_of
from workflows.runs.find import FoundRun, all_runs, find_run, log_lines, with_unrecorded
from workflows.runs.submit import retry, running_workflow, stop
from workflows.runs.unrecorded import ClusterRun

NAME = "trial-x7k2p"
RUN = run_id_of(NAME, CREATED)
DENIED = 'admission webhook "deny.example.com" denied the request: [require-team-label]'


def submitted(world: FakeProject, name: str = NAME, **status: Any) -> Manifest:
    """Return a Workflow as the cluster returns it."""
    manifest = compile_spec(world.spec(), world.platform, "workflow")
    manifest["metadata"] |= {"name": name, "creationTimestamp": CREATED}
    return {**manifest, "status": {"phase": "Running", **status}}


def cluster_of(*workflows: Manifest) -> OneNamespace:
    return OneNamespace({each["metadata"]["name"]: each for each in workflows})


def find(world: FakeProject, cluster: OneNamespace, run: str = RUN) -> FoundRun:
    return find_run(world.platform, run, None, lambda: cluster)


def test_a_run_without_a_pod_is_listed_as_waiting(world: FakeProject) -> None:
    cluster = cluster_of(submitted(world))
    assert all_runs(world.platform) == []
    (found,), _ = with_unrecorded([], world.platform, cluster)
    assert found.record == RunRecord("lab", "trial", RUN, "", "", "waiting", CREATED)
    assert find(world, cluster) == found
    assert find(world, cluster, RUN[:12]) == found
    assert log_lines(found) == []


def test_a_recorded_run_is_listed_once(world: FakeProject) -> None:
    workflow = world.workflow(NAME)
    workflow.run_check()
    cluster = cluster_of(submitted(world))
    (found,), _ = with_unrecorded(all_runs(world.platform), world.platform, cluster)
    assert found.record.status == "running"


def test_a_run_that_failed_without_a_pod_is_listed_with_argo_s_reason(world: FakeProject) -> None:
    ended = submitted(world, phase="Failed", message=DENIED, finishedAt="2026-01-02T03:09:05Z")
    record = find(world, cluster_of(ended)).record
    assert (record.status, record.message) == ("failed", DENIED)
    assert record.ended == "2026-01-02T03:09:05Z"


def test_a_waiting_run_can_be_stopped(world: FakeProject) -> None:
    cluster = cluster_of(submitted(world))
    assert running_workflow(find(world, cluster), cluster) == NAME
    assert stop(find(world, cluster), cluster) == NAME
    assert find(world, cluster).record.status == "stopped"


def test_a_run_that_never_started_is_retried_under_its_id_with_its_form(
    world: FakeProject,
) -> None:
    ended = submitted(world, phase="Failed", message=DENIED)
    for parameter in ended["spec"]["arguments"]["parameters"]:
        if parameter["name"] == "folds":
            parameter["value"] = "4"
    cluster = cluster_of(ended)
    again = retry(find(world, cluster), world.platform, cluster)
    assert again.address.run == RUN
    assert again.workflow == f"trial-{RUN.lower()}-1"
    manifest = cluster.held[again.workflow]
    form = {each["name"]: each["value"] for each in manifest["spec"]["arguments"]["parameters"]}
    assert (form["folds"], form["run"]) == ("4", RUN)
    pod = FakeWorkflow(world, manifest, again.workflow, {})
    assert pod.run_check()["run"] == RUN
    assert json.loads(world.storage.read(pod.address.run_layout.spec))["evaluate"]["folds"] == 4
    assert find_run(world.platform, RUN).record.status == "running"


def test_a_run_started_by_a_template_is_retried_from_the_stored_templates(
    world: FakeProject,
) -> None:
    """As runs of a schedule and of Argo's form are."""
    ended = submitted(world, phase="Failed")
    stored = copy.deepcopy(ended["spec"])
    reference = {"workflowTemplateRef": {"name": "trial"}}
    ended["spec"], ended["status"]["storedWorkflowTemplateSpec"] = reference, stored
    cluster = cluster_of(ended)
    assert retry(find(world, cluster), world.platform, cluster).address.run == RUN


def test_without_its_workflow_it_cannot_be_retried(world: FakeProject) -> None:
    found = find(world, cluster_of(submitted(world, phase="Failed")))
    with pytest.raises(MissingInputError, match="its Workflow is no longer in the cluster"):
        retry(found, world.platform, cluster_of())


def test_an_ambiguous_beginning_lists_the_runs(world: FakeProject) -> None:
    cluster = cluster_of(submitted(world), submitted(world, "trial-other"))
    with pytest.raises(MissingInputError, match="There are several runs '20260102': ") as caught:
        find(world, cluster, "20260102")
    assert RUN in str(caught.value)


@pytest.mark.parametrize("given", ["", "2026", "20260103"])
def test_an_empty_or_short_beginning_names_no_run(given: str, world: FakeProject) -> None:
    with pytest.raises(MissingInputError, match="There is no run"):
        find(world, cluster_of(submitted(world)), given)


def test_an_unreachable_cluster_is_named(world: FakeProject) -> None:
    def unreachable() -> OneNamespace:
        raise UnavailableError("No cluster is configured.")

    with pytest.raises(MissingInputError, match="The cluster was not searched: No cluster is"):
        find_run(world.platform, RUN, None, unreachable)


def test_workflows_of_other_projects_and_tools_are_left_out(world: FakeProject) -> None:
    other, foreign = submitted(world, "a"), submitted(world, "b")
    other["metadata"]["labels"] = other["metadata"]["labels"] | {"refeed/project": "demo"}
    foreign["metadata"]["labels"] = {}
    assert with_unrecorded([], world.platform, cluster_of(other, foreign)) == ([], [])


class _ClosedNamespaces(OneNamespace):
    """A cluster that shows this user one namespace."""

    def workflows(self, namespace: str, selector: str) -> list[Manifest]:
        if namespace != "refeed-lab":
            raise ForbiddenError(f"You may not list Workflows in {namespace!r}.")
        return super().workflows(namespace, selector)


def test_a_closed_namespace_hides_only_its_own_runs(world: FakeProject) -> None:
    lab = world.platform.projects["lab"]
    other = lab.model_copy(update={"namespace": "refeed-other"})
    installation = world.platform.model_copy(update={"projects": {"other": other, "lab": lab}})
    cluster = _ClosedNamespaces(cluster_of(submitted(world)).held)
    (found,), refusals = with_unrecorded([], installation, cluster)
    assert found.record.run == RUN
    assert refusals == ["You may not list Workflows in 'refeed-other'."]


@pytest.mark.parametrize("kind", ["workflow-template", "cron-workflow"])
def test_a_queued_run_of_argo_s_form_or_a_schedule_is_found(kind: str, world: FakeProject) -> None:
    """Argo adds Refeed's labels when the run leaves the queue."""
    queued = submitted(world, phase="Pending")
    queued["metadata"]["labels"] = {f"workflows.argoproj.io/{kind}": "trial"}
    assert find(world, cluster_of(queued)).record.experiment == "trial"


def test_the_id_is_the_one_that_pods_derive(world: FakeProject) -> None:
    workflow = world.workflow(NAME)
    workflow.run_check()
    assert ClusterRun(submitted(world), "lab", world.root).run == workflow.address.run
