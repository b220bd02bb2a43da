"""``refeed validate``: check a spec against its data."""

from __future__ import annotations

from collections.abc import Iterator

from steps.errors import SpecError
from steps.runtime.progress import Progress
from steps.split.preview import preview_source, preview_warnings
from steps.split.roles import resolve_roles, resolve_task
from steps.split.sources.base import LiveSource, open_source
from steps.split.step import column_types, report_billed_bytes, source_types
from steps.train.registry import conflicts, data_shape, trainer_of
from workflows.spec.model import ExperimentSpec


def advise(spec: ExperimentSpec, progress: Progress) -> dict[str, list[str]]:
    """Return warnings and notes about a spec's data.

    Raises:
        RefeedError: the data does not fit the spec.
    """
    source = open_source(spec.dataset, spec.evaluate.time)
    try:
        roles = resolve_roles(
            spec.dataset, spec.evaluate.group, spec.evaluate.time, source_types(source)
        )
        types = column_types(source, roles)
        if isinstance(source, LiveSource):
            report_billed_bytes(source, list(types), progress)
        preview = preview_source(source, types, roles, progress)
        target = preview.summary.columns[roles.target]
        task, classes = resolve_task(spec.task, roles.target, types[roles.target], target.levels)
        problems = conflicts(
            spec.trainer.name, spec.trainer.params, data_shape(task, roles, classes)
        )
        if problems:
            raise SpecError("the spec", problems)
        partition_rows = preview.partition_rows
        small = sum(count < spec.dataset.min_rows for count in partition_rows.values())
        skipped = (
            f", {small:,} of them with fewer than {spec.dataset.min_rows} rows that have a target: "
            "these will be skipped"
            if small
            else ""
        )
        class_names = f" ({', '.join(classes)})" if classes else ""
        notes = [
            f"task: {task}{class_names}",
            f"{preview.rows:,} rows, {target.missing:,} of them without {roles.target!r}",
            f"{len(partition_rows):,} partitions by {roles.partition_by!r}{skipped}",
            f"{len(roles.features)} features, {len(roles.categorical)} of them categorical",
        ]
        warnings = [
            *preview_warnings(preview, roles, task),
            *_target_warnings(spec, roles.target, task, target.low),
        ]
        return {"warnings": warnings, "notes": notes}
    finally:
        if isinstance(source, LiveSource):
            source.close()


def _target_warnings(
    spec: ExperimentSpec, target: str, task: str, smallest: float | None
) -> Iterator[str]:
    loss = trainer_of(spec.trainer, spec.evaluate).loss(task)  # type: ignore[arg-type]
    if smallest is not None and not loss.accepts(smallest):
        yield (
            f"The smallest {target!r} is {smallest:g}, but the loss {loss.name} needs "
            f"{loss.domain}. Partitions with other targets will be skipped."
        )
