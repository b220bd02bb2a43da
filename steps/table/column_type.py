"""The types that a spec can give a column in ``dataset.types``.

A canonical type, such as ``int64``, or a notation: ``number(1.234,5)`` shows how numbers are
written, ``date(%d/%m/%Y)`` and ``timestamp(%d/%m/%Y %H:%M)`` how dates and times are. Nothing heavy
is imported here, because a spec is parsed without pyarrow.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

CANONICAL = ("int64", "float64", "string", "bool", "timestamp", "date")
"""The canonical types."""

_NUMBER = re.compile(r"number\(1(?P<thousands>[,.'\u2019 \u00a0\u202f]?)234(?P<decimal>[.,])5\)")
_TIME = re.compile(r"(?P<kind>date|timestamp)\((?P<pattern>.+)\)")

MINUS = "\u2212"
"""The minus sign of typography, which spreadsheets and web pages write."""
_AFFIX = r"(?:[$€£¥₹%]|[A-Z]{3}|kr|Fr\.|zł)"


@dataclass(frozen=True)
class NumberFormat:
    """How numbers are written: ``1,234.5`` has the thousands separator ``,``.

    Currency signs and codes, percent signs and spaces around a number are removed, so ``4.5%`` is
    4.5. Parentheses mean a negative number, as in accounting, and so does a minus sign at the end.
    """

    thousands: str
    decimal: str

    def __str__(self) -> str:
        return f"number(1{self.thousands}234{self.decimal}5)"

    @cached_property
    def digits(self) -> str:
        """A pattern for the digits of a number, without sign and affixes.

        ``0,554`` has no thousands: its comma must be the decimal separator.
        """
        decimals = rf"(?:{re.escape(self.decimal)}[0-9]+)?"
        plain = rf"[0-9]+{decimals}"
        if not self.thousands:
            return plain
        # Spaces of any width separate thousands alike.
        separator = "[ \u00a0\u202f]" if self.thousands.isspace() else re.escape(self.thousands)
        return rf"(?:[1-9][0-9]{{0,2}}(?:{separator}[0-9]{{3}})+{decimals}|{plain})"

    @cached_property
    def cell(self) -> str:
        """A pattern for a whole cell, with the groups ``sign`` and ``digits``."""
        signs = f"[-+{MINUS}]?"
        outer = rf"\s*(?P<open>\()?\s*(?P<sign>{signs})\s*{_AFFIX}?\s*(?P<inner>{signs})"
        after = f"(?P<after>[-{MINUS}]?)"
        return rf"^{outer}(?P<digits>{self.digits})\s*{after}\s*{_AFFIX}?\s*\)?\s*$"


NUMBER_FORMATS = (
    NumberFormat("", "."),
    NumberFormat(",", "."),
    NumberFormat("", ","),
    NumberFormat(".", ","),
    NumberFormat(" ", ","),
    NumberFormat(" ", "."),
    NumberFormat("'", "."),
    NumberFormat("\u2019", "."),
)
"""Formats that are recognized, the simplest first."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DIRECTIVES = {
    "%d": "(?P<day>[0-9]{1,2})",
    "%m": "(?P<month>[0-9]{1,2})",
    "%b": "(?P<name>[A-Za-z]{3})[A-Za-z]*",
    "%Y": "(?P<year>[0-9]{4})",
    "%y": "(?P<short>[0-9]{2})",
    "%H": "(?P<hour>[0-9]{1,2})",
    "%I": "(?P<hour>[0-9]{1,2})",
    "%M": "(?P<minute>[0-9]{2})",
    "%S": r"(?P<second>[0-9]{2}(?:[.,][0-9]{1,9})?)",
    "%p": "(?P<half>[AaPp])[.]?[Mm][.]?",
    "%G": "(?P<year>[0-9]{4})",
    "%V": "(?P<week>[0-9]{2})",
    "%q": "(?P<quarter>[1-4])",
}
DIRECTIVES = ", ".join(_DIRECTIVES)
"""The directives of ``strftime`` that a pattern may contain, and %q for a quarter."""


