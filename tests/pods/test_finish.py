"""The exit handler: it closes the record, posts to the webhook and keeps its URL secret."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from steps.errors import RefeedError, TooManyFailuresError, TransientError, UsageError
from tests.fakes import answering, free_port
from tests.pods.fake_project import COMMAND, FakeProject, FakeWorkflow, process_environment
from tests.workspace import small_table
from workflows.pods.finish import post
from workflows.runs.find import find_run

SECRET = "T0PSECRET"


@contextmanager
def webhook(posts: list[dict[str, Any]]) -> Iterator[str]:
    """Start a server that records posts, and yield its URL, which contains a secret."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == f"/{SECRET}"
            assert self.headers["Content-Type"] == "application/json"
            posts.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/{SECRET}"
        finally:
            server.shutdown()
            thread.join()


def finish(workflow: FakeWorkflow, **changes: Any) -> dict[str, Any]:
    """Run the exit handler; the one message that came."""
    for name, value in changes.items():
        setattr(workflow, name, value)
    posts: list[dict[str, Any]] = []
    with webhook(posts) as url:
        workflow.secrets = {"refeed-notify": url}
        workflow.run("finish")
    (message,) = posts
    return message


def test_failed_check_is_reported_with_reason(
    world: FakeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    workflow = world.workflow(form={"folds": "many"})
    with pytest.raises(Exception, match="'many' is not valid"):
        workflow.run_check()
    message = finish(workflow, status="Failed")
    assert message["status"] == "failed"
    assert "folds: 'many' is not valid" in message["message"]
    assert message["counts"] == {}
    assert message["report"] == ""
    assert message["text"].startswith(f"Run lab/trial {message['run']} failed.\nthe form: folds:")
    assert message["folder"].endswith(f"/lab/runs/trial/{message['run']}")
    assert message["workflow"] == "trial-1"
    captured = capsys.readouterr()
    assert message["text"] in captured.out
    assert SECRET not in captured.out + captured.err


def test_too_many_failures_are_reported_with_report(world: FakeProject) -> None:
    table = small_table(3, rows=4500)  # which the only class is too small for
    world.upload(table.slice(0, 4500 + 90))
    workflow = world.workflow(execution__classes=["small"], execution__max_failed_fraction=0.1)
    with pytest.raises(TooManyFailuresError):
        workflow.run_all()
    message = finish(workflow, status="Failed")
    assert message["status"] == "failed"
    assert message["counts"] == {"trained": 1, "skipped": 0, "failed": 1}
    assert message["report"].endswith("/report.html")
    assert "1 failed, 0 skipped, 1 trained" in message["text"]
    assert message["text"].endswith(f"Report: {message['report']}")
    assert workflow.stored().status == "failed"


def test_stopped_run_is_closed_with_argo_message(world: FakeProject) -> None:
    workflow = world.workflow()
    workflow.run_check()
    assert workflow.stored().status == "running"
    failures = [
        {"displayName": "split", "message": "pod deleted {{=1}} \"'\\"},
        {"displayName": "train-small(0:00000)", "message": "Stopped with strategy 'Stop'"},
    ]
    message = finish(workflow, status="Failed", failures=failures)
    text = "split: pod deleted {{=1}} \"'\\; train-small(0:00000): Stopped with strategy 'Stop'"
    assert message["status"] == "stopped"
    assert message["message"] == text
    assert (workflow.stored().status, workflow.stored().message) == ("stopped", text)
    assert workflow.stored().ended


@pytest.mark.parametrize("doubly", [False, True])
def test_thousand_failures_are_truncated_after_the_first(doubly: bool, world: FakeProject) -> None:
    workflow = world.workflow()
    workflow.run_check()
    failures: Any = [
        {"displayName": f"train-small({n}:{n:05d})", "message": "OOMKilled (exit code 137)"}
        for n in range(1000)
    ]
    message = finish(
        workflow, status="Failed", failures=json.dumps(failures) if doubly else failures
    )
    assert message["message"].startswith("train-small(0:00000): OOMKilled (exit code 137); train-s")
    assert len(message["message"]) == 500


def test_rejected_resume_does_not_close_the_run(
    world: FakeProject,
) -> None:
    first = world.workflow()
    first.run_check()
    stored = first.stored()
    second = world.workflow(name="another", form={"run": first.address.run})
    failures = [{"displayName": "check", "message": "Error (exit code 65)"}]
    message = finish(second, status="Failed", failures=failures)
    assert (message["run"], message["status"]) == (first.address.run, "failed")
    assert message["message"] == "check: Error (exit code 65)"
    assert message["counts"] == {}
    assert message["report"] == ""
    assert first.stored() == stored


def test_invalid_run_id_is_reported(world: FakeProject) -> None:
    workflow = world.workflow(form={"run": "../yesterday"})
    failures = [{"displayName": "check", "message": "Error (exit code 65)"}]
    message = finish(workflow, status="Failed", failures=failures)
    assert message["status"] == "failed"
    assert message["message"] == "check: Error (exit code 65)"
    assert message["run"].startswith("20260102T030405-")


@pytest.mark.parametrize("failures", [[], None])
def test_without_argo_message_the_phase_is_reported(
    failures: list[dict[str, str]] | None, world: FakeProject
) -> None:
    workflow = world.workflow()
    workflow.run_check()
    message = finish(workflow, status="Error", failures=failures)
    assert message["message"] == "Error"
    assert workflow.stored().status == "stopped"


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ('admission webhook "deny.example.com" denied the request: no team', "failed"),
        ("Stopped with strategy 'Stop'", "stopped"),
        ("workflow shutdown with strategy:  Stop", "stopped"),
    ],
)
def test_run_whose_first_pod_never_started_is_reported(
    reason: str, status: str, world: FakeProject
) -> None:
    failures = [{"displayName": "check(9)", "message": reason}]
    message = finish(world.workflow(), status="Failed", failures=failures)
    assert message["status"] == status
    assert message["run"].startswith("20260102T030405-")
    found = find_run(world.platform, message["run"])
    assert (found.record.status, found.record.message) == (status, f"check(9): {reason}")


