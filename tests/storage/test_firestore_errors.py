"""Translate Firestore errors."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest
from grpc import StatusCode

from steps.contract import ProjectLayout
from steps.errors import DamagedError, MissingInputError, OutputError, RefeedError, TransientError
from steps.records import RunRecord
from steps.stores.base import ExperimentStore
from steps.stores.firestore import FirestoreStore
from tests.fakes import firestore as emulator
from tests.fakes import free_port
from tests.fakes.firestore import database_of, refusing
from tests.storage.results import some_results

DOCS = Path(__file__).parents[2] / "docs" / "platform" / "firestore.md"
URI = "firestore://acme-refeed/demo"
PROJECT = ProjectLayout("somewhere", "lab")
RECORD = RunRecord("lab", "trial", "20260102T030405-aaaa", "s", "d", "running", "2026-01-02")
SHORT, LONG = 0.2, 5.0
"""Deadlines for errors that are retried, and for errors that are raised immediately."""

READS: dict[str, Callable[[ExperimentStore], object]] = {
    "get": lambda store: store.get("trial", RECORD.run),
    "runs": lambda store: store.runs(),
    "results": lambda store: list(store.results("trial", RECORD.run)),
    "statistics": lambda store: list(store.statistics("d1")),
}
WRITES: dict[str, Callable[[ExperimentStore], object]] = {
    "put": lambda store: store.put(RECORD),
    "put_results": lambda store: store.put_results("trial", RECORD.run, some_results(["a"])),
    "put_statistics": lambda store: store.put_statistics("d1", [("", {})]),
}
ALL = READS | WRITES


def failure(name: str, deadline: float = LONG) -> RefeedError:
    """Return the error that a call raises."""
    with pytest.raises(RefeedError) as caught:
        ALL[name](FirestoreStore(PROJECT, URI, deadline))
    return caught.value


@pytest.mark.parametrize("name", ALL)
def test_unreachable_service_is_transient(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    began = time.monotonic()
    error = failure(name, SHORT)
    assert time.monotonic() - began < LONG
    assert isinstance(error, TransientError)
    assert URI in error.message


@pytest.mark.parametrize(
    "status",
    [
        StatusCode.ABORTED,
        StatusCode.DEADLINE_EXCEEDED,
        StatusCode.INTERNAL,
        StatusCode.RESOURCE_EXHAUSTED,
        StatusCode.UNAVAILABLE,
        StatusCode.UNKNOWN,
    ],
    ids=lambda status: status.name,
)
@pytest.mark.parametrize("name", ["put", "runs", "get"])
def test_overload_is_transient(
    name: str, status: StatusCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    with refusing(status, "try again") as address:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
        error = failure(name, 1.0 if status is StatusCode.UNKNOWN else SHORT)
    assert isinstance(error, TransientError)
    assert status is not StatusCode.UNKNOWN or "try again" in error.message


@pytest.mark.parametrize("name", ALL)
def test_missing_role_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing(StatusCode.PERMISSION_DENIED, "Missing or insufficient permissions.") as address:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
        error = failure(name)
    role = "roles/datastore.viewer" if name in READS else "roles/datastore.user"
    assert type(error) is (MissingInputError if name in READS else OutputError)
    assert f"{role} on the project acme-refeed" in error.hint
    assert "insufficient permissions" in error.message


def test_disabled_api_has_enable_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    message = (
        "Cloud Firestore API has not been used in project acme-refeed before or it is disabled."
    )
    with refusing(StatusCode.PERMISSION_DENIED, message) as address:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
        error = failure("put")
    assert "gcloud services enable firestore.googleapis.com --project=acme-refeed" in error.hint


@pytest.mark.parametrize("name", ["put", "runs"])
def test_missing_database(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    message = "The database demo does not exist for project acme-refeed."
    with refusing(StatusCode.NOT_FOUND, message) as address:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
        error = failure(name)
    assert message.rstrip(".") in error.message
    assert "gcloud firestore databases create" in error.hint
    assert "--database='demo' --project=acme-refeed" in error.hint


@pytest.mark.parametrize("name", ALL)
def test_rejected_credentials(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing(StatusCode.UNAUTHENTICATED, "who is it") as address:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
        error = failure(name)
    assert type(error) is (MissingInputError if name in READS else OutputError)
    assert "gcloud auth application-default login" in error.hint


def test_invalid_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with refusing(StatusCode.FAILED_PRECONDITION, "a database in Datastore mode") as address:
        monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
        assert "Datastore mode" in failure("put").message


@pytest.mark.parametrize("name", ALL)
def test_missing_credentials(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FIRESTORE_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    error = failure(name)
    assert type(error) is (MissingInputError if name in READS else OutputError)
    assert "gcloud auth application-default login" in error.hint
    assert "workload identity" in error.hint


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_forked_process_shares_database(firestore: str, method: str) -> None:
    _put(firestore, "0")
    with ProcessPoolExecutor(2, get_context(method)) as pool:
        list(pool.map(_put, [firestore] * 3, ["1", "2", "3"]))
    assert [each.run for each in FirestoreStore(PROJECT, firestore).runs()] == ["3", "2", "1", "0"]


def _put(uri: str, run: str) -> None:
    FirestoreStore(PROJECT, uri).put(replace(RECORD, run=run))


def test_projects_and_databases_are_isolated(firestore: str) -> None:
    FirestoreStore(PROJECT, firestore).put(RECORD)
    other = ProjectLayout("somewhere", "sales")
    assert FirestoreStore(other, firestore).runs() == []
    assert FirestoreStore(PROJECT, f"{firestore}/another").runs() == []


@pytest.mark.parametrize("count", [20, 45])
def test_listing_of_several_pages(
    count: int, firestore: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("steps.stores.firestore._PAGE", 20)
    store = FirestoreStore(PROJECT, firestore)
    store.put_results("trial", "one", some_results([f"key {n}" for n in range(count)], ["x"], 1))
    assert len({each.partition_id for each in store.results("trial", "one")}) == count


def test_missing_document_is_damage(firestore: str) -> None:
    store = FirestoreStore(PROJECT, firestore)
    store.put_results("trial", "one", some_results(["a"]))
    (result,) = store.results("trial", "one")
    path = f"projects/lab/experiments/trial/runs/one/results/{result.partition_id}/tables"
    with database_of(firestore) as database:
        database.document(f"{path}/metrics-00000").delete()
        database.document("projects/lab/experiments/trial/runs/two").set({"run": "two"})
        database.document("projects/lab/datasets/d1/statistics/all-00000").set(
            {"partition_id": "", "number": 0, "pieces": 2, "text": "{"}
        )
    with pytest.raises(DamagedError, match="a document is missing"):
        list(store.results("trial", "one"))
    with pytest.raises(DamagedError, match=r"trial/runs/two.*'project'"):
        store.get("trial", "two")
    with pytest.raises(DamagedError, match="datasets/d1/statistics"):
        list(store.statistics("d1"))


def test_foreign_fields_above_runs_are_kept(firestore: str) -> None:
    store = FirestoreStore(PROJECT, firestore)
    store.put(RECORD)
    with database_of(firestore) as database:
        experiment = database.document("projects/lab/experiments/trial")
        experiment.update({"title": "A trial"})
        store.put(replace(RECORD, status="finished"))
        assert experiment.get().to_dict() == {
            "project": "lab",
            "experiment": "trial",
            "title": "A trial",
        }


def test_documented_query(
    firestore: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), flags=re.DOTALL)
    demo = ProjectLayout("somewhere", "demo")
    results = some_results(["a", "b", "skipped", "d"])
    FirestoreStore(demo, firestore).put_results("flights-arrival-delay", "one", results)
    project = firestore.removeprefix("firestore://")
    exec(code.replace("gcp-project", project), {"run": "one"})
    assert capsys.readouterr().out == "1 a None\n2 b None\n4 d None\n"


def test_missing_emulator_skips_locally_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(emulator, "_candidates", lambda: [Path("nowhere.jar")])
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(
        pytest.skip.Exception, match=r"Firestore emulator is not installed: install it with"
    ):
        emulator.emulator_jar()
    monkeypatch.setenv("CI", "true")
    with pytest.raises(
        pytest.fail.Exception, match=r"Firestore emulator is not installed: install it with"
    ):
        emulator.emulator_jar()
