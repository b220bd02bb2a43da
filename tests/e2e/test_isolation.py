"""A project's accounts reach nothing of another project, and of their own what they need."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import objects
from tests.e2e.kubectl import (
    DEMO,
    LAB,
    Answer,
    apply_local,
    kubectl,
    needs_cluster,
    rights,
    run_kubectl,
    subject,
    token_config,
)

pytestmark = needs_cluster

STEPS = ["refeed-split", "refeed-train", "refeed-collect"]
ACCOUNTS = ["refeed-analyst", "refeed-executor", *STEPS, "default"]
READ = frozenset({"get", "list", "watch"})
ALL = READ | {"create", "update", "patch", "delete"}
ANALYST = {
    "workflows.argoproj.io": ALL,
    "workflowtemplates.argoproj.io": ALL,
    "cronworkflows.argoproj.io": ALL,
    "pods": READ,
    "pods/log": READ,
    "events": READ,
}
EXECUTOR = {"workflowtaskresults.argoproj.io": frozenset({"create", "patch"})}

Attempt = tuple[list[str], dict[str, Any] | None]
TARGET = "isolation-target"
TOKEN_SECRET = "refeed-executor.service-account-token"

# Each is something that is there to be read: `targets` makes what the overlay does not.
READS = {
    "get workflows": ["get", "workflow", TARGET],
    "list workflows": ["get", "workflows"],
    "get workflowtemplates": ["get", "workflowtemplate", TARGET],
    "list workflowtemplates": ["get", "workflowtemplates"],
    "get pods": ["get", "pod", TARGET],
    "list pods": ["get", "pods"],
    "get pods/log": ["get", "--raw", f"/api/v1/namespaces/{LAB}/pods/{TARGET}/log"],
    "get secrets": ["get", "secret", TOKEN_SECRET],
    "list secrets": ["get", "secrets"],
    "get configmaps": ["get", "configmap", "refeed-project"],
    "list configmaps": ["get", "configmaps"],
    "list events": ["get", "events"],
}
STARTS = {
    "create workflows": objects.workflow("isolation-intruder"),
    "create workflowtemplates": objects.workflow("isolation-intruder", kind="WorkflowTemplate"),
    "create pods": objects.pod("isolation-intruder"),
}
# What the analyst may not do in the own project either.
BEYOND: dict[str, Attempt] = {
    "create pods": (["create", "-f", "-"], objects.pod("isolation-own")),
    "create pods/exec": (["exec", TARGET, "--", "true"], None),
    "delete pods": (["delete", "pod", TARGET], None),
    "create roles": (["create", "-f", "-"], objects.role("isolation-own")),
    "create rolebindings": (
        ["create", "-f", "-"],
        objects.admin_binding("isolation-own", "refeed-analyst", DEMO),
    ),
    "create serviceaccounts/token": (["create", "token", "refeed-executor"], None),
    "get secrets": (["get", "secret", TOKEN_SECRET], None),
    "list secrets": (["get", "secrets"], None),
    "get configmaps": (["get", "configmap", "refeed-project"], None),
    "create workflowtaskresults": (
        ["create", "-f", "-"],
        objects.thing("WorkflowTaskResult", "isolation-own", "argoproj.io/v1alpha1"),
    ),
}
# Pods that leave the restricted standard, and what the API server calls that.
FORBIDDEN_PODS = {
    "privileged": (
        objects.pod_with("isolation-bad", privileged=True, allowPrivilegeEscalation=True),
        "must not set securityContext.privileged=true",
    ),
    "escalating": (
        objects.pod_with("isolation-bad", allowPrivilegeEscalation=True),
        "allowPrivilegeEscalation != false",
    ),
    "capable": (objects.pod_with("isolation-bad", capabilities={}), "unrestricted capabilities"),
    "root": (objects.pod_with("isolation-bad", runAsUser=0), "runAsUser=0"),
    "on the host's network": (objects.pod("isolation-bad", hostNetwork=True), "host namespaces"),
    "with a folder of the host": (
        objects.pod("isolation-bad", volumes=[{"name": "h", "hostPath": {"path": "/"}}]),
        "hostPath",
    ),
}
# What `--dry-run` is asked of is decided as in earnest, admission included, and leaves nothing.
DRY = ["create", "--dry-run=server", "--output", "json", "-f", "-"]

Caller = Callable[..., Answer]


@pytest.fixture(scope="module")
def projects() -> None:
    apply_local()


@pytest.fixture(scope="module")
def targets(projects: None) -> Iterator[None]:
    """In both projects: a workflow, a WorkflowTemplate and a pod."""
    made = [
        objects.workflow(TARGET),
        objects.workflow(TARGET, kind="WorkflowTemplate"),
        objects.pod(TARGET),
    ]
    for namespace in (DEMO, LAB):
        run_kubectl("apply", "--namespace", namespace, "-f", "-", stdin=made)
    yield
    for namespace in (DEMO, LAB):
        run_kubectl("delete", "--namespace", namespace, "--wait=false", "-f", "-", stdin=made)


@pytest.fixture(scope="module")
def as_account(targets: None, tmp_path_factory: pytest.TempPathFactory) -> Caller:
    """Calls kubectl with a real token of one of the demo project's accounts."""
    folder = tmp_path_factory.mktemp("tokens")
    configs: dict[str, Path] = {}

    def call(account: str, *arguments: str, stdin: object = None) -> Answer:
        if account not in configs:
            configs[account] = token_config(folder, DEMO, account)
        return kubectl(*arguments, stdin=stdin, config=configs[account])

    return call


