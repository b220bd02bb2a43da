"""The adapter for the Argo server: requests sent and responses handled."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from steps.errors import (
    ForbiddenError,
    MissingInputError,
    RefeedError,
    TerminalError,
    TransientError,
    UnavailableError,
    UsageError,
)
from tests.cluster.fake_server import RECORDED, FakeServer, fake_server, manifest, without_sleep
from tests.fakes import free_port
from workflows.cluster.argo_server import ArgoServer
from workflows.cluster.connect import connect

TOKEN = "a-secret-token"
MADE = {"metadata": {"name": "w-abc", "creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": {}}


def server(end: FakeServer, token: str = TOKEN, pauses: list[float] | None = None) -> ArgoServer:
    return ArgoServer(
        end.address, token, secure=False, timeout=5, retry_policy=without_sleep(pauses)
    )


def refused(reply: tuple[int, object]) -> RefeedError:
    """Return the error raised for a reply to a create."""
    with fake_server(reply) as end, pytest.raises(RefeedError) as caught:
        server(end).create(manifest("Workflow", "w"))
    assert TOKEN not in str(caught.value)
    return caught.value


def test_a_workflow_is_created() -> None:
    expected = manifest("Workflow", "w")
    with fake_server((200, MADE)) as end:
        assert server(end).create(expected) == MADE
    assert (end.last.method, end.last.path) == ("POST", "/api/v1/workflows/project")
    assert end.last.body == {"namespace": "project", "workflow": expected}
    assert end.last.headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    ("token", "header"),
    [("t", "Bearer t"), ("Bearer t\n", "Bearer t"), ("Basic eDp5", "Basic eDp5"), ("", None)],
)
def test_a_token_is_sent_as_argo_does(token: str, header: str | None) -> None:
    with fake_server((200, MADE)) as end:
        server(end, token).workflow("project", "w")
    assert end.last.headers.get("Authorization") == header


@pytest.mark.parametrize(
    ("kind", "folder", "word"),
    [
        ("WorkflowTemplate", "workflow-templates", "template"),
        ("CronWorkflow", "cron-workflows", "cronWorkflow"),
    ],
)
def test_apply_creates_or_replaces(kind: str, folder: str, word: str) -> None:
    expected = manifest(kind, "x")
    with fake_server(
        (404, {"message": f'{kind.lower()}s.argoproj.io "x" not found'}), (200, {})
    ) as end:
        server(end).apply(expected)
    assert [r.method for r in end.requests] == ["GET", "POST"]
    assert end.last.path == f"/api/v1/{folder}/project"

    status = {"lastScheduledTime": "2026-01-01T00:00:00Z"}
    kept = {"resourceVersion": "7", "annotations": {"a": "old", "b": "theirs"}, "uid": "u"}
    existing = {**manifest(kind, "x", **kept), "status": status}
    with fake_server((200, existing), (200, {})) as end:
        server(end).apply(manifest(kind, "x", annotations={"a": "new"}))
    assert (end.last.method, end.last.path) == ("PUT", f"/api/v1/{folder}/project/x")
    sent = end.last.body[word]
    assert sent["metadata"]["resourceVersion"] == "7"
    assert sent["metadata"]["annotations"] == {"a": "new", "b": "theirs"}
    assert "uid" not in sent["metadata"]
    assert sent["status"] == status


def test_apply_retries_after_a_conflict() -> None:
    existing = manifest("WorkflowTemplate", "x", resourceVersion="1")
    changed = manifest("WorkflowTemplate", "x", resourceVersion="2")
    conflict = (409, {"code": 10, "message": "the object has been modified"})
    with fake_server((200, existing), conflict, (200, changed), (200, {})) as end:
        server(end).apply(manifest("WorkflowTemplate", "x"))
    assert end.last.body["template"]["metadata"]["resourceVersion"] == "2"


def test_repeated_conflicts_are_transient() -> None:
    existing = manifest("WorkflowTemplate", "x", resourceVersion="1")
    conflict = (409, {"code": 10, "message": "the object has been modified"})
    replies = [(200, existing), conflict] * 9
    with fake_server(*replies) as end, pytest.raises(TransientError, match="other clients changed"):
        server(end).apply(manifest("WorkflowTemplate", "x"))


@pytest.mark.parametrize("kind", ["Workflow", "ClusterWorkflowTemplate", "ConfigMap"])
def test_other_kinds_are_rejected(kind: str) -> None:
    with fake_server((200, {})) as end, pytest.raises(ValueError, match=kind):
        server(end).apply(manifest(kind, "x"))
    assert not end.requests


def test_list_filters_by_label() -> None:
    with fake_server((200, {"items": [MADE]}), (200, {"items": None})) as end:
        assert server(end).workflows("project", "a=b,c!=d") == [MADE]
        assert server(end).workflows("project", "") == []
    assert end.requests[0].path.endswith("?listOptions.labelSelector=a%3Db%2Cc%21%3Dd")


def test_stop_is_graceful_and_allows_ended_runs() -> None:
    with fake_server((200, MADE), RECORDED["argo-ended"]) as end:
        server(end).stop("project", "w")
        server(end).stop("project", "w")
    assert (end.last.method, end.last.path) == ("PUT", "/api/v1/workflows/project/w/stop")
    assert len(end.requests) == 2


@pytest.mark.parametrize(
    ("name", "kind", "parts"),
    [
        ("argo-missing-namespace", MissingInputError, ["namespace 'nowhere'"]),
        ("argo-missing-template", MissingInputError, ["no WorkflowTemplate 'gone'", "'project'"]),
        ("argo-exists", TerminalError, ["already exists"]),
        ("argo-invalid", TerminalError, ["template name 'x' undefined"]),
        ("argo-unauthorized", ForbiddenError, ["ARGO_TOKEN", "Log in"]),
        ("argo-no-token", ForbiddenError, ["ARGO_TOKEN", "token not valid"]),
        (
            "argo-forbidden-bare",
            ForbiddenError,
            ["not allowed to create workflows", "'project'"],
        ),
        (
            "argo-forbidden-list",
            ForbiddenError,
            ["not allowed to list workflows", "'refeed-lab'"],
        ),
        ("argo-no-argo", UnavailableError, ["Argo Workflows is not installed"]),
        ("argo-no-such-call", UnavailableError, ["does not respond like an Argo server"]),
    ],
)
def test_error_is_one_sentence(name: str, kind: type[RefeedError], parts: list[str]) -> None:
    error = refused(RECORDED[name])
    assert isinstance(error, kind)
    assert "\n" not in error.message
    for part in parts:
        assert part in str(error)


def test_forbidden_hint_has_the_command_to_grant_access() -> None:
    error = refused(RECORDED["argo-forbidden"])
    who = "User 'system:serviceaccount:refeed-demo:refeed-analyst'"
    assert f"{who} is not allowed to create workflows in namespace 'refeed-lab'" in str(error)
    command = (
        "kubectl create rolebinding refeed-analyst --clusterrole=refeed-analyst "
        "--serviceaccount=refeed-demo:refeed-analyst --namespace=refeed-lab"
    )
    assert command in error.hint


def test_a_missing_workflow_is_none_and_cannot_be_stopped() -> None:
    with fake_server(RECORDED["argo-missing-object"]) as end:
        assert server(end).workflow("project", "gone") is None
        with pytest.raises(MissingInputError, match="no Workflow 'gone'"):
            server(end).stop("project", "gone")


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_reads_are_retried(status: int) -> None:
    pauses: list[float] = []
    busy = (status, "<html>upstream</html>")
    with fake_server(busy, busy, (200, MADE)) as end:
        assert server(end, pauses=pauses).workflow("project", "w") == MADE
    assert pauses == [0.5, 1.0]


def test_lasting_error_is_reported_without_html() -> None:
    with fake_server((503, "<html>upstream</html>")) as end:
        with pytest.raises(TransientError) as caught:
            server(end).workflow("project", "w")
        assert len(end.requests) == 6
    assert "503" in str(caught.value)
    assert "html" not in str(caught.value)


def test_a_create_is_sent_once() -> None:
    with fake_server((503, {"message": "later"})) as end:
        with pytest.raises(TransientError):
            server(end).create(manifest("Workflow", "w"))
        assert len(end.requests) == 1


def test_token_is_not_sent_to_a_redirect() -> None:
    with fake_server((200, MADE)) as elsewhere:
        there = f"http://{elsewhere.address}/login"
        answers = pytest.raises(UnavailableError, match="does not respond like an Argo server")
        with fake_server((302, ""), location=there) as end, answers:
            server(end).workflow("project", "w")
        assert not elsewhere.requests


@pytest.mark.parametrize("page", ["<html>Log in</html>", "404 page not found\n", "[]"])
@pytest.mark.parametrize("status", [200, 404])
def test_web_page_is_not_a_valid_response(status: int, page: str) -> None:
    error = refused((status, page))
    assert isinstance(error, UnavailableError)
    assert "ARGO_BASE_HREF" in error.hint


def test_connection_refused() -> None:
    pauses: list[float] = []
    port = free_port()
    away = ArgoServer(f"127.0.0.1:{port}", TOKEN, secure=False, retry_policy=without_sleep(pauses))
    with pytest.raises(UnavailableError, match="connection was refused") as caught:
        away.workflow("project", "w")
    assert f"127.0.0.1:{port}" in caught.value.message
    assert not pauses  # a mistyped address is reported at once


def test_lost_server_is_retried() -> None:
    pauses: list[float] = []
    with fake_server((200, MADE)) as end:
        known = server(end, pauses=pauses)
        known.workflow("project", "w")
    with pytest.raises(UnavailableError, match="connection was refused"):
        known.workflow("project", "w")
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0]


def test_unknown_host() -> None:
    away = ArgoServer("no-such-host.invalid:2746", secure=False)
    with pytest.raises(UnavailableError, match="cannot be resolved"):
        away.workflow("project", "w")


@contextmanager
def silent_server(answer: bytes = b"") -> Iterator[str]:
    """Takes one connection; says nothing, or bytes that are no HTTP."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        done = threading.Event()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer)
                done.wait(0 if answer else 10)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1]}"
        finally:
            done.set()
            thread.join()


