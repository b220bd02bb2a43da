"""Files in object storage as a source: downloaded only when a row or a column is asked for."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import pyarrow as pa

from steps.errors import DataError, TransientError
from steps.records import digest
from steps.split.sources.csv import CsvPiece, CsvSource
from steps.split.sources.parquet import ParquetPiece, ParquetSource
from steps.storage.base import Storage, storage_for

_ASKED_AT_ONCE = 16
_DOWNLOADS_AT_ONCE = 4

Reader = Callable[[list[Path]], ParquetSource | CsvSource]
"""What reads the files once they are local."""


@dataclass(frozen=True)
class RemotePiece:
    """One object.

    Attributes:
        uri: of the object.
        version: of it when the source was cut up.
        piece: reads a local copy of it.
    """

    uri: str
    version: str
    piece: ParquetPiece | CsvPiece

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See ``SourcePiece.batches``; downloads it, for as long as it is read."""
        storage = storage_for(self.uri, "dataset.source")
        with tempfile.TemporaryDirectory(prefix="refeed-source-") as folder:
            path = Path(folder, f"object{self.piece.path.suffix}")
            storage.download(self.uri, path)
            if storage.version(self.uri) != self.version:
                raise _mixture(self.uri)
            try:
                yield from self.piece.at(path).batches()
            except DataError as error:
                raise _renamed(error, {str(path): self.uri}) from None


class RemoteFiles:
    """One or more objects that hold one table.

    Args:
        uris: of the objects.
        storage: that they lie on.
        reader: of local files of their kind.
    """

    def __init__(self, uris: list[str], storage: Storage, reader: Reader) -> None:
        self.uris, self.storage, self.reader = sorted(uris), storage, reader

    def fingerprint(self) -> str:
        """See ``Source.fingerprint``; of names and versions, since bytes would have to be read.

        Raises:
            MissingInputError: one of the objects is gone.
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
            local: Sequence[ParquetPiece | CsvPiece] = self._local.pieces(columns)
        return [
            RemotePiece(uri, version, piece)
            for (uri, version), piece in zip(self._versions, local, strict=True)
        ]

    @cached_property
    def _versions(self) -> list[list[str]]:
        return self._ask_versions()

    def _ask_versions(self) -> list[list[str]]:
        with ThreadPoolExecutor(_ASKED_AT_ONCE) as pool:
            versions = list(pool.map(self.storage.version, self.uris))
        return [[uri, version] for uri, version in zip(self.uris, versions, strict=True)]

    @cached_property
    def _local(self) -> ParquetSource | CsvSource:
        versions = self._versions
        with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
            list(pool.map(self.storage.download, self.uris, self._paths))
        if self._ask_versions() != versions:
            raise _mixture(self.uris[0])
        return self.reader(self._paths)

    @cached_property
    def _paths(self) -> list[Path]:
        """Where the objects go; numbered, since an object's name may be too long for a file."""
        folder = tempfile.mkdtemp(prefix="refeed-source-")
        weakref.finalize(self, _remove, folder, os.getpid())
        suffixes = [PurePosixPath(uri).suffix for uri in self.uris]
        return [Path(folder, f"{n:05d}{suffix}") for n, suffix in enumerate(suffixes)]

    @contextmanager
    def _named_by_uri(self) -> Iterator[None]:
        """Errors name the object, not the local copy that nobody else will ever see."""
        try:
            yield
        except DataError as error:
            names = dict(zip(map(str, self._paths), self.uris, strict=True))
            raise _renamed(error, names) from error.__cause__


def _renamed(error: DataError, names: dict[str, str]) -> DataError:
    """The same error, with other names for paths."""
    for path, uri in names.items():
        error.message = error.message.replace(path, uri)
        error.hint = error.hint.replace(path, uri)
    return error


def _mixture(uri: str) -> TransientError:
    return TransientError(
        f"{uri!r} or a file beside it was written while it was read, so its rows would be a "
        "mixture.",
        hint="Run again when nobody writes to the source.",
    )


def _remove(folder: str, process: int) -> None:
    """Remove a scratch folder, unless this is a forked child of the process that it belongs to."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
