"""Skill of the partitions: with its interval, and by the number of rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from steps.charts.svg import (
    Point,
    Scale,
    axis_x,
    axis_y,
    coordinate,
    element,
    join,
    label,
    name_room,
    picture,
    scale_over,
    spread,
    text_width,
)
from steps.charts.tables import Partition
from steps.charts.text import count, elide, fixed
from steps.results.constant_models import predicts_constant

FEW, MANY = 24, 120
"""Up to FEW partitions are in one column, up to MANY in three with a name each; then it is a
strip in which only notable partitions are named."""

_ROW = 16
_TRIMMED = 50
_NOTABLE = 3
_SCATTERED = 8
_NAME = 15


@dataclass(frozen=True)
class SkillCharts:
    """The charts, and the number of partitions outside their axis."""

    ranked: tuple[Markup, ...]
    against_rows: Markup | None
    beyond: int


def skill_charts(partitions: Sequence[Partition]) -> SkillCharts:
    """Return charts of the partitions whose skill is defined."""
    scored = sorted((each for each in partitions if each.scored), key=lambda each: -each.skill)
    if not scored:
        return SkillCharts((), None, 0)
    low, high = skill_range(scored)
    if len(scored) > MANY:
        ranked = [_strip(scored, low, high)]
    else:
        size = math.ceil(len(scored) / (1 if len(scored) <= FEW else 3))
        marked = {id(each) for each in best_of(scored)[:1] + worst_of(scored)[:1]}
        ranked = [
            _column(scored[start : start + size], (low, high), start, size, marked)
            for start in range(0, len(scored), size)
        ]
    scatter = _against_rows(scored, low, high) if len(scored) >= _SCATTERED else None
    beyond = sum(not low <= each.skill <= high for each in scored)
    return SkillCharts(tuple(ranked), scatter, beyond)


def skill_range(scored: Sequence[Partition]) -> tuple[float, float]:
    """Return the axis: all intervals, without the outermost if there are many, within -1 to 1.

    Skill is at most 1, though the interval's normal approximation may pass it. It has no lower
    bound, so one hopeless partition could press all others into a line.
    """
    ends = np.array([[each.low, each.high, each.skill, each.skill] for each in scored])
    ends = np.where(np.isfinite(ends), ends, ends[:, 2:3])
    trim = 0.01 if len(scored) >= _TRIMMED else 0.0
    low = min(float(np.quantile(ends.min(axis=1), trim)), 0.0)
    high = max(float(np.quantile(ends.max(axis=1), 1 - trim)), 0.0)
    room = 0.04 * (high - low) or 0.1
    return max(low - room, -1.0), min(high + room, 1.0)


def best_of(partitions: Iterable[Partition]) -> list[Partition]:
    """Return partitions with a defined interval, the highest lower bound first."""
    bounded = [each for each in partitions if _can_be_ranked(each) and math.isfinite(each.low)]
    return sorted(bounded, key=lambda each: (-each.low, each.identifier))


def worst_of(partitions: Iterable[Partition]) -> list[Partition]:
    """Return partitions with a defined interval, the lowest upper bound first."""
    bounded = [each for each in partitions if _can_be_ranked(each) and math.isfinite(each.high)]
    return sorted(bounded, key=lambda each: (each.high, each.identifier))


def best_and_worst(
    partitions: Sequence[Partition], most: int
) -> tuple[list[Partition], list[Partition]]:
    """Return the best and the worst partitions, none among both; at most ``most`` of each."""
    best = best_of(partitions)
    half = min(most, max(1, len(best) // 2))
    shown = {each.identifier for each in best[:half]}
    worst = [each for each in worst_of(partitions) if each.identifier not in shown]
    return best[:half], worst[:half]


def _can_be_ranked(partition: Partition) -> bool:
    """Return False for a model that predicts a constant: it is neither good nor bad."""
    bounds = (partition.skill, partition.low, partition.high)
    return partition.scored and not predicts_constant(*bounds)


def verdict(partition: Partition) -> str:
    """Return ``better`` or ``worse`` if the interval is on one side of 0, else ``unsure``."""
    if partition.low > 0:
        return "better"
    return "worse" if partition.high < 0 else "unsure"


def summary_of(partition: Partition) -> str:
    """Return a partition's skill in one line, for the tooltips."""
    interval = f"{fixed(partition.low)} to {fixed(partition.high)}"
    skill, rows = fixed(partition.skill), count(partition.rows_with_target)
    return f"{partition.name}: skill {skill} ({interval}), {rows} rows"


