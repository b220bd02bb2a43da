"""Cron expressions, as Argo 4.0 reads them with the parser of robfig/cron v3.0.1.

Argo's controller reports an expression that it cannot parse to its own log only. Refeed therefore
accepts what that parser accepts, except for expressions that never run, or run at other times than
they seem to:

- ``@every 1h`` counts from the controller's start, and begins again with each change and each run.
- ``TZ=`` and ``CRON_TZ=``: Argo adds the schedule's own time zone, and then finds two.
- ``*-5``, which the parser reads as ``*``, and ``,``, which it reads as no value at all.
- ``+5``, which Argo's custom resource definition does not allow.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_ALLOWED = (
    "Allowed: minute 0-59, hour 0-23, day of the month 1-31, month 1-12 or JAN-DEC, day of the "
    "week 0-6 or SUN-SAT; *, ?, lists (1,15), ranges (1-5) and steps (*/10)."
)
_ITEM = re.compile(r"([^-/]*)(?:-([^-/]*))?(?:/([^-/]*))?")
_GO_SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
_SPACES = re.compile(f"[{_GO_SPACES}]+")
_MAX_INT = (1 << 63) - 1
_MONTH_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class CronError(ValueError):
    """An expression that Argo refuses, or that does not mean what it seems to.

    Args:
        reason: what is wrong.
        hint: what to do.
    """

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = f"{hint} {_ALLOWED}".lstrip()


@dataclass(frozen=True)
class CronField:
    """One of the five fields, with its smallest and largest value and its names."""

    title: str
    low: int
    high: int
    names: tuple[str, ...] = ()
    """Names of the values from ``low``, in lower case."""
    wrapped: str = ""
    """Meaning that other programs give to the number after ``high``."""

    @property
    def range(self) -> str:
        """The allowed values, for messages."""
        names = f" or {self.names[0].upper()}-{self.names[-1].upper()}" if self.names else ""
        return f"{self.low}-{self.high}{names}"

    def number(self, token: str) -> int:
        """Return the value of a number or a name.

        Raises:
            CronError: it is neither, or out of range.
        """
        value = _number(token)
        if token.lower() in self.names:
            value = self.low + self.names.index(token.lower())
        if value is None or not self.low <= value <= self.high:
            reason = f"the {self.title} {token!r} is not in {self.range}"
            raise CronError(reason, " ".join(self._hints(token, value)))
        return value

    def _hints(self, token: str, value: int | None) -> Iterator[str]:
        if self.wrapped and value == self.high + 1:
            yield f"{self.low} is {self.wrapped}."
        if self in {DAY, WEEKDAY} and re.search(r"#|^L|L$|W$", token, re.IGNORECASE):
            yield "Argo has no L, W or #, as for the last day of a month or its second Monday."
        if token.lower()[:3] in self.names:
            yield f"Names have three letters: {token[:3]!r}."


MINUTE = CronField("minute", 0, 59)
HOUR = CronField("hour", 0, 23, wrapped="midnight")
DAY = CronField("day of the month", 1, 31)
MONTH = CronField(
    *("month", 1, 12),
    ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"),
)
WEEKDAY = CronField(
    *("day of the week", 0, 6),
    ("sun", "mon", "tue", "wed", "thu", "fri", "sat"),
    wrapped="Sunday",
)
FIELDS = (MINUTE, HOUR, DAY, MONTH, WEEKDAY)


@dataclass(frozen=True)
class Cron:
    """A cron expression.

    Attributes:
        minutes: minutes of its hours.
        hours: hours of its days.
        days: days of the month.
        months: months, from 1.
        weekdays: days of the week, from 0 for Sunday.
        both_days: true if a date must match ``days`` and ``weekdays``; false if one is enough.
        text: the same expression with five fields and without names. Argo's custom resource
            definition allows no names, although its parser does.
    """

    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    both_days: bool
    text: str

    def matches_day(self, date: date) -> bool:
        """Return true if a date in one of the months matches."""
        matches = (date.day in self.days, date.isoweekday() % 7 in self.weekdays)
        return all(matches) if self.both_days else any(matches)

    def check_comes(self) -> None:
        """Check that there is a date that matches.

        Raises:
            CronError: there is none, such as 31 February.
        """
        longest = max(_MONTH_DAYS[month - 1] for month in self.months)
        if self.both_days and min(self.days) > longest:
            months = ", ".join(MONTH.names[month - 1].capitalize() for month in sorted(self.months))
            days = ", ".join(map(str, sorted(self.days)))
            reason = f"that date never comes: there is no day {days} in {months}"
            raise CronError(reason, f"The last day is {longest}.")


def parse_cron(text: str) -> Cron:
    """Parse a cron expression.

    Raises:
        CronError: it is not valid.
    """
    tokens = [token for token in _SPACES.split(text) if token]
    if tokens and tokens[0][:1] == "@":
        tokens = _expanded(" ".join(tokens)).split()
    if tokens and re.match(r"(CRON_)?TZ=", tokens[0]):
        raise CronError("a time zone is not part of the expression", "Set schedule.timezone.")
    if len(tokens) != len(FIELDS):
        seconds = "There is no field for seconds." if len(tokens) > len(FIELDS) else ""
        raise CronError(f"it has {len(tokens)} fields and needs five", seconds)
    parsed = [_field(token, field) for token, field in zip(tokens, FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = (values for values, _ in parsed)
    return Cron(
        *(minutes, hours, days, months, weekdays),
        both_days=any(_has_star(token) for token in (tokens[2], tokens[4])),
        text=" ".join(plain for _, plain in parsed),
    )


def _expanded(descriptor: str) -> str:
    if descriptor.startswith("@every"):
        raise CronError(
            "@every counts from the start of Argo's controller, and from each change",
            "Use fields, such as '0 */6 * * *' for every six hours.",
        )
    if descriptor not in _DESCRIPTORS:
        known = f"Argo knows {', '.join(_DESCRIPTORS)}, in lower case."
        raise CronError(f"{descriptor!r} is unknown", known)
    return _DESCRIPTORS[descriptor]


def _field(text: str, field: CronField) -> tuple[frozenset[int], str]:
    """Return the values of a list, and the list without names."""
    items = [_item(item, field) for item in text.split(",") if item]
    if not items:
        raise CronError(f"{text!r} has no {field.title}", "Use * for all values.")
    return frozenset().union(*(values for values, _ in items)), ",".join(text for _, text in items)


def _item(text: str, field: CronField) -> tuple[frozenset[int], str]:
    match = _ITEM.fullmatch(text)
    if match is None:
        raise CronError(f"{text!r} is not a {field.title}, a range or a step")
    first, last, step = match.groups()
    if first in {"*", "?"}:
        if last is not None:
            reason = f"{text!r} is not a range: Argo reads it as {first!r}"
            raise CronError(reason, f"Write {first!r}, or the first value instead of it.")
        low, high, plain = field.low, field.high, first
    else:
        low = high = field.number(first)
        plain = str(low)
        if last is not None:
            high = field.number(last)
            plain = f"{low}-{high}"
        elif step is not None:  # 5/15 is 5-59/15
            high = field.high
    if low > high:
        raise CronError(f"{text!r} goes backwards", _forwards(low, high, field))
    width = 1 if step is None else _step(step, text)
    return frozenset(range(low, high + 1, width)), plain if step is None else f"{plain}/{width}"


def _step(token: str, text: str) -> int:
    width = _number(token)
    if not width:
        raise CronError(f"the step of {text!r} is not a number from 1")
    return width


def _number(token: str) -> int | None:
    """Return a number as Go's ``strconv.Atoi`` reads it, without a sign."""
    value = int(token) if re.fullmatch("[0-9]+", token) else None
    return None if value is None or value > _MAX_INT else value


def _forwards(low: int, high: int, field: CronField) -> str:
    """Return the hint for a range that goes backwards, such as sat-sun or 22-6."""

    def shown(first: int, last: int) -> str:
        names = [
            field.names[value - field.low] if field.names else str(value) for value in (first, last)
        ]
        return names[0] if first == last else "-".join(names)

    return f"Write '{shown(low, field.high)},{shown(field.low, high)}'."


def _has_star(text: str) -> bool:
    """Return true if a list includes all values as ``*`` or ``?``, which a step takes away."""
    return any(re.fullmatch(r"[*?](/0*1)?", item) for item in text.split(","))
