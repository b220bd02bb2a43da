"""Sources: a table as a stream of Arrow record batches, with a digest of its bytes."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from steps.errors import DataError, MissingInputError, Problem, SpecError
from steps.split.config import DatasetConfig
from steps.storage import scheme_of
from steps.table.types import ARROW_TYPES

BATCH_ROWS = 65_536
_PARQUET_BUFFER_BYTES = 1 << 20
_CSV_BLOCK_BYTES = 8 << 20
_CSV_LARGEST_BLOCK_BYTES = 1 << 30


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


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class _Files:
    """What both kinds of files share."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def fingerprint(self) -> str:
        """See ``Source.fingerprint``; the files' names and order do not matter."""
        digests = sorted(map(_file_digest, self.files))
        return hashlib.sha256("".join(digests).encode()).hexdigest()[:32]

    def schema(self) -> pa.Schema:
        """See ``Source.schema``."""
        first, *others = self.files
        schema = self._schema_of(first)
        _refuse_duplicates(first, schema.names)
        for other in others:
            _refuse_other_columns(first, schema, other, self._schema_of(other))
        return schema

    def _schema_of(self, path: Path) -> pa.Schema:
        raise NotImplementedError


def _refuse_duplicates(path: Path, names: list[str]) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise DataError(
            f"{str(path)!r} names the column {', '.join(map(repr, repeated))} more than once, so "
            "nobody can tell which one a spec means.",
            hint="Rename the columns in the source.",
        )


def _refuse_other_columns(first: Path, schema: pa.Schema, other: Path, found: pa.Schema) -> None:
    if set(schema.names) != set(found.names):
        odd = sorted(set(schema.names) ^ set(found.names))
        raise DataError(
            f"{str(other)!r} has other columns than {str(first)!r}: {', '.join(map(repr, odd))} "
            "are in one of them only. All files of a directory must hold the same table."
        )


class ParquetSource(_Files):
    """One or more Parquet files."""

    def _schema_of(self, path: Path) -> pa.Schema:
        return self._open(path).schema_arrow

    @staticmethod
    def _open(path: Path) -> pq.ParquetFile:
        try:
            # Arrow would else keep all that it has read, and a row group may be large.
            return pq.ParquetFile(path, pre_buffer=False, buffer_size=_PARQUET_BUFFER_BYTES)
        except (pa.ArrowInvalid, OSError) as error:
            raise _damaged(path, error) from error

    def rows(self) -> int | None:
        """See ``Source.rows``."""
        return sum(int(self._open(path).metadata.num_rows) for path in self.files)

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``."""
        for path in self.files:
            try:
                yield from self._open(path).iter_batches(BATCH_ROWS, columns=columns)
            except (pa.ArrowInvalid, OSError) as error:
                raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{str(path)!r} cannot be read: {' '.join(str(error).split())}.",
        hint="It may be truncated, or no Parquet file at all: write or copy it again.",
    )


class CsvSource(_Files):
    """One or more CSV files; types come from the spec, else from the first block of each column.

    A column whose first block holds whole numbers only, and fractions later on, is read again as
    float64. Text in a column of numbers is an error that names it: silently making such a column
    a category would spoil the models.
    """

    def __init__(self, files: list[Path], types: Mapping[str, str], null_values: list[str]) -> None:
        super().__init__(files)
        self.null_values = null_values
        self._types = {name: ARROW_TYPES[kind] for name, kind in types.items()}
        self._checked = False

    def rows(self) -> int | None:
        """See ``Source.rows``: a CSV file does not say."""
        return None

    def schema(self) -> pa.Schema:
        """See ``Source.schema``; reads the whole source once, to be sure of its types."""
        schema = super().schema()
        unknown = sorted(set(self._types) - set(schema.names))
        if unknown:
            raise DataError(
                f"dataset.types names {', '.join(map(repr, unknown))}, which the source lacks."
            )
        if not self._checked and not set(schema.names) <= set(self._types):
            self._settle_types(schema)
        return self._typed(schema)

    def _typed(self, schema: pa.Schema) -> pa.Schema:
        return pa.schema([(f.name, self._types.get(f.name, f.type)) for f in schema])

    def _settle_types(self, schema: pa.Schema) -> None:
        """Fix each column's type by reading all rows; widen where the first block misled."""
        guessed = {f.name: _plain(f.type) for f in schema if f.name not in self._types}
        declared = set(self._types)
        self._types |= guessed | dict.fromkeys(self._padded(guessed), pa.string())
        while True:
            try:
                for path in self.files:
                    for batch in self._read(path, schema.names):
                        for name in set(schema.names) - declared:
                            _refuse_numbers_as_text(path, name, batch.column(name), self._types)
                break
            except _Misfit as misfit:
                self._widen(misfit, declared)
        self._checked = True

    def _padded(self, guessed: dict[str, pa.DataType]) -> list[str]:
        """Columns of codes such as 007, which would lose their leading zeros as numbers."""
        whole = [name for name, kind in guessed.items() if pa.types.is_integer(kind)]
        if not whole:
            return []
        texts = dict.fromkeys(whole, pa.string())
        head = next(iter(self._open(self.files[0], whole, _CSV_BLOCK_BYTES, texts)), None)
        return [
            name
            for name in whole
            if head is not None
            and pc.any(pc.match_substring_regex(head.column(name), "^-?0[0-9]")).as_py()
        ]

    def _widen(self, misfit: _Misfit, declared: set[str]) -> None:
        now = self._types[misfit.column]
        wider = {pa.int64(): pa.float64(), pa.null(): pa.string()}.get(now)
        if (
            misfit.column in declared
            or wider is None
            or (wider == pa.float64() and not _is_number(misfit.value))
        ):
            raise misfit.as_error(str(now)) from misfit
        self._types[misfit.column] = wider

    def _schema_of(self, path: Path) -> pa.Schema:
        if not path.stat().st_size:
            raise DataError(
                f"{str(path)!r} is empty: a CSV source begins with a line of column names."
            )
        with path.open("rb") as stream:
            if stream.read(2) in {b"\xff\xfe", b"\xfe\xff"}:  # a byte order mark
                raise _not_utf8(path, ": it is UTF-16")
        schema = self._reader(path, None).schema
        try:
            names = schema.names
        except UnicodeDecodeError as error:
            raise _not_utf8(path) from error
        if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
            raise DataError(
                f"{str(path)!r} has one column, {names[0]!r}: its cells are separated by something "
                "else than commas.",
                hint="Write it with commas, or as Parquet.",
            )
        return schema

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``."""
        self.schema()
        for path in self.files:
            try:
                yield from self._read(path, columns)
            except _Misfit as misfit:  # pragma: no cover - schema() has read it all before
                raise misfit.as_error(str(self._types.get(misfit.column))) from misfit

    def _read(self, path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._reader(path, columns):
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    yield batch.slice(start, BATCH_ROWS)
        except pa.ArrowInvalid as error:
            raise _csv_error(path, error) from error

    def _reader(self, path: Path, columns: list[str] | None) -> pa_csv.CSVStreamingReader:
        """Open a file; a block must hold the header and at least one row, so long ones grow it."""
        block = _CSV_BLOCK_BYTES
        while True:
            try:
                return self._open(path, columns, block)
            except pa.ArrowInvalid as error:
                if "straddling" not in str(error) or block >= _CSV_LARGEST_BLOCK_BYTES:
                    raise _csv_error(path, error) from error
                block *= 4

    def _open(
        self,
        path: Path,
        columns: list[str] | None,
        block_bytes: int,
        types: dict[str, pa.DataType] | None = None,
    ) -> pa_csv.CSVStreamingReader:
        return pa_csv.open_csv(
            path,
            read_options=pa_csv.ReadOptions(block_size=block_bytes),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=types or self._types,
                include_columns=columns or [],
                null_values=self.null_values,
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type that a guess stands for.

    Seconds become microseconds. A time of day stays text, and so does what is guessed to be binary,
    which is text that is not UTF-8: read as text it is told with its place.
    """
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    return pa.string() if pa.types.is_time(kind) or pa.types.is_binary(kind) else kind


