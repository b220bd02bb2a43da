"""Time zones of the IANA database, from the package tzdata: the same on every machine.

Argo's controller reads a zone from the database in its image. Some images of Argo have only the
names of places (argo-workflows #15653), so ``plain_name`` replaces other names, such as CET.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_HINT = "Use the name of a place, such as Europe/Paris, or UTC."
_OFFSET = re.compile(r"(?:GMT|UTC)([+-])0?([0-9]{1,2})(?::?00)?")
_MAX_WEST, _MAX_EAST = 12, 14
_EXAMPLES = 3


def time_zone(name: str) -> ZoneInfo:
    """Return a time zone by its name."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as stream:
        return ZoneInfo.from_file(stream, key=name)


def exists(name: str) -> bool:
    """Return true if the database has a zone of this name."""
    return name in _names()


def plain_name(name: str) -> str:
    """Return the name of the zone that every copy of the database has."""
    while name != "UTC" and name not in _places() and name in _links():
        name = _links()[name]
    return name


def advice(name: str) -> str:
    """Return what to write instead of a name that does not exist."""
    return " ".join([*_advice(name), _HINT])


def _advice(name: str) -> Iterator[str]:
    if name == "Local":
        yield "It would be the clock of Argo's controller, which differs between clusters."
    elif match := _OFFSET.fullmatch(name.upper()):
        yield from _fixed(match[1], int(match[2]))
    elif places := _places_with(name):
        yield f"An abbreviation is not a zone. Clocks in {', '.join(places)} show {name}."
    elif near := _nearest(name):
        yield f"Did you mean {near!r}?"


def _fixed(sign: str, hours: int) -> Iterator[str]:
    """Yield the zone of a fixed offset, whose sign is reversed in its name."""
    if 0 < hours <= (_MAX_EAST if sign == "+" else _MAX_WEST):
        name, direction = ("-", "ahead of") if sign == "+" else ("+", "behind")
        unit = "hour" if hours == 1 else "hours"
        yield f"Etc/GMT{name}{hours} is {hours} {unit} {direction} UTC all year."


def _places_with(abbreviation: str) -> list[str]:
    """Return places that use an abbreviation this year, those of most countries first."""
    if not re.fullmatch("[A-Z]{2,5}", abbreviation):
        return []
    year = datetime.now(UTC).year
    moments = [datetime(year, month, 1, tzinfo=UTC) for month in (1, 7)]
    found = {
        name: countries
        for name, countries in _table("zone1970.tab")
        if abbreviation in {each.astimezone(time_zone(name)).tzname() for each in moments}
    }
    return sorted(found, key=lambda name: (-len(found[name]), name))[:_EXAMPLES]


def _nearest(name: str) -> str:
    """Return the nearest name: of another case, of a city, or with a typing error."""
    wanted = re.sub(r"[\s-]+", "_", name.strip()).lower()
    by_lower = {each.lower(): each for each in sorted(_names())}
    by_city = {each.rpartition("/")[2].lower(): each for each in sorted(_places())}
    known = by_city | by_lower
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.7)
    return plain_name(known[near[0]]) if near else ""


@cache
def _names() -> frozenset[str]:
    names = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    return frozenset(names) - {"Factory"}


@cache
def _places() -> frozenset[str]:
    return frozenset(name for name, _ in _table("zone.tab"))


@cache
def _links() -> dict[str, str]:
    """Return the zone that each other name stands for."""
    lines = files("tzdata").joinpath("zoneinfo", "tzdata.zi").read_text(encoding="utf-8")
    links = (line.split() for line in lines.splitlines() if line.startswith("L "))
    return {name: zone for _, zone, name in links}


def _table(file: str) -> list[tuple[str, list[str]]]:
    """Return the names of places in one of the database's tables, with their countries."""
    text = files("tzdata").joinpath("zoneinfo", file).read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    return [(row[2], row[0].split(",")) for row in rows]
