"""The form that the Argo UI shows before a template is submitted: a parameter per question."""

from __future__ import annotations

from dataclasses import dataclass

from workflows.installation.model import Installation
from workflows.spec.model import MAX_PODS, ExperimentSpec


@dataclass(frozen=True)
class Field:
    """One question of the form.

    Attributes:
        name: of Argo's parameter.
        value: the spec's own.
        description: what it means, for people.
        choices: the values there are; empty where any may be typed.
    """

    name: str
    value: str
    description: str
    choices: tuple[str, ...] = ()


def form_of(spec: ExperimentSpec, installation: Installation) -> list[Field]:
    """The form of a spec; the check step puts its answers into the spec and checks them."""
    source = Field(
        "source",
        spec.dataset.source,
        "The table: gs:// URI of Parquet or CSV files, or bigquery://project.dataset.table.",
    )
    return [
        *([source] if spec.dataset.source else []),  # a query is the spec's own
        Field(
            "trainer",
            spec.trainer.name,
            "What fits the models. Another one than the spec's takes its own default parameters.",
            tuple(sorted(installation.trainers)),
        ),
        Field(
            "min-rows",
            str(spec.dataset.min_rows),
            "A partition with fewer rows that have a target is skipped.",
        ),
        Field("folds", str(spec.evaluate.folds), "Folds of the cross-validation, 2 to 50."),
        Field(
            "max-pods",
            str(spec.execution.max_pods),
            f"Training pods at the most, 1 to {MAX_PODS}.",
        ),
        Field("label", spec.execution.label, "A note of your own on this run; may be empty."),
        Field(
            "force",
            str(spec.execution.force).lower(),
            "Compute everything anew, whatever the cache holds.",
            ("false", "true"),
        ),
        Field("run", "", "Leave empty for a new run; an id goes on with that run."),
    ]