@dataclass(frozen=True)
class TimeFormat:
    """How dates or times are written, with the directives of Python's ``strptime``.

    ``%b`` is an English month name, long or short. A month, a quarter or an ISO week stands for its
    first day.
    """

    kind: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.kind}({self.pattern})"

    @cached_property
    def cell(self) -> str:
        """A pattern for a whole cell, with a group per part of the date."""
        parts = re.split(r"(%.)", self.pattern)
        body = "".join(_DIRECTIVES.get(part) or re.escape(part) for part in parts)
        return rf"^\s*{body}\s*$"

    def problem(self) -> str:
        """Return what is wrong with the pattern; empty if nothing is."""
        directives = re.findall(r"%.?", self.pattern)
        unknown = [each for each in directives if each not in _DIRECTIVES]
        if unknown:
            return f"{unknown[0]!r} is not supported; allowed are {DIRECTIVES}"
        groups = [_DIRECTIVES[each].split(">")[0] for each in directives]
        if len(set(groups)) < len(groups):
            return "a part of the date occurs twice"
        if ("%G" in directives) != ("%V" in directives):
            return "%G, the year of ISO weeks, and %V, the week, belong together"
        parts = {"%m", "%b", "%V", "%q"} & set(directives)
        if not {"%Y", "%y", "%G"} & set(directives) or len(parts) != 1:
            return "a date needs a year (%Y or %y) and a month (%m or %b)"
        if {"%I", "%p"} & set(directives) and not {"%I", "%p"} <= set(directives):
            return "%I and %p belong together"
        return ""


_DAYS = (
    *("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d"),
    *("%d/%m/%y", "%m/%d/%y", "%d.%m.%y", "%d-%m-%y", "%m-%d-%y", "%Y-%m-%d"),
    *("%d %b %Y", "%d. %b %Y", "%b %d, %Y", "%d-%b-%Y", "%d-%b-%y", "%d %b %y", "%b %d %Y"),
)
_PERIODS = (
    *("%Y-%m", "%Y/%m", "%m/%Y", "%m.%Y", "%b-%Y", "%b %Y", "%b-%y", "%Y-%b", "%Y %b"),
    *("%G-W%V", "%Y-Q%q", "%YQ%q", "%Y Q%q", "Q%q %Y"),
)
_CLOCKS = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p")
TIME_FORMATS = (
    *(TimeFormat("date", period) for period in _PERIODS),
    *(TimeFormat("date", day) for day in _DAYS),
    *(TimeFormat("timestamp", f"{day} {clock}") for day in _DAYS for clock in _CLOCKS),
    *(TimeFormat("timestamp", f"{day}, {clock}") for day in _DAYS[:2] for clock in _CLOCKS),
)
"""Formats that are recognized."""


@dataclass(frozen=True)
class ColumnType:
    """The type of a column, and how its text is written.

    Attributes:
        canonical: the canonical type.
        notation: how its text is written; None for plain numbers and ISO 8601.
    """

    canonical: str
    notation: NumberFormat | TimeFormat | None = None

    def __str__(self) -> str:
        return str(self.notation) if self.notation else self.canonical

    def setting(self, name: str) -> str:
        """Return the setting that reads a column as this type, to be pasted into a spec."""
        text = str(self)
        return f"dataset.types: {{{name!r}: {repr(text) if ',' in text else text}}}"

    @classmethod
    def parse(cls, text: str) -> ColumnType:
        """Read an entry of ``dataset.types``.

        Raises:
            ValueError: it is none.
        """
        if text in CANONICAL:
            return cls(text)
        if match := _NUMBER.fullmatch(text):
            if match["thousands"] == match["decimal"]:
                raise ValueError(f"{text} has the same character between thousands and decimals")
            return cls("float64", NumberFormat(match["thousands"], match["decimal"]))
        if match := _TIME.fullmatch(text):
            notation = TimeFormat(match["kind"], match["pattern"])
            if problem := notation.problem():
                raise ValueError(f"{text}: {problem}")
            return cls(match["kind"], notation)
        raise ValueError(
            f"{text!r} is not a type; allowed are {', '.join(CANONICAL)}, and text in other "
            "notations: number(1,234.5), number(1.234,5), date(%d/%m/%Y), "
            "timestamp(%d/%m/%Y %H:%M)"
        )


def month_number(name: str) -> int:
    """Return the number of a month from the first three letters of its English name; 0 for none."""
    short = name[:3].lower()
    return _MONTHS.index(short) + 1 if short in _MONTHS else 0
