"""Convert a column to the type that a spec asks for, with an error that names the cell."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from steps.errors import DataError
from steps.table.column_type import ColumnType
from steps.table.text_conversion import parse_text
from steps.table.types import ARROW_TYPES, canonical_array, canonical_text

_LARGEST_WHOLE = float(1 << 53)
"""Up to this number, a float64 holds every whole number."""


def with_nulls(column: pa.Array, null_values: Sequence[str]) -> pa.Array:
    """Return a column in which texts that mean missing are null; other types are unchanged."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not null_values or not is_text(column.type):
        return column
    missing = pc.is_in(column, pa.array(null_values, column.type))
    return pc.if_else(missing, pa.scalar(None, column.type), column)


def is_text(kind: pa.DataType) -> bool:
    """Return True for every Arrow type of text."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def convert_column(name: str, column: pa.Array, kind: ColumnType) -> pa.Array:
    """Convert a column of any Arrow type to a type of the spec.

    Raises:
        DataError: a cell does not fit the type.
    """
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if is_text(column.type):
        return _from_text(name, column.cast(pa.string()), kind)
    if pa.types.is_null(column.type):
        return pa.nulls(len(column), ARROW_TYPES[kind.canonical])
    column = canonical_array(name, column)
    if kind.canonical == "string":
        return _texts(column)
    if kind.notation is not None:
        raise DataError(
            f"dataset.types reads {name!r} as {kind}, but the source has no text in it: its type "
            f"is {column.type}.",
            hint=f"Use one of {', '.join(ARROW_TYPES)}, or leave {name!r} out of dataset.types.",
        )
    return _cast(name, column, kind)


def _from_text(name: str, column: pa.Array, kind: ColumnType) -> pa.Array:
    parsed = parse_text(column, kind)
    if parsed.null_count > column.null_count:
        lost = column.filter(pc.and_(parsed.is_null(), column.is_valid()))
        raise cell_error(name, lost[0].as_py(), kind)
    return parsed


def cell_error(name: str, cell: str, kind: ColumnType) -> DataError:
    """Return the error for a cell that does not fit its column's type in the spec."""
    return DataError(
        f"Column {name!r} is read as {kind}, but contains {cell!r}.",
        hint=f"If {cell!r} means missing, add it to dataset.null_values. Otherwise correct "
        f"{kind.setting(name)}.",
    )


def _texts(column: pa.Array) -> pa.Array:
    """Return canonical texts; a whole number has no decimal point, whatever its type."""
    encoded = column.dictionary_encode()
    texts = [_text(value) for value in encoded.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(encoded.indices)


def _text(value: object) -> str:
    if isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST_WHOLE:
        return str(int(value))
    return canonical_text(value)


def _cast(name: str, column: pa.Array, kind: ColumnType) -> pa.Array:
    target = ARROW_TYPES[kind.canonical]
    try:
        return column.cast(target)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(
            f"Column {name!r} ({column.type}) cannot be read as {kind}: {error}.",
            hint=f"Correct {kind.setting(name)}, or the value in the source.",
        ) from error
