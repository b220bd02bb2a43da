"""CSV files in any dialect, with errors that name the cell."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv

from steps.errors import DataError, SettingError
from steps.split.sources.dialect import Dialect, find_dialect, not_decodable

_BLOCK_BYTES = 8 << 20
_LARGEST_BLOCK_BYTES = 1 << 30


@dataclass(frozen=True)
class CsvFormat:
    """See ``FileFormat``.

    Attributes:
        null_values: cells that mean missing.
        quoted_null_values: they also do so in quotes.
        delimiter: separator of the cells; None to find it.
        decimal: decimal separator; None to find it.
        encoding: encoding; None for UTF-8, or UTF-16 with its mark.
        skip_lines: lines before the header.
        text: types have to be inferred.
        parses: Arrow converts cells of known types while it reads them.
    """

    null_values: tuple[str, ...] = ("",)
    quoted_null_values: bool = False
    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    skip_lines: int = 0
    text: bool = True
    parses: bool = True

    def dialect(self, path: Path) -> Dialect:
        """Return the dialect of a file; see ``find_dialect``."""
        return find_dialect(path, self.delimiter, self.encoding, self.skip_lines)

    def schema(self, path: Path) -> pa.Schema:
        """See ``FileFormat.schema``."""
        reader = _CsvFile(path, self).open([], {})
        try:
            names = reader.schema.names
        except UnicodeDecodeError as error:
            raise not_decodable(path, self.dialect(path).encoding) from error
        return pa.schema([(name, pa.string()) for name in names])

    def rows(self, path: Path) -> int | None:
        """See ``FileFormat.rows``; unknown."""
        del path
        return None

    def batches(
        self, path: Path, columns: Sequence[str], types: Mapping[str, pa.DataType]
    ) -> Iterator[pa.RecordBatch]:
        """See ``FileFormat.batches``."""
        # Without a column there would be no rows; the first one stands for them.
        chosen = list(columns) or self.schema(path).names[:1]
        texts = dict.fromkeys(chosen, pa.string())
        file = _CsvFile(path, self)
        try:
            yield from file.open(chosen, texts | dict(types))
        except pa.ArrowInvalid as error:
            raise file.error(error) from error

    def decimal_comma(self, path: Path) -> bool | None:
        """See ``FileFormat.decimal_comma``.

        A file with semicolons may have decimal commas: that is how Excel writes CSV where the comma
        is the decimal separator.
        """
        if self.decimal is not None:
            return self.decimal == ","
        return None if self.dialect(path).delimiter == ";" else False


class _CsvFile:
    """One CSV file."""

    def __init__(self, path: Path, file_format: CsvFormat) -> None:
        self.path, self.format = path, file_format

    @cached_property
    def dialect(self) -> Dialect:
        return self.format.dialect(self.path)

    def open(
        self, columns: Sequence[str], types: Mapping[str, pa.DataType]
    ) -> pa_csv.CSVStreamingReader:
        """Open the file; a block must contain the header and one row, so long rows enlarge it."""
        block = _BLOCK_BYTES
        while True:
            try:
                return self._open(columns, types, block)
            except pa.ArrowInvalid as error:
                if "straddling" not in str(error) or block >= _LARGEST_BLOCK_BYTES:
                    raise self.error(error) from error
                block *= 4

    def _open(
        self, columns: Sequence[str], types: Mapping[str, pa.DataType], block_bytes: int
    ) -> pa_csv.CSVStreamingReader:
        return pa_csv.open_csv(
            pa.input_stream(str(self.path), compression="detect"),
            read_options=pa_csv.ReadOptions(
                block_size=block_bytes,
                encoding=self.dialect.encoding,
                skip_rows=self.dialect.skipped,
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=self.dialect.delimiter, newlines_in_values=True
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=types,
                include_columns=columns,
                null_values=self.format.null_values,
                strings_can_be_null=True,
                quoted_strings_can_be_null=self.format.quoted_null_values,
            ),
        )

    def error(self, error: pa.ArrowInvalid) -> DataError:
        """Return the error that a user sees."""
        message = str(error)
        match = _CONVERSION.search(message)
        if match:
            return self._misfit(match)
        if "UTF8" in message or "UTF-8" in message:
            return not_decodable(self.path, self.dialect.encoding)
        return DataError(
            f"{str(self.path)!r} is not a valid CSV file: {' '.join(message.split())}.",
            hint=self._hint(message),
        )

    def _hint(self, message: str) -> str:
        hint = (
            f"Every line must have as many cells as the first, separated by "
            f"{self.dialect.delimiter!r}. Quote cells that contain it, or set dataset.delimiter."
        )
        if re.search(rf"{re.escape(self.dialect.delimiter)}\s*$", message):
            return f"A line ends with {self.dialect.delimiter!r}: remove it there. {hint}"
        if '\\"' in message:
            return f'A quote within a quoted cell is written as "", not as \\". {hint}'
        return hint

    def _misfit(self, match: re.Match[str]) -> DataError:
        """Return the error for a cell that does not fit the type that the spec gives."""
        skipped, encoding = self.dialect.skipped, self.dialect.encoding
        with pa.input_stream(str(self.path), compression="detect") as stream:
            text = stream.read(_BLOCK_BYTES).decode(encoding, errors="replace")
        lines = text.lstrip("\ufeff").splitlines()[skipped:]
        name = next(csv.reader(lines, delimiter=self.dialect.delimiter))[int(match["number"])]
        row = f", row {match['row']}" if match["row"] else ""
        value, kind = match["value"], match["kind"]
        return SettingError(
            f"{str(self.path)!r}{row}: column {name!r} is read as {kind}, but contains {value!r}.",
            hint=f"If {value!r} means missing, set dataset.null_values: "
            f"{list(dict.fromkeys(['', value]))}. If the column is text, set dataset.types: "
            f"{{{name!r}: string}}.",
            setting="types",
            value="string",
            column=name,
            cell=value,
        )


_CONVERSION = re.compile(
    r"In CSV column #(?P<number>\d+):(?: Row #(?P<row>\d+):)?.*CSV conversion error to "
    r"(?P<kind>[^:]+): invalid value '(?P<value>.*)'",
    re.DOTALL,
)
