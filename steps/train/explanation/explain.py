"""Explanations of a partition by its fold models, on rows that they have not seen."""

from __future__ import annotations

from collections import defaultdict

from steps.train.evaluation.evaluate import Rows
from steps.train.explanation.context import ExplainContext
from steps.train.explanation.dependence import partial_dependence
from steps.train.explanation.importance import add_importance
from steps.train.explanation.shap_values import shap_by_value, shap_summary, shap_values_of


def explain(work: ExplainContext) -> dict[str, Rows]:
    """Return rows of importance, partial_dependence, shap_summary and shap_by_value."""
    tables: dict[str, Rows] = {"importance": defaultdict(list)}
    shap = shap_values_of(work)
    add_importance(tables["importance"], work, shap)
    if work.config.partial_dependence:
        tables["partial_dependence"] = partial_dependence(work, work.config.partial_dependence)
    if shap:
        tables["shap_summary"] = shap_summary(work, shap)
        tables["shap_by_value"] = shap_by_value(work, shap)
    return {name: dict(rows) for name, rows in tables.items()}
