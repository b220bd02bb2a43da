"""CSV files as a source, with types based on all rows and errors that name the cell."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from steps.errors import DataError
from steps.split.sources.files import BATCH_ROWS, Files
from steps.table.types import ARROW_TYPES

_CSV_BLOCK_BYTES = 8 << 20
_CSV_LARGEST_BLOCK_BYTES = 1 << 30


@dataclass(frozen=True)
class CsvPiece:
    """One file, with the types of all files together."""

    path: Path
    columns: tuple[str, ...]
    types: tuple[tuple[str, pa.DataType], ...]
    null_values: tuple[str, ...]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See ``SourcePiece.batches``."""
        source = CsvSource([self.path], {}, list(self.null_values), dict(self.types))
        return source.batches(list(self.columns))

    def at(self, path: Path) -> CsvPiece:
        """Return the piece of a copy of the file."""
        return replace(self, path=path)


class CsvSource(Files):
    """One or more CSV files; types come from the spec, or from the values of each column.

    A column whose first block contains only whole numbers, and later blocks fractions, is read
    again as float64. Text in a column of numbers is an error, because treating such a column as a
    category without notice would spoil the models.
    """

    def __init__(
        self,
        files: list[Path],
        types: Mapping[str, str],
        null_values: list[str],
        known_types: Mapping[str, pa.DataType] | None = None,
    ) -> None:
        super().__init__(files)
        self.null_values = null_values
        self._types = dict(known_types or {}) | {name: ARROW_TYPES[k] for name, k in types.items()}
        self._checked = known_types is not None

    def rows(self) -> int | None:
        """See ``Source.rows``; unknown for a CSV file."""
        return None

    def schema(self) -> pa.Schema:
        """See ``Source.schema``; reads the whole source once to infer types."""
        schema = super().schema()
        unknown = sorted(set(self._types) - set(schema.names))
        if unknown:
            raise DataError(
                f"dataset.types names {', '.join(map(repr, unknown))}, which the source does not "
                "contain.",
                hint=f"Its columns are {', '.join(schema.names)}.",
            )
        if not self._checked and not set(schema.names) <= set(self._types):
            self._infer_types(schema)
        return pa.schema([(f.name, self._types.get(f.name, f.type)) for f in schema])

    def _infer_types(self, schema: pa.Schema) -> None:
        """Infer each column's type from all rows; widen it where the first block misled."""
        guessed = {f.name: _plain(f.type) for f in schema if f.name not in self._types}
        declared = set(self._types)
        self._types |= guessed | dict.fromkeys(self._zero_padded(guessed), pa.string())
        while True:
            try:
                for path in self.files:
                    for batch in self._read(path, schema.names):
                        for name in set(schema.names) - declared:
                            _reject_numbers_as_text(path, name, batch.column(name), self._types)
                break
            except _Misfit as misfit:
                current = self._types[misfit.column]
                wider = {pa.int64(): pa.float64(), pa.null(): pa.string()}.get(current)
                if (
                    misfit.column in declared
                    or wider is None
                    or (wider == pa.float64() and not _is_number(misfit.value))
                ):
                    raise misfit.as_error(str(current)) from misfit
                self._types[misfit.column] = wider
        self._checked = True

    def _zero_padded(self, guessed: dict[str, pa.DataType]) -> list[str]:
        """Return the columns of codes such as 007, which would lose their leading zeros."""
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

    def _schema_of(self, path: Path) -> pa.Schema:
        if not path.stat().st_size:
            raise DataError(
                f"{str(path)!r} is empty. A CSV source starts with a line of column names."
            )
        with path.open("rb") as stream:
            if stream.read(2) in {b"\xff\xfe", b"\xfe\xff"}:  # a byte order mark
                raise _not_utf8(path, ": the file is UTF-16")
        schema = self._reader(path, None).schema
        try:
            names = schema.names
        except UnicodeDecodeError as error:
            raise _not_utf8(path) from error
        if len(names) == 1 and any(mark in names[0] for mark in ";\t|"):
            raise DataError(
                f"{str(path)!r} has a single column, named {names[0]!r}. The file seems to use a "
                "separator other than a comma.",
                hint="Save it with commas, or as Parquet.",
            )
        return schema

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``."""
        self.schema()
        for path in self.files:
            try:
                yield from self._read(path, columns)
            except _Misfit as misfit:  # pragma: no cover - schema() has read all rows
                raise misfit.as_error(str(self._types.get(misfit.column))) from misfit

    def pieces(self, columns: list[str]) -> list[CsvPiece]:
        """See ``Source.pieces``; reads the whole source once to infer types."""
        types = tuple((field.name, field.type) for field in self.schema())
        nulls = tuple(self.null_values)
        return [CsvPiece(path, tuple(columns), types, nulls) for path in self.files]

    def _read(self, path: Path, columns: list[str]) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._reader(path, columns):
                for start in range(0, batch.num_rows, BATCH_ROWS):
                    yield batch.slice(start, BATCH_ROWS)
        except pa.ArrowInvalid as error:
            raise _csv_error(path, error) from error

    def _reader(self, path: Path, columns: list[str] | None) -> pa_csv.CSVStreamingReader:
        """Open a file; a block must contain the header and one row, so long rows enlarge it."""
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
    """Return the canonical type for an inferred type.

    Seconds become microseconds. A time of day stays text. Text that is not UTF-8 is inferred as
    binary; reading it as text gives an error that names the cell.
    """
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    return pa.string() if pa.types.is_time(kind) or pa.types.is_binary(kind) else kind


class MisfitError(DataError):
    """A cell of a CSV source that does not fit its column's type; ``value`` is its text."""

    def __init__(self, message: str, *, hint: str, value: str) -> None:
        super().__init__(message, hint=hint)
        self.value = value


