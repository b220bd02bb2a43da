"""Summaries of a table: exact, bounded in memory, and independent of row order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from steps.table.grid import numbers_of
from steps.table.types import canonical_text

MOST_LEVELS = 64
"""Maximum number of distinct values that are counted exactly, and of classes."""


@dataclass
class ColumnSummary:
    """An exact summary of a column.

    Attributes:
        rows: number of rows.
        missing: number of nulls.
        low: smallest value as a number; None for strings, or if all values are missing.
        high: largest value as a number.
        levels: count of each distinct value as text; None for more than ``MOST_LEVELS``.
    """

    rows: int = 0
    missing: int = 0
    low: float | None = None
    high: float | None = None
    levels: dict[str, int] | None = field(default_factory=dict)

    def add(self, column: pa.Array) -> None:
        """Add a column of a batch."""
        self.rows += len(column)
        self.missing += column.null_count
        if not pa.types.is_string(column.type) and column.null_count < len(column):
            low, high = pc.min_max(column).as_py().values()
            if not isinstance(low, float):
                low, high = map(float, numbers_of(pa.array([low, high], column.type)))
            self._widen(low, high)
        if self.levels is not None:
            self._add_levels(column)

    def _widen(self, low: float, high: float) -> None:
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)

    def _add_levels(self, column: pa.Array) -> None:
        assert self.levels is not None
        head = column.slice(0, 4 * MOST_LEVELS)
        if pc.count_distinct(head).as_py() > MOST_LEVELS:
            self.levels = None
            return
        for entry in pc.value_counts(column.drop_null()):
            text = canonical_text(entry["values"].as_py())
            self.levels[text] = self.levels.get(text, 0) + entry["counts"].as_py()
            if len(self.levels) > MOST_LEVELS:
                self.levels = None
                return

    def merge(self, other: ColumnSummary) -> None:
        """Add the summary of other rows."""
        self.rows += other.rows
        self.missing += other.missing
        if other.low is not None and other.high is not None:
            self._widen(other.low, other.high)
        if self.levels is None or other.levels is None:
            self.levels = None
            return
        for text, count in other.levels.items():
            self.levels[text] = self.levels.get(text, 0) + count
        if len(self.levels) > MOST_LEVELS:
            self.levels = None


class TableSummary:
    """A ``ColumnSummary`` per column."""

    def __init__(self, names: Iterable[str]) -> None:
        self.columns = {name: ColumnSummary() for name in names}

    def add(self, batch: pa.RecordBatch) -> None:
        """Add a batch."""
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            self.columns[name].add(column)

    def of_batch(self, batch: pa.RecordBatch) -> TableSummary:
        """Return the summary of a single batch for ``merge``; safe in several threads.

        Columns that already have too many levels are not counted again. The merged result does not
        depend on whether another thread has just found that out.
        """
        summary = TableSummary(self.columns)
        for name, column in self.columns.items():
            if column.levels is None:
                summary.columns[name].levels = None
        summary.add(batch)
        return summary

    def merge(self, other: TableSummary) -> None:
        """Add the summary of other rows."""
        for name, column in self.columns.items():
            column.merge(other.columns[name])
