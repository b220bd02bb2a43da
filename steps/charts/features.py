"""The data section: one line per feature with its values, and warnings."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from markupsafe import Markup

from steps.charts import text
from steps.charts.svg import coordinate, element, picture
from steps.charts.tables import Reader, whole
from steps.results.schema import BUCKETS_TABLE, COLUMN_STATISTICS, DATA_WARNINGS, TOP_VALUES_TABLE

MOST_FEATURES = 60
"""Features that are shown; the first are those with a warning, then the most important."""

MOST_WARNINGS = 40
"""Warnings that are shown."""

_SIZE = (132.0, 26.0)
_LEVEL = 24
_EPOCH = date(1970, 1, 1)

Row = Mapping[str, Any]


@dataclass(frozen=True)
class FeatureLine:
    """A feature as the section shows it: all text, except for the chart."""

    name: str
    type: str
    missing: str
    missing_rows: str
    distinct: str
    typical: str
    range: str
    chart: Markup
    warned: bool


@dataclass(frozen=True)
class Section:
    """The section on the data.

    Attributes:
        features: features that are shown, in order.
        total: number of all features.
        warnings: kind and message of the warnings that are shown.
        warnings_total: number of all warnings.
    """

    features: tuple[FeatureLine, ...]
    total: int
    warnings: tuple[tuple[str, str], ...]
    warnings_total: int

    @property
    def hidden(self) -> int:
        """Features that are not shown."""
        return self.total - len(self.features)


def data_section(read: Reader, features: Sequence[str], ranking: Sequence[str]) -> Section:
    """Return the section on the data, from the tables about all rows.

    Args:
        read: returns columns of a table, by its name.
        features: names of the features, in the order of the spec.
        ranking: names of the features, the most important first; may be empty.
    """
    warnings = whole(read, DATA_WARNINGS.name, ["kind", "column", "message"]).to_pylist()
    warned = [row["column"] or "" for row in warnings if row["kind"] != "few_rows"]
    about = _by_column(read, COLUMN_STATISTICS.name, COLUMN_STATISTICS.names)
    known = [name for name in features if name in about]
    shown = known
    if len(known) > MOST_FEATURES:
        first = [*warned, *ranking, *known]
        shown = list(dict.fromkeys(name for name in first if name in set(known)))[:MOST_FEATURES]
    top = _by_column(read, TOP_VALUES_TABLE.name, ["column", "value", "share"])
    buckets = _by_column(read, BUCKETS_TABLE.name, ["column", "low", "high", "count"])
    return Section(
        features=tuple(
            _line(f"column-{at}", about[name][0], top[name], buckets[name], name in set(warned))
            for at, name in enumerate(shown)
        ),
        total=len(known),
        warnings=tuple((row["kind"], row["message"]) for row in warnings[:MOST_WARNINGS]),
        warnings_total=len(warnings),
    )


def _by_column(read: Reader, name: str, columns: Sequence[str]) -> dict[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in whole(read, name, list(columns)).to_pylist():
        found[row["column"] or ""].append(row)
    return found


def _line(
    ident: str, row: Row, top: Sequence[Row], buckets: Sequence[Row], warned: bool
) -> FeatureLine:
    kind, rows, missing = row["type"], row["rows"] or 0, row["missing"] or 0
    exact = row["distinct_exact"] is not False
    extent = ""
    if kind not in {"string", "bool"} and row["min"] is not None:
        low, high = value_text(kind, row["min"]), value_text(kind, row["max"])
        extent = low if low == high else f"{low} to {high}"
    return FeatureLine(
        name=row["column"] or "",
        type=kind,
        missing=share_text(missing, rows),
        missing_rows=text.plural(missing, "row"),
        distinct=("" if exact else "about ") + text.count(row["distinct"]),
        typical=_typical(row, top),
        range=extent,
        chart=_chart(ident, row, top, buckets),
        warned=warned,
    )


def share_text(part: float, whole: float) -> str:
    """Return a share in per cent: 0 only if it is none, 100 only if it is all."""
    if not whole:
        return text.NONE
    share = part / whole
    if 0 < share < 0.001:  # noqa: PLR2004 - a tenth of a per cent
        return "< 0.1 %"
    if 0.999 < share < 1:  # noqa: PLR2004
        return "> 99.9 %"
    return f"{100 * share:.1f} %" if share not in {0, 1} else f"{100 * share:.0f} %"


def value_text(kind: str, value: float | None) -> str:
    """Return a number in the column's own form: days and seconds since 1970 as dates."""
    if value is None or not math.isfinite(value):
        return text.NONE
    try:
        if kind == "date":
            return (_EPOCH + timedelta(days=value)).isoformat()
        if kind == "timestamp":
            moment = datetime.fromtimestamp(0, UTC) + timedelta(seconds=value)
            return moment.strftime("%Y-%m-%d %H:%M")
    except (OverflowError, ValueError):  # years that Python does not have
        return text.number(value)
    return text.plain(value)


def _typical(row: Row, top: Sequence[Row]) -> str:
    kind = row["type"]
    if kind in {"string", "bool"}:
        return ", ".join(
            f"{text.elide(each['value'] or '', _LEVEL)} {share_text(each['share'] or 0, 1)}"
            for each in top[:2]
        )
    if row["mean"] is None:
        return text.NONE
    if kind in {"date", "timestamp"}:
        return value_text(kind, row["q50"])
    return f"{text.number(row['mean'])} ± {text.number(row['sd'])}"


def _chart(ident: str, row: Row, top: Sequence[Row], buckets: Sequence[Row]) -> Markup:
    """Return ten buckets of equal width, or the most frequent levels; empty without either."""
    name, levels = row["column"] or "", row["type"] in {"string", "bool"}
    heights = (
        [each["share"] or 0 for each in top] if levels else [each["count"] for each in buckets]
    )
    if not heights or not max(heights):
        return Markup("")
    if levels:
        named = [
            f"{text.elide(each['value'] or '', 60)}: {share_text(each['share'] or 0, 1)}"
            for each in top
        ]
        description = "The most frequent values. " + "; ".join(named)
    else:
        fullest = max(buckets, key=lambda each: each["count"])
        low, high = (value_text(row["type"], fullest[name]) for name in ("low", "high"))
        share = share_text(fullest["count"], sum(heights))
        description = f"Ten buckets of equal width; {share} of the values lie from {low} to {high}."
    title = f"Values of {text.elide(name, 60)}"
    return picture(ident, _SIZE, title, description, *_bars(heights, narrow=levels))


def _bars(heights: Sequence[float], *, narrow: bool) -> list[Markup]:
    across, down = _SIZE
    step = across / (6 if narrow else len(heights))
    largest = max(heights)
    base = element("path", d=f"M0 {coordinate(down - 0.5)}H{coordinate(across)}", class_="base")
    bars = []
    for at, height in enumerate(heights):
        size = max((down - 2) * height / largest, 1.0 if height > 0 else 0.0)
        if size:
            box = {"x": at * step + 0.5, "y": down - 1 - size, "width": step - 1, "height": size}
            bars.append(element("rect", class_="bar", **box))
    return [base, *bars]