def assert_forbidden(answer: Answer, account: str, act: str, namespace: str) -> None:
    """Assert that the API server rejected a request for a missing permission."""
    verb, _, resource = act.partition(" ")
    output = " ".join(answer.err.split())
    assert not answer.ok, f"{account} could {act} in {namespace}: {answer.out}"
    assert "forbidden" in output.lower()
    assert f'User "{subject(DEMO, account)}" cannot {verb} resource "{resource}"' in output
    assert f'in the namespace "{namespace}"' in output


def of_anyone(namespace: str) -> dict[str, frozenset[str]]:
    """Return the permissions of an account without bindings: its own access reviews only."""
    found = rights(subject(DEMO, "bound-to-nothing"), namespace)
    assert found
    assert all(resource.startswith("selfsubject") for resource in found), found
    return found


@pytest.mark.parametrize("account", ACCOUNTS)
def test_accounts_have_no_rights_in_other_projects(projects: None, account: str) -> None:
    assert rights(subject(DEMO, account), LAB) == of_anyone(LAB)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_accounts_have_no_cluster_wide_rights(projects: None, account: str) -> None:
    for namespace in ("default", "kube-system"):
        assert rights(subject(DEMO, account), namespace) == of_anyone(namespace)
    for resource in ("nodes", "namespaces", "clusterworkflowtemplates.argoproj.io"):
        asked = ["auth", "can-i", "list", resource, f"--as={subject(DEMO, account)}"]
        assert kubectl(*asked).out.strip() == "no"


@pytest.mark.parametrize("account", [*STEPS, "default"])
def test_step_accounts_have_no_rights_in_their_project(projects: None, account: str) -> None:
    assert rights(subject(DEMO, account), DEMO) == of_anyone(DEMO)


@pytest.mark.parametrize(
    ("account", "expected"), [("refeed-analyst", ANALYST), ("refeed-executor", EXECUTOR)]
)
def test_analyst_and_executor_have_exactly_the_documented_rights(
    projects: None, account: str, expected: dict[str, frozenset[str]]
) -> None:
    assert rights(subject(DEMO, account), DEMO) == of_anyone(DEMO) | expected


@pytest.mark.parametrize("act", READS)
def test_objects_that_other_projects_try_to_read_exist(targets: None, act: str) -> None:
    # The pod never starts, so its log is refused even to an administrator, but not as forbidden.
    answer = kubectl(*READS[act], "--namespace", LAB)
    assert answer.ok or act == "get pods/log", answer.err
    assert "forbidden" not in answer.err.lower()


