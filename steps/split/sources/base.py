"""Sources: a table as a stream of Arrow record batches, with a digest of its bytes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Protocol, cast, runtime_checkable

import pyarrow as pa

from steps.contract import join
from steps.errors import DataError, MissingInputError, Problem, SpecError
from steps.quantity import parse_bytes
from steps.split.config import DatasetConfig
from steps.split.sources.csv import CsvSource
from steps.split.sources.parquet import ParquetSource
from steps.split.sources.remote import Reader, RemoteFiles
from steps.storage.base import scheme_of, storage_for


class SourcePiece(Protocol):
    """Some rows of a source, which another process or machine can read after unpickling it."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows, in any order, with the columns that ``Source.pieces`` received.

        Raises:
            DataError: the source is damaged.
            ExpiredError: the piece is no longer available; create all pieces again.
        """


class Source(Protocol):
    """A table that can be read more than once."""

    def schema(self) -> pa.Schema:
        """Return names and source types of all columns.

        Raises:
            DataError: the source is damaged or empty, or has two columns of the same name.
        """

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield the rows, in any order, with the named columns only.

        Raises:
            DataError: the source is damaged.
        """

    def pieces(self, columns: list[str]) -> Sequence[SourcePiece]:
        """Divide the source into pieces that together contain each row once.

        Raises:
            DataError: the source is damaged.
        """

    def fingerprint(self) -> str:
        """Return a digest that changes with the source's bytes, without reading its rows."""

    def rows(self) -> int | None:
        """Return the number of rows if it is known without reading them."""


@runtime_checkable
class LiveSource(Source, Protocol):
    """A source that can change at any time, and that can be read as of a point in time."""

    def take_snapshot(self) -> str:
        """Fix the rows, unless they are fixed, and return a text that identifies the snapshot."""

    def resume(self, snapshot: str) -> None:
        """Read the rows that ``take_snapshot`` fixed, possibly in another process."""

    def release(self) -> None:
        """Release the snapshot, so the next call reads the current rows."""

    def snapshot_time(self) -> float:
        """Return the time of the snapshot, in seconds since 1970."""

    def estimate(self, columns: list[str]) -> int:
        """Return the bytes that a read is billed for, before it incurs any cost.

        Raises:
            SpecError: the estimate exceeds the spec's limit.
        """

    def close(self) -> None:
        """Close all connections. The next call opens them again."""


def open_source(config: DatasetConfig) -> Source:
    """Return the source of a spec, without downloading a remote one.

    Raises:
        MissingInputError: the file or directory does not exist.
        SpecError: the URI scheme is not supported.
        DataError: the files are neither Parquet nor CSV.
        TransientError: the source is remote and cannot be reached.
    """
    if config.query is not None or scheme_of(config.source) == "bigquery":
        return _open_bigquery(config)
    if scheme_of(config.source):
        return _open_remote(config)
    path = Path(config.source)
    if path.is_dir():
        names = _table_files(str(path), sorted(entry.name for entry in path.iterdir()))
        return _reader(config, names)([path / name for name in names])
    if not path.is_file():
        raise MissingInputError(
            f"The source {str(path)!r} does not exist.",
            hint="dataset.source is relative to the spec file. Set another source with "
            "--set dataset.source=PATH.",
        )
    return _reader(config, [path.name])([path])


def _open_bigquery(config: DatasetConfig) -> Source:
    """Return a table, view or query as a source; imports Google's clients on demand."""
    field = "dataset.source" if config.source else "dataset.query"
    try:
        request = importlib.import_module("steps.google.bigquery.request")
        source = importlib.import_module("steps.google.bigquery.source")
    except ModuleNotFoundError as error:
        message = f"BigQuery needs the module {error.name}, which is not installed"
        hint = "Install it with: pip install 'refeed[bigquery]'"
        raise SpecError("the spec", [Problem(field, message, hint)]) from error
    bigquery_request = request.BigQueryRequest(
        table=request.TableName.parse(config.source) if config.source else None,
        query=config.query or "",
        restriction=config.filter or "",
        staging=config.staging,
        billing=config.billing,
        max_bytes=parse_bytes(config.max_bytes) if config.max_bytes else None,
    )
    return cast(Source, source.BigQuerySource(bigquery_request))


def _open_remote(config: DatasetConfig) -> RemoteFiles:
    """Return the object, or the tables directly under a folder, as a source."""
    uri = config.source
    storage = storage_for(uri, "dataset.source")
    if not uri.endswith("/") and storage.exists(uri):
        return RemoteFiles([uri], storage, _reader(config, [uri]))
    names = storage.names(uri)
    if not names:
        raise MissingInputError(
            f"The source {uri!r} does not exist: there is no such object or folder.",
            hint="Set another source with --set dataset.source=URI.",
        )
    uris = [join(uri, name) for name in _table_files(uri, names)]
    return RemoteFiles(uris, storage, _reader(config, uris))


def _reader(config: DatasetConfig, names: list[str]) -> Reader:
    """Return the reader for the format of the files.

    Raises:
        DataError: the files have several formats, or one that is not supported.
    """
    suffixes = {_suffix(name) for name in names}
    if suffixes == {".parquet"}:
        return ParquetSource
    if suffixes == {".csv"}:
        return partial(CsvSource, types=config.types, null_values=config.null_values)
    raise DataError(
        f"The source {config.source!r} contains {', '.join(sorted(suffixes)) or 'no'} files.",
        hint="Use a .parquet or .csv file, or a directory with only .parquet or only .csv files.",
    )


def _table_files(folder: str, names: list[str]) -> list[str]:
    tables = [name for name in names if _suffix(name) in {".parquet", ".csv"}]
    if not tables:
        raise DataError(
            f"The directory {folder!r} contains no .parquet or .csv files.",
            hint="Set dataset.source to such a file, or to a directory that contains some.",
        )
    return tables


def _suffix(name: str) -> str:
    return PurePosixPath(name).suffix.lower()
