"""Firestore: Google's own emulator, which comes with gcloud and is on no registry."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.cloud import firestore

from tests.fakes import absent, free_port, wait_for

JAR = "REFEED_FIRESTORE_JAR"
"""Names the environment variable that names the jar where it is not found by itself."""
_IN_SDK = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
_PACKAGE = "google-cloud-cli-firestore-emulator"
_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"


def emulator_jar() -> Path:
    """The emulator; without it the test is skipped, and fails in CI."""
    found = next((path for path in _places() if path.is_file()), None)
    if found is None:
        absent(
            "there is no Firestore emulator: install it with `gcloud components install "
            f"cloud-firestore-emulator` or the package {_PACKAGE}, or name its jar in {JAR}"
        )
    return found


def _places() -> Iterator[Path]:
    if os.environ.get(JAR):
        yield Path(os.environ[JAR])
    gcloud = shutil.which("gcloud")
    if gcloud:
        yield Path(gcloud).resolve().parents[1] / _IN_SDK
    yield from (folder / _IN_SDK for folder in _SDKS)
    if shutil.which("dpkg"):
        listed = subprocess.run(
            ["dpkg", "-L", _PACKAGE], capture_output=True, text=True, check=False
        )
        yield from (Path(line) for line in listed.stdout.splitlines() if line.endswith(".jar"))


_SDKS = (Path("/usr/lib/google-cloud-sdk"), Path.home() / "google-cloud-sdk")


@contextmanager
def firestore_emulator(host: str = "127.0.0.1") -> Iterator[str]:
    """Firestore in memory; yields its address, for ``FIRESTORE_EMULATOR_HOST``."""
    jar, java = emulator_jar(), shutil.which("java")
    if java is None:
        absent("there is no Java, which the Firestore emulator needs (11 or newer)")
    port = free_port(host)
    address = f"{host}:{port}"
    options = ["-Xmx768m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    command = [java, *options, "-cp", str(jar), _MAIN, f"--host={host}", f"--port={port}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(f"http://{address}/", process)
        yield address
    finally:
        process.terminate()
        process.wait()


@contextmanager
def database_of(uri: str) -> Iterator[firestore.Client]:
    """A client of somebody else, such as a web page, for a store's URI."""
    project, _, database = uri.removeprefix("firestore://").partition("/")
    client = firestore.Client(project=project, database=database or "(default)")
    try:
        yield client
    finally:
        client.close()


COLLECTIONS = ("projects", "experiments", "runs", "results", "tables", "datasets", "statistics")
"""All that there are, at any depth."""


def all_documents(uri: str) -> dict[str, dict[str, Any]]:
    """All that lies in a database: fields by path."""
    with database_of(uri) as client:
        assert {each.id for each in client.collections()} <= {"projects"}
        groups = [client.collection_group(name).stream() for name in COLLECTIONS]
        return {each.reference.path: each.to_dict() for group in groups for each in group}


@contextmanager
def refusing(status: grpc.StatusCode, message: str) -> Iterator[str]:
    """A Firestore that gives every request one answer; yields its address."""

    def answer(_request: object, context: Any) -> None:
        context.abort(status, message)

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
        def service(self, details: Any) -> Any:
            if details.method.endswith(("/RunQuery", "/BatchGetDocuments")):
                return grpc.unary_stream_rpc_method_handler(answer)
            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(ThreadPoolExecutor(2), handlers=[Handler()])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(0).wait()
