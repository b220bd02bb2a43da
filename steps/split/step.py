"""The split step: build a dataset or reuse an existing one, then resolve the column roles."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from steps.contract import SPLIT_VERSION, DatasetLayout, ProjectLayout
from steps.errors import DamagedError, DataError, ExpiredError, MissingInputError, SpecError
from steps.quantity import format_bytes
from steps.records import Column, PartitionIndex, Roles, digest
from steps.runtime.lost_artifacts import mark_for_rebuild
from steps.runtime.progress import Progress
from steps.split.config import DatasetConfig
from steps.split.coordination.build import DatasetBuild
from steps.split.coordination.checkpoint import CheckpointFile
from steps.split.coordination.snapshot import StoredSnapshot
from steps.split.dataset.plan import SplitPlan
from steps.split.engines.choose import Engine
from steps.split.engines.embedded import build_dataset
from steps.split.engines.job_output import delete_job_output
from steps.split.roles import (
    offset_problem,
    resolve_roles,
    resolve_task,
    role_columns,
    weight_problem,
)
from steps.split.sources.base import LiveSource, Source, open_source
from steps.storage.base import Storage, read_parsed, write_text
from steps.table.grid import Grid, build_grid
from steps.table.sample import Sample
from steps.table.types import canonical_type


@dataclass(frozen=True)
class SplitRequest:
    """The input of the split step.

    Attributes:
        config: the spec's ``dataset`` section.
        group: ``evaluate.group``, a column that the dataset must contain.
        time: ``evaluate.time``, a column that the dataset must contain.
        task: the task as written in the spec.
        grid_points: number of values per feature in the shared grid.
        force: read the source again, even if its dataset exists.
    """

    config: DatasetConfig
    group: str | None
    time: str | None
    task: str
    grid_points: int
    force: bool = False


@dataclass(frozen=True)
class SplitResult:
    """The output of the split step.

    Attributes:
        index: the partition index.
        roles: the roles of the columns.
        task: the resolved task.
        classes: the classes of the target, ordered by value.
        grid: hash of the shared grid.
        reused: True if the dataset existed and no source row was read.
    """

    index: PartitionIndex
    roles: Roles
    task: str
    classes: tuple[str, ...]
    grid: str
    reused: bool


def split(
    request: SplitRequest,
    project: ProjectLayout,
    storage: Storage,
    progress: Progress,
    engine: Engine = build_dataset,
    checkpoint: str = "",
) -> SplitResult:
    """Build the dataset that a spec describes, unless it exists.

    Args:
        request: the spec's settings.
        project: the project that contains the dataset.
        storage: storage of the project.
        progress: receives progress updates.
        engine: the engine that builds the dataset.
        checkpoint: URI of the run's checkpoint, from which a restarted run resumes. It also keeps
            a restarted forced run from reading the source again. Empty for a run that never
            resumes.

    Raises:
        SpecError: the spec names columns that do not exist or cannot play their role.
        DataError: the source cannot be used.
        MissingInputError: the source does not exist.
        OutputError: the artifact root cannot be written.
    """
    while True:
        index, reused = _find_or_build(request, project, storage, progress, engine, checkpoint)
        try:
            return _split_result(request, index, project, storage, reused=reused)
        except (DamagedError, MissingInputError) as error:
            if not reused:
                raise
            # The next round builds the dataset, so ``reused`` is false then and the loop ends.
            mark_for_rebuild(project.dataset(index.dataset), storage, error.uri)


def _find_or_build(
    request: SplitRequest,
    project: ProjectLayout,
    storage: Storage,
    progress: Progress,
    engine: Engine,
    checkpoint: str,
) -> tuple[PartitionIndex, bool]:
    """Return the index of the dataset, and whether it existed."""
    source = open_source(request.config, request.time)
    build = DatasetBuild(
        project,
        storage,
        StoredSnapshot(source, project.snapshot(digest(_settings(request))), storage),
        CheckpointFile(checkpoint, storage),
        identity=partial(_identity, source, request),
        force=request.force,
    )
    with build.hold_snapshot():
        index = build.find()
        if index is not None:
            return index, True
        roles = resolve_roles(request.config, request.group, request.time, source_types(source))
        plan = SplitPlan(
            tuple(Column(*item) for item in column_types(source, roles).items()),
            roles.partition_by,
            request.config.format,
            roles.keys,
            roles.identity,
            identity=build.pointer.identity,
            ignored_version=build.pointer.ignored_version,
            ignore_errors=request.force and not build.resumed,
        )
        index = build.publish(
            partial(_run_engine, engine, source, plan, project, storage, progress),
            lambda: not _report_warnings(source, progress),
        )
        if engine is not build_dataset:
            delete_job_output(project, plan.build_id, storage)
        return index, False


_MAX_ENGINE_RUNS = 3
"""Maximum number of times a source is read from the beginning."""


def _run_engine(
    engine: Engine,
    source: Source,
    plan: SplitPlan,
    project: ProjectLayout,
    storage: Storage,
    progress: Progress,
) -> PartitionIndex:
    if isinstance(source, LiveSource):
        report_billed_bytes(source, [column.name for column in plan.columns], progress)
    for _ in range(_MAX_ENGINE_RUNS - 1):
        try:
            return engine(source, plan, project, storage, progress)
        except ExpiredError:  # the new pieces divide the rows differently, so start over
            continue
    return engine(source, plan, project, storage, progress)


def report_billed_bytes(source: LiveSource, columns: list[str], progress: Progress) -> None:
    """Report how many bytes a query will read, before it incurs any cost.

    Raises:
        SpecError: the query exceeds the spec's limit.
    """
    size = source.estimate(columns)
    progress.begin("bytes", "bytes", size)
    progress.advance(size, f"BigQuery will read {format_bytes(size)}")
    progress.end()


def _report_warnings(source: Source, progress: Progress) -> bool:
    """Report that rows depend on who reads them, if they do, and return whether they do."""
    warnings = source.warnings() if isinstance(source, LiveSource) else ()
    if warnings:
        progress.begin("check", "warnings", len(warnings))
        for warning in warnings:
            progress.advance(1, warning)
        progress.end()
    return bool(warnings)


def source_types(source: Source) -> dict[str, str]:
    """Return the canonical type of each column of a source; ``?`` if no model can use it."""
    types = {}
    for field in source.schema():
        try:
            types[field.name] = canonical_type(field.name, field.type)
        except DataError:  # an error only if the column has a role, see column_types
            types[field.name] = "?"
    return types


def column_types(source: Source, roles: Roles) -> dict[str, str]:
    """Return the canonical types of the columns that have a role, sorted by name.

    Raises:
        DataError: no model can use the type of one of the columns.
    """
    fields = {field.name: field.type for field in source.schema()}
    return {name: canonical_type(name, fields[name]) for name in role_columns(roles)}


def _identity(source: Source, request: SplitRequest) -> str:
    """Return the digest of the source's bytes and of all settings that shape the dataset."""
    return digest([source.fingerprint(), _settings(request, *_CONTENT), SPLIT_VERSION])


