"""Random columns of every type, with the texts and Arrow types in which files contain them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from random import Random

from tests.fuzz.table import Cell, Column

Make = Callable[[Random, str, int], Column]
"""Returns a column with a name and a number of rows, none of them missing."""

DAY = 86_400_000_000
"""Microseconds."""
FIRST_DAY, LAST_DAY = -719_162, 2_932_896
"""January 1 of the year 1 and December 31, 9999, in days since 1970."""
FIRST_NANO_DAY, LAST_NANO_DAY = -106_000, 106_000
"""Days that nanoseconds in 64 bits reach."""

_WORDS = (
    *("red", "green", "blue", "Paris", "São Paulo", "Zürich", "東京", "🦊", "naïve", "e\u0301"),
    *('say "hi"', "a,b", "a;b", "a|b", "tab\there", "two\nlines", "NA", "null", "None", "nan"),
    *("yes", "no", "true", "-", "?", "#1", "=1+1", "@x", "+x", "'x", "\\", "x\\", "..", "/", "%41"),
    *("  padded  ", "trailing ", " leading", "İ", "ß", "ﬁ", "1 000", "10%", "$5", "1e5x"),
    *("0x1G", "2024-13-01", "31.12.2024", "12:30", "T", "Z", "[1]", "{}", "<b>&amp;"),
    *("x" * 120, "line\u2028separator", "next\x85line", "form\x0cfeed", "nbsp\u00a0", "\u200b"),
)
_PLAIN_WORDS = ("red", "green", "blue", "violet", "Paris", "Lyon", "Zürich", "a b", "x-y", "N.N.")


def integers(rng: Random, name: str, rows: int) -> Column:
    """Whole numbers, from small counts to the limits of 64 bits."""
    low, high = rng.choice(
        [
            *((0, 9), (-5, 5), (0, 255), (-1000, 1000), (0, 2**31), (-(2**53), 2**53)),
            (-(2**63), 2**63 - 1),
        ]
    )
    cells = [rng.randint(low, high) for _ in range(rows)]
    if rng.random() < 0.2:
        cells[rng.randrange(rows)] = rng.choice([low, high])
    types = [
        kind
        for kind, bottom, top in (
            ("uint8", 0, 2**8 - 1),
            ("int16", -(2**15), 2**15 - 1),
            ("uint32", 0, 2**32 - 1),
            ("int64", -(2**63), 2**63 - 1),
        )
        if bottom <= low and high <= top
    ]
    signed = rng.random() < 0.1 and high < 10**6
    texts = [f"+{cell}" if signed and cell > 0 else str(cell) for cell in cells]
    return Column(name, "int64", tuple(cells), tuple(texts), rng.choice(types))


def big_integers(rng: Random, name: str, rows: int) -> Column:
    """Whole numbers beyond 64 bits, which are text."""
    base = rng.choice([2**63, 2**64, 10**20, 10**30])
    cells = [str(base + rng.randrange(6)) for _ in range(rows)]
    if rng.random() < 0.5:
        cells = [str(rng.randrange(100)) if rng.random() < 0.6 else cell for cell in cells]
        cells[rng.randrange(rows)] = str(base)
    return Column(name, "string", tuple(cells), tuple(cells), _text_type(rng))


def codes(rng: Random, name: str, rows: int) -> Column:
    """Numbers with leading zeros, hexadecimal numbers and telephone numbers, which are text."""
    makers: list[Callable[[], str]] = [
        lambda: f"{rng.randrange(300):05d}",
        lambda: f"00{rng.randrange(8)}",
        lambda: f"+49151{rng.randrange(5):07d}",
        lambda: f"0x{rng.randrange(40):02X}",
    ]
    make = rng.choice(makers)
    cells = [make() for _ in range(rows)]
    if rng.random() < 0.6:  # the sign that the column is a code is rare
        cells = [str(rng.randrange(1000, 1010)) if rng.random() < 0.8 else cell for cell in cells]
        cells[rng.randrange(rows)] = make()
    if rng.random() < 0.3:
        cells[rng.randrange(rows)] = rng.choice(["unknown", "n/a", "1.5"])
    return Column(name, "string", tuple(cells), tuple(cells), _text_type(rng))


def floats(rng: Random, name: str, rows: int) -> Column:
    """Decimal numbers of every size; negative zero is zero."""
    spread = rng.choice(["normal", "rounded", "wide", "whole"])
    draw: dict[str, Callable[[], float]] = {
        "normal": lambda: rng.gauss(0, 1),
        "rounded": lambda: round(rng.uniform(-1000, 1000), 2),
        "wide": lambda: rng.gauss(0, 1) * 10.0 ** rng.randint(-300, 300),
        "whole": lambda: float(rng.randint(-1000, 1000)),
    }
    cells = [draw[spread]() for _ in range(rows)]
    if rng.random() < 0.2:
        cells[rng.randrange(rows)] = -0.0
    texts = tuple(
        str(int(x)) if spread == "whole" and rng.random() < 0.5 else repr(x) for x in cells
    )
    kind = "float" if all(_is_float32(x) for x in cells) and rng.random() < 0.5 else "double"
    return Column(name, "float64", tuple(x + 0.0 for x in cells), texts, kind)


def _is_float32(number: float) -> bool:
    return number.is_integer() and abs(number) < 2**24


def decimals(rng: Random, name: str, rows: int) -> Column:
    """Decimals with a fixed number of places, such as prices."""
    places = rng.randint(1, 6)
    units = [rng.randint(-(10**8), 10**8) for _ in range(rows)]
    texts = tuple(_decimal(unit, places) for unit in units)
    return Column(
        name, "float64", tuple(float(text) + 0.0 for text in texts), texts, f"decimal({places})"
    )


def _decimal(units: int, places: int) -> str:
    sign = "-" if units < 0 else ""
    whole, part = divmod(abs(units), 10**places)
    return f"{sign}{whole}.{part:0{places}d}"


def booleans(rng: Random, name: str, rows: int) -> Column:
    """True and false, in one of the ways that they are written in."""
    cells = tuple(rng.random() < 0.5 for _ in range(rows))
    pairs = [("false", "true"), ("False", "True"), ("FALSE", "TRUE"), ("0", "1")]
    mixed = rng.random() < 0.3
    pair = rng.choice(pairs)
    texts = tuple((rng.choice(pairs) if mixed else pair)[cell] for cell in cells)
    return Column(name, "bool", cells, texts, "bool")


def dates(rng: Random, name: str, rows: int) -> Column:
    """Dates of the years 1 to 9999."""
    low, high = rng.choice([(19_000, 19_400), (FIRST_DAY, LAST_DAY), (-30_000, 30_000)])
    cells = [rng.randint(low, high) for _ in range(rows)]
    if rng.random() < 0.2 and low == FIRST_DAY:
        cells[rng.randrange(rows)] = rng.choice([FIRST_DAY, LAST_DAY])
    texts = tuple(day_text(cell) for cell in cells)
    return Column(name, "date", tuple(cells), texts, rng.choice(["date32[day]", "date64[ms]"]))


def day_text(day: int) -> str:
    """Return the ISO 8601 text of a number of days since 1970."""
    return dt.date.fromordinal(719_163 + day).isoformat()


def timestamps(rng: Random, name: str, rows: int) -> Column:
    """Times of seconds to nanoseconds, with and without a zone."""
    unit = rng.choice(["s", "ms", "us", "ns"])
    zone = rng.choice(["", "", "UTC", "Europe/Paris", "+05:30"])
    low, high = rng.choice([(19_000, 19_400), (FIRST_DAY + 2, LAST_DAY - 2), (-30_000, 30_000)])
    if unit == "ns":
        low, high = max(low, FIRST_NANO_DAY), min(high, LAST_NANO_DAY)
    step = {"s": 1_000_000, "ms": 1_000, "us": 1, "ns": 1}[unit]
    midnights = 0.5 if rng.random() < 0.2 else 0.0
    cells, nanos, texts = [], [], []
    for _ in range(rows):
        micros = rng.randint(low, high) * DAY
        if rng.random() >= midnights:
            micros += rng.randrange(DAY) // step * step
        extra = rng.randrange(1000) if unit == "ns" and rng.random() < 0.7 else 0
        cells.append(micros)
        nanos.append(extra)
        texts.append(_time_text(rng, micros, extra, zoned=bool(zone)))
    arrow = f"timestamp[{unit}, {zone}]" if zone else f"timestamp[{unit}]"
    return Column(name, "timestamp", tuple(cells), tuple(texts), arrow, tuple(nanos))


def _time_text(rng: Random, micros: int, nanos: int, *, zoned: bool) -> str:
    suffix, shift = "", 0
    if zoned:
        suffix, minutes = rng.choice([("Z", 0), ("+02:00", 120), ("-0530", -330), ("+00:00", 0)])
        shift = minutes * 60_000_000
    day, rest = divmod(micros + shift, DAY)
    if not zoned and not rest and not nanos and rng.random() < 0.5:
        return day_text(day)
    seconds, part = divmod(rest, 1_000_000)
    clock = f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
    fraction = f".{part:06d}{nanos:03d}" if nanos else f".{part:06d}" if part % 1000 else ""
    if part and not fraction:
        fraction = f".{part // 1000:03d}"
    if not part and not nanos and not seconds % 60 and rng.random() < 0.3:
        clock = clock[:5]
    return f"{day_text(day)}{rng.choice('T ')}{clock}{fraction}{suffix}"


def texts(rng: Random, name: str, rows: int) -> Column:
    """Text of any kind: unicode, quotes, newlines, separators."""
    few = rng.sample(_WORDS, rng.randint(1, 8))
    if rng.random() < 0.15:
        few.append("")
    cells = tuple(rng.choice(few) for _ in range(rows))
    return Column(name, "string", cells, cells, _text_type(rng))


def categories(rng: Random, name: str, rows: int) -> Column:
    """A few levels of plain text."""
    few = rng.sample(_PLAIN_WORDS, rng.randint(1, 6))
    cells = tuple(rng.choice(few) for _ in range(rows))
    return Column(name, "string", cells, cells, rng.choice(["dictionary", _text_type(rng)]))


def numeric_texts(rng: Random, name: str, rows: int) -> Column:
    """Text of which some or all cells are numbers or dates, so that only the spec says its type."""
    share = rng.choice([0.3, 0.7, 0.95, 1.0])
    makers: list[Callable[[], str]] = [
        lambda: str(rng.randrange(50)),
        lambda: f"{rng.randrange(50) / 4}",
        lambda: day_text(rng.randrange(50)),
    ]
    number = rng.choice(makers)
    words = rng.sample(_PLAIN_WORDS, rng.randint(1, 6))
    cells = tuple(number() if rng.random() < share else rng.choice(words) for _ in range(rows))
    return Column(name, "string", cells, cells, _text_type(rng))


def _text_type(rng: Random) -> str:
    return rng.choice(["string", "large_string", "string", "dictionary", "string_view"])


def classes(rng: Random, name: str, rows: int) -> Column:
    """A target of two to four classes."""
    few = rng.sample(["yes", "no", "maybe", "late", "on time", "no show"], rng.randint(2, 4))
    cells = tuple(rng.choice(few) for _ in range(rows))
    return Column(name, "string", cells, cells, "string")


def with_missing(rng: Random, column: Column, share: float) -> Column:
    """Return a column of which a share of the cells is missing."""
    lost = [rng.random() < share for _ in column.cells]
    cells: tuple[Cell, ...] = tuple(
        None if gone else cell for gone, cell in zip(lost, column.cells, strict=True)
    )
    not_a_number = column.kind == "float64" and column.arrow in {"double", "float"}
    lost_texts = tuple(
        ("nan" if not_a_number and rng.random() < 0.2 else "") if gone else text
        for gone, text in zip(lost, column.texts, strict=True)
    )
    return Column(column.name, column.kind, cells, lost_texts, column.arrow, column.nanos)


KINDS: tuple[Make, ...] = (
    *(integers, big_integers, codes, floats, decimals, booleans, dates, timestamps),
    *(texts, categories, numeric_texts),
)
KEYS: tuple[Make, ...] = (
    *(categories, categories, texts, codes, big_integers, integers, booleans, dates, numeric_texts),
    *(floats, timestamps),
)
TARGETS: tuple[Make, ...] = (floats, integers, booleans, classes, decimals)
GROUPS: tuple[Make, ...] = (integers, dates, categories, codes, timestamps, texts)
TIMES: tuple[Make, ...] = (dates, timestamps, integers, floats)
