"""Fixtures of the end-to-end tests: a test cluster, and emulators next to it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.kubectl import LOCAL, kubectl, run_kubectl
from tests.e2e.platform import Platform
from tests.fakes import gcs_server, make_bucket

GATE = "REFEED_E2E"
ENDPOINT = "CLUSTER_GCS_ENDPOINT"
"""URL at which pods and this machine alike reach the storage emulator."""
STORAGE = "STORAGE_EMULATOR_HOST"


_SHARED = ExitStack()
"""Resources shared by all test workers, until the last one has ended."""


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Once, before any worker: storage, and the projects without what was there before."""
    if hasattr(session.config, "workerinput") or not os.environ.get(GATE):
        return
    if ENDPOINT not in os.environ:
        pytest.exit(f"{ENDPOINT} must name a URL of this machine that pods reach, for storage", 1)
    address = urlsplit(os.environ[ENDPOINT])
    server = _SHARED.enter_context(gcs_server(address.hostname or "", address.port or 0))
    os.environ[STORAGE] = server
    run_kubectl("apply", "-k", str(LOCAL))
    for project in ("demo", "lab"):
        make_bucket(server, f"refeed-{project}")
        namespace = ("-n", f"refeed-{project}")
        run_kubectl(*namespace, "delete", "workflows,workflowtemplates,cronworkflows", "--all")
        run_kubectl(*namespace, "delete", "secret", "refeed-notify", "--ignore-not-found")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Once, after all workers."""
    if not hasattr(session.config, "workerinput"):
        _SHARED.close()


@pytest.fixture(scope="session")
def endpoint() -> str:
    """The Cloud Storage emulator, where pods reach it, with a bucket per project."""
    if not os.environ.get(GATE):
        pytest.skip("needs a cluster that may be written to: make e2e")
    return os.environ[STORAGE]


@pytest.fixture(scope="session")
def projects(endpoint: str) -> None:
    """Require the projects demo and lab, as the local overlay defines them."""


@pytest.fixture(scope="session")
def platform(endpoint: str, projects: None, tmp_path_factory: pytest.TempPathFactory) -> Platform:
    """An installation on the cluster."""
    return Platform(tmp_path_factory.mktemp("platform"), endpoint)


class Webhook:
    """A web service that accepts messages, like a chat."""

    def __init__(self, host: str) -> None:
        self.messages: list[dict[str, Any]] = []
        webhook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                webhook.messages.append(json.loads(self.rfile.read(length)))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None: ...

        self.server = ThreadingHTTPServer((host, 0), Handler)
        self.url = f"http://{host}:{self.server.server_port}/hook/secret-token"

    def of(self, run: str) -> list[dict[str, Any]]:
        return [each for each in self.messages if each["run"] == run]


@pytest.fixture(scope="session")
def webhook(endpoint: str, projects: None) -> Iterator[Webhook]:
    """Yield the receiver of failures, whose URL is in each project's Secret."""
    hook = Webhook(urlsplit(endpoint).hostname or "")
    thread = threading.Thread(target=hook.server.serve_forever, daemon=True)
    thread.start()
    for namespace in ("refeed-demo", "refeed-lab"):
        kubectl("-n", namespace, "delete", "secret", "refeed-notify")
        arguments = (
            "create",
            "secret",
            "generic",
            "refeed-notify",
            f"--from-literal=url={hook.url}",
        )
        run_kubectl("-n", namespace, *arguments)
    yield hook
    hook.server.shutdown()
    hook.server.server_close()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Return an experiment name that no other test uses."""
    short = request.node.name.removeprefix("test_").replace("_", "-")[:38]
    return f"e2e-{short}".rstrip("-")


@pytest.fixture(scope="session")
def flights() -> Path:
    """Return the flights of 2013, as in the examples."""
    return Path(__file__).parents[2] / "data" / "flights.parquet"
