"""The adapter for the Kubernetes API: requests sent and responses handled."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from steps.errors import (
    ForbiddenError,
    MissingInputError,
    RefeedError,
    TerminalError,
    TransientError,
    UnavailableError,
)
from tests.cluster.fake_server import (
    RECORDED,
    FakeServer,
    Reply,
    fake_server,
    manifest,
    without_sleep,
)
from tests.fakes import free_port
from workflows.cluster.connect import connect
from workflows.cluster.errors import ApiRequest, error_from_response
from workflows.cluster.kubernetes_api import KubernetesApi, with_nodes

MADE = {"metadata": {"name": "w-abc", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}}
FOLDER = "/apis/argoproj.io/v1alpha1/namespaces/project"


def api(address: str, pauses: list[float] | None = None, timeout: float = 5) -> KubernetesApi:
    configuration = client.Configuration()
    configuration.host = address if "://" in address else f"http://{address}"
    return KubernetesApi(
        configuration, "user 'ada'", timeout=(timeout, timeout), retry_policy=without_sleep(pauses)
    )


def refused(reply: Reply) -> RefeedError:
    """Return the error raised for a reply to a create."""
    with fake_server(reply) as end, pytest.raises(RefeedError) as caught:
        api(end.address).create(manifest("Workflow", "w"))
    return caught.value


def error_for(message: str, status: int = 403) -> RefeedError:
    """Return the error for a message of the API server."""
    request = ApiRequest("create", "Workflow", "project", "w", "the Kubernetes API", "user 'ada'")
    return error_from_response(request, status, message)


def kubeconfig(folder: Path, end: FakeServer) -> Path:
    """Write a kubeconfig with two contexts; the second is current."""
    place = {"server": f"http://{end.address}"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": "here", "cluster": place},
            {"name": "there", "cluster": {"server": "http://wrong.invalid"}},
        ],
        "users": [{"name": "ada", "user": {"token": "a-secret-token"}}],
        "contexts": [
            {"name": "wrong", "context": {"cluster": "there", "user": "ada"}},
            {"name": "right", "context": {"cluster": "here", "user": "ada"}},
        ],
        "current-context": "right",
    }
    path = folder / "config"
    path.write_text(yaml.safe_dump(config))
    return path


def test_a_workflow_is_created() -> None:
    expected = manifest("Workflow", "w")
    with fake_server((201, MADE)) as end:
        assert api(end.address).create(expected) == MADE
    assert (end.last.method, end.last.path) == ("POST", f"{FOLDER}/workflows")
    assert end.last.body == expected


@pytest.mark.parametrize("kind", ["WorkflowTemplate", "CronWorkflow"])
def test_apply_creates_or_replaces(kind: str) -> None:
    plural = f"{kind.lower()}s"
    missing = (404, {"message": f'{plural}.argoproj.io "x" not found'})
    with fake_server(missing, (201, {})) as end:
        api(end.address).apply(manifest(kind, "x"))
    assert (end.last.method, end.last.path) == ("POST", f"{FOLDER}/{plural}")

    existing = {**manifest(kind, "x", resourceVersion="7"), "status": {"active": []}}
    with fake_server((200, existing), (200, {})) as end:
        api(end.address).apply(manifest(kind, "x"))
    assert (end.last.method, end.last.path) == ("PUT", f"{FOLDER}/{plural}/x")
    assert end.last.body["metadata"]["resourceVersion"] == "7"
    assert end.last.body["status"] == {"active": []}


@pytest.mark.parametrize("kind", ["Workflow", "ClusterWorkflowTemplate", "ConfigMap"])
def test_other_kinds_are_rejected(kind: str) -> None:
    with fake_server((200, {})) as end, pytest.raises(ValueError, match=kind):
        api(end.address).apply(manifest(kind, "x"))
    assert not end.requests


def test_a_run_is_stopped_gracefully() -> None:
    with fake_server((200, MADE)) as end:
        api(end.address).stop("project", "w")
    assert (end.last.method, end.last.path) == ("PATCH", f"{FOLDER}/workflows/w")
    assert end.last.headers["Content-Type"] == "application/merge-patch+json"
    assert end.last.body == {"spec": {"shutdown": "Stop"}}


def test_packed_nodes_are_unpacked() -> None:
    nodes = {"w": {"type": "Pod", "phase": "Running"}}
    packed = base64.b64encode(gzip.compress(json.dumps(nodes).encode())).decode()
    existing: dict[str, Any] = {**MADE, "status": {"phase": "Running", "compressedNodes": packed}}
    with fake_server((200, existing), (200, {"items": [existing, MADE]})) as end:
        one = api(end.address).workflow("project", "w")
        both = api(end.address).workflows("project", "a=b")
    assert one == both[0] == with_nodes(existing)
    assert one["status"]["nodes"] == nodes
    assert both[1] == MADE
    assert end.last.path == f"{FOLDER}/workflows?labelSelector=a%3Db"


@pytest.mark.parametrize(
    ("name", "kind", "parts"),
    [
        ("api-missing-namespace", MissingInputError, ["namespace 'nowhere'"]),
        ("api-exists", TerminalError, ['"a2" already exists']),
        ("api-invalid", TerminalError, ["spec.entrypoint in body must be of type string"]),
        ("api-selector", TerminalError, ["unable to parse requirement"]),
        ("api-unauthorized", ForbiddenError, ["user 'ada'", "Log in"]),
        ("api-anonymous", ForbiddenError, ["user 'ada'", "Log in"]),
        ("api-no-argo", UnavailableError, ["Argo Workflows is not installed"]),
    ],
)
def test_error_is_one_sentence(name: str, kind: type[RefeedError], parts: list[str]) -> None:
    error = refused(RECORDED[name])
    assert isinstance(error, kind)
    assert "\n" not in error.message
    for part in parts:
        assert part in str(error)


def test_both_adapters_report_the_same_message() -> None:
    for name in ("missing-namespace", "forbidden", "no-argo", "missing-object"):
        both = []
        for source in ("api", "argo"):
            status, body = RECORDED[f"{source}-{name}"]
            both.append(str(error_for(body if isinstance(body, str) else body["message"], status)))
        assert both[0] == both[1]


def test_forbidden_hint_has_the_command_to_grant_access() -> None:
    error = refused(RECORDED["api-forbidden"])
    assert "is not allowed to create workflows in namespace 'refeed-lab'" in error.message
    assert "--serviceaccount=refeed-demo:refeed-analyst --namespace=refeed-lab" in error.hint
    person = error_for(
        'workflows.argoproj.io is forbidden: User "ada@example.org" cannot list resource '
        '"workflows" in API group "argoproj.io" in the namespace "lab": requires one of '
        '["container.thirdPartyObjects.list"] permission(s).'
    )
    assert (
        "User 'ada@example.org' is not allowed to list workflows in namespace 'lab'"
        in person.message
    )
    assert "rolebinding refeed-ada-example.org --clusterrole" in person.hint
    assert "--user=ada@example.org" in person.hint


@pytest.mark.parametrize(
    ("message", "hint"),
    [
        (
            'admission webhook "images.example.org" denied the request: no digest',
            "Ask a platform engineer",
        ),
        (
            'workflows.argoproj.io "w" is forbidden: exceeded quota: runs, requested: '
            "count/workflows.argoproj.io=1, used: count/workflows.argoproj.io=9",
            "larger quota",
        ),
    ],
)
def test_policy_message_is_quoted(message: str, hint: str) -> None:
    error = error_for(message)
    assert isinstance(error, TerminalError)
    assert message in error.message
    assert hint in error.hint


def test_a_missing_workflow_is_none_and_cannot_be_stopped() -> None:
    with fake_server(RECORDED["api-missing-object"]) as end:
        assert api(end.address).workflow("project", "gone") is None
        with pytest.raises(MissingInputError, match="no Workflow 'gone'"):
            api(end.address).stop("project", "gone")


def test_missing_argo_differs_from_missing_workflow() -> None:
    with fake_server(RECORDED["api-no-argo"]) as end, pytest.raises(UnavailableError):
        api(end.address).workflow("project", "gone")


@pytest.mark.parametrize("status", [429, 500, 503, 504])
def test_only_reads_are_retried(status: int) -> None:
    pauses: list[float] = []
    busy = (status, {"kind": "Status", "message": "etcdserver: leader changed"})
    with fake_server(busy, busy, (200, MADE)) as end:
        assert api(end.address, pauses).workflow("project", "w") == MADE
    assert pauses == [0.5, 1.0]
    with fake_server(busy) as end, pytest.raises(TransientError, match="leader changed"):
        api(end.address).create(manifest("Workflow", "w"))
    assert len(end.requests) == 1


def test_connection_refused() -> None:
    pauses: list[float] = []
    address = f"127.0.0.1:{free_port()}"
    with pytest.raises(UnavailableError, match="connection was refused") as caught:
        api(address, pauses).workflow("project", "w")
    assert address in caught.value.message
    assert not pauses


def test_unknown_host() -> None:
    with pytest.raises(UnavailableError, match="cannot be resolved"):
        api("no-such-host.invalid").workflow("project", "w")


def test_server_without_tls() -> None:
    with fake_server((200, MADE)) as end, pytest.raises(UnavailableError, match="TLS"):
        api(f"https://{end.address}").workflow("project", "w")


def test_the_current_context_of_a_kubeconfig_is_used(tmp_path: Path) -> None:
    with fake_server((200, MADE)) as end:
        lost = tmp_path / "lost"
        files = f"{lost}:{kubeconfig(tmp_path, end)}"
        cluster = connect({"KUBECONFIG": files})
        assert cluster.workflow("project", "w") == MADE
    assert end.last.headers["Authorization"] == "Bearer a-secret-token"
    assert end.address in cluster.server
    assert cluster.whoami == "user 'ada' of the kubeconfig"


def test_the_kubeconfig_in_the_home_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / ".kube").mkdir()
    with fake_server((200, MADE)) as end:
        kubeconfig(tmp_path / ".kube", end)
        assert end.address in connect({"HOME": str(tmp_path)}).server


@pytest.mark.parametrize(
    "text", ["", "a: [", "just words", "apiVersion: v1\nusers: [{name: x, user: {token: secret}}]"]
)
def test_invalid_kubeconfig(text: str, tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(UnavailableError, match="cannot be used") as caught:
        connect({"KUBECONFIG": str(path)})
    assert str(path) in caught.value.message
    assert "secret" not in str(caught.value)
