"""Canonical types: every source type is converted to one of six, so equal tables give one dataset.

int64, float64, string, bool, timestamp (microseconds, UTC) and date. NaN is null, -0.0 is 0.0, an
empty string is not null.
"""

from __future__ import annotations

import warnings
from datetime import UTC, date, datetime

import pyarrow as pa
import pyarrow.compute as pc

from steps.errors import DataError

ARROW_TYPES: dict[str, pa.DataType] = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "date": pa.date32(),
}
"""The Arrow type of each canonical type."""

_EXACT_DECIMAL_DIGITS = 15
"""Number of decimal digits that a float64 always preserves (IEEE 754, DBL_DIG)."""


class PrecisionWarning(UserWarning):
    """A source value loses precision in its canonical type."""


def canonical_type(name: str, arrow_type: pa.DataType) -> str:
    """Return the canonical type of an Arrow type.

    Raises:
        DataError: there is none, such as for a list or a struct.
    """
    for canonical, matches in _MATCHES:
        if any(match(arrow_type) for match in matches):
            return canonical
    if pa.types.is_dictionary(arrow_type):
        return canonical_type(name, arrow_type.value_type)
    raise DataError(
        f"Column {name!r} has the type {arrow_type}, which no model can use. Allowed are whole and "
        "decimal numbers, strings, booleans, dates and timestamps.",
        hint="Exclude it (features: {exclude: [...]}), or convert it to one of these types.",
    )


_MATCHES = (
    ("int64", (pa.types.is_integer,)),
    ("float64", (pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)),
    ("string", (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)),
    ("bool", (pa.types.is_boolean,)),
    ("timestamp", (pa.types.is_timestamp,)),
    ("date", (pa.types.is_date,)),
)


def canonical_array(name: str, array: pa.Array) -> pa.Array:
    """Convert a column to its canonical type.

    Raises:
        DataError: an unsupported type, text that is not UTF-8, an infinity, or an integer beyond
            64 bits.
    """
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    canonical = canonical_type(name, array.type)
    try:
        convert = _CONVERT.get(canonical)
        return convert(name, array) if convert else array.cast(ARROW_TYPES[canonical])
    except pa.ArrowInvalid as error:
        raise DataError(
            f"Column {name!r} ({array.type}) cannot be read as {canonical}: {error}.",
            hint="Correct the value in the source, or exclude the column: features: "
            f"{{exclude: [{name}]}}.",
        ) from error


def _floats(name: str, array: pa.Array) -> pa.Array:
    if pa.types.is_decimal(array.type) and array.type.precision > _EXACT_DECIMAL_DIGITS:
        _warn(name, f"{array.type} becomes float64, which holds 15 digits")
    if pa.types.is_decimal(array.type):  # Arrow's own cast is not always to the nearest number
        array = array.cast(pa.string())
    numbers = pc.add(array.cast(pa.float64()), 0.0)  # -0.0 + 0.0 is 0.0
    finite = pc.is_finite(numbers)
    if pc.all(finite, min_count=0).as_py():
        return numbers
    if pc.any(pc.is_inf(numbers), min_count=0).as_py():
        raise DataError(
            f"Column {name!r} contains an infinite value, so no mean or loss can be computed.",
            hint="Replace infinite values with a number or a missing value in the source.",
        )
    return pc.if_else(finite, numbers, pa.scalar(None, pa.float64()))


def _strings(name: str, array: pa.Array) -> pa.Array:
    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise DataError(
            f"Column {name!r} contains text that is not valid UTF-8.",
            hint="Write the source with UTF-8 encoding.",
        ) from error
    return array.cast(pa.string())


def _timestamps(name: str, array: pa.Array) -> pa.Array:
    utc = array if array.type.tz is None else array.cast(pa.timestamp(array.type.unit, "UTC"))
    exact = utc
    if array.type.unit == "ns":  # a cast rounds towards 1970, and text is cut: floor both
        exact = pc.floor_temporal(utc, 1, "microsecond")
        if not exact.equals(utc):
            _warn(name, "nanoseconds are truncated to microseconds")
    exact = exact.cast(pa.timestamp("us", utc.type.tz))
    return pc.assume_timezone(exact, "UTC") if utc.type.tz is None else exact


_CONVERT = {"float64": _floats, "string": _strings, "timestamp": _timestamps}
"""Conversions that check more than a cast to the Arrow type."""


def _warn(name: str, message: str) -> None:
    warnings.warn(f"column {name!r}: {message}", PrecisionWarning, stacklevel=2)


def canonical_batch(batch: pa.RecordBatch, types: dict[str, str]) -> pa.RecordBatch:
    """Convert the named columns of a batch to their canonical types, in the order of ``types``.

    Raises:
        DataError: see ``canonical_array``.
    """
    arrays = [canonical_array(name, batch.column(name)) for name in types]
    schema = pa.schema([(name, ARROW_TYPES[kind]) for name, kind in types.items()])
    return pa.RecordBatch.from_arrays(
        [array.cast(field.type) for array, field in zip(arrays, schema, strict=True)],
        schema=schema,
    )


def canonical_text(value: object) -> str:
    """Return the text of a value that is not null, independent of the source and without loss.

    Numbers have their shortest exact form, booleans are true and false, and dates and timestamps
    are in ISO 8601, the latter in UTC with a Z.
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)