class MisfitError(DataError):
    """A cell of a CSV source that does not fit its column's type; ``value`` is its text."""

    def __init__(self, message: str, *, hint: str, value: str) -> None:
        super().__init__(message, hint=hint)
        self.value = value


class _Misfit(Exception):  # noqa: N818 - turned into a DataError, or into a wider type
    """A CSV cell that does not fit its column's type."""

    def __init__(self, path: Path, column: str, value: str, row: str) -> None:
        super().__init__(column)
        self.path, self.column, self.value, self.row = path, column, value, row

    def as_error(self, kind: str) -> DataError:
        """The same, for people."""
        return MisfitError(
            f"{str(self.path)!r}{self.row}: column {self.column!r} is read as {kind}, but holds "
            f"{self.value!r}.",
            hint=f"If {self.value!r} means missing, add it to dataset.null_values: "
            f"['', {self.value!r}]. If the column is text, say so with dataset.types: "
            f"{{{self.column!r}: string}}.",
            value=self.value,
        )


def _not_utf8(path: Path, where: str = " in its header") -> DataError:
    return DataError(
        f"{str(path)!r} holds text that is not valid UTF-8{where}.",
        hint="Write it with UTF-8 encoding, e.g. iconv -f latin1 -t utf-8 (Excel: CSV UTF-8).",
    )


_CONVERSION = re.compile(
    r"In CSV column #(?P<number>\d+):(?: Row #(?P<row>\d+):)?.*CSV conversion error to "
    r"(?P<kind>[^:]+): invalid value '(?P<value>.*)'",
    re.DOTALL,
)


def _csv_error(path: Path, error: pa.ArrowInvalid) -> Exception:
    message = str(error)
    found = _CONVERSION.search(message)
    if found:
        names = _header(path)
        row = f", row {found['row']}" if found["row"] else ""
        return _Misfit(path, names[int(found["number"])], found["value"], row)
    if "UTF8" in message or "UTF-8" in message:
        return _not_utf8(path, f": {message.partition(';')[0]}")
    return DataError(
        f"{str(path)!r} is no readable CSV file: {' '.join(message.split())}.",
        hint="Every line must have as many cells as the first; quote cells that hold commas.",
    )


def _header(path: Path) -> list[str]:
    import csv  # noqa: PLC0415 - needed for an error only

    with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
        return next(csv.reader(stream))


_MOSTLY = 0.9
_FEW = 3


def _refuse_numbers_as_text(
    path: Path, name: str, column: pa.Array, types: dict[str, pa.DataType]
) -> None:
    """Refuse a column that was guessed to be text although it is meant to be numbers.

    That is where nearly all cells are, or most of them and all others are one of a few words.
    """
    if types.get(name) != pa.string():
        return
    known = column.drop_null()
    counts = [(entry["values"].as_py(), entry["counts"].as_py()) for entry in known.value_counts()]
    odd = [cell for cell, _ in counts if not _is_number(cell)]
    numbers = sum(count for cell, count in counts if _is_number(cell))
    few = len(odd) <= _FEW and numbers > len(known) / 2
    if odd and (few or numbers > _MOSTLY * len(known)):
        raise _Misfit(path, name, odd[0], "").as_error("text because of a few cells")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
