"""Files in object storage as a source, downloaded when the schema or rows are read."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import pyarrow as pa

from steps.errors import DataError, TransientError
from steps.records import digest
from steps.split.sources.files import FilePiece, FileSource
from steps.storage.base import Storage, storage_for

_METADATA_THREADS = 16
_DOWNLOAD_THREADS = 4

Reader = Callable[[list[Path]], FileSource]
"""A function that opens local files."""


@dataclass(frozen=True)
class RemotePiece:
    """One object.

    Attributes:
        uri: URI of the object.
        version: version of the object when the source was divided.
        piece: reader of a local copy.
    """

    uri: str
    version: str
    piece: FilePiece

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See ``SourcePiece.batches``; keeps a local copy while the object is read."""
        storage = storage_for(self.uri, "dataset.source")
        with tempfile.TemporaryDirectory(prefix="refeed-source-") as folder:
            path = Path(folder, f"object{_suffix(self.uri)}")
            storage.download(self.uri, path)
            if storage.version(self.uri) != self.version:
                raise _changed(self.uri)
            try:
                yield from self.piece.at(path).batches()
            except DataError as error:
                raise _renamed(error, {str(path): self.uri}) from None


class RemoteFiles:
    """One or more objects that contain one table.

    Args:
        uris: URIs of the objects.
        storage: storage of the objects.
        reader: function that opens local copies.
    """

    def __init__(self, uris: list[str], storage: Storage, reader: Reader) -> None:
        self.uris, self.storage, self.reader = uris, storage, reader

    def fingerprint(self) -> str:
        """See ``Source.fingerprint``; a digest of names and versions, without reading bytes.

        Raises:
            MissingInputError: an object no longer exists.
        """
        return digest(self._versions)

    def schema(self) -> pa.Schema:
        """See ``Source.schema``."""
        with self._named_by_uri():
            return self._local.schema()

    def rows(self) -> int | None:
        """See ``Source.rows``."""
        with self._named_by_uri():
            return self._local.rows()

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``."""
        with self._named_by_uri():
            yield from self._local.batches(columns)

    def pieces(self, columns: list[str]) -> list[RemotePiece]:
        """See ``Source.pieces``."""
        with self._named_by_uri():
            local = self._local.pieces(columns)
        return [
            RemotePiece(uri, version, piece)
            for (uri, version), piece in zip(self._versions, local, strict=True)
        ]

    @cached_property
    def _versions(self) -> list[list[str]]:
        return self._current_versions()

    def _current_versions(self) -> list[list[str]]:
        with ThreadPoolExecutor(_METADATA_THREADS) as pool:
            versions = list(pool.map(self.storage.version, self.uris))
        return [[uri, version] for uri, version in zip(self.uris, versions, strict=True)]

    @cached_property
    def _local(self) -> FileSource:
        versions = self._versions
        with ThreadPoolExecutor(_DOWNLOAD_THREADS) as pool:
            list(pool.map(self.storage.download, self.uris, self._paths))
        if self._current_versions() != versions:
            raise _changed(self.uris[0])
        return self.reader(self._paths)

    @cached_property
    def _paths(self) -> list[Path]:
        """Paths of local copies, numbered because an object's name can be too long for a file."""
        folder = tempfile.mkdtemp(prefix="refeed-source-")
        weakref.finalize(self, _remove, folder, os.getpid())
        return [Path(folder, f"{n:05d}{_suffix(uri)}") for n, uri in enumerate(self.uris)]

    @contextmanager
    def _named_by_uri(self) -> Iterator[None]:
        """Replace paths of local copies by URIs in errors."""
        try:
            yield
        except DataError as error:
            names = dict(zip(map(str, self._paths), self.uris, strict=True))
            raise _renamed(error, names) from error.__cause__


def _suffix(uri: str) -> str:
    """Return the suffix of an object's name, which says how it is compressed."""
    return PurePosixPath(uri).suffix.lower()


def _renamed(error: DataError, names: dict[str, str]) -> DataError:
    """Return the error with names in place of paths."""
    for path, uri in names.items():
        error.message = error.message.replace(path, uri)
        error.hint = error.hint.replace(path, uri)
    return error


def _changed(uri: str) -> TransientError:
    return TransientError(
        f"{uri!r} or another file of the source changed while it was read, so its rows would be "
        "inconsistent.",
        hint="Run again when no other process writes to the source.",
    )


def _remove(folder: str, process: int) -> None:
    """Remove a scratch folder, unless this is a forked child of the process that created it."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
