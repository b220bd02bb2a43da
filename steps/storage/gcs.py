"""Google Cloud Storage behind the storage port; the one module that imports Google's client.

An upload is seen whole or not at all, so nothing half written is ever left behind. Errors are told
apart by what helps: trying again, a role on a bucket, or logging in.
"""

from __future__ import annotations

import mimetypes
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import requests
from google.api_core.exceptions import GoogleAPICallError, PreconditionFailed
from google.cloud import storage
from google.cloud.exceptions import NotFound
from google.cloud.storage.exceptions import DataCorruption
from google.cloud.storage.retry import DEFAULT_RETRY

from steps.errors import MissingInputError, OutputError, RefeedError
from steps.google.errors import CONNECTION_ERRORS, DEADLINE_SECONDS, ErrorTranslator, grant_hint
from steps.storage.base import TEMPORARY_PREFIX

# For traces, which nobody collects, the client would ask for each bucket's metadata in a thread of
# its own: a right that steps need not have.
os.environ.setdefault("DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA", "true")

PATIENCE = "REFEED_PATIENCE_SECONDS"
"""Names the environment variable that says otherwise."""

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.25, 16.0

_CONNECT_SECONDS = 10.0
_MARK = "refeed-made-by"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
_ROLES: dict[type[RefeedError], str] = {
    MissingInputError: "roles/storage.objectViewer",
    OutputError: "roles/storage.objectUser",
}

Denied = type[MissingInputError] | type[OutputError]
"""The error for a request that is denied: that of a read or that of a write."""


class GcsStorage:
    """Objects in buckets; a URI is ``gs://bucket/name``.

    Args:
        deadline: seconds for which a call that was throttled or cut off is tried again; default:
            as the environment says.
    """

    def __init__(self, deadline: float | None = None) -> None:
        if deadline is None:
            deadline = float(os.environ.get(PATIENCE) or DEADLINE_SECONDS)
        pauses = DEFAULT_RETRY.with_delay(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, 2.0)
        self._options: dict[str, Any] = {
            "retry": pauses.with_timeout(deadline),
            "timeout": (min(deadline, _CONNECT_SECONDS), deadline),
        }

    def read(self, uri: str) -> bytes:
        """See ``Storage.read``."""
        with _translated(uri, MissingInputError):
            content: bytes = _blob(uri, MissingInputError).download_as_bytes(**self._options)
            return content

    def write(self, uri: str, content: bytes) -> None:
        """See ``Storage.write``: one upload."""
        with _translated(uri, OutputError):
            _blob(uri, OutputError).upload_from_string(content, _kind(uri), **self._options)

    @contextmanager
    def writer(self, uri: str) -> Iterator[BinaryIO]:
        """See ``Storage.writer``: a local file, uploaded when the block ends well."""
        with _local_disk(uri), tempfile.TemporaryDirectory(prefix="refeed-") as folder:
            path = Path(folder, "object")
            with path.open("wb") as stream:
                yield stream
            with _translated(uri, OutputError):
                _blob(uri, OutputError).upload_from_filename(path, _kind(uri), **self._options)

    def create(self, uri: str, content: bytes) -> bool:
        """See ``Storage.create``."""
        blob, mark = _blob(uri, OutputError), uuid.uuid4().hex
        blob.metadata = {_MARK: mark}
        with _translated(uri, OutputError):
            try:
                blob.upload_from_string(content, _kind(uri), if_generation_match=0, **self._options)
            except PreconditionFailed:
                # The client tries again where an answer was lost, and then meets its own object.
                return self._mark_of(uri) == mark
        return True

    def _mark_of(self, uri: str) -> str | None:
        blob = _blob(uri, OutputError)
        try:
            blob.reload(**self._options)
        except NotFound:  # somebody has removed it again
            return None
        mark: str | None = (blob.metadata or {}).get(_MARK)
        return mark

    def exists(self, uri: str) -> bool:
        """See ``Storage.exists``."""
        if not _parts(uri, MissingInputError)[1]:  # a bucket is a folder
            return False
        with _translated(uri, MissingInputError):
            return bool(_blob(uri, MissingInputError).exists(**self._options))

    def version(self, uri: str) -> str:
        """See ``Storage.version``: the object's generation."""
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
                inside = self._listed(bucket, prefix)
            except NotFound as error:  # a folder that is not there is just an empty list
                raise _GcsErrors(uri, MissingInputError).no_bucket() from error
        return sorted(n for n in inside if n and not n.startswith(TEMPORARY_PREFIX))

    def _listed(self, bucket: str, prefix: str) -> set[str]:
        """What lies right under a prefix, with "" where an object has the prefix as its name."""
        found = _client().list_blobs(
            bucket,
            prefix=prefix,
            delimiter="/",
            fields="items(name),prefixes,nextPageToken",
            **self._options,
        )
        objects = [blob.name for blob in found]  # read first: the pages fill the prefixes
        return {name[len(prefix) :].rstrip("/") for name in [*objects, *found.prefixes]}

    def delete(self, uri: str) -> None:
        """See ``Storage.delete``."""
        with _translated(uri, OutputError):
            try:
                _blob(uri, OutputError).delete(**self._options)
            except NotFound:
                return

    def sweep(self, uri: str) -> None:
        """See ``Storage.sweep``: an upload that was cut off leaves no object."""


