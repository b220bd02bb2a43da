"""Where a project may write."""

from __future__ import annotations

from steps.errors import Problem
from steps.split.config import DatasetConfig


def inside(root: str, output: str) -> bool:
    """Whether ``output`` is ``root`` or lies below it; dots do not climb out."""
    base, place = root.rstrip("/"), output.rstrip("/")
    climbs = any(part in {"..", "."} for part in place.partition("://")[2].split("/"))
    return not climbs and (place == base or place.startswith(f"{base}/"))


def conflicting_bigquery(
    dataset: DatasetConfig, project: str, staging: str | None, billing: str | None
) -> list[Problem]:
    """What a spec names of BigQuery that is not its project's own.

    Args:
        dataset: the spec's part.
        project: that it belongs to.
        staging: the project's own dataset for results.
        billing: the Google Cloud project that pays for it.
    """
    named = (("staging", dataset.staging, staging), ("billing", dataset.billing, billing))
    return [
        Problem(
            f"dataset.{field}",
            f"{given!r} is not that of the project {project!r}, which has {own or 'none'}: a "
            "project is the unit of isolation",
            f"Use --set dataset.{field}=null",
        )
        for field, given, own in named
        if given not in {None, own}
    ]


def with_project_defaults(
    dataset: DatasetConfig, staging: str | None, billing: str | None
) -> DatasetConfig:
    """The same part of a spec, with what its project has for BigQuery filled in."""
    if dataset.query is None and not dataset.source.startswith("bigquery://"):
        return dataset
    return dataset.model_copy(update={"staging": staging, "billing": billing})