@pytest.mark.parametrize("act", READS)
@pytest.mark.parametrize("account", ACCOUNTS)
def test_accounts_cannot_read_other_projects(as_account: Caller, account: str, act: str) -> None:
    answer = as_account(account, *READS[act], "--namespace", LAB)
    assert_forbidden(answer, account, act, LAB)


@pytest.mark.parametrize("act", STARTS)
@pytest.mark.parametrize("account", ACCOUNTS)
def test_accounts_cannot_start_workflows_in_other_projects(
    as_account: Caller, account: str, act: str
) -> None:
    start = ["create", "--validate=false", "--namespace", LAB, "-f", "-"]
    assert_forbidden(as_account(account, *start, stdin=STARTS[act]), account, act, LAB)
    name, resource = STARTS[act]["metadata"]["name"], act.split()[1]
    assert "not found" in kubectl("get", resource, name, "--namespace", LAB).err


@pytest.mark.parametrize("act", BEYOND)
def test_analyst_can_change_only_workflows(as_account: Caller, act: str) -> None:
    arguments, stdin = BEYOND[act]
    answer = as_account("refeed-analyst", *arguments, stdin=stdin)
    assert_forbidden(answer, "refeed-analyst", act, DEMO)


@pytest.mark.parametrize("act", STARTS)
@pytest.mark.parametrize("account", STEPS)
def test_step_cannot_start_workflows_in_its_project(
    as_account: Caller, account: str, act: str
) -> None:
    answer = as_account(account, "create", "--validate=false", "-f", "-", stdin=STARTS[act])
    assert_forbidden(answer, account, act, DEMO)


def test_analyst_creates_reads_and_deletes_workflows(
    as_account: Caller,
) -> None:
    name = "isolation-own"
    made = as_account("refeed-analyst", "create", "-f", "-", stdin=objects.workflow(name))
    assert made.out == f"workflow.argoproj.io/{name} created\n", made.err
    for reading in (["get", "workflow", name], ["get", "pods"], ["get", "events"]):
        assert as_account("refeed-analyst", *reading).ok
    removed = as_account("refeed-analyst", "delete", "workflow", name)
    assert "deleted" in removed.out, removed.err


@pytest.mark.parametrize("namespace", [DEMO, LAB])
@pytest.mark.parametrize("case", FORBIDDEN_PODS)
def test_pod_outside_the_restricted_standard_is_rejected(
    projects: None, namespace: str, case: str
) -> None:
    bad, reason = FORBIDDEN_PODS[case]
    answer = kubectl(*DRY, "--namespace", namespace, stdin=bad)
    assert not answer.ok
    assert 'violates PodSecurity "restricted' in answer.err
    assert reason in answer.err


@pytest.mark.parametrize("account", STEPS)
def test_step_pod_is_admitted_without_a_token(projects: None, account: str) -> None:
    good = objects.pod("isolation-good", serviceAccountName=account)
    made = json.loads(run_kubectl(*DRY, "--namespace", DEMO, stdin=good))
    assert not made["spec"].get("volumes")
    assert not made["spec"]["containers"][0].get("volumeMounts")


def test_workflow_cannot_create_a_privileged_pod(as_account: Caller) -> None:
    bad = objects.workflow("isolation-privileged", suspend=False)
    bad["spec"]["templates"][0]["container"]["securityContext"] = {"privileged": True}
    assert as_account("refeed-analyst", "create", "-f", "-", stdin=bad).ok
    try:
        ended = ["--for=jsonpath={.status.phase}=Error", "--timeout=60s"]
        run_kubectl("wait", "workflow/isolation-privileged", "--namespace", DEMO, *ended)
        output = run_kubectl(
            "get", "workflow", "isolation-privileged", "--namespace", DEMO, "-o", "json"
        )
        assert 'violates PodSecurity "restricted' in json.loads(output)["status"]["message"]
    finally:
        run_kubectl("delete", "workflow", "isolation-privileged", "--namespace", DEMO)
