"""Rules that keep a spec inside its project's artifact root and BigQuery settings."""

from __future__ import annotations

from steps.errors import Problem
from steps.split.config import DatasetConfig


def inside(root: str, output: str) -> bool:
    """Return whether ``output`` is ``root`` or below it; a path with ``..`` is never inside."""
    base, path = root.rstrip("/"), output.rstrip("/")
    has_dots = any(part in {"..", "."} for part in path.partition("://")[2].split("/"))
    return not has_dots and (path == base or path.startswith(f"{base}/"))


def conflicting_bigquery(
    dataset: DatasetConfig, project: str, staging: str | None, billing: str | None
) -> list[Problem]:
    """Return the BigQuery settings of a spec that are not its project's.

    Args:
        dataset: dataset part of the spec.
        project: name of the project.
        staging: the project's BigQuery dataset for query results.
        billing: Google Cloud project that pays for the project's BigQuery jobs.
    """
    settings = (("staging", dataset.staging, staging), ("billing", dataset.billing, billing))
    return [
        Problem(
            f"dataset.{field}",
            f"{given!r} differs from the project {project!r}, which "
            + (f"uses {own!r}" if own else f"sets no {field}")
            + ". A run uses only the BigQuery settings of its own project",
            f"Leave it out, or use --set dataset.{field}=null",
        )
        for field, given, own in settings
        if given not in {None, own}
    ]


def with_project_defaults(
    dataset: DatasetConfig, staging: str | None, billing: str | None
) -> DatasetConfig:
    """Return the dataset part of a spec with the project's BigQuery settings filled in."""
    if dataset.query is None and not dataset.source.startswith("bigquery://"):
        return dataset
    return dataset.model_copy(update={"staging": staging, "billing": billing})
