"""The report page: collects the content of all sections and renders the template."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from steps.charts import dependence, text
from steps.charts.features import data_section
from steps.charts.heatmap import heat_map
from steps.charts.own_or_base import comparison_of
from steps.charts.shap import MOST_PANELS, shap_chart, shap_panels
from steps.charts.skill import best_and_worst, skill_charts, verdict
from steps.charts.tables import (
    Importance,
    Partition,
    Reader,
    read_curves,
    read_experiment,
    read_importance,
    read_partitions,
    read_shap_curves,
    read_shap_summary,
    whole,
)
from steps.collect.report import headline

MOST_ROWS = 200
"""Partitions in the table of all partitions."""

MOST_SKIPPED = 50
"""Skipped partitions that are listed; all failed ones are."""

_NOTABLE = 3

SCALES = {
    "share_of_constant_loss": "share of the constant prediction's loss",
    "share_of_gain": "share of the model's gain",
    "target": "units of the target",
    "target_per_exposure": "units of the target per unit of exposure",
    "log_target": "logarithm of the target (raw score)",
    "log_target_per_exposure": "logarithm of the target per unit of exposure (raw score)",
    "probability": "probability",
    "weighted_probability": "probability of the classes as reweighted by class_weight",
    "log_odds": "log-odds (raw margin)",
}
"""Names of the tables' units."""


@dataclass(frozen=True)
class RunInfo:
    """When and how the result tables were made, for display only.

    Attributes:
        run: the run's id.
        started: ISO 8601, UTC.
        ended: ISO 8601, UTC.
        seconds: wall time of the run.
        cached: trained partitions whose model was taken from the cache.
        fitted: partitions whose model was fitted in this run.
        source: description of the source for people, without credentials.
        tables: URI of the result tables.
        version: Refeed's version.
    """

    run: str
    started: str
    ended: str
    seconds: float
    cached: int
    fitted: int
    source: str
    tables: str
    version: str


def build_report(read: Reader, run: RunInfo) -> str:
    """Return the report as one HTML document; equal input gives equal bytes.

    Args:
        read: returns columns of one of the tables in ``steps.results.schema``, by the table's name.
        run: facts about the run itself.
    """
    experiment = read_experiment(read)
    partitions = read_partitions(read)
    trained = [each for each in partitions if each.trained]
    importances = read_importance(read, trained) if trained else {}
    importance = next(iter(importances.values()), None)
    leaders: list[tuple[str, int]] = []
    if importance is not None:
        firsts = headline.first_counts(importance)
        most_often = sorted(firsts.items(), key=lambda item: (-item[1], item[0]))[:_NOTABLE]
        leaders = [(importance.features[index], times) for index, times in most_often]
    best, worst = best_and_worst(partitions, _NOTABLE)
    content = {
        "run": run,
        "experiment": experiment,
        "partitions": partitions,
        "trained": trained,
        "importance": importance,
        "comparison": comparison_of(read, experiment),
        "skill_sentence": headline.skill_sentence(partitions),
        "contrast_sentence": headline.best_and_worst_sentence(partitions),
        "importance_sentence": headline.importance_sentence(importance),
        "scores": headline.scores_of(partitions),
        "skill": skill_charts(partitions),
        "best": best,
        "worst": worst,
        "heat": None if importance is None else heat_map(importance, trained),
        "leaders": leaders,
        **_explanations(read, trained, importance, str(experiment["positive_class"] or "")),
        "data": data_section(read, _features(read), _ranked(importance)),
        "warnings_place": "data_warnings.csv",
        "statistics_place": "column_statistics.csv",
        **_without_model(partitions),
        "table": sorted(trained, key=_by_rank)[:MOST_ROWS],
        **_made(experiment, run),
    }
    return environment().get_template("report.html.j2").render(content)


