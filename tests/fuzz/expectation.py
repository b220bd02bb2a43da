"""The expected dataset of a table, computed with pandas and plain Python."""

from __future__ import annotations

import datetime as dt
import math
from dataclasses import asdict, dataclass
from typing import Any

import pandas as pd

from tests.fuzz.columns import DAY, day_text
from tests.fuzz.table import Cell, Column, Kind, Table

Statistic = tuple[float, float, float]
"""Smallest, largest and mean value."""


@dataclass(frozen=True)
class Partition:
    """A partition as it should be.

    Attributes:
        kind: type of the key, or ``null``.
        key: canonical text of the key.
        rows: number of rows.
        missing: missing cells per column.
        statistics: of the columns with numbers; a bool counts as 0 or 1, a date as days, a
            timestamp as seconds.
        cells: rows of cells, sorted, in the order of the columns' names.
    """

    kind: str
    key: str
    rows: int
    missing: dict[str, int]
    statistics: dict[str, Statistic]
    cells: list[list[Cell]]


@dataclass(frozen=True)
class Expectation:
    """A dataset as it should be.

    Attributes:
        types: type of each column, by name.
        partitions: sorted by key.
    """

    types: dict[str, str]
    partitions: list[Partition]

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, raw: dict[str, Any]) -> Expectation:
        """Read what ``to_json`` returned."""
        partitions = [
            Partition(
                **{**each, "statistics": {k: tuple(v) for k, v in each["statistics"].items()}}
            )
            for each in raw["partitions"]
        ]
        return cls(raw["types"], partitions)


def expect(table: Table) -> Expectation:
    """Return the dataset that any way to write a table has to give."""
    columns = sorted(table.columns, key=lambda column: column.name)
    types: dict[str, str] = {column.name: column.kind for column in columns}
    frame = pd.DataFrame({column.name: _numbers(column) for column in columns})
    keys = table.column(table.partition_by)
    by_key: dict[str | None, list[int]] = {}
    for row, cell in enumerate(keys.cells):
        by_key.setdefault(None if cell is None else key_text(keys.kind, cell), []).append(row)
    partitions = [
        _partition(columns, keys.kind, key, rows, frame.iloc[rows]) for key, rows in by_key.items()
    ]
    return Expectation(types, sorted(partitions, key=lambda each: (each.kind, each.key)))


def _partition(
    columns: list[Column], kind: Kind, key: str | None, rows: list[int], frame: pd.DataFrame
) -> Partition:
    missing = {column.name: sum(column.cells[row] is None for row in rows) for column in columns}
    statistics: dict[str, Statistic] = {}
    for column in columns:
        numbers = frame[column.name].dropna()
        if column.kind != "string" and len(numbers):
            statistics[column.name] = (
                float(numbers.min()),
                float(numbers.max()),
                math.fsum(numbers) / len(numbers),
            )
    cells = [[column.cells[row] for column in columns] for row in rows]
    return Partition(
        kind="null" if key is None else kind,
        key=key or "",
        rows=len(rows),
        missing=missing,
        statistics=statistics,
        cells=sorted(cells, key=sort_key),
    )


def _numbers(column: Column) -> pd.Series:
    """Return a column as numbers; text has none."""
    if column.kind == "string":
        return pd.Series([None] * len(column.cells), dtype=float)
    unit = 1_000_000 if column.kind == "timestamp" else 1
    numbers = [math.nan if isinstance(x, str) or x is None else x / unit for x in column.cells]
    return pd.Series(numbers, dtype=float)


def sort_key(row: list[Cell]) -> list[tuple[bool, str]]:
    """Return the sort key of a row of cells."""
    return [(cell is None, repr(cell)) for cell in row]


def key_text(kind: Kind, cell: Cell) -> str:
    """Return the canonical text of a partition key."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if kind == "date":
        assert isinstance(cell, int)
        return day_text(cell)
    if kind == "timestamp":
        assert isinstance(cell, int)
        day, micros = divmod(cell, DAY)
        clock = (dt.datetime(2000, 1, 1) + dt.timedelta(microseconds=micros)).time()  # noqa: DTZ001
        return f"{day_text(day)}T{clock.isoformat()}Z"
    return repr(cell) if isinstance(cell, float) else str(cell)
