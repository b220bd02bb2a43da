"""The storage port: whole objects by URI, written atomically.

The adapter is chosen by URI scheme in one dictionary, and imported on first use: a run on a laptop
imports no cloud client.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from steps.adapters import load_adapter
from steps.errors import DamagedError, OutputError, Problem, SpecError

Parsed = TypeVar("Parsed")

TEMPORARY_PREFIX = ".tmp-"
"""Prefix of files that are being written; one that a killed process left can be deleted."""


@dataclass(frozen=True, order=True)
class StoredObject:
    """An object in a folder.

    Attributes:
        name: its name relative to the folder; may contain slashes.
        size: in bytes.
        updated: when it was written, in seconds since 1970.
    """

    name: str
    size: int
    updated: float


class Storage(Protocol):
    """Objects by URI. A write is visible completely or not at all.

    Every method raises ``TransientError`` if remote storage cannot be reached.
    """

    def read(self, uri: str) -> bytes:
        """Return the content of an object.

        Raises:
            MissingInputError: there is no such object.
        """

    def read_range(self, uri: str, start: int, length: int) -> bytes:
        """Return ``length`` bytes of an object from the position ``start``; fewer at its end.

        Raises:
            MissingInputError: there is no such object.
        """

    def write(self, uri: str, content: bytes) -> None:
        """Create or replace an object atomically.

        Raises:
            OutputError: the location cannot be written.
        """

    def writer(self, uri: str) -> AbstractContextManager[BinaryIO]:
        """Open a stream for a large object, which appears when the block ends without an error.

        Raises:
            OutputError: the location cannot be written.
        """

    def create(self, uri: str, content: bytes) -> bool:
        """Create an object unless it exists, and return whether this call created it.

        Of several concurrent calls exactly one returns True. Meant for small objects.

        Raises:
            OutputError: the location cannot be written.
        """

    def exists(self, uri: str) -> bool:
        """Return whether an object exists."""

    def version(self, uri: str) -> str:
        """Return a text that changes whenever the object is written.

        Raises:
            MissingInputError: there is no such object.
        """

    def download(self, uri: str, path: Path) -> None:
        """Copy an object of any size to a local file.

        Raises:
            MissingInputError: there is no such object.
            OutputError: the local file cannot be written.
        """

    def names(self, uri: str) -> list[str]:
        """Return the sorted names directly in a folder; empty if there is no such folder."""

    def objects(self, uri: str) -> list[StoredObject]:
        """Return all objects in a folder and its subfolders, sorted by name.

        Objects that are being written are included where they are visible.
        """

    def delete(self, uri: str) -> None:
        """Delete an object; no error if it does not exist."""

    def delete_folder(self, uri: str) -> None:
        """Delete a folder with all objects in it; no error if it does not exist.

        A symbolic link is removed, but not the folder that it points to.

        Raises:
            OutputError: something cannot be removed.
        """

    def deletion_age(self, uri: str) -> int | None:
        """Return after how many days the service itself deletes objects in a folder.

        Returns:
            None if it keeps them, or if its rules must not be read.
        """

    def sweep(self, uri: str) -> None:
        """Delete what killed writers left half-written anywhere in a folder.

        Nobody else may be writing to the folder.
        """


def write_text(storage: Storage, uri: str, text: str) -> None:
    """Write a text as UTF-8; column names and values may hold lone surrogates.

    Raises:
        OutputError: the location cannot be written.
    """
    storage.write(uri, text.encode("utf-8", "surrogatepass"))


def read_parsed(storage: Storage, uri: str, parse: Callable[[bytes], Parsed]) -> Parsed:
    """Read an artifact and parse it.

    Raises:
        MissingInputError: it does not exist.
        DamagedError: it cannot be parsed.
    """
    content = storage.read(uri)
    try:
        return parse(content)
    except (ValueError, KeyError, TypeError, OSError) as error:  # pyarrow's are among these
        raise DamagedError(uri, " ".join(str(error).split())[:200]) from error


def check_writable(folder: str) -> None:
    """Check that a folder can be written, before any work. A local folder is created.

    Raises:
        OutputError: it cannot.
        TransientError: it cannot be reached.
    """
    if scheme_of(folder):
        storage, probe = storage_for(folder), f"{folder}/{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        storage.write(probe, b"")
        storage.delete(probe)  # replacing an object requires the permission to delete it
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def output_error(uri: str, error: OSError) -> OutputError:
    """Return the error for an artifact root that cannot be written."""
    return OutputError(
        f"Cannot write {uri!r}: {error.strerror or error}.",
        hint="Set `output` in the spec (or --set output=...) to a folder that you can write to and "
        "that has space left. Finished work is kept; run again to resume.",
    )


_ADAPTERS = {"": "steps.storage.local:LocalStorage", "gs": "steps.storage.gcs:GcsStorage"}
"""Where the adapter of each URI scheme is imported from."""

_EXTRAS = {"gs": "gcs"}


def scheme_of(uri: str) -> str:
    """Return ``gs`` of ``gs://bucket/x``; empty for a local path."""
    head, separator, _ = uri.partition("://")
    return head if separator else ""


BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]")
"""The name of a bucket."""

_OTHER_NAMES = {"gcs": "gs", "bq": "bigquery"}
"""Schemes that other tools use for what Refeed reads under another one."""
_LOCATIONS = "Use a local path or gs://bucket/folder."


def location_problem(uri: str, field: str, allowed: str = _LOCATIONS) -> Problem | None:
    """Return what is wrong with a URI or path, without looking at the storage.

    Args:
        uri: URI or local path.
        field: field of the spec that contains it.
        allowed: hint that says what is allowed.
    """
    scheme = scheme_of(uri)
    if scheme not in _ADAPTERS:
        known = _OTHER_NAMES.get(scheme)
        hint = f"Did you mean {known}://? {allowed}" if known else allowed
        return Problem(field, f"{scheme}:// is not supported", hint)
    bucket = uri.partition("://")[2].partition("/")[0]
    if scheme and not BUCKET.fullmatch(bucket):
        message = (
            f"{uri!r} has no valid bucket: {bucket!r} must have 3 to 222 lowercase letters, "
            "digits, dots, dashes and underscores"
        )
        return Problem(field, message, "Use the form gs://bucket/folder.")
    return None


def storage_for(uri: str, field: str = "output") -> Storage:
    """Return the adapter for a URI's scheme.

    Args:
        uri: URI of a folder or object.
        field: field of the spec that contains the URI, for the error.

    Raises:
        SpecError: the scheme is not supported, or its client is not installed.
    """
    scheme = scheme_of(uri)
    problem = location_problem(uri, field)
    if problem is not None:
        raise SpecError(uri, [problem])
    adapter: Storage = load_adapter(_ADAPTERS[scheme], uri, field, _EXTRAS.get(scheme, ""))()
    return adapter
