"""The form that the Argo UI shows before a template is submitted, one parameter per field."""

from __future__ import annotations

from dataclasses import dataclass

from workflows.installation.model import Installation
from workflows.spec.model import MAX_PODS, ExperimentSpec


@dataclass(frozen=True)
class Field:
    """A field of the form.

    Attributes:
        name: name of Argo's parameter.
        value: default value, from the spec.
        description: help text.
        choices: allowed values; empty if any value can be entered.
    """

    name: str
    value: str
    description: str
    choices: tuple[str, ...] = ()


def form_of(spec: ExperimentSpec, installation: Installation) -> list[Field]:
    """Return the form of a spec; the check step applies its values to the spec."""
    source = Field(
        "source",
        spec.dataset.source,
        "The table: gs:// URI of Parquet or CSV files, or bigquery://project.dataset.table.",
    )
    return [
        *([source] if spec.dataset.source else []),  # a query cannot be changed
        Field(
            "trainer",
            spec.trainer.name,
            "Trainer of the models. A trainer other than the spec's uses its default parameters.",
            tuple(installation.interchangeable(spec.trainer.name)),
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
            f"Maximum number of training pods, 1 to {MAX_PODS}.",
        ),
        Field("label", spec.execution.label, "A note to store with the run. Optional."),
        Field(
            "force",
            str(spec.execution.force).lower(),
            "Compute everything again, ignoring the cache.",
            ("false", "true"),
        ),
        Field("run", "", "Id of a run to resume. Leave empty for a new run."),
    ]
