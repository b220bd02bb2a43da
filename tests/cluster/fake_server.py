"""A fake HTTP server that returns given replies and records the requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from workflows.cluster.retry import RetryPolicy

Reply = tuple[int, Any]
"""Status, and content: text unchanged, anything else as JSON."""

RECORDED: dict[str, Reply] = {
    name: (status, content)
    for name, (status, content) in json.loads(
        Path(__file__).with_name("refusals.json").read_text()
    ).items()
}
"""Recorded responses of Kubernetes 1.34 and Argo server 4.0 (in client mode)."""


@dataclass
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: Message
    body: Any


@dataclass
class FakeServer:
    """A fake server that returns its replies in order and repeats the last one."""

    replies: list[Reply]
    requests: list[Request] = field(default_factory=list)
    location: str = ""
    port: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def last(self) -> Request:
        return self.requests[-1]

    def reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def fake_server(*replies: Reply, location: str = "") -> Iterator[FakeServer]:
    """Serves until the block ends."""
    end = FakeServer(list(replies), location=location)
    with ThreadingHTTPServer(("127.0.0.1", 0), _handler(end)) as server:
        end.port = server.server_port
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield end
        finally:
            server.shutdown()
            thread.join()


def _handler(end: FakeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            body = json.loads(content) if content else None
            end.requests.append(Request(self.command, self.path, self.headers, body))
            status, answer = end.reply()
            data = (answer if isinstance(answer, str) else json.dumps(answer)).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            if end.location:
                self.send_header("Location", end.location)
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = _answer  # noqa: N815 - the base class names them

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the same
            """Say nothing."""

    return Handler


def without_sleep(pauses: list[float] | None = None) -> RetryPolicy:
    """Return a retry policy that does not sleep, and records its pauses."""
    record_pause: Callable[[float], None] = (pauses if pauses is not None else []).append
    return RetryPolicy(sleep=record_pause)


def manifest(kind: str, name: str, **metadata: Any) -> dict[str, Any]:
    """Return a small object of a kind."""
    return {
        "apiVersion": "argoproj.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "project", **metadata},
        "spec": {"entrypoint": "main", "templates": [{"name": "main", "suspend": {}}]},
    }
