"""The storage port: whole objects by URI, each written in one atomic act.

The adapter is chosen by URI scheme in one dictionary, and imported on first use: a run on a laptop
imports no cloud client.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from steps.adapters import load_adapter
from steps.errors import DamagedError, OutputError, Problem, SpecError

Parsed = TypeVar("Parsed")

TEMPORARY_PREFIX = ".tmp-"
"""Files being written begin with this; what a killed process left is nobody's and may go."""


class Storage(Protocol):
    """Objects by URI. A write is seen whole or not at all.

    Any of these raises ``TransientError`` where the place is remote and cannot be reached.
    """

    def read(self, uri: str) -> bytes:
        """The whole object.

        Raises:
            MissingInputError: there is no such object.
        """

    def write(self, uri: str, content: bytes) -> None:
        """Create or replace the object, atomically.

        Raises:
            OutputError: the place cannot be written.
        """

    def writer(self, uri: str) -> AbstractContextManager[BinaryIO]:
        """A stream for an object too large for memory; it appears when the block ends well.

        Raises:
            OutputError: the place cannot be written.
        """

    def create(self, uri: str, content: bytes) -> bool:
        """Create the object unless it is there; whether this call made it.

        Of any number of racers exactly one is told True. Meant for small objects.

        Raises:
            OutputError: the place cannot be written.
        """

    def exists(self, uri: str) -> bool:
        """Whether the object is there."""

    def version(self, uri: str) -> str:
        """A text that is another one whenever the object has been written again.

        Raises:
            MissingInputError: there is no such object.
        """

    def download(self, uri: str, path: Path) -> None:
        """Copy the object into a local file, whatever its size.

        Raises:
            MissingInputError: there is no such object.
            OutputError: the local file cannot be written.
        """

    def names(self, uri: str) -> list[str]:
        """Sorted names of what lies right under a folder; empty if there is no such folder."""

    def delete(self, uri: str) -> None:
        """Remove the object; no error if it is not there."""

    def sweep(self, uri: str) -> None:
        """Remove what killed writers left half written anywhere under a folder.

        Only for a folder that nobody else is writing to.
        """


def write_text(storage: Storage, uri: str, text: str) -> None:
    """Write a text as UTF-8; column names and values may hold lone surrogates.

    Raises:
        OutputError: the location cannot be written.
    """
    storage.write(uri, text.encode("utf-8", "surrogatepass"))


def read_parsed(storage: Storage, uri: str, parse: Callable[[bytes], Parsed]) -> Parsed:
    """Read an artifact of ours and parse it.

    Raises:
        MissingInputError: it is not there.
        DamagedError: it cannot be parsed.
    """
    content = storage.read(uri)
    try:
        return parse(content)
    except (ValueError, KeyError, TypeError, OSError) as error:  # pyarrow's are among these
        raise DamagedError(uri, " ".join(str(error).split())[:200]) from error


def check_writable(folder: str) -> None:
    """Find out before any work whether a folder can be written; a local one is made.

    Raises:
        OutputError: it cannot.
        TransientError: it cannot be reached.
    """
    if scheme_of(folder):
        storage, probe = storage_for(folder), f"{folder}/{TEMPORARY_PREFIX}{uuid.uuid4().hex}"
        storage.write(probe, b"")
        storage.delete(probe)  # replacing an object takes the permission to delete it
        return
    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise output_error(folder, error) from error


def output_error(uri: str, error: OSError) -> OutputError:
    """What to tell somebody whose artifact root cannot be written."""
    return OutputError(
        f"Cannot write {uri!r}: {error.strerror or error}.",
        hint="Name a folder that you may write, with room left, as `output` in the spec "
        "(or with --set output=...). What is finished is kept; run again to go on.",
    )


_ADAPTERS = {"": "steps.storage.local:LocalStorage", "gs": "steps.storage.gcs:GcsStorage"}
"""Where the adapter of each URI scheme is imported from."""

_EXTRAS = {"gs": "gcs"}


def scheme_of(uri: str) -> str:
    """``gs`` of ``gs://bucket/x``; empty for a path."""
    head, separator, _ = uri.partition("://")
    return head if separator else ""


def storage_for(uri: str, field: str = "output") -> Storage:
    """The adapter for a URI's scheme.

    Args:
        uri: a place, or anything in it.
        field: of the spec that names it, for the error.

    Raises:
        SpecError: no adapter knows the scheme, or what it needs is not installed.
    """
    scheme = scheme_of(uri)
    if scheme not in _ADAPTERS:
        message = f"{scheme}:// is no place that this version of Refeed knows"
        hint = "A local path is, and so is gs://bucket/folder."
        raise SpecError(uri, [Problem(field, message, hint)])
    adapter: Storage = load_adapter(_ADAPTERS[scheme], uri, field, _EXTRAS.get(scheme, ""))()
    return adapter
