"""``refeed validate``: what the spec will meet in its data."""

from __future__ import annotations

from steps.runtime.progress import Progress
from steps.split.preview import preview_source, preview_warnings
from steps.split.roles import resolve_roles, resolve_task
from steps.split.sources.base import LiveSource, Source, open_source
from steps.split.step import column_types, report_bytes, source_types
from workflows.spec.model import ExperimentSpec


def advise(spec: ExperimentSpec, progress: Progress) -> dict[str, list[str]]:
    """Warnings and notes about a spec's data.

    Raises:
        RefeedError: the data cannot be used as the spec wants it.
    """
    source = open_source(spec.dataset)
    try:
        return _advise(spec, source, progress)
    finally:
        if isinstance(source, LiveSource):
            source.close()


def _advise(spec: ExperimentSpec, source: Source, progress: Progress) -> dict[str, list[str]]:
    roles = resolve_roles(
        spec.dataset, spec.evaluate.group, spec.evaluate.time, source_types(source)
    )
    types = column_types(source, roles)
    if isinstance(source, LiveSource):
        report_bytes(source, list(types), progress)
    found = preview_source(source, types, roles, progress)
    target = found.summary.columns[roles.target]
    task, classes = resolve_task(spec.task, roles.target, types[roles.target], target.levels)
    rows = found.partition_rows
    small = sum(count < spec.dataset.min_rows for count in rows.values())
    skipped = (
        f", {small:,} of them with fewer than {spec.dataset.min_rows} rows that have a target: "
        "these will be skipped"
        if small
        else ""
    )
    predicts = f" ({', '.join(classes)})" if classes else ""
    notes = [
        f"task: {task}{predicts}",
        f"{found.rows:,} rows, {target.missing:,} of them without {roles.target!r}",
        f"{len(rows):,} partitions by {roles.partition_by!r}{skipped}",
        f"{len(roles.features)} features, {len(roles.categorical)} of them categorical",
    ]
    return {"warnings": list(preview_warnings(found, roles, task)), "notes": notes}
