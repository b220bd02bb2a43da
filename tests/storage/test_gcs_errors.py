"""Translate Google Cloud Storage errors."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from steps.errors import MissingInputError, OutputError, RefeedError, TransientError
from steps.storage.base import check_writable
from steps.storage.gcs import GcsStorage
from steps.storage.gcs_refusals import REFUSALS
from tests.fakes import answering, free_port

URI = "gs://some-bucket/folder/x"
DEADLINE = 1.0


def _write_stream(storage: GcsStorage, uri: str) -> None:
    with storage.writer(uri) as stream:
        stream.write(b"x")


READS: dict[str, Callable[[GcsStorage, str], object]] = {
    "read": lambda storage, uri: storage.read(uri),
    "exists": lambda storage, uri: storage.exists(uri),
    "version": lambda storage, uri: storage.version(uri),
    "names": lambda storage, uri: storage.names(uri),
    "objects": lambda storage, uri: storage.objects(uri),
    "read_range": lambda storage, uri: storage.read_range(uri, 0, 5),
    "download": lambda storage, uri: storage.download(uri, Path("never-written")),
}
WRITES: dict[str, Callable[[GcsStorage, str], object]] = {
    "write": lambda storage, uri: storage.write(uri, b"x"),
    "writer": _write_stream,
    "create": lambda storage, uri: storage.create(uri, b"x"),
    "delete": lambda storage, uri: storage.delete(uri),
}
ALL = READS | WRITES


def failure(name: str, uri: str = URI) -> RefeedError:
    """Return the error that a call raises."""
    with pytest.raises(RefeedError) as caught:
        ALL[name](GcsStorage(DEADLINE), uri)
    return caught.value


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ALL)
def test_unreachable_service_is_transient(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", f"http://127.0.0.1:{free_port()}")
    began = time.monotonic()
    error = failure(name)
    assert time.monotonic() - began < 10 * DEADLINE
    assert isinstance(error, TransientError)
    assert URI in str(error)
    assert not Path("never-written").exists()


@pytest.mark.parametrize("status", [408, 429, 500, 503])
@pytest.mark.parametrize("name", ["read", "write", "names", "create"])
def test_overload_is_transient(name: str, status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(status) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        error = failure(name)
    assert isinstance(error, TransientError)


@pytest.mark.parametrize("name", ALL)
def test_missing_role_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(403, "nobody@example.org has no access") as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        error = failure(name)
    role = "roles/storage.objectViewer" if name in READS else "roles/storage.objectUser"
    assert type(error) is (MissingInputError if name in READS else OutputError)
    assert f"{role} on gs://some-bucket" in error.hint
    assert "nobody@example.org" in error.message


@pytest.mark.parametrize("name", ALL)
def test_rejected_credentials(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(401) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        error = failure(name)
    assert type(error) is (MissingInputError if name in READS else OutputError)
    assert "gcloud auth application-default login" in error.hint


def test_invalid_request(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(400, "that is no name") as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        assert "that is no name" in failure("write").message


def test_missing_bucket_on_real_service(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(404, "The specified bucket does not exist.") as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        for name in ("read", "names", "write"):
            assert "The bucket gs://some-bucket does not exist" in failure(name).message


@pytest.mark.parametrize("name", ["names", "write", "writer", "create"])
def test_missing_bucket(name: str, gcs: str) -> None:
    error = failure(name, "gs://never-made/x")
    assert "The bucket gs://never-made does not exist" in error.message
    with pytest.raises(OutputError, match="The bucket gs://never-made does not exist"):
        check_writable("gs://never-made/runs")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("uri", ["gs://", "gs:///x", "gs://UPPER/x", "gs://a b/x"])
def test_uri_without_bucket(name: str, uri: str) -> None:
    assert "has no valid bucket" in failure(name, uri).message


@pytest.mark.parametrize("name", sorted(set(ALL) - {"names", "objects", "exists"}))
def test_bucket_is_not_an_object(name: str) -> None:
    assert "is a bucket, not an object" in failure(name, "gs://some-bucket").message
    assert not GcsStorage().exists("gs://some-bucket/")


@pytest.mark.parametrize("name", ALL)
def test_missing_credentials(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    error = failure(name)
    assert type(error) is (MissingInputError if name in READS else OutputError)
    assert "gcloud auth application-default login" in error.hint
    assert "workload identity" in error.hint


def test_create_succeeds_after_lost_response(gcs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a lost response the client retries, and finds the object that it created itself."""
    from google.cloud.storage import Blob  # noqa: PLC0415 - next to what is replaced

    upload = Blob.upload_from_string

    def upload_twice(blob: Blob, *args: object, **keywords: object) -> None:
        upload(blob, *args, **keywords)
        upload(blob, *args, **keywords)

    monkeypatch.setattr(Blob, "upload_from_string", upload_twice)
    assert GcsStorage().create(f"{gcs}/x", b"mine")
    assert not GcsStorage().create(f"{gcs}/x", b"another's")


