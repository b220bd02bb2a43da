"""Files as a source: one table in one or more files of one format.

Types come from all rows of all files. A file of text (CSV, Excel) is read once to infer them. Files
with types of their own (Parquet, Arrow) are joined: null with anything, int64 with float64.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from steps.errors import DataError, Problem, SettingError, SpecError
from steps.table.column_type import NUMBER_FORMATS, ColumnType
from steps.table.convert import convert_column, is_text, with_nulls
from steps.table.text_conversion import parse_text
from steps.table.text_types import MixedTextError, TextEvidence
from steps.table.time_text import TimeFormats
from steps.table.types import ARROW_TYPES, canonical_type

BATCH_ROWS = 65_536
"""Maximum number of rows in a batch, which then fits into the processor's cache."""


@dataclass(frozen=True)
class SourceFile:
    """A file of a source.

    Attributes:
        path: a local path.
        folders: columns that the names of its folders give, such as ``region=eu``; None for a
            missing value.
    """

    path: Path
    folders: tuple[tuple[str, str | None], ...] = ()


class FileFormat(Protocol):
    """A format of tables in files. Implementations can be pickled."""

    @property
    def text(self) -> bool:
        """True if the files contain text only, so types have to be inferred."""

    @property
    def parses(self) -> bool:
        """True if the format converts text itself, which is faster."""

    def schema(self, path: Path) -> pa.Schema:
        """Return the columns of a file; their types matter unless the format is text.

        Raises:
            DataError: the file is damaged or empty.
        """

    def batches(
        self, path: Path, columns: Sequence[str], types: Mapping[str, pa.DataType]
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a file with the named columns.

        Args:
            path: the file.
            columns: names of the columns.
            types: columns of text that the format can parse itself, with their types.

        Raises:
            DataError: the file is damaged, or a cell does not fit its type.
        """

    def rows(self, path: Path) -> int | None:
        """Return the number of rows if it is known without reading them."""

    def decimal_comma(self, path: Path) -> bool | None:
        """Return whether numbers of the file have a decimal comma; None to decide by its cells."""


@dataclass(frozen=True)
class Settings:
    """How the cells of a source are read.

    Attributes:
        types: type of a column, from the spec.
        null_values: texts that mean missing, for formats with types of their own.
        time: the column that orders rows in time, whose text must be a date; None for none.
    """

    types: Mapping[str, ColumnType] = field(default_factory=dict)
    null_values: tuple[str, ...] = ()
    time: str | None = None


@dataclass(frozen=True)
class Reading:
    """How one column of every file becomes a column of the table.

    Attributes:
        arrow: Arrow type of the result; a type that no model can use is kept.
        kind: type to convert to; None to keep the values.
        direct: the format parses the text itself.
    """

    arrow: pa.DataType
    kind: ColumnType | None = None
    direct: bool = False


@dataclass(frozen=True)
class FilePiece:
    """One file, with the types of all files together."""

    file: SourceFile
    format: FileFormat
    readings: tuple[tuple[str, Reading], ...]
    null_values: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Path of the file."""
        return self.file.path

    def at(self, path: Path) -> FilePiece:
        """Return the piece of a copy of the file."""
        return replace(self, file=replace(self.file, path=path))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See ``SourcePiece.batches``."""
        folders = dict(self.file.folders)
        stored = [name for name, _ in self.readings if name not in folders]
        direct = {name: reading.arrow for name, reading in self.readings if reading.direct}
        for batch in self.format.batches(self.path, stored, direct):
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield self._converted(batch.slice(start, BATCH_ROWS), folders)

    def _converted(
        self, batch: pa.RecordBatch, folders: Mapping[str, str | None]
    ) -> pa.RecordBatch:
        arrays = []
        for name, reading in self.readings:
            if name in folders:
                column = pa.repeat(pa.scalar(folders[name], pa.string()), batch.num_rows)
            else:
                column = with_nulls(batch.column(name), self.null_values)
            if reading.kind is not None and not reading.direct:
                column = self._convert(name, column, reading.kind)
            arrays.append(column)
        return pa.RecordBatch.from_arrays(arrays, names=[name for name, _ in self.readings])

    def _convert(self, name: str, column: pa.Array, kind: ColumnType) -> pa.Array:
        try:
            return convert_column(name, column, kind)
        except DataError as error:
            error.message = f"{str(self.path)!r}: {error.message}"
            raise


class FileSource:
    """One or more files that contain one table.

    Args:
        files: the files.
        file_format: their format.
        settings: how cells are read.
    """

    def __init__(
        self, files: Sequence[SourceFile], file_format: FileFormat, settings: Settings
    ) -> None:
        self.files, self.format, self.settings = list(files), file_format, settings

    def fingerprint(self) -> str:
        """See ``Source.fingerprint``; names and order do not matter, except names of folders."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        """Digest of the files' bytes, cached because computing it reads all of them."""
        digests = sorted(
            _file_digest(file.path) + (repr(file.folders) if file.folders else "")
            for file in self.files
        )
        return hashlib.sha256("".join(digests).encode()).hexdigest()[:32]

    def rows(self) -> int | None:
        """See ``Source.rows``."""
        counts = [self.format.rows(file.path) for file in self.files]
        known = [count for count in counts if count is not None]
        return sum(known) if len(known) == len(counts) else None

    def schema(self) -> pa.Schema:
        """See ``Source.schema``; reads files of text once to infer types."""
        return pa.schema([(name, reading.arrow) for name, reading in self._readings.items()])

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``."""
        for piece in self.pieces(columns):
            yield from piece.batches()

    def pieces(self, columns: list[str]) -> list[FilePiece]:
        """See ``Source.pieces``; one piece per file."""
        readings = tuple((name, self._readings[name]) for name in columns)
        nulls = self.settings.null_values
        return [FilePiece(file, self.format, readings, nulls) for file in self.files]

    @cached_property
    def _readings(self) -> dict[str, Reading]:
        """How each column is read, in the order of the first file."""
        schemas = [self.format.schema(file.path) for file in self.files]
        names = _common_names(self.files, schemas)
        folders = dict(self.files[0].folders)
        reject_unknown_types(self.settings.types, [*names, *folders])
        inferred = self._inferred(names) if self.format.text else {}
        readings = {}
        for name in [*names, *folders]:
            kind = self.settings.types.get(name)
            if kind is not None:
                readings[name] = _declared(kind, self.format)
            elif name in folders:
                values = pa.array([dict(file.folders)[name] for file in self.files], pa.string())
                readings[name] = _reading(_folder_type(values))
            elif self.format.text:
                readings[name] = inferred[name]
            else:
                types = [each.field(name).type for each in schemas]
                readings[name] = _joined(name, self.files, types)
        time = self.settings.time
        if time in readings and is_text(readings[time].arrow):
            readings[time] = _reading(self._time_type(time))
        return readings

    def _inferred(self, names: Sequence[str]) -> dict[str, Reading]:
        """Return how each column of text is read, from all rows of all files."""
        comma: bool | None = None
        for file in self.files:
            comma = _either(comma, self.format.decimal_comma(file.path))
        evidence = {
            name: TextEvidence(commas=comma is not False)
            for name in names
            if name not in self.settings.types
        }
        text = dict.fromkeys(evidence, pa.string())
        for file in self.files if evidence else []:
            for batch in self.format.batches(file.path, list(evidence), text):
                for name, column in zip(batch.schema.names, batch.columns, strict=True):
                    evidence[name].add(column)
        if comma is None:
            comma = any(each.has_decimal_comma for each in evidence.values())
        return {
            name: self._inferred_reading(name, each, decimal_comma=comma)
            for name, each in evidence.items()
        }

    def _inferred_reading(
        self, name: str, evidence: TextEvidence, *, decimal_comma: bool
    ) -> Reading:
        parses = self.format.parses
        try:
            kind = evidence.column_type(decimal_comma=decimal_comma)
        except MixedTextError as error:
            raise mixed_error(self._file_with(name, error.cell), name, error) from error
        if kind is None:
            return Reading(pa.float64(), ColumnType("float64"), parses)
        plus = evidence.plus and kind.canonical == "int64"
        if not parses or kind.notation is not None or evidence.nanoseconds or plus:
            return _reading(kind)
        if kind.canonical == "timestamp":  # Arrow wants to know whether there is a zone
            return Reading(
                pa.timestamp("us", "UTC" if True in evidence.zones else None), kind, True
            )
        return Reading(ARROW_TYPES[kind.canonical], kind, True)

    def _file_with(self, name: str, cell: str) -> Path:
        """Return the first file whose column has a cell."""
        for file in self.files[:-1]:
            for batch in self.format.batches(file.path, [name], {}):
                cells = pc.utf8_trim_whitespace(batch.column(name))
                if pc.any(pc.equal(cells, cell), min_count=0).as_py():
                    return file.path
        return self.files[-1].path

    def _time_type(self, name: str) -> ColumnType:
        """Return how the text of the time column is written.

        Raises:
            SpecError: it is written in no known way, or in more than one.
        """
        formats = TimeFormats()
        readings = ((name, Reading(pa.string())),)
        for file in self.files:
            piece = FilePiece(file, self.format, readings, self.settings.null_values)
            for batch in piece.batches():
                formats.add(batch.column(name))
        possible = formats.possible
        if len(possible) == 1:
            return possible[0]
        raise SpecError("the spec", [time_problem(name, possible)])


def time_problem(name: str, possible: Sequence[ColumnType]) -> Problem:
    """Return the problem of a time column that is text."""
    if possible:
        choices = " or ".join(each.setting(name) for each in possible)
        return Problem(
            "evaluate.time",
            f"{name!r} is text that can be read as {' and as '.join(map(str, possible))}, and the "
            "order of the rows depends on it",
            f"Set {choices}.",
        )
    return Problem(
        "evaluate.time",
        f"{name!r} is text, which has no order in time",
        f"Write it as 2024-01-31, or set dataset.types: {{{name!r}: date(%d/%m/%Y)}} with the "
        "format of its dates.",
    )


def _either(one: bool | None, other: bool | None) -> bool | None:
    """Return what the files agree on; True as soon as one of them says so."""
    if one is None or other is None:
        return other if one is None else one
    return one or other


def _reading(kind: ColumnType) -> Reading:
    return Reading(ARROW_TYPES[kind.canonical], kind)


def _declared(kind: ColumnType, file_format: FileFormat) -> Reading:
    """Return how a column is read whose type the spec gives."""
    plain = kind.notation is None and kind.canonical in {"int64", "float64", "string"}
    return Reading(ARROW_TYPES[kind.canonical], kind, direct=file_format.parses and plain)


def mixed_error(path: Path, name: str, error: MixedTextError) -> DataError:
    """Return the error for a column that is nearly all numbers or dates."""
    column = f"{str(path)!r}: column {name!r}"
    if error.kind == "zones":
        return SettingError(
            f"{column} contains times with a time zone and times without one.",
            hint=f"Write all of them alike, or set dataset.types: {{{name!r}: timestamp}}, which "
            "takes times without a zone for UTC.",
            setting="types",
            value="timestamp",
            column=name,
        )
    if error.kind == "decimals":
        return SettingError(
            f"{column} contains decimal numbers and {error.cell}, which has more digits "
            "than a decimal number can hold.",
            hint=f"If the column is a code, set dataset.types: {{{name!r}: string}}. If it is a "
            f"number, set dataset.types: {{{name!r}: float64}}, which rounds it.",
            setting="types",
            value="string",
            column=name,
            cell=error.cell,
        )
    notations = (ColumnType("float64", each) for each in NUMBER_FORMATS)
    cell = pa.array([error.cell])
    written = [each for each in notations if not parse_text(cell, each).null_count]
    number = f"If it is a number, set {written[0].setting(name)}. " if written else ""
    nulls = list(dict.fromkeys(["", error.cell]))
    return SettingError(
        f"{column} is read as text because of a few cells, such as {error.cell!r}; most are "
        f"{error.kind}.",
        hint=f"{number}If {error.cell!r} means missing, set dataset.null_values: "
        f"{nulls}. If the column is text, set dataset.types: {{{name!r}: string}}.",
        setting="types",
        value=str(written[0]) if written else "string",
        column=name,
        cell=error.cell,
    )


def _folder_type(values: pa.Array) -> ColumnType:
    """Return the type of a column that folder names give; text unless all are numbers or dates."""
    evidence = TextEvidence()
    evidence.add(values)
    try:
        return evidence.column_type() or ColumnType("string")
    except MixedTextError:
        return ColumnType("string")


def _joined(name: str, files: Sequence[SourceFile], types: Sequence[pa.DataType]) -> Reading:
    """Return the common type of a column in all files: null fits any, int64 fits float64.

    Raises:
        DataError: there is none.
    """
    known = [kind for kind in types if not pa.types.is_null(kind)]
    if len(set(types)) == 1 or not known:
        return Reading(types[0])
    try:
        canonical = [
            None if pa.types.is_null(kind) else canonical_type(name, kind) for kind in types
        ]
    except DataError:
        return Reading(known[0])  # an error only if the column has a role
    found = {kind for kind in canonical if kind is not None}
    if found <= {"int64", "float64"}:
        return _reading(ColumnType("float64" if "float64" in found else "int64"))
    if len(found) == 1:
        return _reading(ColumnType(found.pop()))
    first = next(i for i, kind in enumerate(canonical) if kind is not None)
    other = next(i for i, kind in enumerate(canonical) if kind not in {None, canonical[first]})
    raise SettingError(
        f"Column {name!r} is {types[first]} in {str(files[first].path)!r}, but {types[other]} in "
        f"{str(files[other].path)!r}: no type holds both.",
        hint=f"Write the files with one type, or set dataset.types: {{{name!r}: string}}.",
        setting="types",
        value="string",
        column=name,
    )


def _common_names(files: Sequence[SourceFile], schemas: Sequence[pa.Schema]) -> list[str]:
    """Return the column names of the first file, after checking that all files have them."""
    first = schemas[0].names
    duplicates = sorted({name for name in first if first.count(name) > 1})
    if duplicates:
        raise DataError(
            f"{str(files[0].path)!r} has more than one column {', '.join(map(repr, duplicates))}, "
            "so a spec cannot refer to one of them.",
            hint="Rename the columns in the source.",
        )
    for file, schema in zip(files[1:], schemas[1:], strict=True):
        _reject_different_columns(files[0].path, first, file.path, schema.names)
    both = sorted(set(first) & {name for name, _ in files[0].folders})
    if both:
        raise DataError(
            f"The column {both[0]!r} is in {str(files[0].path)!r} and in the names of its folders.",
            hint="Remove it from one of the two.",
        )
    return list(first)


def _reject_different_columns(
    first: Path, names: Sequence[str], other: Path, other_names: Sequence[str]
) -> None:
    if set(names) == set(other_names):
        return
    differences = [
        f"only {str(path)!r} has {', '.join(map(repr, sorted(only)))}"
        for path, only in (
            (first, set(names) - set(other_names)),
            (other, set(other_names) - set(names)),
        )
        if only
    ]
    raise DataError(
        f"Two files have different columns: {', and '.join(differences)}. All files of a "
        "folder must have the same columns."
    )


def reject_unknown_types(types: Mapping[str, ColumnType], names: Sequence[str]) -> None:
    """Reject a column in ``dataset.types`` that the source does not have.

    Raises:
        SpecError: there is one.
    """
    problems = []
    for name in types:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            suggestion = f"Did you mean {near[0]!r}? " if near else ""
            message = f"dataset.types names {name!r}, which the source does not contain"
            hint = f"{suggestion}Its columns are {', '.join(map(repr, names[:12]))}."
            problems.append(Problem(f"dataset.types.{name}", message, hint))
    if problems:
        raise SpecError("the spec", problems)


def _file_digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
