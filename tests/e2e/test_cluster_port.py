"""One contract, two adapters, a real cluster: whichever way is taken, the same happens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from steps.errors import (
    ForbiddenError,
    MissingInputError,
    TerminalError,
    UnavailableError,
)
from tests.e2e.kubectl import (
    DEMO,
    LAB,
    apply_local,
    kubectl,
    needs_cluster,
    run_kubectl,
    token_config,
)
from tests.fakes import free_port
from workflows.cluster import kubernetes_api
from workflows.cluster.base import Cluster, Manifest
from workflows.cluster.connect import connect

pytestmark = needs_cluster

PLACE = "trial-cluster-port"
ARGO = {name: value for name, value in os.environ.items() if name.startswith("ARGO_")}
WAYS: dict[str, Mapping[str, str]] = {
    "kubernetes": {"KUBECONFIG": os.environ.get("KUBECONFIG", "")},
    "argo": ARGO,
}
PATIENCE_SECONDS = 60.0


@pytest.fixture(scope="module")
def place() -> Iterator[str]:
    """Create a namespace for this test."""
    if not kubectl("get", "namespace", PLACE).ok:
        run_kubectl("create", "namespace", PLACE)
    yield PLACE
    run_kubectl("delete", "namespace", PLACE)


@pytest.fixture(params=WAYS)
def cluster(request: pytest.FixtureRequest, place: str) -> Cluster:
    if request.param == "argo" and not ARGO.get("ARGO_SERVER"):
        pytest.skip("ARGO_SERVER names no Argo server")
    return connect(WAYS[request.param])


def manifest(kind: str, name: str, place: str = PLACE, **labels: str) -> Manifest:
    """Return a workflow that does nothing and stays suspended until it is resumed."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": place, "labels": labels},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]},
    }


def cron(name: str, schedule: str) -> Manifest:
    made = manifest("CronWorkflow", name)
    made["spec"] = {"schedules": [schedule], "suspend": True, "workflowSpec": made["spec"]}
    return made


def remove(kind: str, name: str, place: str = PLACE) -> None:
    run_kubectl("delete", kind, name, "--namespace", place, "--ignore-not-found", "--wait=true")


def read(kind: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run_kubectl("get", kind, name, "-n", PLACE, "-o", "json"))
    return found


