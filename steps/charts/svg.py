"""A small SVG builder: elements, scales, ticks, axes, paths. Colours are in the style sheet.

No ``id`` reference, clip path or pattern is used, since each would need ``url()``. Text and
attributes are made visible and escaped in one place, ``element``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from steps.charts.text import MINUS, elide, number, visible, width

COLUMN_WIDTH = 7.8
"""Units that a column of text takes at the charts' font size of 12 units."""

Child = str | Markup
Point = tuple[float, float]


def element(tag: str, *children: Child, **attributes: float | str) -> Markup:
    """Return one element. ``_`` in an attribute's name is ``-``, but a trailing one is dropped."""
    pairs = Markup("").join(
        Markup(' {}="{}"').format(
            name.rstrip("_").replace("_", "-"),
            visible(value) if isinstance(value, str) else coordinate(value),
        )
        for name, value in attributes.items()
    )
    if not children:
        return Markup("<{}{}/>").format(tag, pairs)
    return Markup("<{0}{1}>{2}</{0}>").format(tag, pairs, join(children))


def join(children: Iterable[Child]) -> Markup:
    """Join markup and text; text is escaped, and its control characters are made visible."""
    return Markup("").join(
        child if isinstance(child, Markup) else escape(visible(child)) for child in children
    )


def coordinate(value: float, decimals: int = 1) -> str:
    """Return a number in as few bytes as it takes."""
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text


def picture(
    ident: str,
    size: tuple[float, float],
    title: str,
    description: str,
    *children: Child,
    wide: bool = False,
) -> Markup:
    """Return a whole chart, with a text alternative.

    A ``wide`` chart keeps its size and scrolls in its container; any other scales with its column.
    """
    across, down = size
    limit = f"width:{across:.0f}px" if wide else f"max-width:{across * 1.1:.0f}px"
    return element(
        "svg",
        element("title", title, id=f"{ident}-title"),
        element("desc", description, id=f"{ident}-desc"),
        *children,
        viewBox=f"0 0 {coordinate(across)} {coordinate(down)}",
        role="img",
        aria_labelledby=f"{ident}-title {ident}-desc",
        style=limit,
    )


def label(
    x: float, y: float, text: str, class_: str = "", columns: int = 80, **more: float | str
) -> Markup:
    """Return text, elided to ``columns``; a ``<title>`` holds the whole text if it is cut."""
    shown = elide(text, columns)
    full = (element("title", text),) if shown != text else ()
    named = {"class_": class_} if class_ else {}
    return element("text", *full, shown, x=x, y=y, **named, **more)


@dataclass(frozen=True)
class Scale:
    """A linear map from data to units of the chart."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the position of ``value``."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)

    def clip(self, value: float) -> float:
        """Return the position of ``value``, or the end of the scale if it is outside."""
        return self(min(max(value, self.low), self.high))

    def ticks(self, most: int = 5) -> list[float]:
        """See ``nice_ticks``."""
        return nice_ticks(self.low, self.high, most)


def scale_over(values: Iterable[float], start: float, end: float, pad: float = 0.04) -> Scale:
    """Return a scale over the finite ``values``, with room at both ends; never of zero length."""
    finite = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(finite), max(finite)
    room = (high - low) * pad or max(abs(low) * 0.1, 1e-9)
    return Scale(low - room, high + room, start, end)


def nice_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return up to ``most`` multiples of 1, 2 or 5 times a power of ten within ``[low, high]``."""
    rough = (high - low) / max(most - 1, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    for factor in (1, 2, 5, 10, 20):
        step = factor * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [
        round(index * step, 12 - math.floor(math.log10(step))) for index in range(first, last + 1)
    ]


def tick_texts(ticks: Sequence[float]) -> list[str]:
    """Return the ticks, all with as many decimals as their step needs."""
    if not ticks:
        return []
    step = min((b - a for a, b in pairwise(ticks)), default=abs(ticks[0]) or 1)
    decimals = max(0, -math.floor(math.log10(step) + 1e-9))
    largest = max(map(abs, ticks))
    if decimals > 4 or largest >= 1e6:  # noqa: PLR2004 - longer ones do not fit next to an axis
        return [number(tick, 2) for tick in ticks]
    return [f"{tick:,.{decimals}f}".replace("-", MINUS) for tick in ticks]


def axis_x(scale: Scale, top: float, bottom: float, most: int = 5) -> Markup:
    """Return vertical grid lines with their values below."""
    ticks = scale.ticks(most)
    lines = "".join(
        f"M{coordinate(scale(tick))} {coordinate(top)}V{coordinate(bottom)}" for tick in ticks
    )
    texts = (
        label(scale(tick), bottom + 15, text, "tick mid")
        for tick, text in zip(ticks, tick_texts(ticks), strict=True)
    )
    return element("path", d=lines or "M0 0", class_="grid") + join(texts)


def axis_y(scale: Scale, left: float, right: float, most: int = 5) -> Markup:
    """Return horizontal grid lines with their values on the left."""
    ticks = scale.ticks(most)
    lines = "".join(
        f"M{coordinate(left)} {coordinate(scale(tick))}H{coordinate(right)}" for tick in ticks
    )
    texts = (
        label(left - 6, scale(tick) + 4, text, "tick end")
        for tick, text in zip(ticks, tick_texts(ticks), strict=True)
    )
    return element("path", d=lines or "M0 0", class_="grid") + join(texts)


def line_path(points: Sequence[Point | None]) -> str:
    """Return a line through ``points``, broken at each ``None``; a single point is a dot.

    Steps are relative and rounded to a tenth; each starts from the rounded position of the last, so
    that roundings do not add up.
    """
    parts: list[str] = []
    at: tuple[int, int] | None = None
    for point in points:
        if point is None:
            at = None
            continue
        x, y = round(point[0] * 10), round(point[1] * 10)
        if at is None:
            parts.append(f"M{_tenths(x)} {_tenths(y)}h0")
        elif y == at[1]:
            parts.append(f"h{_tenths(x - at[0])}")
        else:
            gap = "" if y < at[1] else " "  # a minus sign separates numbers by itself
            parts.append(f"l{_tenths(x - at[0])}{gap}{_tenths(y - at[1])}")
        at = (x, y)
    return "".join(parts)


def _tenths(value: int) -> str:
    return coordinate(value / 10)


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return ``places``, moved as little as needed to be ``gap`` apart within the bounds."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    floor = low
    for index in order:
        moved[index] = floor = max(moved[index], floor)
        floor += gap
    ceiling = high
    for index in reversed(order):
        moved[index] = ceiling = min(moved[index], ceiling)
        ceiling -= gap
    return moved


def text_width(text: str) -> float:
    """Return units that ``text`` takes at the charts' font size, rather too many than too few."""
    return width(text) * COLUMN_WIDTH


def name_room(names: Iterable[str], columns: int) -> float:
    """Return units that the longest of the elided names takes, and a gap."""
    return 20 + max((text_width(elide(name, columns)) for name in names), default=0.0)
