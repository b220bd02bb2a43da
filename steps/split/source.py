"""Sources: a table as a stream of Arrow record batches, with a digest of its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Protocol

import pyarrow as pa

from steps.contract import join
from steps.errors import DataError, MissingInputError
from steps.split.config import DatasetConfig
from steps.split.csv_source import CsvSource
from steps.split.parquet_source import ParquetSource
from steps.split.remote_source import Reader, RemoteFiles
from steps.storage import Storage, scheme_of, storage_for


class Source(Protocol):
    """A table that can be read more than once."""

    def schema(self) -> pa.Schema:
        """Names and source types of all columns.

        Raises:
            DataError: the source is damaged, empty, or names a column twice.
        """

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """The rows, in any order, with the named columns only.

        Raises:
            DataError: the source is damaged.
        """

    def fingerprint(self) -> str:
        """A digest that changes with the source's bytes: cheaper than reading its rows."""

    def rows(self) -> int | None:
        """Number of rows, where it is known without reading them."""


def open_source(config: DatasetConfig) -> Source:
    """The source that ``config.source`` names: a file, or a directory that holds one kind.

    A remote source is not downloaded by this.

    Raises:
        MissingInputError: there is no such file or directory.
        SpecError: it is no place that can be read.
        DataError: it is neither Parquet nor CSV.
        TransientError: it is remote and cannot be reached.
    """
    if scheme_of(config.source):
        return _open_remote(config)
    files = _files(Path(config.source))
    return _reader(config, [path.name for path in files])(files)


def _open_remote(config: DatasetConfig) -> RemoteFiles:
    storage = storage_for(config.source, "dataset.source")
    uris = _objects(config.source, storage)
    return RemoteFiles(uris, storage, _reader(config, uris))


def _objects(uri: str, storage: Storage) -> list[str]:
    """The object, or those of its kind right under it."""
    if not uri.endswith("/") and storage.exists(uri):
        return [uri]
    names = storage.names(uri)
    if not names:
        raise MissingInputError(
            f"There is no source {uri!r}: no object of that name, and none under it.",
            hint="Name another with --set dataset.source=URI.",
        )
    return [join(uri, name) for name in _tables(uri, names)]


def _reader(config: DatasetConfig, names: list[str]) -> Reader:
    """What reads files of one kind.

    Raises:
        DataError: they are of another kind, or of several.
    """
    suffixes = {_suffix(name) for name in names}
    if suffixes == {".parquet"}:
        return ParquetSource
    if suffixes == {".csv"}:
        return partial(CsvSource, types=config.types, null_values=config.null_values)
    raise DataError(
        f"The source {config.source!r} holds {', '.join(sorted(suffixes)) or 'no'} files.",
        hint="A source is *.parquet, *.csv, or a directory that holds one kind of the two.",
    )


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        names = _tables(str(path), sorted(entry.name for entry in path.iterdir()))
        return [path / name for name in names]
    if not path.is_file():
        raise MissingInputError(
            f"There is no source {str(path)!r}.",
            hint="dataset.source is relative to the spec file; name another with "
            "--set dataset.source=PATH.",
        )
    return [path]


def _tables(folder: str, names: list[str]) -> list[str]:
    found = [name for name in names if _suffix(name) in {".parquet", ".csv"}]
    if not found:
        raise DataError(f"The directory {folder!r} holds no *.parquet and no *.csv file.")
    return found


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
