"""Google Cloud Storage as an adapter of the storage port; only this module imports its client.

Uploads are atomic, so an interrupted write leaves no partial object. Errors are distinguished by
their remedy: a retry, a role on a bucket, or authentication.
"""

from __future__ import annotations

import mimetypes
import os
import tempfile
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import requests
from google.api_core.exceptions import (
    GoogleAPICallError,
    PreconditionFailed,
    RequestRangeNotSatisfiable,
)
from google.cloud import storage
from google.cloud.exceptions import NotFound
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY

from steps.errors import MissingInputError, OutputError, RefeedError
from steps.google.errors import CONNECTION_ERRORS, DEADLINE_SECONDS, ErrorTranslator, grant_hint
from steps.storage.base import BUCKET, TEMPORARY_PREFIX, StoredObject
from steps.storage.gcs_refusals import REFUSALS

# For traces, which Refeed does not use, the client would read each bucket's metadata in a separate
# thread. Steps do not have that permission.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

PATIENCE = "REFEED_PATIENCE_SECONDS"
"""Environment variable with the seconds during which a call is retried."""

_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS = 0.25, 16.0

_CONNECT_SECONDS = 10.0
_DELETIONS = 16
"""Deletions at the same time; each is a request of its own."""
_MARK = "refeed-made-by"
_ROLES: dict[type[RefeedError], str] = {
    MissingInputError: "roles/storage.objectViewer",
    OutputError: "roles/storage.objectUser",
}

Denied = type[MissingInputError] | type[OutputError]
"""The type of the error for a denied read or write."""