_CONTENT = (
    *("partition_by", "target", "features", "weight", "format", "types", "null_values"),
    *("offset", "exposure"),
    *("delimiter", "decimal", "encoding", "skip_lines", "sheet"),
)
"""Settings that determine how a source's bytes become a dataset."""
_ROWS = ("query", "filter")
"""Settings that determine which rows are read."""


def _settings(request: SplitRequest, *names: str) -> list[Any]:
    """Return the named settings (default: all that shape the dataset), row filters and roles."""
    fields = {*(names or ("source", *_CONTENT)), *_ROWS}
    settings = [request.config.model_dump(include=fields), request.group, request.time]
    # Left out where it is not set, so the digest is that of earlier versions.
    return settings if request.config.identity is None else [*settings, request.config.identity]


def _split_result(
    request: SplitRequest,
    index: PartitionIndex,
    project: ProjectLayout,
    storage: Storage,
    *,
    reused: bool,
) -> SplitResult:
    types = {column.name: column.type for column in index.columns}
    roles = resolve_roles(request.config, request.group, request.time, types, stored=True)
    layout = project.dataset(index.dataset)
    statistics = read_parsed(storage, layout.statistics, json.loads)
    if roles.weight is not None:
        weight = statistics[roles.weight]
        problem = weight_problem(roles.weight, weight["low"], weight["missing"])
        if problem is not None:
            raise SpecError("the spec", [problem])
    if name := roles.offset or roles.exposure:
        problem = offset_problem(roles, statistics[name]["low"], statistics[name]["missing"])
        if problem is not None:
            raise SpecError("the spec", [problem])
    target = statistics[roles.target]
    task, classes = resolve_task(
        request.task,
        roles.target,
        types[roles.target],
        target["levels"],
        request.config.positive,
        _cells(roles.target, layout, storage) if types[roles.target] == "string" else None,
    )
    lacking = {name for name in roles.features if statistics[name]["missing"]}
    grid = _ensure_grid(request.grid_points, index, roles, lacking, project, storage)
    return SplitResult(index, roles, task, classes, grid, reused)


def _cells(name: str, layout: DatasetLayout, storage: Storage) -> pa.Array:
    column = read_parsed(storage, layout.sample, Sample.from_ipc).rows.column(name)
    return pa.concat_arrays(column.chunks)


def _ensure_grid(
    points: int,
    index: PartitionIndex,
    roles: Roles,
    lacking: set[str],
    project: ProjectLayout,
    storage: Storage,
) -> str:
    layout = project.dataset(index.dataset)
    grid_hash = digest([points, roles.features, roles.categorical])
    try:
        read_parsed(storage, layout.grid(grid_hash), Grid.from_json)
    except (MissingInputError, DamagedError):
        sample = read_parsed(storage, layout.sample, Sample.from_ipc)
        grid = build_grid(sample, roles.features, set(roles.categorical), points, lacking)
        write_text(storage, layout.grid(grid_hash), grid.to_json())
    return grid_hash
