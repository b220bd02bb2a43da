"""Diagnosis of stuck runs, from statuses recorded with a real Argo."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from workflows.cluster.diagnose import diagnose

# Argo 4.0 on Kubernetes 1.34, each provoked on purpose; names of hosts and addresses are replaced.
STUCK: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("stuck_workflows.json").read_text()
)

SMALL = "train (resource class 'small')"
EXPECTED = {
    "no-image": ["'docker.io/refeed/nothing:dev'", SMALL, "ImagePullBackOff: no such host", "make"],
    "never": ["'docker.io/refeed/nothing:dev'", "ErrImageNeverPull", "installation file"],
    "badname": ["'docker.io/Refeed/NOTHING:dev'", "InvalidImageName", "must be lowercase"],
    "nocommand": ["'docker.io/refeed/nothing:dev'", "make images"],
    "huge-mem": [SMALL, "requests memory 1000Gi", "1 node: not enough free memory"],
    "huge-cpu": ["cpu 64, memory 1000Gi", "not enough free cpu; 1 node: not enough free memory"],
    "selector": [SMALL, "1 node: the node selector does not match"],
    "tainted": ["not enough free memory; 1 node: a taint that the resource class does not"],
    "pvc": ['persistentvolumeclaim "gone" not found'],
    "nosecret": ["Secret 'gone'", SMALL],
    "noconfig": ["ConfigMap 'gone'", SMALL],
    "noroot": ["container's runAsUser breaks non-root policy."],
    "noaccount": ["service account 'gone'", SMALL, "apply -k"],
    "quota3": ["quota 'refeed'", "requests.memory=8224Mi", "limited: requests.memory=4Gi"],
    "limit": ["maximum memory usage per Container is 2Gi, but limit is 3Gi"],
    "quota": ["must be less than or equal to memory limit of 2Gi"],
    "strict": ['violates PodSecurity "restricted:latest"', SMALL],
    "limited-retry": ['violates PodSecurity "restricted:latest"', SMALL],
    "mutex-b": ["mutex 'm'", "held by 'mutex-a'"],
    "mutex-c": ["mutex 'm'", "held by 'mutex-a'"],
    "sema-a": ["semaphore 'locks/k'", "held by 'sema-b'"],
    "sema-c": ["semaphore 'locks/k'", "held by 'sema-b'"],
    "sema": ["failed to initialize semaphore"],
    "specerror": ["rejects the Workflow: template name 'gone' undefined"],
    "spec2": ["templates.main.tasks.train template name 'gone' undefined"],
    "reftmpl": ['workflowtemplates.argoproj.io "gone" not found'],
}
QUIET = {"novolume"}  # the status says no more than "PodInitializing"


def pod_of(workflow: dict[str, Any]) -> dict[str, Any]:
    nodes = workflow["status"]["nodes"].values()
    found: dict[str, Any] = next(node for node in nodes if node["type"] == "Pod")
    return found


def running(*messages: str, phase: str = "Pending", step: str = "collect") -> dict[str, Any]:
    """Return a Workflow with a pod for each message."""
    nodes = {
        str(number): {"type": "Pod", "templateName": step, "phase": phase, "message": message}
        for number, message in enumerate(messages)
    }
    return {
        "metadata": {"name": "w"},
        "spec": {},
        "status": {"phase": "Running", "nodes": nodes},
    }


def test_every_recorded_status_is_tested() -> None:
    assert set(STUCK) == set(EXPECTED) | QUIET


@pytest.mark.parametrize("name", EXPECTED)
def test_a_stuck_run_is_explained_in_one_sentence(name: str) -> None:
    (sentence,) = diagnose(STUCK[name])
    for part in EXPECTED[name]:
        assert part in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert ".." not in sentence.replace("overlays/...", "")


@pytest.mark.parametrize("name", QUIET)
def test_starting_pod_is_no_problem(name: str) -> None:
    assert diagnose(STUCK[name]) == []


@pytest.mark.parametrize("name", ["no-image", "huge-mem", "nosecret", "quota3"])
def test_ended_run_has_no_waiting_pods(name: str) -> None:
    ended = copy.deepcopy(STUCK[name])
    ended["status"]["phase"] = "Failed"
    assert diagnose(ended) == []


@pytest.mark.parametrize("name", ["no-image", "huge-mem", "nosecret", "quota3"])
def test_running_pod_is_no_problem(name: str) -> None:
    going = copy.deepcopy(STUCK[name])
    pod_of(going)["phase"] = "Running"
    assert diagnose(going) == []


def test_requests_are_read_from_the_stored_template() -> None:
    stored = copy.deepcopy(STUCK["huge-mem"])
    stored["status"]["storedWorkflowTemplateSpec"] = stored.pop("spec")
    assert diagnose({**stored, "spec": {"workflowTemplateRef": {"name": "x"}}}) == diagnose(
        STUCK["huge-mem"]
    )


def test_superseded_attempt_is_no_problem() -> None:
    tried = copy.deepcopy(STUCK["limited-retry"])
    retry = next(n for n in tried["status"]["nodes"].values() if n["type"] == "Retry")
    retry["children"].append("second")
    tried["status"]["nodes"]["second"] = {**pod_of(tried), "phase": "Running", "message": ""}
    assert diagnose(tried) == []


def test_attempt_with_more_memory_is_above_its_class() -> None:
    tried = copy.deepcopy(STUCK["huge-mem"])
    (first,) = (i for i, n in tried["status"]["nodes"].items() if n["type"] == "Pod")
    nodes = tried["status"]["nodes"]
    nodes["second"] = dict(nodes[first])
    nodes[first] |= {"phase": "Failed", "message": "", "outputs": {"exitCode": "101"}}
    nodes["retry"] = {"type": "Retry", "phase": "Running", "children": [first, "second"]}
    (sentence,) = diagnose(tried)
    assert "train (resource class above 'small') waits for a node:" in sentence
    assert "1000Gi" not in sentence


def test_many_pods_with_one_problem_are_one_sentence() -> None:
    message = 'pods "w-{}" is forbidden: exceeded quota: q, requested: pods=1, used: pods=9'
    (sentence,) = diagnose(running(*[message.format(number) for number in range(200)]))
    assert sentence.endswith("(200 pods.)")


def test_two_problems_are_two_sentences() -> None:
    first, second = diagnose(
        running('ErrImagePull: image "a:1": not found', 'ErrImagePull: image "b:1": not found')
    )
    assert "'a:1'" in first
    assert "'b:1'" in second


def test_taint_is_named() -> None:
    taint = "1 node(s) had untolerated taint {cloud.google.com/gke-spot: true}"
    message = f"Unschedulable: 0/4 nodes are available: {taint}, 3 Insufficient cpu."
    (sentence,) = diagnose(running(message))
    assert "1 node: a taint {cloud.google.com/gke-spot: true} that" in sentence
    assert "3 nodes: not enough free cpu" in sentence


def test_spec_condition_is_reported() -> None:
    condition = {"type": "SpecError", "status": "True", "message": "invalid schedule"}
    status = {"phase": "Running", "conditions": [condition]}
    (sentence,) = diagnose({"metadata": {"name": "w"}, "spec": {}, "status": status})
    assert "invalid schedule" in sentence


@pytest.mark.parametrize("status", [{}, {"status": {}}, {"status": {"phase": ""}}])
def test_missing_controller_is_reported_after_a_delay(status: dict[str, Any]) -> None:
    workflow = {"metadata": {"name": "w"}, "spec": {}, **status}
    assert diagnose(workflow, 5) == []
    (sentence,) = diagnose(workflow, 45.4)
    assert "'w' after 45 s" in sentence


def test_failed_step_is_no_diagnosis() -> None:
    assert diagnose(running("Error (exit code 70)", phase="Failed")) == []
    assert diagnose(running("OOMKilled (exit code 137)", phase="Error")) == []
    assert diagnose(running("PodInitializing", "ContainerCreating", "")) == []


def timed(workflow: dict[str, Any], seconds: float) -> list[str]:
    """Diagnose a Workflow some time after its pods were created."""
    created = "2026-01-02T03:04:05Z"
    for node in workflow["status"]["nodes"].values():
        node["startedAt"] = created
    workflow["metadata"]["creationTimestamp"] = created
    return diagnose(workflow, seconds)


FULL = "Unschedulable: 0/3 nodes are available: 3 Insufficient memory. preemption: 0/3 nodes"


def test_a_node_may_take_minutes_to_come() -> None:
    (early,) = timed(running(FULL), 60)
    assert early.startswith("A pod of collect waits for a node: 3 nodes: not enough free memory")
    (late,) = timed(running(FULL), 720)
    assert late.startswith("No node has taken a pod of collect for 12 minutes: 3 nodes: not")


def test_a_pod_waits_for_room_where_others_have_run() -> None:
    """A fan-out is larger than the cluster as a rule, which is no problem of any node."""
    workflow = running(FULL, FULL, "", step="train-small")
    workflow["status"]["nodes"]["2"]["phase"] = "Running"
    (sentence,) = timed(workflow, 720)
    assert sentence.startswith("A pod of train (resource class 'small') waits for room on a node")
    assert sentence.endswith("(2 pods.)")


DENIED = (
    'admission webhook "deny.example.com" denied the request: [require-team-label] you must '
    'provide labels: {"team"}'
)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (DENIED, ["'deny.example.com' refuses the pods of check: [require-team-label]"]),
        (
            "pods \"a-check-1\" is forbidden: ValidatingAdmissionPolicy 'teams' with binding 'b' "
            "denied request: no label team",
            ["rejects the pod of check: ValidatingAdmissionPolicy 'teams'", "no label team"],
        ),
        (
            'Internal error occurred: failed calling webhook "deny.example.com": failed to call '
            "webhook: connection refused",
            ["'deny.example.com' does not respond", "connection refused"],
        ),
    ],
)
def test_whoever_refuses_a_pod_is_named(message: str, expected: list[str]) -> None:
    (sentence,) = diagnose(running(message, phase="Error", step="check"))
    assert all(words in sentence for words in expected), sentence


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            'main: Error (exit code 64): failed to find name in PATH: exec: "refeed": executable '
            "file not found in $PATH",
            "is none of Refeed's, so the command refeed cannot be started in it (exec: ",
        ),
        (
            "main: Error (exit code 64): failed to start command: fork/exec "
            "/opt/refeed/bin/refeed: exec format error",
            "is for another processor (fork/exec /opt/refeed/bin/refeed: exec format error)",
        ),
    ],
)
@pytest.mark.parametrize("phase", ["Running", "Failed"])
def test_an_image_of_the_wrong_kind_is_named(message: str, expected: str, phase: str) -> None:
    workflow = running(message, phase="Failed", step="check")
    workflow["status"]["phase"] = phase
    (sentence,) = diagnose(workflow)
    assert sentence.startswith(f"The image of check {expected}")
    assert "make images" in sentence


@pytest.mark.parametrize(
    "message",
    [
        "Pod ephemeral local storage usage exceeds the total limit of containers 80Mi. ",
        'Usage of EmptyDir volume "tmp" exceeds the limit "40Mi". ',
        'Container main exceeded its local ephemeral storage limit "40Mi". ',
        "The node was low on resource: ephemeral-storage. Threshold quantity: 2Gi",
    ],
)
def test_an_eviction_is_reported_while_the_next_attempt_runs(message: str) -> None:
    workflow = running(message, message, "", phase="Failed", step="split")
    nodes = workflow["status"]["nodes"]
    nodes["2"]["phase"] = "Running"
    retry = {"type": "Retry", "phase": "Running", "templateName": "split"}
    nodes["retry"] = retry | {"children": ["0", "1", "2"]}
    (sentence,) = diagnose(workflow)
    assert sentence.startswith(
        f"2 pods of split ended for lack of disk: {message.strip(' .')[:40]}"
    )
    assert "ephemeral_storage" in sentence
    nodes["retry"]["phase"] = "Succeeded"
    assert diagnose(workflow) == []
