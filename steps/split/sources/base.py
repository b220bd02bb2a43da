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
from steps.storage.base import Storage, scheme_of, storage_for


class SourcePiece(Protocol):
    """Some rows of a source: pickled, it can be read by another process on another machine."""

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows, in any order, with the columns that were named when it was cut.

        Raises:
            DataError: the source is damaged.
            ExpiredError: it is no longer served; all pieces must be cut anew.
        """


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

    def pieces(self, columns: list[str]) -> Sequence[SourcePiece]:
        """The source cut up: all its pieces together hold each row once.

        Raises:
            DataError: the source is damaged.
        """

    def fingerprint(self) -> str:
        """A digest that changes with the source's bytes: cheaper than reading its rows."""

    def rows(self) -> int | None:
        """Number of rows, where it is known without reading them."""


@runtime_checkable
class LiveSource(Source, Protocol):
    """A source that others change at any time, and that can be read as it was at one moment."""

    def take_snapshot(self) -> str:
        """Fix the rows, as they are now or where they have been fixed; a text that says how."""

    def resume(self, pin: str) -> None:
        """Read the rows that a text of ``take_snapshot`` fixed, maybe in another process."""

    def release(self) -> None:
        """Fix nothing any more: the next call is about the rows of now."""

    def snapshot_time(self) -> float:
        """When the rows were fixed, in seconds since 1970."""

    def estimate(self, columns: list[str]) -> int:
        """Bytes that will be read and paid for; tells them before anything costs something.

        Raises:
            SpecError: it is more than the spec allows.
        """

    def close(self) -> None:
        """Close connections; the next call opens them again."""


def open_source(config: DatasetConfig) -> Source:
    """The source that ``config.source`` names: a file, or a directory that holds one kind.

    A remote source is not downloaded by this.

    Raises:
        MissingInputError: there is no such file or directory.
        SpecError: it is no place that can be read.
        DataError: it is neither Parquet nor CSV.
        TransientError: it is remote and cannot be reached.
    """
    if config.query is not None or scheme_of(config.source) == "bigquery":
        return _open_bigquery(config)
    if scheme_of(config.source):
        return _open_remote(config)
    files = _files(Path(config.source))
    return _reader(config, [path.name for path in files])(files)


def _open_bigquery(config: DatasetConfig) -> Source:
    """A table, view or query; Google's clients are imported here and nowhere else."""
    field = "dataset.source" if config.source else "dataset.query"
    try:
        names = importlib.import_module("steps.google.bigquery.request")
        home = importlib.import_module("steps.google.bigquery.source")
    except ModuleNotFoundError as error:
        message = f"BigQuery needs the module {error.name}, which is not installed"
        hint = "Install it with: pip install 'refeed[bigquery]'"
        raise SpecError("the spec", [Problem(field, message, hint)]) from error
    wanted = names.BigQueryRequest(
        table=names.TableName.parse(config.source) if config.source else None,
        query=config.query or "",
        restriction=config.filter or "",
        staging=config.staging,
        billing=config.billing,
        max_bytes=parse_bytes(config.max_bytes) if config.max_bytes else None,
    )
    return cast(Source, home.BigQuerySource(wanted))


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