def test_a_stop_is_found_among_many_refusals_in_any_order(world: FakeProject) -> None:
    """Argo lists the nodes in random order, and the reason has room for a few."""
    denied = f'admission webhook "deny.example.com" denied the request: {"no team, " * 20}'
    failures = [
        {"displayName": f"check({n})", "message": denied, "finishedAt": f"2026-01-02T03:0{n}:00Z"}
        for n in (3, 0, 2, 1)
    ]
    failures.append({"displayName": "trial-1", "message": "", "finishedAt": "2026-01-02T03:00:00Z"})
    stopped = {"displayName": "check", "message": "Stopped with strategy 'Stop'"}
    failures.append({**stopped, "finishedAt": "2026-01-02T03:09:00Z"})
    message = finish(world.workflow(), status="Failed", failures=failures)
    assert message["status"] == "stopped"
    assert message["message"].startswith("check(0): admission webhook")


def test_late_run_is_reported_and_stays_finished(world: FakeProject) -> None:
    world.upload(small_table(2))
    workflow = world.workflow()
    workflow.run_all()
    before = workflow.stored()
    message = finish(workflow, status="Succeeded", seconds=25_000.5)
    assert message["status"] == "late"
    assert message["text"].startswith(f"Run lab/trial {message['run']} took 6.9 h.\n0 failed")
    assert message["counts"] == {"trained": 2, "skipped": 0, "failed": 0}
    assert workflow.stored() == before


def test_without_webhook_nothing_is_posted(
    world: FakeProject, capsys: pytest.CaptureFixture[str]
) -> None:
    workflow = world.workflow()
    workflow.run_check()
    workflow.status = "Failed"
    workflow.run("finish")  # the secret is optional
    assert "failed." in capsys.readouterr().out
    assert workflow.stored().status == "stopped"


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, UsageError),
        (404, UsageError),
        (408, TransientError),
        (429, TransientError),
        (500, TransientError),
        (503, TransientError),
    ],
)
def test_busy_webhook_is_transient_and_rejection_is_not(
    status: int, error: type[RefeedError]
) -> None:
    with (
        answering(status) as url,
        pytest.raises(error, match=f"with status {status}") as caught,
    ):
        post(f"{url}/{SECRET}", {"text": "x"})
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "url",
    [
        f"ftp://example.com/{SECRET}",
        f"file:///{SECRET}",
        SECRET,
        f"http://127.0.0.1:1/{SECRET}",
        f"http://127.0.0.1:1/{SECRET} with a space",
        f"http://127.0.0.1:1/{SECRET}\x00",
        f"http://127.0.0.1:1/ü{SECRET}",
        f"http://127.0.0.1:{SECRET}/",
        f"http://[{SECRET}/",
        f"http:///{SECRET}",
    ],
)
def test_no_error_shows_the_webhook_url(url: str) -> None:
    with pytest.raises((TransientError, UsageError)) as caught:
        post(url, {"text": "x"})
    assert SECRET not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_the_command_never_prints_the_webhook(world: FakeProject) -> None:
    workflow = world.workflow()
    workflow.run_check()
    workflow.status = "Failed"
    workflow.secrets = {"refeed-notify": f"http://127.0.0.1:{free_port()}/{SECRET}"}
    done = subprocess.run(
        [*COMMAND, *workflow.command("finish", {})[1:]],
        env=process_environment(workflow.environment("finish", {})),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 75
    assert "cannot be reached" in done.stderr
    assert SECRET not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
