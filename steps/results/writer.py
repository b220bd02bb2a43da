"""Writing result tables as CSV and Parquet, a few partitions at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from steps.results.key_columns import with_key_columns
from steps.results.schema import ResultTable
from steps.storage.base import Storage

_ARROW = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
}
_ROWS_PER_GROUP = 1 << 16

_LONGEST_NUMBER = 64
_FORMULA = re.compile(r"^[\s\x00]*[=+\-@\uff1d\uff0b\uff0d\uff20|%]|^[\t\r\n']")
_SUSPECT = r"^\s*[^\w\s.]|^\s*%|^[\t\r\n']|\x00|[^\x01-\x7f]"
"""Matches every text that ``escape_formula`` changes, and some that it does not."""
_NUMBER = re.compile(
    r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]$"
    r"|^(?![\t\r\n'])(?=\D*\d)\s*[+-]?\s*[$€£¥]?[\d.,' \u00a0]*[%$€£¥]?\s*$"
)
"""Plain numbers, numbers with separators and signs, telephone numbers, and a sign alone, as for a
missing value: nothing to compute."""


def escape_formula(text: str) -> str:
    """Return a text that no spreadsheet runs as a formula.

    The rule: a cell that begins (after white space) with one of ``= + - @ | %`` or their full-width
    forms, or with a tab, a line end or an apostrophe, gets an apostrophe in front, unless it is a
    number such as ``-5``, ``-1,234.5 %`` or ``+49 30 123``. So one leading apostrophe is never part
    of the value. NUL, which many readers take for the end, becomes U+2400. Parquet holds the value
    unchanged.
    """
    is_number = len(text) <= _LONGEST_NUMBER and _NUMBER.match(text)
    if _FORMULA.match(text) and not is_number:
        text = f"'{text}"
    return text.replace("\x00", "\u2400")


def arrow_schema_of(table: ResultTable) -> pa.Schema:
    """Return the Parquet schema of a result table."""
    return pa.schema([(column.name, _ARROW[column.type]) for column in table.columns])


class TableWriter:
    """Writes one result table; rows come in order, in batches of columns.

    CSV follows RFC 4180: a header line, commas, CRLF, quoted text; UTF-8, empty where undefined.

    Args:
        table: the table to write.
        place: returns the URI of the file with a suffix, ``csv`` or ``parquet``.
        storage: storage of these files.
        csv: True to write the table as CSV too.
        keys: columns that make up the partition column, which become columns of the table.
    """

    def __init__(
        self,
        table: ResultTable,
        place: Callable[[str], str],
        storage: Storage,
        *,
        csv: bool = True,
        keys: Sequence[str] = (),
    ) -> None:
        self.table, self._keys = table, tuple(keys)
        self.schema = with_key_columns(arrow_schema_of(table).empty_table(), self._keys).schema
        self._uris = {suffix: place(suffix) for suffix in (["csv"] if csv else []) + ["parquet"]}
        self._storage = storage
        self._stack = ExitStack()
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def __enter__(self) -> Self:
        streams = {
            suffix: self._stack.enter_context(self._storage.writer(uri))
            for suffix, uri in self._uris.items()
        }
        self._csv = streams.get("csv")
        if self._csv:
            self._csv.write(csv_of(self.schema.empty_table()))
        text = [field.name for field in self.schema if pa.types.is_string(field.type)]
        self._parquet = self._stack.enter_context(
            pq.ParquetWriter(streams["parquet"], self.schema, use_dictionary=text)
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._flush()
        self._stack.__exit__(kind, error, trace)

    def add(self, columns: Mapping[str, Sequence[Any] | NDArray[Any]], **constants: str) -> None:
        """Add rows.

        Args:
            columns: values by column, all of one length.
            constants: columns that have one value in all these rows.
        """
        rows = len(next(iter(columns.values()), ()))
        if not rows:
            return
        same = {name: pa.repeat(pa.scalar(text), rows) for name, text in constants.items()}
        self._waiting.append(arrow_table(self.table, {**columns, **same}))
        self._rows += rows
        if self._rows >= _ROWS_PER_GROUP:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            table = with_key_columns(pa.concat_tables(self._waiting), self._keys)
            self._parquet.write_table(table, row_group_size=table.num_rows)
            if self._csv:
                self._csv.write(csv_of(escape_formulas(table), header=False))
        self._waiting, self._rows = [], 0


def arrow_table(table: ResultTable, columns: Mapping[str, Any]) -> pa.Table:
    """Return rows of a result table; in an array of numpy, NaN stands for a cell that is empty."""
    schema = arrow_schema_of(table)
    arrays = [
        pa.array(values, field.type, from_pandas=isinstance(values, np.ndarray))
        for field in schema
        for values in [columns[field.name]]
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def csv_of(table: pa.Table, *, header: bool = True) -> bytes:
    """Return a table as CSV of RFC 4180; see ``escape_formulas`` for formulas."""
    sink = pa.BufferOutputStream()
    pa_csv.write_csv(table, sink, pa_csv.WriteOptions(include_header=header))
    csv: bytes = sink.getvalue().to_pybytes()
    if csv.count(b"\n") == table.num_rows + header:  # no line end within a text, as is usual
        return csv.replace(b"\n", b"\r\n")
    return with_crlf(csv)


def with_crlf(csv: bytes) -> bytes:
    """End lines with CRLF, which pyarrow before 26 cannot write; line ends within quotes stay.

    A byte lies within quotes where the number of quotes up to it is odd; a quote within a text is
    doubled, so it changes nothing.
    """
    content = np.frombuffer(csv, np.uint8)
    quoted = np.bitwise_xor.accumulate(content == ord('"'))
    ends = np.flatnonzero((content == ord("\n")) & ~quoted)
    return np.insert(content, ends, ord("\r")).tobytes()


def escape_formulas(table: pa.Table) -> pa.Table:
    """Return the table with all formulas escaped."""
    columns = []
    for column in table.columns:
        if not pa.types.is_string(column.type):
            columns.append(column)
            continue
        encoded = column.combine_chunks().dictionary_encode()  # each distinct text once
        if isinstance(encoded, pa.ChunkedArray):  # pragma: no cover - older pyarrow
            encoded = encoded.combine_chunks()
        texts = encoded.dictionary
        if pa.compute.any(pa.compute.match_substring_regex(texts, _SUSPECT), min_count=0).as_py():
            texts = pa.array([escape_formula(text) for text in texts.to_pylist()], pa.string())
        columns.append(texts.take(encoded.indices))
    return pa.Table.from_arrays(columns, names=table.column_names)
