"""Lifecycle rules that delete segments by age are found, where they may be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from steps.storage.gcs import GcsStorage
from steps.storage.local import LocalStorage
from tests.fakes import answering

SEGMENTS = "gs://some-bucket/root/lab/cache/segments"


@contextmanager
def bucket_with(*rules: dict[str, Any]) -> Iterator[str]:
    """Serve the metadata of a bucket with lifecycle rules, in the form of the JSON API."""
    content = json.dumps({"name": "some-bucket", "lifecycle": {"rule": rules}}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def rule(action: str = "Delete", **condition: object) -> dict[str, Any]:
    return {"action": {"type": action}, "condition": condition}


@pytest.mark.parametrize(
    ("rules", "days"),
    [
        ([], None),
        ([rule(age=180, isLive=True, matchesPrefix=["root/lab/cache/"])], 180),
        ([rule(age=90)], 90),
        ([rule(age=400), rule(age=30, matchesPrefix=["root/lab/cache/segments/ab"])], 30),
        ([rule(age=7, isLive=True, matchesPrefix=["root/lab/datasets/work/"])], None),
        ([rule(daysSinceNoncurrentTime=1, matchesPrefix=["root/lab/cache/"])], None),
        ([rule(age=5, isLive=False)], None),
        (
            [{**rule(age=30), "action": {"type": "SetStorageClass", "storageClass": "NEARLINE"}}],
            None,
        ),
        ([rule("AbortIncompleteMultipartUpload", age=7)], None),
    ],
)
def test_rules_that_delete_current_segments_are_found(
    rules: list[dict[str, Any]], days: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with bucket_with(*rules) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        assert GcsStorage(5.0).deletion_age(SEGMENTS) == days


def test_rules_that_may_not_be_read_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(403, "storage.buckets.get is denied") as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        assert GcsStorage(5.0).deletion_age(SEGMENTS) is None


def test_a_file_system_keeps_files(tmp_path: Path) -> None:
    assert LocalStorage().deletion_age(str(tmp_path)) is None
