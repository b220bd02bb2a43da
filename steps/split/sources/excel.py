"""Excel workbooks, whose cells are read as text like those of a CSV file."""

from __future__ import annotations

import datetime as dt
import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from steps.errors import DataError, Problem, SpecError
from steps.table.types import canonical_text

_ROWS = 10_000
_EXACT = 2**53


@dataclass(frozen=True)
class ExcelFormat:
    """See ``FileFormat``; reads the first sheet, or the one that the spec names.

    Attributes:
        null_values: cells that mean missing; an empty cell always does.
        sheet: name of the sheet; None for the first.
        skip_lines: rows before the header.
        text: types have to be inferred: each cell of a workbook has a type of its own.
        parses: cells are converted after they are read.
    """

    null_values: tuple[str, ...] = ()
    sheet: str | None = None
    skip_lines: int = 0
    text: bool = True
    parses: bool = False

    def schema(self, path: Path) -> pa.Schema:
        """See ``FileFormat.schema``."""
        return pa.schema([(name, pa.string()) for name in self._rows(path)[0]])

    def rows(self, path: Path) -> int | None:
        """See ``FileFormat.rows``; unknown."""
        del path
        return None

    def batches(
        self, path: Path, columns: Sequence[str], types: Mapping[str, pa.DataType]
    ) -> Iterator[pa.RecordBatch]:
        """See ``FileFormat.batches``."""
        names, *rows = self._rows(path)
        del types
        positions = {name: names.index(name) for name in columns or names[:1]}
        for start in range(0, len(rows), _ROWS):
            part = rows[start : start + _ROWS]
            yield pa.RecordBatch.from_pydict(
                {
                    name: pa.array([self._cell(row, position) for row in part], pa.string())
                    for name, position in positions.items()
                }
            )

    def decimal_comma(self, path: Path) -> bool | None:
        """See ``FileFormat.decimal_comma``."""
        del path
        return False

    def _cell(self, row: Sequence[str], position: int) -> str | None:
        text = row[position] if position < len(row) else ""
        return None if not text or text in self.null_values else text

    def _rows(self, path: Path) -> list[list[str]]:
        """Return the header and all rows as text, without empty rows at the end."""
        try:
            calamine = importlib.import_module("python_calamine")
        except ModuleNotFoundError as error:
            message = "an .xlsx file needs the module python-calamine, which is not installed"
            hint = "Install it with: pip install 'refeed[excel]', or save the sheet as CSV."
            raise SpecError("the spec", [Problem("dataset.source", message, hint)]) from error
        try:
            workbook = calamine.CalamineWorkbook.from_path(str(path))
            name = self.sheet if self.sheet is not None else workbook.sheet_names[0]
            if name not in workbook.sheet_names:
                raise DataError(
                    f"{str(path)!r} has no sheet {name!r}. Its sheets are "
                    f"{', '.join(map(repr, workbook.sheet_names))}."
                )
            table = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
        except (calamine.CalamineError, OSError, IndexError) as error:
            raise DataError(
                f"{str(path)!r} cannot be read: {error}.",
                hint="Open it in Excel and save it again, or save the sheet as CSV.",
            ) from error
        rows = [[_text(cell) for cell in row] for row in table[self.skip_lines :]]
        while rows and not any(rows[-1]):
            rows.pop()
        if not rows:
            raise DataError(f"The sheet {name!r} of {str(path)!r} is empty.")
        return rows


def _text(cell: Any) -> str:  # noqa: ANN401 - a number, text, a date and so on
    """Return the text of a cell: a whole number without a decimal point, dates in ISO 8601.

    Every number of a workbook is a float64, so one beyond 2**53 has no exact digits to show.
    """
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer() and abs(cell) <= _EXACT:
        return str(int(cell))
    if isinstance(cell, dt.datetime):
        return cell.isoformat(sep=" ")
    return cell if isinstance(cell, str) else canonical_text(cell)