def _column(
    part: Sequence[Partition], bounds: tuple[float, float], start: int, size: int, marked: set[int]
) -> Markup:
    across, top, left = 400, 8, name_room((each.name for each in part), _NAME)
    bottom = top + _ROW * size + 4
    scale = Scale(*bounds, left, across - 12)
    last = start + len(part)
    zero = f"M{coordinate(scale(0))} {coordinate(top)}V{coordinate(bottom)}"
    return picture(
        f"skill-{start}",
        (across, bottom + 40),
        f"Skill of partitions {start + 1} to {last}, in falling order",
        "One row for each partition: a dot at its skill and a line over its 90 % interval. "
        "The same numbers are in the table of all partitions.",
        axis_x(scale, top, bottom),
        element("path", d=zero, class_="zero"),
        *(_row(each, scale, top + _ROW * (index + 0.5), marked) for index, each in enumerate(part)),
        label((left + across) / 2, bottom + 33, "skill", "axis mid"),
    )


def _row(each: Partition, scale: Scale, y: float, marked: set[int]) -> Markup:
    strong = " strong" if id(each) in marked else ""
    interval = Markup("")
    if math.isfinite(each.low) and math.isfinite(each.high):
        low, high = coordinate(scale.clip(each.low)), coordinate(scale.clip(each.high))
        interval = element("path", d=f"M{low} {coordinate(y)}H{high}", class_="interval")
    if scale.low <= each.skill <= scale.high:
        dot = element("circle", cx=scale(each.skill), cy=y, r=3.6, class_="dot")
    else:  # a triangle that points to the skill, which lies outside the axis
        x, step = (scale.start, 6) if each.skill < scale.low else (scale.end, -6)
        triangle = f"M{coordinate(x)} {coordinate(y)}l{step}-4v8z"
        dot = element("path", d=triangle, class_="dot")
    return element(
        "g",
        element("title", summary_of(each)),
        element("rect", x=0, y=y - _ROW / 2, width=scale.end, height=_ROW, class_="hit"),
        label(scale.start - 8, y + 4, each.name, f"name end{strong}", _NAME),
        interval,
        dot,
        class_=verdict(each),
    )


def _strip(scored: Sequence[Partition], low: float, high: float) -> Markup:
    across, top, bottom, left = 1240, 10, 330, 52
    scale = Scale(low, high, bottom, top)
    xs = [
        left + 10 + (across - left - 20) * (index + 0.5) / len(scored)
        for index in range(len(scored))
    ]
    step = across / len(scored)
    dots = {
        each.identifier: (x, scale.clip(each.skill)) for each, x in zip(scored, xs, strict=True)
    }
    best, worst = best_and_worst(scored, _NOTABLE)
    return picture(
        "skill-strip",
        (across, bottom + 30),
        f"Skill of {count(len(scored))} partitions, in falling order",
        "Partitions from left to right by falling skill: a dot at the skill and a line over its "
        "90 % interval. The numbers stand in the table partitions.",
        axis_y(scale, left, across),
        *(_strip_kind(scored, xs, scale, kind) for kind in ("unsure", "worse", "better")),
        element("path", d=f"M{left} {coordinate(scale(0))}H{across}", class_="zero"),
        label(left + 6, scale(0) + 15, "0: no better than a constant prediction", "tick halo"),
        *(
            element(
                "rect",
                element("title", summary_of(each)),
                x=x - step / 2,
                y=top,
                width=max(step, 0.1),
                height=bottom - top,
                class_="hit",
            )
            for each, x in zip(scored, xs, strict=True)
        ),
        # Each name is on the side of the strip on which the others fall away.
        _names_with_leaders(best, dots, 26),
        _names_with_leaders(worst, dots, -26),
        label(across / 2, bottom + 22, "partitions in falling order of skill", "axis mid"),
        wide=True,
    )


