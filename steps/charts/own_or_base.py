"""Own models against the base model: who gains, who loses, as sentences and a chart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from steps.charts.arrays import numbers_of, texts_of
from steps.charts.svg import Scale, axis_x, coordinate, element, label, name_room, picture
from steps.charts.tables import Reader, whole
from steps.charts.text import count, elide, fixed, plural

_SHOWN = 8
_ROW, _NAME = 16, 15
_CLASSES = {"own": "better", "base": "worse"}


@dataclass(frozen=True)
class Gain:
    """What a partition gains by its own model; see the result table ``own_or_base``."""

    name: str
    better: str
    rows: float
    gain: float
    low: float
    high: float


@dataclass(frozen=True)
class Comparison:
    """The comparison of all partitions; ``chart`` shows those that are clearest."""

    answer: str
    detail: str
    chart: Markup


def comparison_of(read: Reader, experiment: Mapping[str, Any]) -> Comparison | None:
    """Return what the tables say about own models and the base model; None if there is none."""
    if experiment["base_gain"] is None:
        return None
    gains = _read(read)
    own = [each for each in gains if each.better == "own"]
    base = [each for each in gains if each.better == "base"]
    detail = (
        f"Own models predict better in {plural(len(own), 'partition')} and worse in "
        f"{count(len(base))}, at a false discovery rate of 10 %; in the others the difference may "
        "be chance."
    )
    return Comparison(_answer(experiment), detail, _chart(_clearest(gains)))


def _answer(experiment: Mapping[str, Any]) -> str:
    gain, low, high = (
        float(experiment[name]) for name in ("base_gain", "base_gain_low", "base_gain_high")
    )
    partitions = plural(int(experiment["base_partitions"]), "partition")
    if low > 0:
        verdict = "The partitions' own models predict better than one model of all partitions"
    elif high < 0:
        verdict = "One model of all partitions predicts better than the partitions' own models"
    else:
        verdict = "One model of all partitions predicts as well as the partitions' own models"
    more = "more" if gain >= 0 else "less"
    interval = f"{fixed(100 * low, 1)} to {fixed(100 * high, 1)}"
    return (
        f"{verdict}: over {partitions}, own models remove {fixed(100 * abs(gain), 1)} % {more} of "
        f"the constant prediction's loss (90 % interval of the difference: {interval} %)."
    )


def _read(read: Reader) -> list[Gain]:
    texts, numbers = ["partition", "better"], ["rows", "gain", "low", "high"]
    table = whole(read, "own_or_base", texts + numbers)
    columns: list[list[Any]] = [texts_of(table, name) for name in texts]
    columns += [numbers_of(table, name).tolist() for name in numbers]
    rows = [Gain(*row) for row in zip(*columns, strict=True)]
    return [each for each in rows if math.isfinite(each.low) and math.isfinite(each.high)]


def _clearest(gains: Sequence[Gain]) -> list[Gain]:
    """Return the partitions whose intervals lie farthest above and farthest below 0."""
    above = sorted(gains, key=lambda each: (-each.low, each.name))[:_SHOWN]
    below = sorted(gains, key=lambda each: (each.high, each.name))[:_SHOWN]
    shown = above + [each for each in below if each not in above]
    return sorted(shown, key=lambda each: (-each.gain, each.name))


def _chart(gains: Sequence[Gain]) -> Markup:
    across, top, left = 620, 8, name_room((each.name for each in gains), _NAME)
    bottom = top + _ROW * len(gains) + 4
    ends = [0.0, *(each.low for each in gains), *(each.high for each in gains)]
    room = 0.04 * (max(ends) - min(ends)) or 0.1
    low, high = max(min(ends) - room, -1.0), min(max(ends) + room, 1.0)
    scale = Scale(low, high, left, across - 12)
    zero = f"M{coordinate(scale(0))} {coordinate(top)}V{coordinate(bottom)}"
    return picture(
        "own-or-base",
        (across, bottom + 40),
        "What partitions gain by their own models",
        "A row for each of the clearest partitions: a dot at the gain and a line over its 90 % "
        "interval. Above 0 the own model predicts better, below 0 the base model. The numbers "
        "stand in the table own_or_base.",
        axis_x(scale, top, bottom),
        element("path", d=zero, class_="zero"),
        *(_row(each, scale, top + _ROW * (at + 0.5)) for at, each in enumerate(gains)),
        label((left + across) / 2, bottom + 33, "gain by own models", "axis mid"),
    )


def _row(each: Gain, scale: Scale, y: float) -> Markup:
    low, high = coordinate(scale.clip(each.low)), coordinate(scale.clip(each.high))
    told = (
        f"{each.name}: gain {fixed(each.gain)} ({fixed(each.low)} to {fixed(each.high)}), "
        f"{count(each.rows)} rows"
    )
    return element(
        "g",
        element("title", told),
        label(scale.start - 8, y + 4, elide(each.name, _NAME), "name end", _NAME),
        element("path", d=f"M{low} {coordinate(y)}H{high}", class_="interval"),
        element("circle", cx=scale.clip(each.gain), cy=y, r=3.6, class_="dot"),
        class_=_CLASSES.get(each.better, "unsure"),
    )
