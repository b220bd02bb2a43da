"""A proxy that breaks a random share of the requests to an emulator, from a seed."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from urllib.parse import urlsplit

FAULTS = (
    *("429", "500", "503", "504"),  # rejected before any effect
    "reset",  # disconnected before any effect
    "answer lost",  # done, then disconnected before the response
    "asked twice",  # done twice, like a client's retry that crosses a response
    "slow",  # the response arrives in two halves
    "half",  # disconnected in the middle of the response
)


@dataclass
class Faults:
    """Settings of the proxy, which can change while it runs.

    Attributes:
        share: share of requests to break.
        seed: seed of the random generator.
        gone: reject all requests.
        kinds: kinds of faults.
        pause: seconds of delay within a slow response.
        done: number of requests per kind; ``""`` for unbroken requests.
    """

    share: float = 0.0
    seed: int = 1
    gone: bool = False
    kinds: tuple[str, ...] = FAULTS
    pause: float = 0.3
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random, self._lock = Random(self.seed), threading.Lock()

    def next(self) -> str:
        """Return the fault of the next request; empty for none."""
        with self._lock:
            broken = self._random.random() < self.share
            kind = self._random.choice(self.kinds) if broken else ""
            kind = "gone" if self.gone else kind
            self.done[kind] += 1
            return kind


@contextmanager
def faulty_proxy(target: str, faults: Faults) -> Iterator[str]:
    """Run a proxy in front of an HTTP server, and yield its URL."""
    address = urlsplit(target)
    host, port = address.hostname or "", address.port or 80

    class Proxy(_Proxy):
        pass

    Proxy.upstream, Proxy.faults = (host, port), faults
    with ThreadingHTTPServer(("127.0.0.1", 0), Proxy) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


class _Proxy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # no 40 ms wait for an acknowledgement
    upstream: tuple[str, int]
    faults: Faults

    def _pass(self) -> None:
        body = self._body()
        kind = self.faults.next()
        if kind.isdigit():
            self._refuse(int(kind))
        elif kind in {"reset", "gone"}:
            self._cut()
        else:
            self._forward(body, kind)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = _pass  # noqa: N815 - their names

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return b"".join(self._chunks())
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline(), 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _forward(self, body: bytes, kind: str) -> None:
        status, headers, content = self._ask(body)
        if kind == "asked twice":
            status, headers, content = self._ask(body)
        if kind == "answer lost":
            self._cut()
            return
        self.send_response(status)
        for name, value in headers:
            if name.lower() not in {"transfer-encoding", "connection", "content-length"}:
                self.send_header(name, self._here(value))
        length = next((v for n, v in headers if n.lower() == "content-length"), str(len(content)))
        self.send_header("Content-Length", length if self.command == "HEAD" else str(len(content)))
        self.end_headers()
        self._send(content, kind)

    def _send(self, content: bytes, kind: str) -> None:
        middle = len(content) // 2
        self.wfile.write(content[:middle])
        if kind == "half" and content:
            self._cut()
            return
        if kind == "slow":
            self.wfile.flush()
            time.sleep(self.faults.pause)
        self.wfile.write(content[middle:])

    def _here(self, value: str) -> str:
        """Replace addresses in a response, such as an upload's, by that of the proxy."""
        host, port = self.upstream
        return value.replace(f"{host}:{port}", str(self.headers["Host"]))

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(*self.upstream, timeout=60)
        headers = {n: v for n, v in self.headers.items() if n.lower() != "transfer-encoding"}
        headers["Content-Length"] = str(len(body))
        headers["Accept-Encoding"] = "identity"
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _refuse(self, status: int) -> None:
        words = json.dumps({"error": {"code": status, "message": "as the test wants it"}}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(words)))
        self.end_headers()
        self.wfile.write(words)

    def _cut(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Log nothing."""