class _Misfit(Exception):  # noqa: N818 - converted to a DataError or resolved by a wider type
    """A CSV cell that does not fit its column's type."""

    def __init__(self, path: Path, column: str, value: str, row: str) -> None:
        super().__init__(column)
        self.path, self.column, self.value, self.row = path, column, value, row

    def as_error(self, kind: str) -> DataError:
        """Return the error that a user sees."""
        return MisfitError(
            f"{str(self.path)!r}{self.row}: column {self.column!r} is read as {kind}, but contains "
            f"{self.value!r}.",
            hint=f"If {self.value!r} means missing, set dataset.null_values: "
            f"['', {self.value!r}]. If the column is text, set dataset.types: "
            f"{{{self.column!r}: string}}.",
            value=self.value,
        )


def _not_utf8(path: Path, detail: str = " in its header") -> DataError:
    return DataError(
        f"{str(path)!r} contains text that is not valid UTF-8{detail}.",
        hint="Convert it to UTF-8, e.g. iconv -f latin1 -t utf-8 (Excel: CSV UTF-8).",
    )


_CONVERSION = re.compile(
    r"In CSV column #(?P<number>\d+):(?: Row #(?P<row>\d+):)?.*CSV conversion error to "
    r"(?P<kind>[^:]+): invalid value '(?P<value>.*)'",
    re.DOTALL,
)


def _csv_error(path: Path, error: pa.ArrowInvalid) -> Exception:
    message = str(error)
    match = _CONVERSION.search(message)
    if match:
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            names = next(csv.reader(stream))
        row = f", row {match['row']}" if match["row"] else ""
        return _Misfit(path, names[int(match["number"])], match["value"], row)
    if "UTF8" in message or "UTF-8" in message:
        return _not_utf8(path, f": {message.partition(';')[0]}")
    return DataError(
        f"{str(path)!r} is not a valid CSV file: {' '.join(message.split())}.",
        hint="Every line must have as many cells as the first. Quote cells that contain commas.",
    )


_MOSTLY = 0.9
_FEW = 3


def _reject_numbers_as_text(
    path: Path, name: str, column: pa.Array, types: dict[str, pa.DataType]
) -> None:
    """Reject a column that was inferred as text although it seems to contain numbers.

    That is a column in which nearly all cells are numbers, or most are and all others are one of a
    few words.
    """
    if types.get(name) != pa.string():
        return
    known = column.drop_null()
    counts = [(entry["values"].as_py(), entry["counts"].as_py()) for entry in known.value_counts()]
    texts = [cell for cell, _ in counts if not _is_number(cell)]
    numbers = sum(count for cell, count in counts if _is_number(cell))
    few = len(texts) <= _FEW and numbers > len(known) / 2
    if texts and (few or numbers > _MOSTLY * len(known)):
        raise _Misfit(path, name, texts[0], "").as_error("text because of a few cells")


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
