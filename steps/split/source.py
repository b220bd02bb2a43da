"""Sources: a table as a stream of Arrow record batches, with a digest of its bytes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from steps.errors import DataError, MissingInputError, Problem, SpecError
from steps.split.config import DatasetConfig
from steps.split.csv_source import CsvSource
from steps.split.parquet_source import ParquetSource
from steps.storage import scheme_of


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
        """A digest of the source's bytes: cheaper than reading its rows."""

    def rows(self) -> int | None:
        """Number of rows, where it is known without reading them."""


def open_source(config: DatasetConfig) -> Source:
    """The source that ``config.source`` names.

    Raises:
        MissingInputError: there is no such file or directory.
        SpecError: it is no place that can be read.
        DataError: it is neither Parquet nor CSV.
    """
    scheme = scheme_of(config.source)
    if scheme:
        message = f"{scheme}:// is no place that this version of Refeed can read"
        hint = "A source is a *.parquet or *.csv file, or a directory of them."
        raise SpecError("the spec", [Problem(0, 0, "dataset.source", message, hint)])
    files = _files(Path(config.source))
    suffixes = {path.suffix.lower() for path in files}
    if suffixes == {".parquet"}:
        return ParquetSource(files)
    if suffixes == {".csv"}:
        return CsvSource(files, config.types, config.null_values)
    raise DataError(
        f"The source {config.source!r} holds {', '.join(sorted(suffixes)) or 'no'} files.",
        hint="A source is *.parquet, *.csv, or a directory that holds one kind of the two.",
    )


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in {".parquet", ".csv"})
        if not found:
            raise DataError(f"The directory {str(path)!r} holds no *.parquet and no *.csv file.")
        return found
    if not path.is_file():
        raise MissingInputError(
            f"There is no source {str(path)!r}.",
            hint="dataset.source is relative to the spec file; name another with "
            "--set dataset.source=PATH.",
        )
    return [path]