def test_timeout() -> None:
    with silent_server() as address, pytest.raises(UnavailableError, match="timed out"):
        ArgoServer(address, secure=False, timeout=0.3).workflow("project", "w")


def test_response_that_is_not_http() -> None:
    with (
        silent_server(b"SSH-2.0-whatever\r\n") as address,
        pytest.raises(UnavailableError, match=address),
    ):
        ArgoServer(address, secure=False, timeout=5).workflow("project", "w")


def test_server_without_tls_is_reported() -> None:
    with fake_server((200, MADE)) as end, pytest.raises(UnavailableError) as caught:
        ArgoServer(end.address, timeout=5).workflow("project", "w")
    assert "TLS" in caught.value.message
    assert "ARGO_SECURE=false" in caught.value.hint


def test_server_that_requires_tls_is_reported() -> None:
    reply = (400, "Client sent an HTTP request to an HTTPS server.\n")
    error = refused(reply)
    assert isinstance(error, UnavailableError)
    assert "it requires TLS" in error.message


@pytest.mark.parametrize("address", ["https://argo:2746", "argo:2746/base", "user@argo", "a b"])
def test_an_address_with_more_than_host_and_port(address: str) -> None:
    with pytest.raises(UsageError, match="host:port"):
        ArgoServer(address)


