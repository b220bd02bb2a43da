"""Write a table as the files of a source, in each format, and the settings that read them."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import openpyxl  # type: ignore[import-untyped]
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet as pq

from tests.fuzz.columns import DAY
from tests.fuzz.inference import Inferred, infer
from tests.fuzz.table import Cell, Column, Dialect, Table, Variant

_NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"
_FILE_NAMES = ("a", "B b", "0", "part-00001", "z")
_FIRST_EXCEL_DAY = -25_202
"""January 1, 1901, in days since 1970."""
_EXACT_EXCEL = 2**53
_SUFFIXES = {"parquet": ".parquet", "arrow": ".arrow", "xlsx": ".xlsx"}


@dataclass(frozen=True)
class Source:
    """A table on disk.

    Attributes:
        settings: the spec's ``dataset`` section, without roles.
        inferred: type of each column that is read as text, without ``types``.
    """

    settings: dict[str, Any]
    inferred: dict[str, Inferred]


def write_source(table: Table, variant: Variant, folder: Path) -> Source:
    """Write a table into an empty folder."""
    folder.mkdir(parents=True)
    rng = Random(variant.seed)
    suffix = variant.dialect.suffix if variant.format == "csv" else _SUFFIXES[variant.format]
    parts = _parts(rng, table, variant)
    fractions = {each.name for each in table.columns if not all(map(_is_whole, each.known))}
    paths = []
    for number, (subfolder, rows) in enumerate(parts):
        part = table.take(rows)
        columns = [each for each in part.columns if each.name != variant.folder]
        rng.shuffle(columns)
        path = folder / subfolder / f"{_FILE_NAMES[number % len(_FILE_NAMES)]}{number}{suffix}"
        path.parent.mkdir(exist_ok=True)
        _write(rng, columns, variant, path, fractions)
        paths.append(path)
    single = len(paths) == 1 and not variant.folder
    inferred = _inferred(table, variant)
    declared = {column.name: column.kind for column in table.columns}
    types = {name: declared[name] for name, kind in inferred.items() if kind != declared[name]}
    settings: dict[str, Any] = {"source": str(paths[0] if single else folder), "types": types}
    if variant.format == "csv":
        settings |= _dialect_settings(variant.dialect)
    return Source(settings, inferred)


def _parts(rng: Random, table: Table, variant: Variant) -> list[tuple[str, list[int]]]:
    """Return a subfolder and the rows of each file, in random order."""
    rows = list(range(table.rows))
    rng.shuffle(rows)
    parts: dict[tuple[str, int], list[int]] = {}
    gap = table.column(variant.gap) if variant.gap else None
    for row in rows:
        if gap is not None:
            number = 0 if gap.cells[row] is None else rng.randrange(1, variant.files)
        else:
            number = rng.randrange(variant.files)
        parts.setdefault((_subfolder(table, variant, row), number), []).append(row)
    if variant.empty_file and not variant.folder:
        parts["", variant.files] = []
    files = [(subfolder, chosen) for (subfolder, _), chosen in parts.items()]
    rng.shuffle(files)
    return files


def _subfolder(table: Table, variant: Variant, row: int) -> str:
    if not variant.folder:
        return ""
    column = table.column(variant.folder)
    value = _NULL_FOLDER if column.cells[row] is None else quote(column.texts[row], safe="")
    return f"{quote(column.name, safe='')}={value}"


def _write(
    rng: Random, columns: Sequence[Column], variant: Variant, path: Path, fractions: set[str]
) -> None:
    if variant.format == "csv":
        _write_csv(columns, variant.dialect, path)
    elif variant.format == "xlsx":
        _write_workbook(columns, path)
    else:
        table = pa.table(
            {
                column.name: arrow_array(rng, column, may_be_whole=column.name in fractions)
                for column in columns
            }
        )
        if variant.format == "parquet":
            pq.write_table(table, path, row_group_size=rng.choice([3, 1000]))
        else:
            _write_arrow(rng, table, path)


# --- formats with types -----------------------------------------------------------------------


def arrow_array(rng: Random, column: Column, *, may_be_whole: bool) -> pa.Array:
    """Return a column as a program could write it, with one of the types that fit its cells.

    Args:
        rng: chooses the type.
        column: the column of one file.
        may_be_whole: a file with whole numbers only may have int64 instead of float64, because
            another file has fractions.
    """
    if not column.known and rng.random() < 0.5:
        return pa.nulls(len(column.cells))
    if column.kind == "timestamp":
        return _time_array(column)
    if column.kind == "date":
        days = pa.array(column.cells, pa.int32()).cast(pa.date32())
        return days.cast(pa.date64()) if column.arrow == "date64[ms]" else days
    if column.kind == "float64":
        return _float_array(rng, column, may_be_whole=may_be_whole)
    if column.arrow == "dictionary":
        return pa.array(column.cells, pa.string()).dictionary_encode()
    return pa.array(column.cells, getattr(pa, column.arrow.replace("bool", "bool_"))())


def _time_array(column: Column) -> pa.Array:
    unit, _, zone = column.arrow.removeprefix("timestamp[").removesuffix("]").partition(", ")
    per_micro = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 1}[unit]
    values = [
        None
        if not isinstance(cell, int)
        else cell * 1000 + nano
        if unit == "ns"
        else cell // per_micro
        for cell, nano in zip(column.cells, column.nanos, strict=True)
    ]
    return pa.array(values, pa.int64()).cast(pa.timestamp(unit, zone or None))


def _is_whole(cell: Cell) -> bool:
    return isinstance(cell, float) and cell.is_integer() and abs(cell) < 2**53


def _float_array(rng: Random, column: Column, *, may_be_whole: bool) -> pa.Array:
    if column.arrow.startswith("decimal"):
        places = int(column.arrow.removeprefix("decimal(").removesuffix(")"))
        exact = [
            None if cell is None else Decimal(text)
            for cell, text in zip(column.cells, column.texts, strict=True)
        ]
        return pa.array(exact, pa.decimal128(15, places))
    if may_be_whole and all(map(_is_whole, column.known)) and rng.random() < 0.5:
        return pa.array([None if x is None else int(x) for x in column.cells], pa.int64())
    gaps = [
        float("nan") if cell is None and text == "nan" else cell
        for cell, text in zip(column.cells, column.texts, strict=True)
    ]
    return pa.array(gaps, pa.float64()).cast(
        getattr(pa, f"float{32 if column.arrow == 'float' else 64}")()
    )


def _write_arrow(rng: Random, table: pa.Table, path: Path) -> None:
    if rng.random() < 0.5:
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table, max_chunksize=rng.choice([2, 1000]))
    else:
        pyarrow.feather.write_feather(table, str(path), compression="uncompressed")


# --- CSV --------------------------------------------------------------------------------------


def _write_csv(columns: Sequence[Column], dialect: Dialect, path: Path) -> None:
    names = dialect.delimiter.join(_quoted(column.name, dialect) for column in columns)
    cells = [csv_cells(column, dialect) for column in columns]
    missing = f'"{dialect.missing}"' if dialect.missing and dialect.quote_all else dialect.missing
    rows = (
        dialect.delimiter.join(missing if cell is None else _quoted(cell, dialect) for cell in row)
        for row in zip(*cells, strict=True)
    )
    titles = [f"Table {number + 1}" for number in range(dialect.title)]
    hint = [f"sep={dialect.delimiter}"] if dialect.sep_line else []
    text = "".join(line + dialect.newline for line in (*titles, *hint, names, *rows))
    content = text.encode(dialect.encoding)
    if path.name.endswith(".gz"):
        content = gzip.compress(content, mtime=0)
    elif path.name.endswith(".zst"):
        content = pa.compress(content, codec="zstd", asbytes=True)
    path.write_bytes(content)


def csv_cells(column: Column, dialect: Dialect) -> list[str | None]:
    """Return the texts of a column in CSV files, None for missing."""
    texts: list[str | None] = []
    for cell, text in zip(column.cells, column.texts, strict=True):
        if cell is None and (dialect.comma or text != "nan"):
            texts.append(None)
        elif dialect.comma and column.kind == "float64":
            texts.append(format(Decimal(text), "f").replace(".", ","))
        else:
            texts.append(text)
    return texts


def _quoted(text: str, dialect: Dialect) -> str:
    special = {dialect.delimiter, '"', "\n", "\r"} & set(text)
    if special or not text or dialect.quote_all or text == dialect.missing:
        return '"' + text.replace('"', '""') + '"'
    return text


def _dialect_settings(dialect: Dialect) -> dict[str, Any]:
    settings: dict[str, Any] = {}
    if dialect.missing:
        settings["null_values"] = [dialect.missing]
    if dialect.title:
        settings["skip_lines"] = dialect.title
    if dialect.named:
        settings["encoding"] = dialect.encoding
        settings["delimiter"] = dialect.delimiter
        settings["decimal"] = "," if dialect.comma else "."
    return settings


# --- workbooks --------------------------------------------------------------------------------


def _write_workbook(columns: Sequence[Column], path: Path) -> None:
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    for position, column in enumerate(columns, 1):
        for row, value in enumerate([column.name, *workbook_cells(column)], 1):
            if value is None:
                continue
            cell = sheet.cell(row, position)
            cell.value = value
            if isinstance(value, str):
                cell.data_type = "s"  # else =1+1 becomes a formula
    workbook.save(path)


def workbook_cells(column: Column) -> list[str | int | float | bool | dt.date | None]:
    """Return the cells of a column in a workbook: text where Excel has no such number or date."""
    return [
        None if cell is None else _workbook_cell(column, cell, text, row)
        for row, (cell, text) in enumerate(zip(column.cells, column.texts, strict=True))
    ]


def _workbook_cell(column: Column, cell: Any, text: str, row: int) -> Any:
    if column.kind == "int64" and abs(cell) >= _EXACT_EXCEL:
        return text
    if isinstance(cell, float):  # openpyxl writes 16 digits
        return cell if float(f"{cell:.16g}") == cell else text
    if column.kind == "date":
        return dt.date.fromisoformat(text) if cell >= _FIRST_EXCEL_DAY else text
    if column.kind == "timestamp":
        whole = not cell % 1_000_000 and not column.nanos[row]
        if (
            whole
            and cell >= _FIRST_EXCEL_DAY * DAY
            and "]" in column.arrow
            and "," not in column.arrow
        ):
            return dt.datetime(1970, 1, 1) + dt.timedelta(microseconds=cell)  # noqa: DTZ001
        return text
    return cell


def workbook_texts(column: Column) -> list[str | None]:
    """Return the texts that the cells of a workbook stand for; it has no decimal type."""
    return [None if value is None else _workbook_text(value) for value in workbook_cells(column)]


def _workbook_text(value: str | float | bool | dt.date) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # A number of a workbook is a float64: beyond 2**53 it has no exact digits to show.
        whole = value.is_integer() and abs(value) <= 2**53
        return str(int(value)) if whole else repr(value)
    if isinstance(value, dt.datetime) and value.time() == dt.time.min:
        return value.date().isoformat()  # Excel stores midnight and the day as the same number
    return str(value)


# --- what is read as text ---------------------------------------------------------------------


def _inferred(table: Table, variant: Variant) -> dict[str, Inferred]:
    """Return the types that follow from the texts of all files."""
    inferred = {}
    for column in table.columns:
        if column.name == variant.folder:
            texts = [
                None if cell is None else text
                for cell, text in zip(column.cells, column.texts, strict=True)
            ]
            kind = infer(texts) if column.known else "string"
            inferred[column.name] = "string" if kind.startswith("error") else kind
        elif variant.format == "csv":
            cells = csv_cells(column, variant.dialect)
            inferred[column.name] = infer(cells, decimal_comma=variant.dialect.comma)
        elif variant.format == "xlsx":
            inferred[column.name] = infer(workbook_texts(column))
        elif not column.known:
            inferred[column.name] = "float64"  # a file may say null, or its own type
    return inferred
