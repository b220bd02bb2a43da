"""Partial dependence on the most important features, over all partitions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from steps.charts.curves import Bools, Floats, consensus, distances
from steps.charts.panel import Panel, level_panel, line_panel
from steps.charts.tables import Curves, Partition
from steps.charts.text import fixed

MOST_FEATURES = 6
MOST_CLASSES = 3

UNUSUAL = 3.0
"""Distance to the consensus from which a partition counts as unusual (see ``curves.distances``)."""

MOST_UNUSUAL = 4
"""Unusual partitions named in a panel: as many as there are colours to tell apart."""

FEWEST = 5
"""Partitions with a curve below which there is no consensus to be unusual against."""

MOST_LINES = 6000
"""Thin lines in all panels together; beyond it each panel draws every second or third partition."""


@dataclass(frozen=True)
class DependencePanel:
    """A chart and the facts of its caption."""

    chart: Markup
    feature: str
    class_: str
    unusual: int
    judged: int
    every: int
    named: tuple[tuple[str, str], ...]


def classes_to_show(curves: Sequence[Curves], positive: str) -> list[str]:
    """Return the positive class of a binary task; else the classes predicted most, at most three.

    The mean prediction, weighted by rows, is how often a calibrated model expects the class.
    """
    classes = list(dict.fromkeys(each.class_ for each in curves))
    if positive in classes:
        return [positive]
    weight = {}
    for class_ in classes:
        own = [each for each in curves if each.class_ == class_]
        rows = sum(float(each.support.sum()) for each in own)
        total = sum(float(np.nansum(each.value * each.support)) for each in own)
        weight[class_] = total / rows if rows else -np.inf
    return sorted(classes, key=lambda class_: (-weight[class_], class_))[:MOST_CLASSES]


def dependence_panels(
    curves: Sequence[Curves],
    features: Sequence[str],
    classes: Sequence[str],
    trained: Sequence[Partition],
) -> list[DependencePanel]:
    """Return a panel for each feature and class, in the given order of the features."""
    found: Mapping[tuple[str, str], Curves] = {(each.feature, each.class_): each for each in curves}
    chosen = [
        found[feature, class_]
        for feature in features
        for class_ in classes
        if (feature, class_) in found
    ]
    drawable = [each for each in chosen if each.usable.any()]
    every = -(-len(trained) * len(drawable) // MOST_LINES)
    return [
        _panel(each, trained, f"pd-{index}", max(every, 1)) for index, each in enumerate(drawable)
    ]


def _panel(curves: Curves, trained: Sequence[Partition], ident: str, every: int) -> DependencePanel:
    usable = curves.usable
    away = curve_distances(curves)
    unusual = unusual_partitions(away)
    of_class = f", class {curves.class_}" if curves.class_ else ""
    panel = Panel(
        ident=ident,
        title=f"Partial dependence on {curves.feature}{of_class}",
        labels=curves.labels,
        numbers=curves.numbers,
        lines=np.where(usable, curves.centred, np.nan),
        middle=shown_consensus(curves.centred, usable),
        named=tuple((index, trained[index].name) for index in unusual[:MOST_UNUSUAL]),
        every=every,
    )
    return DependencePanel(
        chart=level_panel(panel) if curves.categorical else line_panel(panel),
        feature=curves.feature,
        class_=curves.class_,
        unusual=len(unusual),
        judged=int(np.isfinite(away).sum()),
        every=every,
        named=tuple(
            (trained[index].name, fixed(away[index], 1)) for index in unusual[:MOST_UNUSUAL]
        ),
    )


def curve_distances(curves: Curves) -> Floats:
    """See ``curves.distances``; all NaN where too few partitions have a curve."""
    usable = curves.usable
    if usable.any(axis=1).sum() < FEWEST:
        return np.full(len(usable), np.nan)
    return distances(curves.centred, curves.fold_sd, curves.support, usable)


def unusual_partitions(away: Floats) -> list[int]:
    """Return positions of the partitions at ``UNUSUAL`` or further, the furthest first."""
    order = np.argsort(-np.nan_to_num(away, nan=-1.0), kind="stable")
    return [int(index) for index in order if away[index] >= UNUSUAL]


def shown_consensus(centred: Floats, usable: Bools) -> Floats:
    """Return the consensus in cells that can be read for at least half of the partitions."""
    enough = usable.sum(axis=0) * 2 >= usable.any(axis=1).sum()
    return np.where(enough, consensus(centred, usable), np.nan)
