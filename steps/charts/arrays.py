"""Columns of tables as arrays of shape (trained partitions, cells), filled as rows come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from steps.charts.curves import Floats

Codes: TypeAlias = NDArray[np.int64]


class Identified(Protocol):
    """An item with rows in the tables."""

    @property
    def identifier(self) -> str:
        """Value of the column ``partition_id``."""


class Names:
    """The distinct texts of a column, in order of appearance."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self._codes)

    def codes(self, rows: pa.Table, column: str) -> Codes:
        """Return the number of each row's text; shape (rows,)."""
        for name in distinct(rows, column):
            self._codes.setdefault(name, len(self._codes))
        return codes_of(rows, column, list(self._codes))


class Layers:
    """One array per column; NaN where there is no row.

    Args:
        partitions: partitions in the order of the first axis.
        columns: names of the columns of numbers.
    """

    def __init__(self, partitions: Sequence[Identified], columns: Sequence[str]) -> None:
        self._identifiers = pa.array([each.identifier for each in partitions], pa.string())
        self._arrays = {name: np.full((len(partitions), 0), np.nan) for name in columns}
        self.scale = ""

    def __getitem__(self, column: str) -> Floats:
        return self._arrays[column]

    @property
    def width(self) -> int:
        """Cells of a partition so far."""
        return int(next(iter(self._arrays.values())).shape[1])

    def widen(self, width: int) -> None:
        """Make room for more cells if needed."""
        more = width - self.width
        if more > 0:
            for name, array in self._arrays.items():
                self._arrays[name] = np.pad(array, ((0, 0), (0, more)), constant_values=np.nan)

    def put(self, rows: pa.Table, cells: Codes) -> None:
        """Put rows into the arrays.

        Args:
            rows: table with ``partition_id``, ``scale`` and the columns.
            cells: cell of each row; shape (rows,).
        """
        self.widen(int(cells.max(initial=-1)) + 1)
        places = _codes(rows, "partition_id", self._identifiers), cells
        for name, array in self._arrays.items():
            array[places] = numbers_of(rows, name)
        self.scale = self.scale or next(filter(None, distinct(rows, "scale")), "")


# --- columns --------------------------------------------------------------------------------


def numbers_of(table: pa.Table, name: str) -> Floats:
    """Return a column as floats, NaN where it is empty."""
    column = table[name]
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    result: Floats = pc.cast(column, pa.float64()).to_numpy().astype(np.float64)
    return result


def texts_of(table: pa.Table, name: str) -> list[str]:
    """Return a column as text, the empty string where it is empty."""
    result: list[str] = _filled(table, name).to_pylist()
    return result


def codes_of(table: pa.Table, name: str, values: Sequence[str]) -> Codes:
    """Return the position of each row's text among ``values``."""
    return _codes(table, name, pa.array(values, pa.string()))


def distinct(table: pa.Table, name: str) -> list[str]:
    """Return the distinct texts of a column, in order of appearance."""
    result: list[str] = pc.unique(_filled(table, name)).to_pylist()
    return result


def where(table: pa.Table, name: str, value: str) -> pa.Table:
    """Return the rows that have one text in a column."""
    return table.filter(pc.equal(_filled(table, name), value))


def among(table: pa.Table, name: str, values: Sequence[str]) -> pa.Table:
    """Return the rows that have one of some texts in a column."""
    return table.filter(pc.is_in(_filled(table, name), value_set=pa.array(values, pa.string())))


def known(table: pa.Table, partitions: Sequence[Identified]) -> pa.Table:
    """Return the rows of some partitions."""
    return among(table, "partition_id", [each.identifier for each in partitions])


def _codes(table: pa.Table, name: str, values: pa.Array) -> Codes:
    found: Codes = pc.index_in(_filled(table, name), value_set=values).to_numpy().astype(np.int64)
    return found


def _filled(table: pa.Table, name: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.cast(table[name], pa.string()), "")
