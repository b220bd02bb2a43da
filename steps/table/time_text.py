"""Recognize how a text column writes dates and times."""

from __future__ import annotations

import pyarrow as pa

from steps.table.column_type import TIME_FORMATS, ColumnType, TimeFormat
from steps.table.text_conversion import parse_text

_TRIED = 200
"""Distinct cells that rule out most formats before all others are read."""


class TimeFormats:
    """The formats that read all cells of a column so far. Batches may come in any order."""

    def __init__(self) -> None:
        iso = (ColumnType("date"), ColumnType("timestamp"))
        others = (ColumnType(each.kind, each) for each in TIME_FORMATS)
        self._possible: list[ColumnType] = [*iso, *others]
        self.known = 0

    def add(self, column: pa.Array) -> None:
        """Add cells; a null is missing."""
        cells = column.drop_null()
        self.known += len(cells)
        distinct = cells.unique()
        for texts in (distinct.slice(0, _TRIED), distinct.slice(_TRIED)):
            self._possible = [
                each for each in self._possible if not parse_text(texts, each).null_count
            ]

    @property
    def possible(self) -> list[ColumnType]:
        """The formats that read all cells, the simplest of those that agree on every cell."""
        if not self.known:
            return []
        iso = [each for each in self._possible if not isinstance(each.notation, TimeFormat)]
        return iso[:1] or self._possible