def _strip_kind(
    scored: Sequence[Partition], xs: Sequence[float], scale: Scale, kind: str
) -> Markup:
    chosen = [(each, x) for each, x in zip(scored, xs, strict=True) if verdict(each) == kind]
    lines = "".join(
        f"M{coordinate(x)} {coordinate(scale.clip(each.low))}V{coordinate(scale.clip(each.high))}"
        for each, x in chosen
        if math.isfinite(each.low) and math.isfinite(each.high)
    )
    dots = "".join(f"M{coordinate(x)} {coordinate(scale.clip(each.skill))}h0" for each, x in chosen)
    if not dots:
        return Markup("")
    paths = [element("path", d=lines, class_="thin")] if lines else []
    return element("g", *paths, element("path", d=dots, class_="points"), class_=kind)


def _names_with_leaders(chosen: Sequence[Partition], dots: dict[str, Point], away: float) -> Markup:
    """Return the names of partitions, ``away`` from their dots and joined to them by lines."""
    places = [dots[each.identifier] for each in chosen]
    heights = spread([y for _, y in places], 16, 18, 324)
    names = []
    for each, (x, y), height in zip(chosen, places, heights, strict=True):
        line = f"M{coordinate(x)} {coordinate(y)}L{coordinate(x + away)} {coordinate(height)}"
        anchor = "name halo" if away > 0 else "name halo end"
        names.append(element("path", d=line, class_="leader"))
        names.append(label(x + away * 1.15, height + 4, each.name, anchor, 16))
    return join(names)


def _against_rows(scored: Sequence[Partition], low: float, high: float) -> Markup:
    across, top, bottom, left = 480, 10, 262, 52
    scale = Scale(low, high, bottom, top)
    sizes = [each.rows_with_target for each in scored]
    logs = [math.log10(max(rows, 1)) if math.isfinite(rows) else 0.0 for rows in sizes]
    rows = scale_over(logs, left + 6, across - 8)
    points = {
        each.identifier: (rows(log), scale.clip(each.skill))
        for each, log in zip(scored, logs, strict=True)
    }
    dots = []
    for each in scored:
        x, y = points[each.identifier]
        title, radius = element("title", summary_of(each)), 3.6 if len(scored) <= MANY else 2.2
        kind = f"spot {verdict(each)}"
        dots.append(element("circle", title, cx=x, cy=y, r=radius, class_=kind))
    return picture(
        "skill-rows",
        (across, bottom + 42),
        "Skill against the number of rows",
        "One dot for each partition, rows on a logarithmic axis. Small partitions scatter more.",
        axis_y(scale, left, across),
        _log_ticks(rows, top, bottom),
        element("path", d=f"M{left} {coordinate(scale(0))}H{across}", class_="zero"),
        *dots,
        _scatter_names(scored, points, (left, across), (top, bottom)),
        label((left + across) / 2, bottom + 35, "rows of the partition (logarithmic)", "axis mid"),
    )


def _log_ticks(scale: Scale, top: float, bottom: float) -> Markup:
    factors = (1,) if scale.high - scale.low > 2 else (1, 2, 5)  # noqa: PLR2004 - decades
    decades = range(math.floor(scale.low), math.ceil(scale.high) + 1)
    values = [factor * 10.0**decade for decade in decades for factor in factors]
    places = [
        (scale(math.log10(each)), each)
        for each in values
        if scale.low <= math.log10(each) <= scale.high
    ]
    lines = "".join(f"M{coordinate(x)} {coordinate(top)}V{coordinate(bottom)}" for x, _ in places)
    texts = (label(x, bottom + 16, count(each), "tick mid") for x, each in places)
    return element("path", d=lines or "M0 0", class_="grid") + join(texts)


def _scatter_names(
    scored: Sequence[Partition], points: dict[str, Point], across: Point, down: Point
) -> Markup:
    """Return names of best and worst, at the side that has room, moved apart where they touch."""
    most = 1 if len(scored) <= FEW else _NOTABLE  # few partitions are all named next to it
    best, worst = best_and_worst(scored, most)
    chosen = {each.identifier: each for each in best + worst}
    keys = list(chosen)
    ys = spread([points[key][1] + 4 for key in keys], 14, down[0] + 8, down[1] - 3)
    names = []
    for key, y in zip(keys, ys, strict=True):
        x, start = points[key][0], points[key][0] + 7
        room = across[1] - start
        left = text_width(elide(chosen[key].name, _NAME)) > room
        names.append(
            label(
                x - 7 if left else start,
                y,
                chosen[key].name,
                f"name halo{' end' if left else ''}",
                _NAME,
            )
        )
    return join(names)
