"""``refeed validate``: check a spec against its data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steps.collect.outcome import min_rows_advice
from steps.errors import Problem, SpecError
from steps.records import Roles
from steps.runtime.progress import Progress
from steps.split.preview import SourcePreview, preview_source, preview_warnings
from steps.split.roles import offset_problem, resolve_roles, resolve_task, weight_problem
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
        cells = preview.sample.rows.column(roles.target).combine_chunks()
        task, classes = resolve_task(
            spec.task,
            roles.target,
            types[roles.target],
            target.levels,
            spec.dataset.positive,
            cells,
        )
        shape = data_shape(task, roles, classes)
        problems = [
            *conflicts(spec.trainer.name, spec.trainer.params, shape),
            *spec.explain.unknown_features(roles.features),
            *_weight_problems(roles.weight, preview),
            *_offset_problems(roles, preview),
        ]
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
        notes = [
            _task_note(spec, task, classes),
            f"{preview.rows:,} rows, {target.missing:,} of them without {roles.target!r}",
            f"{len(partition_rows):,} partitions by {roles.partition_by!r}{skipped}",
            f"{len(roles.features)} features, {len(roles.categorical)} of them categorical",
        ]
        warnings = [
            *(source.warnings() if isinstance(source, LiveSource) else ()),
            *preview_warnings(preview, roles, task),
            *_few_trained(spec.dataset.min_rows, list(partition_rows.values())),
            *_target_warnings(spec, roles.target, task, target.low),
        ]
        return {"warnings": warnings, "notes": notes}
    finally:
        if isinstance(source, LiveSource):
            source.close()


def _few_trained(min_rows: int, rows: Sequence[int]) -> list[str]:
    """Return a warning if fewer than half of the partitions have enough rows."""
    skipped = [count for count in rows if count < min_rows]
    advice = min_rows_advice(min_rows, skipped, len(rows) - len(skipped), len(rows))
    return [advice] if advice else []


def _task_note(spec: ExperimentSpec, task: str, classes: Sequence[str]) -> str:
    if task != "binary":
        names = f" ({', '.join(classes)})" if classes else ""
        return f"task: {task}{names}"
    guessed = "" if spec.dataset.positive is not None else "; dataset.positive chooses the class"
    return f"task: binary, the probability of {classes[-1]!r} and not {classes[0]!r}{guessed}"


def _weight_problems(weight: str | None, preview: SourcePreview) -> list[Problem]:
    if weight is None:
        return []
    summary = preview.summary.columns[weight]
    problem = weight_problem(weight, summary.low, summary.missing)
    return [] if problem is None else [problem]


def _offset_problems(roles: Roles, preview: SourcePreview) -> list[Problem]:
    name = roles.offset or roles.exposure
    if name is None:
        return []
    summary = preview.summary.columns[name]
    problem = offset_problem(roles, summary.low, summary.missing)
    return [] if problem is None else [problem]


def _target_warnings(
    spec: ExperimentSpec, target: str, task: str, smallest: float | None
) -> Iterator[str]:
    loss = trainer_of(spec.trainer, spec.evaluate).loss(task)  # type: ignore[arg-type]
    if smallest is not None and not loss.accepts(smallest):
        yield (
            f"The smallest {target!r} is {smallest:g}, but the loss {loss.name} needs "
            f"{loss.domain}. Partitions with other targets will be skipped."
        )