def wait(until: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while not until():
        assert time.monotonic() < end, what
        time.sleep(0.3)


def test_a_workflow_template_is_created_and_replaced(cluster: Cluster) -> None:
    remove("workflowtemplate", "twice")
    cluster.apply(manifest("WorkflowTemplate", "twice", step="first"))
    run_kubectl("annotate", "workflowtemplate", "twice", "-n", PLACE, "theirs=kept")
    changed = manifest("WorkflowTemplate", "twice", step="second")
    changed["spec"]["templates"][0]["suspend"] = {"duration": "7"}
    cluster.apply(changed)
    cluster.apply(changed)
    found = read("workflowtemplate", "twice")
    assert found["metadata"]["labels"]["step"] == "second"
    assert found["metadata"]["annotations"]["theirs"] == "kept"
    assert found["spec"]["templates"][0]["suspend"] == {"duration": "7"}


def test_a_cron_workflow_is_replaced_and_keeps_its_status(cluster: Cluster) -> None:
    remove("cronworkflow", "nightly")
    cluster.apply(cron("nightly", "0 3 * * *"))
    status = {"status": {"lastScheduledTime": "2026-01-01T03:00:00Z"}}
    run_kubectl(
        "patch", "cronworkflow", "nightly", "-n", PLACE, "--type=merge", "-p", json.dumps(status)
    )
    cluster.apply(cron("nightly", "0 4 * * *"))
    found = read("cronworkflow", "nightly")
    assert found["spec"]["schedules"] == ["0 4 * * *"]
    assert found["status"]["lastScheduledTime"] == "2026-01-01T03:00:00Z"


def test_a_run_is_started_followed_and_stopped(cluster: Cluster) -> None:
    cluster.apply(manifest("WorkflowTemplate", "base"))
    started = {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": "Workflow",
        "metadata": {"generateName": "run-", "namespace": PLACE, "labels": {"run": "one"}},
        "spec": {"workflowTemplateRef": {"name": "base"}},
    }
    made = cluster.create(started)
    name = made["metadata"]["name"]
    assert name.startswith("run-")
    assert made["metadata"]["creationTimestamp"]

    def phase() -> str:
        found = cluster.workflow(PLACE, name)
        assert found is not None
        phase: str = (found.get("status") or {}).get("phase", "")
        return phase

    wait(lambda: phase() == "Running", "it never ran")
    labelled = cluster.workflows(PLACE, "run=one,run!=two")
    assert name in {each["metadata"]["name"] for each in labelled}
    assert cluster.workflows(PLACE, "run=other") == []
    cluster.stop(PLACE, name)
    wait(lambda: phase() == "Failed", "it never stopped")
    assert read("workflow", name)["spec"]["shutdown"] == "Stop"
    cluster.stop(PLACE, name)
    remove("workflow", name)
    assert cluster.workflow(PLACE, name) is None
    with pytest.raises(MissingInputError, match=name):
        cluster.stop(PLACE, name)


def test_taken_name_is_rejected(cluster: Cluster) -> None:
    remove("workflow", "taken")
    cluster.create(manifest("Workflow", "taken"))
    with pytest.raises(TerminalError, match=r"'taken'.*already exists"):
        cluster.create(manifest("Workflow", "taken"))


def test_invalid_object_is_rejected(cluster: Cluster) -> None:
    with pytest.raises(TerminalError, match="lowercase RFC 1123"):
        cluster.create(manifest("Workflow", "Not_A_Name"))
    bad = manifest("WorkflowTemplate", "bad")
    bad["spec"]["entrypoint"] = 7
    with pytest.raises(TerminalError, match="entrypoint"):
        cluster.apply(bad)
    with pytest.raises(TerminalError, match="parse"):
        cluster.workflows(PLACE, "a===b,,")


def test_missing_namespace_is_reported(cluster: Cluster) -> None:
    acts: list[Callable[[], object]] = [
        lambda: cluster.create(manifest("Workflow", "w", "nowhere-at-all")),
        lambda: cluster.apply(manifest("WorkflowTemplate", "w", "nowhere-at-all")),
    ]
    for act in acts:
        with pytest.raises(MissingInputError, match="no namespace 'nowhere-at-all'"):
            act()
    assert cluster.workflow("nowhere-at-all", "w") is None
    assert cluster.workflows("nowhere-at-all", "") == []


def test_cluster_without_argo_is_reported(monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    monkeypatch.setattr(kubernetes_api, "GROUP", "not-installed.example")
    bare = connect(WAYS["kubernetes"])
    acts: list[Callable[[], object]] = [
        lambda: bare.workflow(PLACE, "w"),
        lambda: bare.create(manifest("Workflow", "w")),
    ]
    for act in acts:
        with pytest.raises(UnavailableError, match="Argo Workflows is not installed"):
            act()


@contextmanager
def asking_server() -> Iterator[str]:
    """An Argo server that asks each person for a token of their own; yields its address."""
    if not shutil.which("argo"):
        pytest.skip("needs the argo binary")
    address = f"127.0.0.1:{free_port()}"
    # Its flags are read from the environment too: ARGO_SERVER would be the API server's address.
    environment = {name: value for name, value in os.environ.items() if name not in ARGO}
    command = ["argo", "server", "--namespace", "argo", "--auth-mode", "client", "--secure=false"]
    with subprocess.Popen(
        [*command, "--port", address.split(":")[1]],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            yield address
        finally:
            process.kill()  # after SIGTERM it would wait for open connections


@pytest.fixture(scope="module")
def projects() -> None:
    apply_local()


@pytest.fixture(params=WAYS)
def analyst(
    request: pytest.FixtureRequest, projects: None, tmp_path: Path
) -> Iterator[Callable[[str], Cluster]]:
    """Connects with a token; an empty one for that of the demo project's analyst."""
    config = token_config(tmp_path, DEMO, "refeed-analyst")
    user = json.loads(config.read_text())

    def token(given: str) -> str:
        own: str = user["users"][0]["user"]["token"]
        return given or own

    def with_config(given: str) -> Cluster:
        mine = {**user, "users": [{"name": "refeed-analyst", "user": {"token": token(given)}}]}
        config.write_text(json.dumps(mine))
        return connect({"KUBECONFIG": str(config)})

    if request.param == "kubernetes":
        yield with_config
        return
    with asking_server() as address:

        def with_token(given: str) -> Cluster:
            return connect(
                {"ARGO_SERVER": address, "ARGO_SECURE": "false", "ARGO_TOKEN": token(given)}
            )

        def up() -> bool:
            try:
                with_token("").workflows(DEMO, "no=such")
            except UnavailableError:
                return False
            return True

        wait(up, "the Argo server does not answer")
        yield with_token


def test_analyst_has_no_access_to_another_project(
    analyst: Callable[[str], Cluster],
) -> None:
    cluster = analyst("")
    cluster.workflows(DEMO, "")
    for act, verb in (
        (lambda: cluster.create(manifest("Workflow", "w", LAB)), "create workflows"),
        (lambda: cluster.workflows(LAB, ""), "list workflows"),
        (lambda: cluster.workflow(LAB, "w"), "get workflows"),
        (lambda: cluster.apply(manifest("WorkflowTemplate", "w", LAB)), "get workflowtemplates"),
    ):
        with pytest.raises(ForbiddenError) as caught:
            act()
        assert f"is not allowed to {verb} in namespace '{LAB}'" in caught.value.message
        assert "--clusterrole=refeed-analyst" in caught.value.hint
        assert f"--namespace={LAB}" in caught.value.hint


def test_invalid_token_is_not_reported_as_missing_permission(
    analyst: Callable[[str], Cluster],
) -> None:
    with pytest.raises(ForbiddenError, match="Not authenticated") as caught:
        analyst("wrong").workflows(DEMO, "")
    assert "wrong" not in caught.value.message
