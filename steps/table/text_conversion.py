"""Convert text to numbers, dates and times, strictly: a cell that does not fit has no value.

Arrow's own ``strptime`` takes 31/02/2024 for March 2, and ``24`` for the year 24, so dates are read
part by part here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from steps.table.column_type import MINUS, ColumnType, NumberFormat, TimeFormat, month_number

Integers = NDArray[np.int64]

WHOLE_NUMBER = r"^[+-]?[0-9]+$"
PLAIN_NUMBER = (
    r"^\s*[+-]?(?:[0-9]+\.?[0-9]*(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?"
    r"|(?i:nan|inf|infinity))\s*$"
)
"""What Arrow reads as a number."""
ISO_TIME = (
    r"^\s*[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[ T][0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2}(?:\.[0-9]{1,9})?)?)?"
    r"(?P<zone>Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?\s*$"
)
"""A date or time in ISO 8601."""
_MORE_THAN_MICROSECONDS = r"(\.[0-9]{6})[0-9]+"
_MISSING = np.iinfo(np.int64).min
_CENTURY_STARTS = 69
"""POSIX: the two-digit years 69 to 99 are 1969 to 1999, the others 2000 to 2068."""


def parse_text(column: pa.Array, kind: ColumnType) -> pa.Array:
    """Read a text column as a type; null for a cell that does not fit, and for a null.

    Returns:
        An array of the canonical type; float64 may contain NaN and infinities.
    """
    encoded = column.dictionary_encode()
    values = _parse_distinct(encoded.dictionary, kind)
    return values.take(encoded.indices)


def _parse_distinct(texts: pa.Array, kind: ColumnType) -> pa.Array:
    if isinstance(kind.notation, NumberFormat):
        return _numbers(texts, kind.notation)
    if isinstance(kind.notation, TimeFormat):
        return _times(texts, kind.notation)
    if kind.canonical == "string":
        return texts
    return _PLAIN[kind.canonical](pc.utf8_trim_whitespace(texts))


def _where(texts: pa.Array, pattern: str) -> pa.Array:
    """Return the texts that match, null for the others."""
    return pc.if_else(pc.match_substring_regex(texts, pattern), texts, pa.scalar(None, pa.string()))


def _integers(texts: pa.Array) -> pa.Array:
    whole = _where(texts, WHOLE_NUMBER)
    digits = pc.utf8_ltrim(whole, "+")
    try:
        return digits.cast(pa.int64())
    except pa.ArrowInvalid:  # beyond 64 bits
        return pa.array([_fitting(text) for text in digits.to_pylist()], pa.int64())


def _fitting(text: str | None) -> int | None:
    number = None if text is None else int(text)
    return number if number is not None and -(2**63) <= number < 2**63 else None


def _floats(texts: pa.Array) -> pa.Array:
    return _where(texts, PLAIN_NUMBER).cast(pa.float64())


def _booleans(texts: pa.Array) -> pa.Array:
    lower = pc.utf8_lower(texts)
    true = pc.is_in(lower, pa.array(["true", "1"]))
    known = pc.or_(true, pc.is_in(lower, pa.array(["false", "0"])))
    return pc.if_else(known, true, pa.scalar(None, pa.bool_()))


def _dates(texts: pa.Array) -> pa.Array:
    return _times(_where(texts, ISO_TIME), TimeFormat("date", "%Y-%m-%d"))


def iso_timestamps(texts: pa.Array) -> pa.Array:
    """Read ISO 8601; a time without a zone is in UTC, and digits beyond microseconds are cut."""
    cut = pc.replace_substring_regex(texts, _MORE_THAN_MICROSECONDS, r"\1")
    zone = pc.struct_field(pc.extract_regex(cut, ISO_TIME), "zone")
    has_zone = pc.fill_null(pc.not_equal(zone, ""), False)
    parsed = [
        pa.array([_timestamp(text, kind) for text in chosen.to_pylist()], kind)
        if _cast_fails(chosen, kind)
        else chosen.cast(kind)
        for kind, chosen in (
            (pa.timestamp("us", "UTC"), pc.if_else(has_zone, cut, None)),
            (pa.timestamp("us"), pc.if_else(has_zone, None, _where(cut, ISO_TIME))),
        )
    ]
    return pc.coalesce(parsed[0], pc.assume_timezone(parsed[1], "UTC"))


def _cast_fails(texts: pa.Array, kind: pa.DataType) -> bool:
    try:
        texts.cast(kind)
    except pa.ArrowInvalid:
        return True
    return False


def _timestamp(text: str | None, kind: pa.DataType) -> Any:  # noqa: ANN401 - a scalar
    try:
        return None if text is None else pa.scalar(text).cast(kind).as_py()
    except pa.ArrowInvalid:  # February 31
        return None


_PLAIN = {
    "int64": _integers,
    "float64": _floats,
    "bool": _booleans,
    "date": _dates,
    "timestamp": iso_timestamps,
}


def _numbers(texts: pa.Array, notation: NumberFormat) -> pa.Array:
    parts = pc.extract_regex(texts, notation.cell)
    digits = pc.struct_field(parts, "digits")
    if notation.thousands:
        separators = "[ \u00a0\u202f]" if notation.thousands.isspace() else None
        digits = (
            pc.replace_substring_regex(digits, separators, "")
            if separators
            else pc.replace_substring(digits, notation.thousands, "")
        )
    numbers = pc.replace_substring(digits, notation.decimal, ".").cast(pa.float64())
    signs = [pc.struct_field(parts, name) for name in ("open", "sign", "inner", "after")]
    minus = [pc.is_in(sign, pa.array(["(", "-", MINUS])) for sign in signs]
    negative = functools.reduce(pc.xor, minus)
    return pc.if_else(negative, pc.negate(numbers), numbers)


def _times(texts: pa.Array, notation: TimeFormat) -> pa.Array:
    """Return days, or microseconds in UTC, from the parts of each text."""
    parts = pc.extract_regex(texts, notation.cell)
    names = [field.name for field in parts.type]
    known = parts.is_valid().to_numpy(zero_copy_only=False)

    def numbers(name: str, default: int = 0) -> Integers:
        if name not in names:
            return np.full(len(texts), default, np.int64)
        column = pc.struct_field(parts, name).fill_null("0")
        return np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False))

    year, month, day = numbers("year"), numbers("month"), numbers("day", 1)
    if "short" in names:
        short = numbers("short")
        year = np.where(short >= _CENTURY_STARTS, 1900, 2000) + short
    if "name" in names:
        month = _coded(pc.struct_field(parts, "name"), month_number)
    if "quarter" in names:
        month = 3 * numbers("quarter") - 2
    if "week" in names:
        return _weeks(year, numbers("week"), known)
    known &= (year >= 1) & (month >= 1) & (month <= 12) & (day >= 1)  # noqa: PLR2004
    year, month = np.where(known, year, 1970), np.where(known, month, 1)
    known &= day <= _days_in_month(year, month)
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]").astype("datetime64[D]")
    days = first.astype(np.int64) + np.where(known, day, 1) - 1
    if notation.kind == "date":
        return pa.array(days.astype(np.int32), pa.int32(), mask=~known).cast(pa.date32())
    seconds, valid = _seconds(parts, names, numbers)
    micros = days * 86_400_000_000 + seconds
    zone = pa.timestamp("us", "UTC")
    return pa.array(micros, pa.int64(), mask=~(known & valid)).cast(zone)


def _weeks(year: Integers, week: Integers, known: NDArray[np.bool_]) -> pa.Array:
    """Return the Mondays of ISO weeks; null for a week that its year does not have."""
    days: list[date | None] = []
    for exists, y, w in zip(known.tolist(), year.tolist(), week.tolist(), strict=True):
        try:
            days.append(date.fromisocalendar(y, w, 1) if exists else None)
        except ValueError:
            days.append(None)
    return pa.array(days, pa.date32())


def _days_in_month(year: Integers, month: Integers) -> Integers:
    first = ((year - 1970) * 12 + month - 1).astype("datetime64[M]")
    following = (first + 1).astype("datetime64[D]")
    days: Integers = (following - first.astype("datetime64[D]")).astype(np.int64)
    return days


def _seconds(
    parts: pa.Array, names: list[str], numbers: Callable[[str], Integers]
) -> tuple[Integers, NDArray[np.bool_]]:
    """Return the microseconds since midnight, and where the time of day exists."""
    hour, minute = numbers("hour"), numbers("minute")
    valid = (hour < 24) & (minute < 60)  # noqa: PLR2004
    if "half" in names:
        afternoon = _coded(pc.struct_field(parts, "half"), lambda text: text.lower() == "p")
        valid &= (hour >= 1) & (hour <= 12)  # noqa: PLR2004
        hour = hour % 12 + 12 * afternoon
    micros: Integers = np.zeros(len(parts), np.int64)
    if "second" in names:
        texts = pc.replace_substring(pc.struct_field(parts, "second").fill_null("0"), ",", ".")
        seconds = texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
        micros = np.floor(np.round(seconds * 1e6, 3)).astype(np.int64)
        valid &= seconds < 60  # noqa: PLR2004
    return (hour * 60 + minute) * 60_000_000 + micros, valid


def _coded(column: pa.Array, code: Callable[[str], int]) -> Integers:
    """Return the code of each text, 0 for a null, computing each distinct one once."""
    encoded = column.dictionary_encode()
    table = np.array([*(int(code(text)) for text in encoded.dictionary.to_pylist()), 0], np.int64)
    last = len(encoded.dictionary)
    codes: Integers = table[encoded.indices.fill_null(last).to_numpy(zero_copy_only=False)]
    return codes