def test_client_sends_no_background_requests(gcs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: begun.append(thread.name))
    storage = GcsStorage()
    storage.write(f"{gcs}/x", b"x")
    assert storage.read(f"{gcs}/x") == b"x"
    assert begun == []


REFUSED: dict[str, tuple[int, str, str, str]] = {
    "retention policy": (  # GoogleCloudPlatform/gcsfuse#355
        403,
        "retentionPolicyNotMet",
        "Object 'some-bucket/folder/x' is subject to bucket's retention policy or object retention "
        "and cannot be deleted or overwritten until 2026-12-28T00:00:00-08:00",
        "cannot be an artifact root: Refeed replaces and deletes its own objects. Set `output`",
    ),
    "object hold": (  # Cloud Storage sends "forbidden" for it, as for a missing role
        403,
        "forbidden",
        "Object 'some-bucket/folder/x' is under active Event-Based hold and cannot be deleted, "
        "overwritten or archived until hold is removed.",
        f"`gcloud storage objects update {URI} --no-temporary-hold --no-event-based-hold`",
    ),
    "object hold, documented code": (
        403,
        "objectUnderActiveHold",
        "No.",
        "--no-default-event-based-hold",
    ),
    "requester pays": (  # googleapis/google-cloud-python#4674; the reason is "required"
        400,
        "required",
        "Bucket is a requester pays bucket but no user project provided.",
        "--billing-project=...",
    ),
    "customer-managed key": (
        403,
        "forbidden",
        "Permission denied on Cloud KMS key. Please ensure that your Cloud Storage service account "
        "has been authorized to use this key.",
        "`gcloud storage service-agent --project=PROJECT --authorize-cmek=KEY`",
    ),
    "VPC Service Controls": (
        403,
        "vpcServiceControls",
        "Request violates VPC Service Controls.",
        "an ingress or egress rule for the caller",
    ),
    "billing": (
        403,
        "accountDisabled",
        "The billing account for the owning project is disabled in state absent",
        "gcloud billing projects link",
    ),
    "quota project": (
        403,
        "forbidden",
        "Caller does not have required permission to use project acme-jobs. Grant the caller the "
        "roles/serviceusage.serviceUsageConsumer role.",
        "roles/serviceusage.serviceUsageConsumer on the project acme-jobs",
    ),
    "access scopes": (
        403,
        "forbidden",
        "Provided scope(s) are not authorized",
        "In a cluster give the pod's service account workload identity",
    ),
    "quota": (403, "quotaExceeded", "Quota exceeded.", "A quota of the project of the bucket"),
}


@pytest.mark.parametrize("name", ["read", "names", "write", "writer", "download", "delete"])
@pytest.mark.parametrize("case", REFUSED)
def test_refusal(case: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No role would help, so none is named."""
    status, reason, message, hint = REFUSED[case]
    with answering(status, message, reason) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        error = failure(name)
    assert type(error) is (MissingInputError if name in READS else OutputError)
    assert f": {message.removesuffix('.')}." in error.message
    assert "{" not in error.message
    assert hint in error.hint
    assert "roles/storage" not in error.hint


def test_each_refusal_is_tested() -> None:
    tested = {name.partition(",")[0] for name in REFUSED}
    assert tested == {refusal.kind for refusal in REFUSALS}