@pytest.mark.parametrize("token", ["a\nb", "tökén"])
def test_invalid_token_is_not_shown(token: str) -> None:
    with pytest.raises(UsageError) as caught:
        ArgoServer("argo:2746", token)
    assert token not in str(caught.value)


def test_environment_is_read_as_by_argo() -> None:
    with fake_server((200, MADE)) as end:
        environment = {
            "ARGO_SERVER": end.address,
            "ARGO_SECURE": "false",
            "ARGO_TOKEN": "Bearer t",
            "ARGO_BASE_HREF": "/argo/",
        }
        cluster = connect(environment)
        assert cluster.workflow("project", "w") == MADE
    assert end.last.path == "/argo/api/v1/workflows/project/w"
    assert end.address in cluster.server


def test_argo_server_takes_precedence(tmp_path: Path) -> None:
    empty = {"HOME": str(tmp_path)}
    assert "argo:2746" in connect({**empty, "ARGO_SERVER": "argo:2746"}).server
    with pytest.raises(UnavailableError, match="REFEED_CLUSTER=kubernetes"):
        connect({**empty, "ARGO_SERVER": "argo:2746", "REFEED_CLUSTER": "kubernetes"})
    with pytest.raises(UsageError, match=r"'nomad'.* argo, kubernetes"):
        connect({**empty, "REFEED_CLUSTER": "nomad"})


@pytest.mark.parametrize("variables", [{}, {"ARGO_SERVER": ""}, {"REFEED_CLUSTER": "argo"}])
def test_missing_cluster_hints_at_both_adapters(variables: dict[str, str], tmp_path: Path) -> None:
    with pytest.raises(UnavailableError) as caught:
        connect({"HOME": str(tmp_path), **variables})
    assert caught.value.exit_code == 69
    for name in ("ARGO_SERVER", "ARGO_TOKEN", "KUBECONFIG"):
        assert name in caught.value.hint


def test_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="lost-config"):
        connect({"KUBECONFIG": str(tmp_path / "lost-config")})


def test_argo_server_imports_no_kubernetes_client() -> None:
    code = (
        "import sys; from workflows.cluster.connect import connect; "
        "import workflows.cluster.diagnose; connect({'ARGO_SERVER': 'argo:2746'}); "
        "sys.exit('kubernetes' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
