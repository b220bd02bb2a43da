"""A small chart of many curves over one grid: thin lines, a bold middle, a few named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from steps.charts.curves import Floats
from steps.charts.svg import (
    Point,
    Scale,
    axis_x,
    axis_y,
    coordinate,
    element,
    join,
    label,
    line_path,
    name_room,
    picture,
    scale_over,
    spread,
)
from steps.charts.text import count, elide, plain, width

MOST_LEVELS = 20
"""Levels of a categorical feature that are drawn: those that most partitions have."""

_TRIMMED = 50
_NAME = 12
_ACROSS = 400


@dataclass(frozen=True)
class Panel:
    """Content of a panel; ``lines`` is (partitions, cells) with NaN where a curve is not read.

    Attributes:
        ident: unique in the page.
        title: text alternative of the chart.
        labels: the cells' values as text.
        numbers: the same as numbers, NaN for levels.
        lines: the curves.
        middle: the bold curve.
        named: position and name of the partitions that stand out.
        every: draw only each ``every``-th thin line.
        low: lower edge of a band around the middle, if there is one.
        high: its upper edge.
    """

    ident: str
    title: str
    labels: Sequence[str]
    numbers: Floats
    lines: Floats
    middle: Floats
    named: Sequence[tuple[int, str]] = ()
    every: int = 1
    low: Floats | None = None
    high: Floats | None = None

    @property
    def missing(self) -> bool:
        """True if the last cell of a numeric grid is for missing values, apart from the others."""
        return bool(np.isnan(self.numbers[-1]) and np.isfinite(self.numbers).any())

    def values(self) -> list[float]:
        """Return the values that the scale spans: named lines, and the others without outliers."""
        finite = self.lines[np.isfinite(self.lines)]
        trim = 0.002 if len(self.lines) > _TRIMMED else 0.0
        ends = np.quantile(finite, [trim, 1 - trim]).tolist() if finite.size else []
        kept = [self.middle, *(self.lines[index] for index, _ in self.named)]
        kept += [edge for edge in (self.low, self.high) if edge is not None]
        return [*ends, *np.concatenate(kept).tolist(), 0.0]


def line_panel(panel: Panel) -> Markup:
    """Draw lines over a numeric grid with points at even steps, labelled in data units."""
    across, top, bottom, left = _ACROSS, 8, 218, 52
    right = across - (name_room((name for _, name in panel.named), _NAME) if panel.named else 12)
    scale = scale_over(panel.values(), bottom, top)
    xs = _across(panel, left + 8, right - 8)
    return picture(
        panel.ident,
        (across, bottom + 24),
        panel.title,
        _description(panel, "The grid's points are at even steps from left to right."),
        axis_y(scale, left, right, 5),
        _zero(f"M{left} {coordinate(scale(0))}H{coordinate(right)}"),
        _clipped(
            (left, top, right - left, bottom - top),
            _band(panel, xs, scale),
            _thin(panel, [_path(panel, xs, line, scale) for line in panel.lines[:: panel.every]]),
            _curve(_path(panel, xs, panel.middle, scale), "middle"),
            *(
                _curve(_path(panel, xs, panel.lines[index], scale), f"n{rank} named")
                for rank, (index, _) in enumerate(panel.named)
            ),
        ),
        _grid_labels(panel, xs, bottom),
        _end_names(panel, xs, scale, right),
    )


def level_panel(panel: Panel) -> Markup:
    """Return a strip for each level, the highest consensus first; a tick for each partition."""
    levels = _levels(panel)
    across, top, row = _ACROSS, 8, 18
    left = name_room((panel.labels[level] for level in levels), 14)
    bottom = top + row * len(levels)
    scale = scale_over(panel.values(), left + 4, across - 10)
    ys: dict[int, float] = {level: top + row * index for index, level in enumerate(levels)}
    lines = panel.lines[:: panel.every]
    middle = "".join(_ticks(panel.middle, ys, scale, (2, 14)))
    keys = []
    for rank, (_, name) in enumerate(panel.named):
        y = bottom + 34 + 17 * rank
        dot = element("circle", cx=left + 4, cy=y - 4, r=3.4)
        keys.append(element("g", dot, class_=f"n{rank} marks"))
        keys.append(label(left + 13, y, name, f"name n{rank}", 40))
    return picture(
        panel.ident,
        (across, bottom + 20 + 17 * len(panel.named)),
        panel.title,
        _description(panel, "A strip for each level, the highest consensus on top."),
        axis_x(scale, top, bottom, 5),
        _zero(f"M{coordinate(scale(0))} {top}V{bottom}"),
        *(
            label(left - 6, y + row / 2 + 4, panel.labels[level], "name end", 14)
            for level, y in ys.items()
        ),
        _clipped(
            (left, top, across - left, bottom - top),
            _thin(panel, ["".join(_ticks(line, ys, scale, (4, 10))) for line in lines]),
            _spans(panel, ys, scale),
            element("path", d=middle, class_="middle flat") if middle else Markup(""),
            *(
                _level_dots(panel.lines[index], ys, scale, rank)
                for rank, (index, _) in enumerate(panel.named)
            ),
        ),
        *keys,
    )


def _description(panel: Panel, how: str) -> str:
    lines = int(np.isfinite(panel.lines).any(axis=1).sum())
    names = ", ".join(elide(name, 40) for _, name in panel.named) or "none"
    return f"{how} Curves of {count(lines)} partitions, their median in bold; named: {names}."


def _zero(path: str) -> Markup:
    return element("path", d=path, class_="base")


def _clipped(box: tuple[float, float, float, float], *children: Markup) -> Markup:
    """Return a nested svg, which clips its content without the ``url()`` of a clip path."""
    x, y, across, down = (coordinate(side) for side in box)
    return element(
        "svg", *children, x=x, y=y, width=across, height=down, viewBox=f"{x} {y} {across} {down}"
    )


def _across(panel: Panel, start: float, end: float) -> list[float]:
    """Return where the cells are: at even steps, and the one for missing values a step apart."""
    cells = len(panel.labels)
    steps = [*range(cells - 1), cells] if panel.missing else list(range(cells))
    last = steps[-1]
    return [start + (end - start) * (step / last if last else 0.5) for step in steps]


def _path(panel: Panel, xs: Sequence[float], line: Floats, scale: Scale) -> str:
    """Return the path of a curve; a cell without a neighbour on the curve is a dash of its own."""
    points = _points(xs, line, scale)
    alone = set(_alone(panel, np.isfinite(line)))
    path = line_path([None if cell in alone else point for cell, point in enumerate(points)])
    half = _half_dash(xs)
    dashes = [point for cell in sorted(alone) if (point := points[cell])]
    return path + "".join(
        f"M{coordinate(x - half)} {coordinate(y)}h{coordinate(2 * half)}" for x, y in dashes
    )


def _half_dash(xs: Sequence[float]) -> float:
    """Return half the length of a dash, so that it stays apart from those of the next cells."""
    return min(6.0, (xs[1] - xs[0]) / 3) if len(xs) > 1 else 6.0


def _alone(panel: Panel, known: NDArray[np.bool_]) -> list[int]:
    """Return the known cells whose neighbours are unknown; no cell is next to that for missing."""
    along = known[:-1] if panel.missing else known
    sides = np.pad(along, 1)
    found = np.flatnonzero(along & ~sides[:-2] & ~sides[2:]).tolist()
    return [*found, len(known) - 1] if panel.missing and known[-1] else found


def _points(xs: Sequence[float], line: Floats, scale: Scale) -> list[Point | None]:
    return [
        (x, scale(value)) if np.isfinite(value) else None
        for x, value in zip(xs, line.tolist(), strict=True)
    ]


def _curve(path: str, class_: str) -> Markup:
    return element("path", d=path, class_=class_) if path else Markup("")


def _thin(panel: Panel, paths: Sequence[str]) -> Markup:
    drawn = [element("path", d=path) for path in paths if path]
    crowd = "crowd" if len(drawn) > _TRIMMED else "few"
    kind = "dense" if len(drawn) > 300 else crowd  # noqa: PLR2004 - thinner still
    return (
        element("g", *drawn, class_=f"thins {kind}") if drawn and panel.low is None else Markup("")
    )


def _band(panel: Panel, xs: Sequence[float], scale: Scale) -> Markup:
    """Return the band between ``low`` and ``high``, piece by piece where both are there."""
    if panel.low is None or panel.high is None:
        return Markup("")
    edges = list(zip(xs, panel.low.tolist(), panel.high.tolist(), strict=True))
    pairs = list(pairwise(edges[:-1] if panel.missing else edges))
    half = _half_dash(xs)
    for cell in _alone(panel, np.isfinite(panel.low) & np.isfinite(panel.high)):
        x, low, high = edges[cell]
        pairs.append(((x - half, low, high), (x + half, low, high)))
    pieces = [
        f"M{coordinate(x0)} {coordinate(scale(a0))}L{coordinate(x1)} {coordinate(scale(a1))}"
        f"V{coordinate(scale(b1))}L{coordinate(x0)} {coordinate(scale(b0))}z"
        for (x0, a0, b0), (x1, a1, b1) in pairs
        if np.isfinite([a0, b0, a1, b1]).all()
    ]
    return element("path", d="".join(pieces), class_="band") if pieces else Markup("")


def _grid_labels(panel: Panel, xs: Sequence[float], bottom: float) -> Markup:
    """Return as many of the grid's values as fit, always the first."""
    texts = []
    for text, value in zip(panel.labels, panel.numbers.tolist(), strict=True):
        try:
            texts.append(plain(float(text)))
        except ValueError:  # a date, which is shortened to its day, or a level
            texts.append(elide(text[:10] if np.isfinite(value) else text, 12))
    widest = max(width(text) for text in texts) * 7 + 10
    step = (xs[-1] - xs[0]) / max(len(xs) - 1, 1)
    every = max(1, int(-(-widest // step)) if step else 1, -(-len(texts) // 7))
    marks = "".join(f"M{coordinate(x)} {coordinate(bottom)}v4" for x in xs[::every])
    shown = list(zip(xs[::every], texts[::every], strict=True))
    if panel.missing:  # it always has its label, and the one before it makes room
        marks += f"M{coordinate(xs[-1])} {coordinate(bottom)}v4"
        half = width(texts[-1]) * 7 / 2
        last = min(xs[-1], _ACROSS - half)
        room = last - 2 * half - 10
        shown = [*((x, text) for x, text in shown if x < room), (last, texts[-1])]
    return element("path", d=marks, class_="mark") + join(
        label(x, bottom + 17, text, "tick mid", 12) for x, text in shown
    )


def _end_names(panel: Panel, xs: Sequence[float], scale: Scale, right: float) -> Markup:
    """Draw each name on the right at its curve's last point, joined to it by a line."""
    ends = []
    for index, _ in panel.named:
        line = panel.lines[index]
        finite = np.flatnonzero(np.isfinite(line))
        last = int(finite[-1])
        ends.append((xs[last], scale(float(line[last]))))
    ys = spread([y for _, y in ends], 14, scale.end + 6, scale.start - 2)
    names = []
    for rank, ((x, y), at, (_, name)) in enumerate(zip(ends, ys, panel.named, strict=True)):
        tie = f"M{coordinate(x)} {coordinate(y)}L{coordinate(right + 3)} {coordinate(at)}"
        names.append(element("path", d=tie, class_=f"n{rank} tie"))
        names.append(label(right + 6, at + 4, name, f"name n{rank}", _NAME))
    return join(names)


def _levels(panel: Panel) -> list[int]:
    """Return the levels that most partitions have, in falling order of the consensus."""
    having = np.isfinite(panel.lines).sum(axis=0) + np.isfinite(panel.middle)
    common = np.argsort(-having, kind="stable")[:MOST_LEVELS]
    common = common[having[common] > 0]
    height = np.nan_to_num(panel.middle, nan=-np.inf)
    return sorted((int(level) for level in common), key=lambda level: (-height[level], level))


def _ticks(line: Floats, ys: dict[int, float], scale: Scale, within: tuple[int, int]) -> list[str]:
    start, length = within
    return [
        f"M{coordinate(scale(float(line[level])))} {coordinate(y + start)}v{length}"
        for level, y in ys.items()
        if np.isfinite(line[level])
    ]


def _spans(panel: Panel, ys: dict[int, float], scale: Scale) -> Markup:
    """Return a bar from ``low`` to ``high`` in each strip, if the panel has them."""
    if panel.low is None or panel.high is None:
        return Markup("")
    low, high = panel.low.tolist(), panel.high.tolist()
    path = "".join(
        f"M{coordinate(scale(low[level]))} {coordinate(y + 9)}H{coordinate(scale(high[level]))}"
        for level, y in ys.items()
        if np.isfinite([low[level], high[level]]).all()
    )
    return element("path", d=path, class_="span") if path else Markup("")


def _level_dots(line: Floats, ys: dict[int, float], scale: Scale, rank: int) -> Markup:
    dots = (
        element("circle", cx=scale(float(line[level])), cy=y + 9, r=3.4)
        for level, y in ys.items()
        if np.isfinite(line[level])
    )
    return element("g", *dots, class_=f"n{rank} marks")
