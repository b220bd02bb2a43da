"""Google's Firestore emulator, which is a part of gcloud and in no package registry."""

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
"""Environment variable with the path of the emulator's jar, if it is not found."""
_IN_SDK = "platform/cloud-firestore-emulator/cloud-firestore-emulator.jar"
_PACKAGE = "google-cloud-cli-firestore-emulator"
_MAIN = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"


def emulator_jar() -> Path:
    """Return the emulator's jar; without it, skip the test, or fail it in CI."""
    jar = next((path for path in _candidates() if path.is_file()), None)
    if jar is None:
        absent(
            "the Firestore emulator is not installed: install it with `gcloud components install "
            f"cloud-firestore-emulator` or the package {_PACKAGE}, or set {JAR} to its jar"
        )
    return jar


def _candidates() -> Iterator[Path]:
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
    """Run Firestore in memory, and yield its address for ``FIRESTORE_EMULATOR_HOST``."""
    jar, java = emulator_jar(), shutil.which("java")
    if java is None:
        absent("Java 11 or newer is not installed, which the Firestore emulator needs")
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
    """Yield another client, like that of a web page, for a store's URI."""
    project, _, database = uri.removeprefix("firestore://").partition("/")
    client = firestore.Client(project=project, database=database or "(default)")
    try:
        yield client
    finally:
        client.close()


COLLECTIONS = ("projects", "experiments", "runs", "results", "tables", "datasets", "statistics")
"""All collections, at any depth."""


def all_documents(uri: str) -> dict[str, dict[str, Any]]:
    """Return all documents of a database: fields by path."""
    with database_of(uri) as client:
        assert {each.id for each in client.collections()} <= {"projects"}
        groups = [client.collection_group(name).stream() for name in COLLECTIONS]
        return {each.reference.path: each.to_dict() for group in groups for each in group}


@contextmanager
def refusing(status: grpc.StatusCode, message: str) -> Iterator[str]:
    """Run a Firestore that gives every request the same response, and yield its address."""

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
