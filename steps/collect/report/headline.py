"""The report's headline: the answer in plain sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from steps.charts.skill import best_and_worst, verdict
from steps.charts.svg import element
from steps.charts.tables import Importance, Partition
from steps.charts.text import count, elide, fixed, plural

METHOD_WORDS = {
    "permutation": "permutation importance",
    "mean_abs_shap": "mean |SHAP|",
    "gain": "share of gain",
}
"""Names of the importance methods in sentences."""

_NAME = 60


@dataclass(frozen=True)
class Scores:
    """Number of partitions that do better than a constant prediction.

    Attributes:
        scored: trained partitions whose skill is defined.
        above: scored partitions with a skill above 0.
        better: scored partitions whose whole interval is above 0.
        worse: scored partitions whose whole interval is below 0.
        median: median skill; NaN without any.
    """

    scored: int
    above: int
    better: int
    worse: int
    median: float


def scores_of(partitions: Sequence[Partition]) -> Scores:
    """Count the partitions by verdict."""
    scored = [each for each in partitions if each.scored]
    verdicts = Counter(verdict(each) for each in scored)
    return Scores(
        scored=len(scored),
        above=sum(each.skill > 0 for each in scored),
        better=verdicts["better"],
        worse=verdicts["worse"],
        median=float(np.median([each.skill for each in scored])) if scored else float("nan"),
    )


def name(text: str) -> Markup:
    """Return a name from the data within a sentence: elided, isolated, the whole in a tooltip."""
    return element("bdi", elide(text, _NAME), class_="name", title=text)


def skill_sentence(partitions: Sequence[Partition]) -> str:
    """Return how often the models beat a constant prediction, and by how much."""
    scores = scores_of(partitions)
    trained = sum(each.trained for each in partitions)
    if not trained:
        return (
            f"No model was trained: none of {plural(len(partitions), 'partition')} could be used."
        )
    if not scores.scored:
        return f"{plural(trained, 'model')} trained, but skill is not defined for any of them."
    if scores.scored == 1:
        verb = "beats" if scores.above else "does not beat"
        return f"The one model {verb} a constant prediction: skill {fixed(scores.median, 2)}."
    partitions_scored = plural(scores.scored, "partition")
    return (
        f"In {count(scores.above)} of {partitions_scored} the model beats a constant prediction "
        f"({count(scores.better)} clearly); median skill {fixed(scores.median, 2)}."
    )


def best_and_worst_sentence(partitions: Sequence[Partition]) -> Markup:
    """Return a sentence on the best and the worst partition, by their interval's bounds."""
    best, worst = best_and_worst(partitions, 1)
    if not best or not worst:
        return Markup("")
    return Markup("Best is {} (skill at least {}), worst is {} (at most {}).").format(
        name(best[0].name), fixed(best[0].low, 2), name(worst[0].name), fixed(worst[0].high, 2)
    )


def importance_sentence(importance: Importance | None) -> Markup:
    """Return the most important feature overall, and where else another one leads."""
    if importance is None:
        return Markup("")
    overall = importance.ranking[0]
    firsts = first_counts(importance)
    judged = sum(firsts.values())
    return Markup(
        "The most important feature overall is {} (by {}); it ranks first in {} of {}."
    ).format(
        name(importance.features[overall]),
        METHOD_WORDS[importance.method],
        count(firsts[overall]),
        plural(judged, "partition"),
    )


def first_counts(importance: Importance) -> Mapping[int, int]:
    """Return, per feature, the number of partitions in which it has the largest value above 0."""
    values = np.nan_to_num(importance.values, nan=-np.inf)
    judged = values[values.max(axis=1) > 0]
    return Counter(int(index) for index in judged.argmax(axis=1))
