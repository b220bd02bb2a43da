"""Heat map of importance: features by partitions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import pdist

from steps.charts.curves import Floats
from steps.charts.svg import coordinate, element, join, label, name_room, picture
from steps.charts.tables import Importance, Partition
from steps.charts.text import count, fixed, number

MOST_FEATURES = 40
"""Number of features that are drawn, by the median over partitions."""

COLOURS = 8
"""Colours above 0; a ninth is for 0 and below."""

_RIGHT, _TOP, _ROW = 118, 26, 18
_NAMED = 100
_FEATURE, _PARTITION = 18, 10


@dataclass(frozen=True)
class HeatMap:
    """The chart, its legend, and the facts that its caption needs."""

    chart: Markup
    legend: tuple[tuple[int, str], ...]
    features: int
    hidden: int


def heat_map(importance: Importance, trained: Sequence[Partition]) -> HeatMap:
    """Draw features as rows and partitions as columns, both clustered; medians on the right."""
    chosen = importance.ranking[:MOST_FEATURES]
    values = importance.values[:, chosen]
    edges = colour_edges(values)
    # The square root keeps a single dominant feature from deciding the order alone.
    rooted = np.sqrt(np.clip(np.nan_to_num(values), 0, None))
    columns, rows = clustered_order(rooted), clustered_order(rooted.T)
    cells = colour_cells(values[np.ix_(columns, rows)].T, edges)
    names = [importance.features[chosen[row]] for row in rows]
    overall = importance.medians
    medians = [float(overall[chosen[row]]) for row in rows]
    chart = _chart(cells, names, medians, [trained[column] for column in columns])
    above = [(colour + 1, number(edge, 2)) for colour, edge in enumerate(edges)]
    legend = ((0, "≤ 0"), (1, "> 0"), *above[1:])
    return HeatMap(chart, legend, len(chosen), len(importance.features) - len(chosen))


def colour_edges(values: NDArray[np.float64]) -> list[float]:
    """Return lower edges of the colours above 0, spaced by square root up to the 99th percentile.

    Importance has a long tail: with even steps all but one feature would have the first colour.
    """
    positive = values[np.isfinite(values) & (values > 0)]
    top = float(np.quantile(positive, 0.99)) if positive.size else 1.0
    return [top * (step / COLOURS) ** 2 for step in range(COLOURS)]


def colour_cells(values: NDArray[np.float64], edges: Sequence[float]) -> NDArray[np.int64]:
    """Return colour of each cell: 0 for 0 and below, 1 to ``COLOURS`` above, -1 for no value."""
    found = np.searchsorted(np.asarray(edges), np.nan_to_num(values), side="left").astype(np.int64)
    return np.where(np.isfinite(values), found, -1)


def colour_path(cells: NDArray[np.int64], colour: int) -> str:
    """Return all cells of one colour as one path in cell units; neighbours in a row are merged."""
    parts: list[str] = []
    for y, row in enumerate(cells == colour):
        edges = np.flatnonzero(np.diff(np.concatenate(([False], row, [False])).astype(np.int8)))
        for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            parts.append(f"M{start} {y}h{end - start}v1H{start}z")
    return "".join(parts)


def _chart(
    cells: NDArray[np.int64],
    names: Sequence[str],
    medians: Sequence[float],
    order: Sequence[Partition],
) -> Markup:
    step, left = min(max(820 / len(order), 1.0), 44.0), name_room(names, _FEATURE)
    named = len(order) <= _NAMED
    across, bottom = left + step * len(order), _TOP + _ROW * len(names)
    below = name_room((each.name for each in order), _PARTITION) if named else 26
    paths = [
        element("path", d=path, class_=f"h{colour}")
        for colour in range(COLOURS + 1)
        if (path := colour_path(cells, colour))
    ]
    move = f"translate({coordinate(left)} {_TOP}) scale({coordinate(step, 4)} {_ROW})"
    middle, caption = (left + across) / 2, "partitions, similar ones together"
    return picture(
        "heat",
        (across + _RIGHT, bottom + below),
        f"Importance of {count(len(names))} features in {count(len(order))} partitions",
        "A row for each feature, a column for each partition, both in clustered order; the "
        "stronger the colour, the more important the feature. Bars on the right: "
        "median over partitions. The numbers stand in the table importance.",
        element("g", *paths, transform=move, class_="cells") if paths else Markup(""),
        *(
            label(left - 8, _TOP + _ROW * (row + 0.5) + 4, name, "name end", _FEATURE)
            for row, name in enumerate(names)
        ),
        _bars(medians, across + 14),
        *(
            _column(each, left + step * index, step, bottom, named)
            for index, each in enumerate(order)
        ),
        Markup("") if named else label(middle, bottom + 18, caption, "axis mid"),
        wide=True,
    )


def _column(each: Partition, x: float, step: float, bottom: float, named: bool) -> Markup:
    box = element(
        "rect",
        element("title", each.name),
        x=x,
        y=_TOP,
        width=step,
        height=bottom - _TOP,
        class_="hit",
    )
    if not named:
        return box
    angle = -45 if step > 20 else -90  # noqa: PLR2004 - slanted names need this much room
    at = f"translate({coordinate(x + step / 2 + 3.5)} {coordinate(bottom + 8)}) rotate({angle})"
    small = "name end" if step > 11 else "name end small"  # noqa: PLR2004 - else lines would touch
    return box + label(0, 0, each.name, small, _PARTITION, transform=at)


def _bars(medians: Sequence[float], left: float) -> Markup:
    """Return medians over partitions; a negative one is a bar of no length with its number."""
    top = max([value for value in medians if np.isfinite(value)] + [1e-12])
    decimals = max(0, 2 - math.floor(math.log10(top)))
    bars = []
    for row, value in enumerate(medians):
        y, length = _TOP + _ROW * row, 46 * max(float(np.nan_to_num(value)), 0.0) / top
        bars.append(element("rect", x=left, y=y + 4, width=length, height=_ROW - 8, class_="bar"))
        bars.append(
            label(left + length + 5, y + _ROW / 2 + 4, fixed(value, min(decimals, 5)), "tick")
        )
    return join([label(left, _TOP - 8, "median", "axis"), *bars])


MOST_OPTIMAL = 300
"""Rows up to which the leaves are ordered optimally: its time grows with their cube."""

MOST_CLUSTERED = 4000
"""Rows up to which they are clustered: the distances take 8 n^2 / 2 bytes, 64 MB here."""


def clustered_order(matrix: Floats) -> list[int]:
    """Return row numbers of ``matrix`` in the order of an average-linkage dendrogram's leaves.

    A missing value counts as 0, no importance. Of the two directions, the one is taken that has
    the larger sums first. Beyond ``MOST_CLUSTERED`` rows it is the order of the sums alone.
    """
    values = np.nan_to_num(matrix, nan=0.0, posinf=0.0, neginf=0.0)
    sums = values.sum(axis=1)
    rows = len(values)
    if rows <= 2 or rows > MOST_CLUSTERED or not values.any():  # noqa: PLR2004 - no tree to draw
        return [int(index) for index in np.argsort(-sums, kind="stable")]
    gaps = pdist(values)
    tree = linkage(gaps, "average")
    if rows <= MOST_OPTIMAL:
        tree = optimal_leaf_ordering(tree, gaps)
    leaves = [int(index) for index in leaves_list(tree)]
    half = rows // 2
    return leaves[::-1] if sums[leaves[:half]].mean() < sums[leaves[-half:]].mean() else leaves
