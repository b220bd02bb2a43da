"""Sources: a table as a stream of Arrow record batches, with a digest of its bytes."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import pyarrow as pa

from steps.errors import DataError, Problem, SpecError
from steps.quantity import parse_bytes
from steps.split.config import DatasetConfig
from steps.split.sources.arrow import ArrowFormat
from steps.split.sources.checks import FORMATS, format_problems, source_problems
from steps.split.sources.converted import ConvertedSource
from steps.split.sources.csv import CsvFormat
from steps.split.sources.excel import ExcelFormat
from steps.split.sources.files import FileFormat, FileSource, Settings, SourceFile
from steps.split.sources.keyed import KeyColumn, KeyedLiveSource, KeyedSource
from steps.split.sources.locate import locate, table_suffix
from steps.split.sources.parquet import ParquetFormat
from steps.split.sources.remote import RemoteFiles
from steps.storage.base import scheme_of, storage_for
from steps.table.column_type import ColumnType


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

    def warnings(self) -> Sequence[str]:
        """Return why other callers may read other rows or values; known after a read."""

    def close(self) -> None:
        """Close all connections. The next call opens them again."""


def open_source(config: DatasetConfig, time: str | None = None) -> Source:
    """Return the source of a spec, without downloading a remote one.

    If several columns make up the key of a partition, it has one more column for it.

    Args:
        config: the spec's ``dataset`` section.
        time: ``evaluate.time``, a column whose text must be a date.

    Raises:
        MissingInputError: the file or directory does not exist.
        SpecError: the URI scheme is not supported, or a setting does not apply to the source.
        DataError: there are no tables, or in several formats.
        TransientError: the source is remote and cannot be reached.
    """
    source = _open(config, time)
    if len(config.keys) == 1:
        return source
    key = KeyColumn(config.partition_column, config.keys)
    if isinstance(source, LiveSource):
        return KeyedLiveSource(source, key)
    return KeyedSource(source, key)


def _open(config: DatasetConfig, time: str | None) -> Source:
    problems = source_problems(config)
    if problems:
        raise SpecError("the spec", problems)
    types = {name: ColumnType.parse(text) for name, text in config.types.items()}
    settings = Settings(types, tuple(config.null_values or ()), time)
    of_text = Settings(types, (), time)  # the format itself applies null_values
    if config.query is not None or scheme_of(config.source) == "bigquery":
        return _open_bigquery(config, settings)
    storage = storage_for(config.source, "dataset.source")
    located = locate(config.source, storage)
    file_format = _format_of(config, sorted({table_suffix(each.uri) for each in located}))
    applied = of_text if file_format.text else settings
    files = [(each.uri, each.folders) for each in located]
    if scheme_of(config.source):

        def opened(paths: list[Path]) -> FileSource:
            copies = [
                SourceFile(path, names) for path, (_, names) in zip(paths, files, strict=True)
            ]
            return FileSource(copies, file_format, applied)

        return RemoteFiles([uri for uri, _ in files], storage, opened)
    return FileSource([SourceFile(Path(uri), names) for uri, names in files], file_format, applied)


def _format_of(config: DatasetConfig, suffixes: list[str]) -> FileFormat:
    """Return the format of the files.

    Raises:
        DataError: the files have several formats, or one that is not supported.
        SpecError: a setting of the spec does not apply to the format.
    """
    formats = {FORMATS.get(suffix, "") for suffix in suffixes}
    if len(formats) > 1 or "" in formats:
        raise DataError(
            f"The source {config.source!r} contains {', '.join(suffixes) or 'no'} files.",
            hint="Use files of one format: .csv, .tsv or .txt (also as .gz or .zst), .parquet, "
            ".arrow or .xlsx.",
        )
    (name,) = formats
    problems = format_problems(config, name)
    if problems:
        raise SpecError("the spec", problems)
    if name == "csv":
        nulls = ("",) if config.null_values is None else tuple(config.null_values)
        delimiter = "\t" if suffixes == [".tsv"] else None
        return CsvFormat(
            nulls,
            quoted_null_values=config.null_values is not None,
            delimiter=config.delimiter or delimiter,
            decimal=config.decimal,
            encoding=config.encoding,
            skip_lines=config.skip_lines,
        )
    if name == "excel":
        return ExcelFormat(tuple(config.null_values or ()), config.sheet, config.skip_lines)
    return ParquetFormat() if name == "Parquet" else ArrowFormat()


def _open_bigquery(config: DatasetConfig, settings: Settings) -> Source:
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
    opened: LiveSource = source.BigQuerySource(bigquery_request)
    return ConvertedSource(opened, settings) if settings.types or settings.null_values else opened