class GcsStorage:
    """Objects in buckets; a URI is ``gs://bucket/name``.

    Args:
        deadline: seconds during which a throttled or interrupted call is retried; default: the
            environment variable, or ``DEADLINE_SECONDS``.
    """

    def __init__(self, deadline: float | None = None) -> None:
        if deadline is None:
            deadline = float(os.environ.get(PATIENCE) or DEADLINE_SECONDS)
        retry = DEFAULT_RETRY.with_delay(_FIRST_DELAY_SECONDS, _LONGEST_DELAY_SECONDS, 2.0)
        self._options: dict[str, Any] = {
            "retry": retry.with_timeout(deadline),
            "timeout": (min(deadline, _CONNECT_SECONDS), deadline),
        }

    def read(self, uri: str) -> bytes:
        """See ``Storage.read``."""
        with _translated(uri, MissingInputError):
            content: bytes = _blob(uri, MissingInputError).download_as_bytes(**self._options)
            return content

    def read_range(self, uri: str, start: int, length: int) -> bytes:
        """See ``Storage.read_range``."""
        with _translated(uri, MissingInputError):
            blob = _blob(uri, MissingInputError)
            try:
                content: bytes = blob.download_as_bytes(
                    start=start, end=start + length - 1, **self._options
                )
            except RequestRangeNotSatisfiable:  # it starts behind the end
                return b""
            return content

    def write(self, uri: str, content: bytes) -> None:
        """See ``Storage.write``; a single upload."""
        with _translated(uri, OutputError):
            _blob(uri, OutputError).upload_from_string(content, _content_type(uri), **self._options)

    @contextmanager
    def writer(self, uri: str) -> Iterator[BinaryIO]:
        """See ``Storage.writer``; a local file, uploaded when the block succeeds."""
        with _local_disk(uri), tempfile.TemporaryDirectory(prefix="refeed-") as folder:
            path = Path(folder, "object")
            with path.open("wb") as stream:
                yield stream
            with _translated(uri, OutputError):
                _blob(uri, OutputError).upload_from_filename(
                    path, _content_type(uri), **self._options
                )

    def create(self, uri: str, content: bytes) -> bool:
        """See ``Storage.create``."""
        blob, mark = _blob(uri, OutputError), uuid.uuid4().hex
        blob.metadata = {_MARK: mark}
        with _translated(uri, OutputError):
            try:
                blob.upload_from_string(
                    content, _content_type(uri), if_generation_match=0, **self._options
                )
            except PreconditionFailed:
                # After a lost response the client retries, and finds the object it created itself.
                existing = _blob(uri, OutputError)
                with suppress(NotFound):  # deleted in the meantime
                    existing.reload(**self._options)
                return bool((existing.metadata or {}).get(_MARK) == mark)
        return True

    def exists(self, uri: str) -> bool:
        """See ``Storage.exists``."""
        if not _parts(uri, MissingInputError)[1]:  # a bucket is a folder, not an object
            return False
        with _translated(uri, MissingInputError):
            return bool(_blob(uri, MissingInputError).exists(**self._options))

    def version(self, uri: str) -> str:
        """See ``Storage.version``; the object's generation."""
        blob = _blob(uri, MissingInputError)
        with _translated(uri, MissingInputError):
            blob.reload(**self._options)
        return str(blob.generation)

    def download(self, uri: str, path: Path) -> None:
        """See ``Storage.download``."""
        blob = _blob(uri, MissingInputError)
        try:
            with _local_disk(str(path)), _translated(uri, MissingInputError):
                blob.download_to_filename(path, **self._options)
        except RefeedError:
            path.unlink(missing_ok=True)
            raise

    def names(self, uri: str) -> list[str]:
        """See ``Storage.names``."""
        bucket, name = _parts(uri, MissingInputError)
        prefix = f"{name.rstrip('/')}/" if name else ""
        with _translated(uri, MissingInputError):
            try:
                pages = _client().list_blobs(
                    bucket,
                    prefix=prefix,
                    delimiter="/",
                    fields="items(name),prefixes,nextPageToken",
                    **self._options,
                )
                # Read all objects first, because reading the pages fills the prefixes.
                found = [*[blob.name for blob in pages], *pages.prefixes]
            except NotFound as error:  # the bucket; a missing folder is an empty list
                raise _GcsErrors(uri, MissingInputError).no_bucket() from error
        names = {each[len(prefix) :].rstrip("/") for each in found}
        # The name is empty for an object that is named like the folder.
        return sorted(n for n in names if n and not n.startswith(TEMPORARY_PREFIX))

    def objects(self, uri: str) -> list[StoredObject]:
        """See ``Storage.objects``."""
        bucket, name = _parts(uri, MissingInputError)
        prefix = f"{name.rstrip('/')}/" if name else ""
        with _translated(uri, MissingInputError):
            try:
                blobs = list(
                    _client().list_blobs(
                        bucket,
                        prefix=prefix,
                        fields="items(name,size,updated),nextPageToken",
                        **self._options,
                    )
                )
            except NotFound as error:
                raise _GcsErrors(uri, MissingInputError).no_bucket() from error
        return sorted(
            StoredObject(blob.name[len(prefix) :], int(blob.size), blob.updated.timestamp())
            for blob in blobs
            if blob.name != prefix
        )

    def delete(self, uri: str) -> None:
        """See ``Storage.delete``."""
        with _translated(uri, OutputError):
            try:
                _blob(uri, OutputError).delete(**self._options)
            except NotFound:
                return

    def delete_folder(self, uri: str) -> None:
        """See ``Storage.delete_folder``."""
        uris = [f"{uri}/{each.name}" for each in self.objects(uri)]
        with ThreadPoolExecutor(_DELETIONS) as pool:
            list(pool.map(self.delete, [*uris, uri]))

    def deletion_age(self, uri: str) -> int | None:
        """See ``Storage.deletion_age``; the lifecycle rules of the bucket."""
        bucket, name = _parts(uri, MissingInputError)
        try:
            with _translated(uri, MissingInputError):
                rules = list(_client().get_bucket(bucket, **self._options).lifecycle_rules)
        except MissingInputError:  # storage.buckets.get is no permission that steps need
            return None
        ages = [rule["condition"].get("age", 0) for rule in rules if _deletes(rule, f"{name}/")]
        return min(ages, default=None)

    def sweep(self, uri: str) -> None:
        """See ``Storage.sweep``; an interrupted upload leaves no object."""


def _deletes(rule: Mapping[str, Any], folder: str) -> bool:
    """Return whether a lifecycle rule deletes current versions of objects in a folder."""
    condition = rule["condition"]
    noncurrent = {"daysSinceNoncurrentTime", "noncurrentTimeBefore", "numNewerVersions"}
    if rule["action"]["type"] != "Delete" or condition.get("isLive") is False:
        return False
    prefixes = condition.get("matchesPrefix") or [""]
    concerned = any(folder.startswith(each) or each.startswith(folder) for each in prefixes)
    return concerned and not noncurrent & condition.keys()


