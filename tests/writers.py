"""Writers of a table in every format of a file but Parquet."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

Write = Callable[[pa.Table, Path], None]


def _text(write: Callable[[pa.Table, pa.NativeFile], None]) -> Write:
    """Return a writer of text, which is compressed if the file's suffix says so."""

    def into(table: pa.Table, path: Path) -> None:
        with pa.output_stream(str(path)) as stream:
            write(table, stream)

    return into


def _arrow(table: pa.Table, path: Path) -> None:
    with pa.OSFile(str(path), "wb") as stream, pa.ipc.new_file(stream, table.schema) as writer:
        writer.write_table(table, 20)


def write_workbook(table: pa.Table, path: Path) -> None:
    """Write a workbook with another library than the one that reads it."""
    workbook = importlib.import_module("openpyxl").Workbook()
    rows = [dict(zip(table.column_names, table.column_names, strict=True)), *table.to_pylist()]
    for number, row in enumerate(rows, 1):
        for position, value in enumerate(row.values(), 1):
            cell = workbook.active.cell(number, position, value)
            if isinstance(value, str):
                cell.data_type = "s"  # not a formula, which openpyxl sees in a text with =
    workbook.save(path)


def _semicolons(table: pa.Table, stream: pa.NativeFile) -> None:
    """Write the CSV of a spreadsheet in most of Europe: semicolons and decimal commas."""
    text = table.to_pandas(types_mapper=pd.ArrowDtype).to_csv(index=False, sep=";", decimal=",")
    stream.write(text.encode("utf-8-sig"))


WRITERS: dict[str, Write] = {
    "csv.gz": _text(pa_csv.write_csv),
    "csv.zst": _text(pa_csv.write_csv),
    "tsv": _text(
        lambda table, stream: pa_csv.write_csv(
            table, stream, write_options=pa_csv.WriteOptions(delimiter="\t")
        )
    ),
    "csv": _text(_semicolons),
    "arrow": _arrow,
    "xlsx": write_workbook,
}
"""By suffix. The one of plain CSV writes semicolons and decimal commas."""