def environment() -> Environment:
    """Return the environment of all pages; it escapes all text and shows control characters."""
    found = Environment(
        loader=ChoiceLoader(
            [PackageLoader("steps.collect.report", "."), PackageLoader("steps.charts", ".")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    helpers: Sequence[Callable[..., Any]] = (
        text.count,
        text.fixed,
        text.number,
        text.plural,
        text.duration,
    )
    found.filters |= {helper.__name__: helper for helper in helpers} | {"name": headline.name}
    found.globals |= {"scales": SCALES, "methods": headline.METHOD_WORDS, "verdict": verdict}
    return found


def _shown(value: object) -> object:
    """Return a value as a template prints it: text with its invisible characters made visible."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return text.visible(value) if value else ""
    return "" if value is None else value


def _explanations(
    read: Reader, trained: Sequence[Partition], importance: Importance | None, positive: str
) -> dict[str, Any]:
    """Return partial dependence and SHAP, of the most important features first."""
    if not trained:
        return {
            "dependence": [],
            "dependence_scale": "",
            "shap": [],
            "shap_panels": [],
            "shap_scale": "",
        }
    summaries = read_shap_summary(read, trained)
    ranked = _ranked(importance)
    # Without importance, all features are shown in the order of the tables.
    candidates = ranked or _features(read)
    curves = read_curves(read, trained, candidates[: dependence.MOST_FEATURES])
    classes = dependence.classes_to_show(curves, positive)
    # The classes that partial dependence shows, if SHAP has them; else the first few.
    by_class = {each.class_: each for each in summaries}
    wanted = [positive] if positive in by_class else classes
    shared = [by_class[class_] for class_ in wanted if class_ in by_class]
    summaries = shared or summaries[: dependence.MOST_CLASSES]
    shap_class = summaries[0].class_ if summaries else ""
    shap_curves = read_shap_curves(read, trained, candidates[:MOST_PANELS])
    return {
        "dependence": dependence.dependence_panels(curves, candidates, classes, trained),
        "dependence_scale": curves[0].scale if curves else "",
        "shap": [
            (each.class_, shap_chart(each, f"shap-sum-{at}")) for at, each in enumerate(summaries)
        ],
        "shap_panels": shap_panels(shap_curves, candidates, shap_class),
        "shap_scale": summaries[0].scale if summaries else "",
    }


def _ranked(importance: Importance | None) -> list[str]:
    """Return features, the most important first; empty where that is not known."""
    return [importance.features[index] for index in importance.ranking] if importance else []


def _features(read: Reader) -> list[str]:
    return [str(name or "") for name in whole(read, "features", ["feature"])["feature"].to_pylist()]


def _without_model(partitions: Sequence[Partition]) -> dict[str, Any]:
    failed = [each for each in partitions if each.status == "failed"]
    skipped = [each for each in partitions if each.status == "skipped"]
    reasons = Counter((each.status, each.reason) for each in failed + skipped)
    return {
        "failed": failed,
        "skipped": sorted(skipped, key=lambda each: (each.reason, -each.rows))[:MOST_SKIPPED],
        "skipped_total": len(skipped),
        "reasons": [
            (f"{status}: {reason}", text.count(times))
            for (status, reason), times in sorted(reasons.items())
        ],
    }


def _made(experiment: Mapping[str, Any], run: RunInfo) -> dict[str, Any]:
    """Return how it was made and with which data."""
    named = ("trainer_params", "evaluate", "explain", "versions")
    return {
        "details": {name: flat(experiment[name]) for name in named},
        "run_pairs": [
            ("run", run.run),
            ("began", run.started),
            ("ended", run.ended),
            ("took", text.duration(run.seconds)),
            ("models", f"{text.count(run.fitted)} fitted, {text.count(run.cached)} from the cache"),
            ("trainer", experiment["trainer"]),
            ("result tables", run.tables),
            ("Refeed", run.version),
        ],
        "data_pairs": [
            ("source", run.source),
            ("digest of the data", experiment["dataset"]),
            ("digest of the spec", experiment["spec_hash"]),
            ("project", experiment["project"]),
            ("experiment", experiment["experiment"]),
            ("schema of the tables", experiment["schema_version"]),
        ],
    }


def _by_rank(partition: Partition) -> tuple[float, str]:
    """Return the sort key by rank, unranked partitions last."""
    rank = partition.rank
    return (rank if rank == rank else float("inf"), partition.identifier)  # noqa: PLR0124 - not NaN


def flat(value: str | None) -> list[tuple[str, str]]:
    """Return a JSON text as dotted names and values; other text unchanged."""
    if not value:
        return []
    try:
        return list(_leaves("", json.loads(value)))
    except ValueError:
        return [("", value)]


def _leaves(path: str, value: object) -> list[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        dot = "." if path else ""
        return [leaf for key in value for leaf in _leaves(f"{path}{dot}{key}", value[key])]
    return [(path, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))]
