"""Text for people: hostile names made visible, long ones shortened, numbers in a few digits.

Everything that comes from the data passes through ``visible`` before it is escaped, so that a name
can neither hide what it holds nor reorder the text around it.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterable

EMPTY = "(empty)"
"""Shown for the empty string, which would otherwise be invisible."""

NONE = "\N{EN DASH}"
"""Shown for a missing number."""

MINUS = "\N{MINUS SIGN}"

_HIDDEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
_JOINERS = frozenset("\u200c\u200d")
_DELETE = 0x7F
_MICRO, _MEGA = 1e-4, 1e6
_GROUPED = 10_000
_MINUTE, _HOUR = 60, 3600


def visible(text: str) -> str:
    """Return ``text`` with a visible character in place of each invisible one.

    Control characters become Unicode's control pictures (NUL is ``␀``); direction marks, line
    separators and unassigned code points become ``⟨U+200F⟩``; a space at either end becomes ``␣``.
    Joiners between letters of other scripts and in emoji stay: they are spelling there.
    """
    if not text:
        return EMPTY
    last = len(text) - 1
    return "".join(
        "␣"
        if char.isspace() and char.isprintable() and index in (0, last)
        else _picture(text, index)
        for index, char in enumerate(text)
    )


def _picture(text: str, index: int) -> str:
    char = text[index]
    if unicodedata.category(char) not in _HIDDEN:
        return char
    around = text[index - 1 : index] + text[index + 1 : index + 2]
    if char in _JOINERS and len(around) > 1 and not any(map(str.isascii, around)):
        return char
    code = ord(char)
    if code < ord(" "):
        return chr(0x2400 + code)
    return "␡" if code == _DELETE else f"⟨U+{code:04X}⟩"


def width(text: str) -> int:
    """Return columns that ``text`` takes: two for a wide character, one for any other."""
    return sum(2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text)


def elide(text: str, columns: int) -> str:
    """Return the visible form of ``text``, cut in the middle to at most ``columns`` columns."""
    shown = visible(text)
    if width(shown) <= columns:
        return shown
    tail = _take(reversed(shown), (columns - 1) // 2)[::-1]
    return _take(shown, columns - 1 - width(tail)).rstrip() + "…" + tail.lstrip()


def _take(chars: Iterable[str], columns: int) -> str:
    taken = ""
    for char in chars:
        if width(taken + char) > columns:
            break
        taken += char
    return taken


def number(value: float | None, digits: int = 3) -> str:
    """Return ``value`` with ``digits`` significant digits and a true minus sign."""
    if value is None or not math.isfinite(value):
        return NONE
    size = abs(value)
    if size and not _MICRO <= size < _MEGA:
        mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
        return _minus(f"{mantissa}e{int(exponent)}")
    decimals = digits - 1 - math.floor(math.log10(size)) if size else 0
    return _minus(f"{value:,.{max(decimals, 0)}f}")


def fixed(value: float | None, decimals: int = 3) -> str:
    """Return ``value`` with a fixed number of decimals, so that a column of them lines up."""
    if value is None or not math.isfinite(value):
        return NONE
    if abs(value) >= _MEGA:
        return number(value)
    return _minus(f"{value + 0.0:,.{decimals}f}")


def plain(value: float) -> str:
    """Return a value on an axis with at most four digits; years have no comma."""
    if value == round(value) and abs(value) < _MEGA:
        return _minus(f"{value:.0f}" if abs(value) < _GROUPED else f"{value:,.0f}")
    text = number(value, 4)
    text = text.replace(",", "") if abs(value) < _GROUPED else text
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def count(value: float | None) -> str:
    """Return a whole number with separators between the thousands."""
    return NONE if value is None or not math.isfinite(value) else _minus(f"{round(value):,}")


def plural(value: int, noun: str, nouns: str = "") -> str:
    """Return a count with its noun: ``1 partition``, ``2 partitions``."""
    return f"{count(value)} {noun if value == 1 else nouns or noun + 's'}"


def duration(seconds: float) -> str:
    """Return wall time: ``9.5 s``, ``3 min 20 s`` or ``2 h 05 min``."""
    if not math.isfinite(seconds):
        return NONE
    if seconds < _MINUTE:
        return f"{number(seconds, 2)} s"
    whole = round(seconds)
    if whole < _HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE:02d} s"
    return f"{whole // _HOUR} h {whole % _HOUR // _MINUTE:02d} min"


def _minus(text: str) -> str:
    return text.replace("-", MINUS) if text.strip("-0.,") else text.lstrip("-")