_CLIENTS: dict[tuple[int, str], storage.Client] = {}


def _client() -> storage.Client:
    """Return the client of this process, which must not share connections with a forked child."""
    key = os.getpid(), os.environ.get("STORAGE_EMULATOR_HOST", "")
    if key not in _CLIENTS:
        # Objects are addressed by bucket; without a project the client would look for one.
        client = storage.Client(project="<none>")
        # A retried download leaves the error response unread, and its connection open.
        client._http.hooks["response"].append(_read_error)  # noqa: SLF001 - no public hook
        _CLIENTS[key] = client
    return _CLIENTS[key]


def _read_error(response: requests.Response, **_: object) -> None:
    if not response.ok:
        response.content  # noqa: B018 - reading it releases the connection


def _parts(uri: str, denied: Denied) -> tuple[str, str]:
    """Return bucket and name of a URI.

    Raises:
        MissingInputError, OutputError: the URI has no valid bucket; the type is ``denied``.
    """
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    if not BUCKET.fullmatch(bucket):
        raise denied(
            f"{uri!r} has no valid bucket: {bucket!r} must have 3 to 222 lowercase letters, "
            "digits, dots, dashes and underscores.",
            hint="Use the form gs://bucket/folder.",
        )
    return bucket, name


def _blob(uri: str, denied: Denied) -> storage.Blob:
    bucket, name = _parts(uri, denied)
    if not name:
        raise denied(f"{uri!r} is a bucket, not an object. Use the form gs://bucket/name.")
    with _translated(uri, denied):
        return _client().bucket(bucket).blob(name)


def _content_type(uri: str) -> str:
    """Return the content type, which makes a browser show a report instead of saving it."""
    return mimetypes.guess_type(uri)[0] or "application/octet-stream"


@contextmanager
def _local_disk(uri: str) -> Iterator[None]:
    """Raise an OutputError for a local disk error, such as a full temporary folder."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"Cannot write {uri!r}: {error.strerror or error} (in {tempfile.gettempdir()!r}).",
            hint="An upload is first written to the temporary folder. Free space there, or set "
            "TMPDIR.",
        ) from error


class _GcsErrors(ErrorTranslator):
    """A translator of errors about one object."""

    service = "Cloud Storage"
    connection_errors = (*CONNECTION_ERRORS, DataCorruption)  # a checksum mismatch
    refusals = REFUSALS

    def __init__(self, uri: str, denied: Denied) -> None:
        super().__init__(repr(uri), denied)
        self._uri, self._bucket = uri, _parts(uri, denied)[0]

    def not_found(self, error: GoogleAPICallError) -> RefeedError:
        """Return the error for a missing object or bucket; a write only fails without a bucket."""
        if self.denied is OutputError or "bucket does not exist" in str(error):
            return self.no_bucket()
        return MissingInputError(f"The object {self._uri!r} does not exist.", uri=self._uri)

    def no_bucket(self) -> RefeedError:
        """Return the error for a bucket that does not exist."""
        return self.denied(
            f"The bucket gs://{self._bucket} does not exist, so {self._uri!r} cannot be used.",
            hint="Create it with `gcloud storage buckets create`, or use another bucket.",
        )

    def names(self) -> dict[str, str]:
        """See ``ErrorTranslator``."""
        return {
            **super().names(),
            "billing": "of the bucket, or of the caller,",
            "bucket": f"gs://{self._bucket}",
            "uri": self._uri,
            "key": "KEY",
        }

    def enable_hint(self) -> str:
        """See ``ErrorTranslator``."""
        return "Enable the API: `gcloud services enable storage.googleapis.com --project=...`"

    def role_hint(self, error: GoogleAPICallError) -> str:
        """See ``ErrorTranslator``."""
        del error
        role, bucket = _ROLES[self.denied], f"gs://{self._bucket}"
        command = f"gcloud storage buckets add-iam-policy-binding {bucket} --role={role}"
        return grant_hint(role, bucket, f"`{command} --member=...`")


def _translated(uri: str, denied: Denied) -> AbstractContextManager[None]:
    return _GcsErrors(uri, denied).translated()
