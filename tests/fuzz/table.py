"""A random table as plain Python values, and the ways in which it is written as files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

Cell: TypeAlias = int | float | str | bool | None
"""A canonical cell. A date is its number of days since 1970, a timestamp its microseconds."""

Kind = Literal["int64", "float64", "string", "bool", "date", "timestamp"]
Format = Literal["csv", "parquet", "arrow", "xlsx"]


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: any text.
        kind: its type in formats with types.
        cells: canonical cells, None for missing.
        texts: how a CSV file contains each cell; of a missing cell only ``nan`` has a meaning.
        arrow: Arrow type in formats with types, such as ``timestamp[ns, Europe/Paris]``.
        nanos: nanoseconds that a timestamp of that type has in addition; empty for none.
    """

    name: str
    kind: Kind
    cells: tuple[Cell, ...]
    texts: tuple[str, ...]
    arrow: str
    nanos: tuple[int, ...] = ()

    def take(self, rows: Iterable[int]) -> Column:
        """Return a column of some of the rows."""
        chosen = list(rows)
        return replace(
            self,
            cells=tuple(self.cells[row] for row in chosen),
            texts=tuple(self.texts[row] for row in chosen),
            nanos=tuple(self.nanos[row] for row in chosen) if self.nanos else (),
        )

    @property
    def known(self) -> list[Cell]:
        """The cells that are not missing."""
        return [cell for cell in self.cells if cell is not None]


@dataclass(frozen=True)
class Dialect:
    """How CSV files are written.

    Attributes:
        delimiter: separator of the cells.
        comma: numbers have a decimal comma.
        encoding: a Python encoding.
        named: the spec names encoding, delimiter and decimal separator.
        quote_all: every cell is quoted that is not missing, or has the text ``missing``.
        newline: end of a line.
        suffix: ``.csv``, ``.csv.gz`` and so on.
        missing: text of a missing cell, which ``null_values`` lists unless it is empty.
        title: lines above the header, which ``skip_lines`` counts.
        sep_line: the file begins with a line such as ``sep=;``.
    """

    delimiter: str = ","
    comma: bool = False
    encoding: str = "utf-8"
    named: bool = False
    quote_all: bool = False
    newline: str = "\n"
    suffix: str = ".csv"
    missing: str = ""
    title: int = 0
    sep_line: bool = False


@dataclass(frozen=True)
class Variant:
    """One way to write a table.

    Attributes:
        format: the file format.
        seed: decides the order of rows, files and columns, and which file has a row.
        files: number of files.
        gap: a column that is wholly missing in the first file; empty for none.
        folder: a column whose values are names of folders; empty for none.
        empty_file: one more file has a header and no rows.
        dialect: how CSV files are written.
    """

    format: Format
    seed: int
    files: int = 1
    gap: str = ""
    folder: str = ""
    empty_file: bool = False
    dialect: Dialect = field(default_factory=Dialect)


@dataclass(frozen=True)
class Table:
    """A table, the roles of its columns, and the ways in which it is written.

    Attributes:
        seed: the seed that it was generated from.
        columns: columns of equal length.
        partition_by: name of the partition column.
        target: name of the target.
        row_id: name of a feature with a number per distinct row.
        group: column of groups; empty for none.
        time: column of times; empty for none.
        listed: the spec lists the features.
        evaluation: ``evaluate`` of the spec, without ``group`` and ``time``.
        variants: two or more.
    """

    seed: int
    columns: tuple[Column, ...]
    partition_by: str
    target: str
    row_id: str
    group: str
    time: str
    listed: bool
    evaluation: dict[str, Any]
    variants: tuple[Variant, ...]

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0].cells)

    def column(self, name: str) -> Column:
        """Return the column of a name."""
        return next(each for each in self.columns if each.name == name)

    @property
    def features(self) -> list[str]:
        """Names of the features, in the order of the columns."""
        others = {self.partition_by, self.target, self.group, self.time}
        return [each.name for each in self.columns if each.name not in others]

    def map_columns(self, change: Callable[[Column], Column]) -> Table:
        """Return a table with other columns."""
        return replace(self, columns=tuple(change(column) for column in self.columns))

    def take(self, rows: Iterable[int]) -> Table:
        """Return a table of some of the rows."""
        chosen = list(rows)
        return self.map_columns(lambda column: column.take(chosen))
