"""The documented rule for the type of a column of text, in plain Python: the oracle.

All rows of all files decide, never a prefix or the order of files. See "Types" in CHANGELOG.md and
``docs/analysts/spec.md``. Nothing of Refeed is imported.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from typing import Literal, TypeAlias

Inferred: TypeAlias = Literal[
    "int64",
    "float64",
    "string",
    "bool",
    "date",
    "timestamp",
    "error: mixed",
    "error: zones",
    "error: decimals",
]

_WHOLE = re.compile(r"[+-]?\d+", re.ASCII)
_NUMBER = re.compile(
    r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE
)
_COMMA_NUMBER = re.compile(r"[+-]?\d+(?:,\d+)?", re.ASCII)
_LEADING_ZERO = re.compile(r"[+-]?0\d.*", re.ASCII)
_HEXADECIMAL_OR_TELEPHONE = re.compile(r"[+-]?0x[\da-f]+|\+\d{8,}", re.ASCII | re.IGNORECASE)
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)"
    r"(?:[ T](\d\d)(?::?(\d\d)(?::?(\d\d)(?:\.\d{1,9})?)?)?(Z|[+-]\d\d(?::?\d\d)?)?)?",
    re.ASCII,
)
_LONG_DIGITS = 16
_FEW_WORDS = 3


def infer(cells: Iterable[str | None], *, decimal_comma: bool = False) -> Inferred:
    """Return the type of a column, or the kind of error.

    Args:
        cells: all cells, None for missing.
        decimal_comma: numbers may have a decimal comma.
    """
    known = [cell.strip() for cell in cells if cell is not None]
    if not known:
        return "float64"  # the numbers of an empty column
    code = any(map(_is_code, known))
    commas = decimal_comma and all(map(_COMMA_NUMBER.fullmatch, known))
    if commas and not code and any("," in cell for cell in known):
        return "float64"
    if all(map(_is_number, known)):
        return "string" if code else _number_type(known)
    if all(cell.lower() in {"true", "false", "0", "1"} for cell in known):
        return "bool"
    times = [match for match in map(_time, known) if match]
    if len(times) == len(known):
        return _time_type(times)
    return "string" if code else _text_type(known, len(times))


def _is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _is_code(text: str) -> bool:
    """Return True for a number that would lose something: 007, 0x1F, a telephone number."""
    zero = _LEADING_ZERO.fullmatch(text) is not None and _is_number(text)
    return zero or _HEXADECIMAL_OR_TELEPHONE.fullmatch(text) is not None


def _time(text: str) -> re.Match[str] | None:
    match = _TIME.fullmatch(text)
    if match is None:
        return None
    try:
        dt.date.fromisoformat(match[1])
        dt.time(int(match[2] or 0), int(match[3] or 0), int(match[4] or 0))
    except ValueError:
        return None
    return match


def _number_type(known: list[str]) -> Inferred:
    whole = [cell for cell in known if _WHOLE.fullmatch(cell)]
    if len(whole) == len(known):
        fits = all(-(2**63) <= int(cell) < 2**63 for cell in known)
        return "int64" if fits else "string"
    long = [int(cell) for cell in whole if len(cell.lstrip("+-")) >= _LONG_DIGITS]
    return "error: decimals" if any(number != int(float(number)) for number in long) else "float64"


def _time_type(times: list[re.Match[str]]) -> Inferred:
    if len({match[5] is not None for match in times}) > 1:
        return "error: zones"
    return "date" if all(match[0] == match[1] for match in times) else "timestamp"


def _text_type(known: list[str], times: int) -> Inferred:
    """Return the type of a column that has other text in it; a few such cells are an error."""
    numbers = sum(map(_is_number, known))
    words = {cell for cell in known if not _is_number(cell) and not _time(cell)}
    for count in (numbers, times):
        few = len(words) <= _FEW_WORDS and count > len(known) / 2
        if words and (few or count > 0.9 * len(known)):
            return "error: mixed"
    return "string"
