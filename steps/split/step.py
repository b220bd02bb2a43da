"""The split step: makes a data set, or finds it made, and settles who plays which role."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from steps.contract import SPLIT_VERSION, ProjectLayout
from steps.errors import DamagedError, DataError, ExpiredError, MissingInputError
from steps.quantity import format_bytes
from steps.records import Column, PartitionIndex, Roles, digest
from steps.runtime.lost_artifacts import mark_for_rebuild
from steps.runtime.progress import Progress
from steps.split.config import DatasetConfig
from steps.split.coordination.build import DatasetBuild
from steps.split.coordination.checkpoint import CheckpointFile
from steps.split.coordination.snapshot import SnapshotLock
from steps.split.dataset.plan import SplitPlan
from steps.split.engines.choose import Engine
from steps.split.engines.embedded import make_dataset
from steps.split.engines.job_output import delete_job_output
from steps.split.roles import resolve_roles, resolve_task, wanted_columns
from steps.split.sources.base import LiveSource, Source, open_source
from steps.storage.base import Storage, read_parsed, write_text
from steps.table.grid import Grid, make_grid
from steps.table.sample import Sample
from steps.table.types import canonical_type


@dataclass(frozen=True)
class SplitRequest:
    """What the split step is asked for.

    Attributes:
        config: the spec's part.
        group: ``evaluate.group``: the data set must hold that column.
        time: ``evaluate.time``, likewise.
        task: as the spec says it.
        grid_points: values per feature of the shared grid.
        force: read the source again, even if it has been made a data set before.
    """

    config: DatasetConfig
    group: str | None
    time: str | None
    task: str
    grid_points: int
    force: bool = False


@dataclass(frozen=True)
class SplitResult:
    """What the split step made or found.

    Attributes:
        index: the partition index.
        roles: of the columns.
        task: resolved.
        classes: of the data set, in order of their value.
        grid: hash of the shared grid.
        reused: no source row was read.
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
    engine: Engine = make_dataset,
    checkpoint: str = "",
) -> SplitResult:
    """Build the dataset that a spec asks for, unless it exists.

    Args:
        request: what is asked for.
        project: that it is made in.
        storage: of the project.
        progress: is told how far it is.
        engine: that makes it.
        checkpoint: URI of the run's checkpoint, so that it resumes whenever it is restarted; a
            forced run reads its source once. Empty for a run that never resumes.

    Raises:
        SpecError: the spec names columns that are missing or unfit.
        DataError: the source cannot be used.
        MissingInputError: there is no source.
        OutputError: the artifact root cannot be written.
    """
    while True:
        index, reused = _find_or_build(request, project, storage, progress, engine, checkpoint)
        try:
            return _settle(request, index, project, storage, reused=reused)
        except (DamagedError, MissingInputError) as error:
            if not reused:
                raise
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
    source = open_source(request.config)
    build = DatasetBuild(
        project,
        storage,
        SnapshotLock(source, project.pin(digest(_asked(request))), storage),
        CheckpointFile(checkpoint, storage),
        identity=partial(_identity, source, request),
        force=request.force,
    )
    with build.open():
        index = build.find()
        if index is not None:
            return index, True
        plan = _plan(source, request, build)
        index = build.publish(partial(_build, engine, source, plan, project, storage, progress))
        if engine is not make_dataset:
            delete_job_output(project, plan.work_id, storage)
        return index, False


_READS = 3
"""How often a source is read from the beginning before it is left for another day."""


def _build(
    engine: Engine,
    source: Source,
    plan: SplitPlan,
    project: ProjectLayout,
    storage: Storage,
    progress: Progress,
) -> PartitionIndex:
    if isinstance(source, LiveSource):
        tell_bytes(source, [column.name for column in plan.columns], progress)
    for _ in range(_READS - 1):
        try:
            return engine(source, plan, project, storage, progress)
        except ExpiredError:  # the same rows, in other pieces: what was read of them cannot stay
            continue
    return engine(source, plan, project, storage, progress)


def tell_bytes(source: LiveSource, columns: list[str], progress: Progress) -> None:
    """Tell what reading will cost, before it costs anything.

    Raises:
        SpecError: it is more than the spec allows.
    """
    size = source.estimate(columns)
    progress.begin("bytes", "bytes", size)
    progress.advance(size, f"BigQuery will read {format_bytes(size)}")
    progress.end()


def source_types(source: Source) -> dict[str, str]:
    """Canonical type of each column of a source; ``?`` where no model can use it."""
    types = {}
    for field in source.schema():
        try:
            types[field.name] = canonical_type(field.name, field.type)
        except DataError:  # it matters only if the spec wants the column, see column_types
            types[field.name] = "?"
    return types


def column_types(source: Source, roles: Roles) -> dict[str, str]:
    """Canonical types of the columns that play a role, sorted by name.

    Raises:
        DataError: one of them has a type that no model can use.
    """
    fields = {field.name: field.type for field in source.schema()}
    return {name: canonical_type(name, fields[name]) for name in wanted_columns(roles)}


def _identity(source: Source, request: SplitRequest) -> str:
    """Digest of the source's bytes and of all settings that shape the dataset."""
    return digest([source.fingerprint(), _asked(request, *_CONTENT), SPLIT_VERSION])


_CONTENT = ("partition_by", "target", "features", "weight", "format", "types", "null_values")
"""What decides which data set becomes of a source's bytes."""
_ROWS = ("query", "filter")
"""What decides which rows there are."""


def _asked(request: SplitRequest, *names: str) -> list[Any]:
    """What is asked for, but for the state that the source is in; the named fields, or all."""
    fields = {*(names or ("source", *_CONTENT)), *_ROWS}
    return [request.config.model_dump(include=fields), request.group, request.time]


def _plan(source: Source, request: SplitRequest, build: DatasetBuild) -> SplitPlan:
    config = request.config
    roles = resolve_roles(config, request.group, request.time, source_types(source))
    columns = tuple(Column(*item) for item in column_types(source, roles).items())
    return SplitPlan(
        columns,
        config.partition_by,
        config.format,
        identity=build.pointer.identity,
        ignored_version=build.pointer.ignored_version,
        ignore_errors=request.force and not build.resumed,
    )


def _settle(
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
    _check_weight(roles, statistics)
    target = statistics[roles.target]
    task, classes = resolve_task(request.task, roles.target, types[roles.target], target["levels"])
    grid = _ensure_grid(request.grid_points, index, roles, project, storage)
    return SplitResult(index, roles, task, classes, grid, reused)


def _check_weight(roles: Roles, statistics: dict[str, Any]) -> None:
    if roles.weight is None:
        return
    weight = statistics[roles.weight]
    if weight["missing"] or weight["low"] is None or weight["low"] <= 0:
        raise DataError(
            f"The weight {roles.weight!r} must be a positive number in every row; its smallest "
            f"value is {weight['low']}, and it is missing in {weight['missing']} rows.",
            hint="Leave out such rows in the source, or give them a small positive weight.",
        )


def _ensure_grid(
    points: int, index: PartitionIndex, roles: Roles, project: ProjectLayout, storage: Storage
) -> str:
    layout = project.dataset(index.dataset)
    grid_hash = digest([points, roles.features, roles.categorical])
    try:
        read_parsed(storage, layout.grid(grid_hash), Grid.from_json)
    except (MissingInputError, DamagedError):
        sample = read_parsed(storage, layout.sample, Sample.from_ipc)
        grid = make_grid(sample, roles.features, set(roles.categorical), points)
        write_text(storage, layout.grid(grid_hash), grid.to_json())
    return grid_hash
