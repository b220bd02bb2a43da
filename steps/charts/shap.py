"""SHAP values: per feature, and by the feature's value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from steps.charts.curves import Floats
from steps.charts.panel import Panel, level_panel, line_panel
from steps.charts.svg import (
    Scale,
    axis_x,
    coordinate,
    element,
    label,
    name_room,
    picture,
    scale_over,
)
from steps.charts.tables import Curves, ShapSummary, column_quantile
from steps.charts.text import count, number

MOST_FEATURES = 20
MOST_PANELS = 6

_TOP, _ROW, _NAME = 26, 18, 20


@dataclass(frozen=True)
class ShapPanel:
    """Median SHAP value over partitions, by the value of one feature."""

    chart: Markup
    feature: str


def shap_chart(summary: ShapSummary, ident: str) -> Markup:
    """Return mean |SHAP| and mean SHAP per feature: median and quartiles over partitions."""
    size = column_quantile(summary.mean_abs, 0.5)
    order = np.argsort(-np.nan_to_num(size, nan=-1.0), kind="stable")[:MOST_FEATURES].tolist()
    names = [summary.features[index] for index in order]
    left = name_room(names, _NAME)
    middle, end = left + 330, left + 630
    sizes, signed = _quartiles(summary.mean_abs)[:, order], _quartiles(summary.mean)[:, order]
    return picture(
        ident,
        (end + 14, _TOP + _ROW * len(order) + 22),
        f"SHAP values of {count(len(order))} features",
        "Per feature the median over partitions as a dot, its quartiles as a line: mean absolute "
        "SHAP value on the left, mean signed one on the right.",
        label(left, _TOP - 10, "mean |SHAP|: how much", "axis"),
        label(middle, _TOP - 10, "mean SHAP: in which direction", "axis"),
        *(
            label(left - 8, _TOP + _ROW * (at + 0.5) + 4, name, "name end", _NAME)
            for at, name in enumerate(names)
        ),
        *_dots(sizes, scale_over([0.0, *sizes.ravel()], left, middle - 40)),
        *_dots(signed, scale_over([0.0, *signed.ravel()], middle, end)),
        wide=True,
    )


def _quartiles(values: Floats) -> Floats:
    return np.stack([column_quantile(values, share) for share in (0.25, 0.5, 0.75)])


def _dots(quartiles: Floats, scale: Scale) -> list[Markup]:
    bottom = _TOP + _ROW * quartiles.shape[1]
    drawn = [axis_x(scale, _TOP, bottom, 5)]
    drawn.append(
        element("path", d=f"M{coordinate(scale(0))} {_TOP}V{coordinate(bottom)}", class_="base")
    )
    for index, (low, middle, high) in enumerate(quartiles.T.tolist()):
        if np.isfinite(middle):
            y = _TOP + _ROW * (index + 0.5)
            line = f"M{coordinate(scale(low))} {coordinate(y)}H{coordinate(scale(high))}"
            title = element(
                "title", f"median {number(middle)}, quartiles {number(low)} and {number(high)}"
            )
            drawn.append(element("path", d=line, class_="interval"))
            drawn.append(element("circle", title, cx=scale(middle), cy=y, r=3.6, class_="dot"))
    return [element("g", *drawn, class_="better")]


def shap_panels(curves: Sequence[Curves], features: Sequence[str], class_: str) -> list[ShapPanel]:
    """Return SHAP against value: median over partitions with a band from quartile to quartile."""
    found = {each.feature: each for each in curves if each.class_ == class_}
    chosen = [found[feature] for feature in features if feature in found]
    drawable = [each for each in chosen if each.usable.any()][:MOST_PANELS]
    panels = []
    for index, each in enumerate(drawable):
        usable = each.usable
        values = np.where(usable, each.centred, np.nan)
        enough = usable.sum(axis=0) * 2 >= usable.any(axis=1).sum()
        low, middle, high = (np.where(enough, edge, np.nan) for edge in _quartiles(values))
        panel = Panel(
            ident=f"shap-{index}",
            title=f"SHAP against the value of {each.feature}",
            labels=each.labels,
            numbers=each.numbers,
            lines=np.stack([low, high]),
            middle=middle,
            low=low,
            high=high,
        )
        chart = level_panel(panel) if each.categorical else line_panel(panel)
        panels.append(ShapPanel(chart, each.feature))
    return panels
