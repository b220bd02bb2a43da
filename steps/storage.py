"""The storage port: whole objects by URI, each written in one atomic act.

The adapter is chosen by URI scheme in one dictionary. Here it is the local file system only.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, TypeVar

from steps.errors import DamagedError, MissingInputError, OutputError, Problem, SpecError

Parsed = TypeVar("Parsed")

TEMPORARY_PREFIX = ".tmp-"
"""Files being written begin with this; what a killed process left is nobody's and may go."""


class Storage(Protocol):
    """Objects by URI. A write is seen whole or not at all."""

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

    def exists(self, uri: str) -> bool:
        """Whether the object is there."""

    def names(self, uri: str) -> list[str]:
        """Sorted names of what lies right under a folder; empty if there is no such folder."""

    def delete(self, uri: str) -> None:
        """Remove the object; no error if it is not there."""

    def sweep(self, uri: str) -> None:
        """Remove what killed writers left half written anywhere under a folder.

        Only for a folder that nobody else is writing to.
        """


class LocalStorage:
    """The local file system; a URI is a path."""

    def read(self, uri: str) -> bytes:
        """See ``Storage.read``."""
        try:
            return Path(uri).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise MissingInputError(f"There is no file {uri!r}.") from error

    def write(self, uri: str, content: bytes) -> None:
        """See ``Storage.write``."""
        with self.writer(uri) as stream:
            stream.write(content)

    @contextmanager
    def writer(self, uri: str) -> Iterator[BinaryIO]:
        """See ``Storage.writer``: a temporary file beside it, then a rename."""
        path = Path(uri)
        temporary = path.with_name(f"{TEMPORARY_PREFIX}{uuid.uuid4().hex}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as stream:
                yield stream
            temporary.replace(path)
        except OSError as error:
            raise output_error(uri, error) from error
        finally:
            temporary.unlink(missing_ok=True)

    def exists(self, uri: str) -> bool:
        """See ``Storage.exists``."""
        return Path(uri).is_file()

    def names(self, uri: str) -> list[str]:
        """See ``Storage.names``."""
        return sorted(self._names(Path(uri)))

    @staticmethod
    def _names(folder: Path) -> Iterator[str]:
        if folder.is_dir():
            for entry in os.scandir(folder):
                if not entry.name.startswith(TEMPORARY_PREFIX):
                    yield entry.name

    def delete(self, uri: str) -> None:
        """See ``Storage.delete``."""
        Path(uri).unlink(missing_ok=True)

    def sweep(self, uri: str) -> None:
        """See ``Storage.sweep``."""
        for left in Path(uri).rglob(f"{TEMPORARY_PREFIX}*"):
            left.unlink(missing_ok=True)


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
    """Make a local folder, to find out before any work that it can be written.

    Raises:
        OutputError: it cannot.
    """
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


_ADAPTERS: dict[str, type[LocalStorage]] = {"": LocalStorage}


def scheme_of(uri: str) -> str:
    """``gs`` of ``gs://bucket/x``; empty for a path."""
    head, separator, _ = uri.partition("://")
    return head if separator else ""


def storage_for(uri: str) -> Storage:
    """The adapter for a URI's scheme.

    Raises:
        SpecError: no adapter knows the scheme.
    """
    scheme = scheme_of(uri)
    if scheme not in _ADAPTERS:
        raise SpecError(
            uri,
            [
                Problem(
                    0,
                    0,
                    "output",
                    f"{scheme}:// is no place that this version "
                    "of Refeed can write; a local folder is.",
                )
            ],
        )
    return _ADAPTERS[scheme]()
