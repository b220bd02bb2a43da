"""Charts outside of a page: SVG files with their own style sheet, for notebooks."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

from markupsafe import Markup

from steps.charts.svg import Scale, axis_x, coordinate, element, label, name_room, picture

_ROW = 20


def standalone_svg(chart: Markup) -> str:
    """Return a chart as an SVG file that needs no style sheet, in light and dark mode."""
    head, _, rest = str(chart).partition(">")
    head = head.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1)
    ground = "svg{background:var(--paper)}"  # a notebook may be light where the browser is dark
    return f"{head}><style>{_style()}{ground}</style>{rest}"


def data_image(svg: str, description: str) -> Markup:
    """Return an ``img`` element that holds an SVG file, so that no style leaks into the page."""
    source = f"data:image/svg+xml;base64,{b64encode(svg.encode()).decode()}"
    return Markup('<img src="{}" alt="{}" style="max-width:440px;width:100%">').format(
        source, description
    )


@cache
def _style() -> str:
    folder = files("steps.charts")
    return "".join(folder.joinpath(name).read_text() for name in ("palette.css", "charts.css"))


def bar_chart(names: Sequence[str], values: Sequence[float], title: str) -> Markup:
    """Return horizontal bars, one per name, in the given order.

    Args:
        names: names of the bars; they may come from the data.
        values: lengths of the bars, which start at 0; may be negative.
        title: text alternative.
    """
    across, top, left = 400, 8, name_room(names, 16)
    bottom = top + _ROW * len(names)
    low, high = min([0.0, *values]), max([0.0, *values])
    scale = Scale(low, high if high > low else low + 1.0, left, across - 12)
    bars = []
    for position, (name, value) in enumerate(zip(names, values, strict=True)):
        y = top + _ROW * position
        start, end = sorted((scale(0.0), scale(value)))
        box = {"x": coordinate(start), "y": coordinate(y + 4), "width": coordinate(end - start)}
        bars.append(element("rect", **box, height=coordinate(_ROW - 8), class_="bar"))
        bars.append(label(left - 6, y + _ROW / 2 + 4, name, "name end", 16))
    return picture(
        "bars",
        (across, bottom + 24),
        title,
        f"{len(names)} bars.",
        axis_x(scale, top, bottom),
        *bars,
    )