_CLIENTS: dict[tuple[int, str], storage.Client] = {}


def _client() -> storage.Client:
    """The client of this process: connections must not be shared with a forked child."""
    key = os.getpid(), os.environ.get("STORAGE_EMULATOR_HOST", "")
    if key not in _CLIENTS:
        # Objects are asked for by bucket alone; without a name the client would search for one.
        client = storage.Client(project="<none>")
        # A download that is tried again leaves the refusal unread, and its connection open.
        client._http.hooks["response"].append(_read_refusal)  # noqa: SLF001 - no other way in
        _CLIENTS[key] = client
    return _CLIENTS[key]


def _read_refusal(response: requests.Response, **_: object) -> None:
    if not response.ok:
        response.content  # noqa: B018 - reading it gives the connection back


def _parts(uri: str, denied: Denied) -> tuple[str, str]:
    """Bucket and name.

    Raises:
        MissingInputError, OutputError: as ``denied`` says; it names no bucket.
    """
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise denied(
            f"{uri!r} names no bucket: {bucket!r} is not of 3 to 222 lower-case letters, digits, "
            "dots, dashes and underscores.",
            hint="Write it as gs://bucket/folder.",
        )
    return bucket, name


def _blob(uri: str, denied: Denied) -> storage.Blob:
    bucket, name = _parts(uri, denied)
    if not name:
        raise denied(f"{uri!r} names a bucket, and no object in it.")
    with _translated(uri, denied):
        return _client().bucket(bucket).blob(name)


def _kind(uri: str) -> str:
    """The content type, with which a browser shows a report instead of saving it."""
    return mimetypes.guess_type(uri)[0] or "application/octet-stream"


@contextmanager
def _local_disk(uri: str) -> Iterator[None]:
    """Turn a full temporary folder into an error of ours."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"Cannot write {uri!r}: {error.strerror or error} (in {tempfile.gettempdir()!r}).",
            hint="Objects pass through the temporary folder: make room there, or set TMPDIR.",
        ) from error


class _GcsErrors(ErrorTranslator):
    """Translates errors about one object."""

    service = "Cloud Storage"
    connection_errors = (*CONNECTION_ERRORS, DataCorruption)  # a checksum that does not match

    def __init__(self, uri: str, denied: Denied) -> None:
        super().__init__(repr(uri), denied)
        self._uri, self._bucket = uri, _parts(uri, denied)[0]

    def not_found(self, error: GoogleAPICallError) -> RefeedError:
        """Tell a missing object from a missing bucket; a write can only miss its bucket."""
        if self.denied is OutputError or "bucket does not exist" in str(error):
            return self.no_bucket()
        return MissingInputError(f"There is no object {self._uri!r}.", uri=self._uri)

    def no_bucket(self) -> RefeedError:
        """Return the error for a bucket that does not exist."""
        return self.denied(
            f"There is no bucket gs://{self._bucket}, so {self._uri!r} cannot be used.",
            hint="Create it with `gcloud storage buckets create`, or name another bucket.",
        )

    def role_hint(self, error: GoogleAPICallError) -> str:
        """See ``ErrorTranslator``."""
        del error
        role, bucket = _ROLES[self.denied], f"gs://{self._bucket}"
        command = f"gcloud storage buckets add-iam-policy-binding {bucket} --role={role}"
        return grant_hint(role, bucket, f"`{command} --member=...`")


def _translated(uri: str, denied: Denied) -> AbstractContextManager[None]:
    return _GcsErrors(uri, denied).translated()
