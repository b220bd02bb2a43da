"""Garbage collection: remove artifacts that no kept run refers to."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from steps.contract import ProjectLayout, RunAddress, RunLayout
from steps.errors import DamagedError, OutputError, TransientError, UsageError
from steps.records import PartitionRecord, RunRequest
from steps.storage.base import TEMPORARY_PREFIX, read_parsed, scheme_of
from steps.storage.file_lock import file_lock
from steps.storage.local import LocalStorage
from steps.stores.base import open_store
from workflows.spec.model import ExperimentSpec


@dataclass(frozen=True)
class Garbage:
    """Artifacts that can be removed.

    Attributes:
        paths: paths of folders and files.
        bytes: total size.
        runs: runs that are also removed from the experiment store.
    """

    paths: list[str]
    bytes: int
    runs: list[RunAddress]


@contextmanager
def exclusive(spec: ExperimentSpec) -> Iterator[None]:
    """Keep runs and splits of the project from starting, so that no new artifact is removed.

    Raises:
        TransientError: a run or split of the project is in progress.
        UsageError: the artifact root is not a local folder.
    """
    if scheme_of(spec.output):
        raise UsageError(
            f"{spec.output!r} is not a local folder. gc supports local folders only.",
            hint="Set a lifecycle rule on the bucket, such as one that deletes cache/ after 90 "
            "days.",
        )
    project = ProjectLayout(spec.output, spec.project)
    if not Path(project.base).is_dir():
        yield
        return
    with file_lock(project.lock) as locked:
        if not locked:
            raise TransientError(
                f"A run or split of the project {spec.project!r} is in progress in "
                f"{project.base!r}.",
                hint="Try again when it has ended.",
            )
        yield


def find_garbage(spec: ExperimentSpec, keep: int | None) -> Garbage:
    """Return the artifacts that no kept run of the spec's project uses. Call within ``exclusive``.

    Args:
        spec: spec with the artifact root and project; all experiments of the project are searched.
        keep: number of latest runs to keep per experiment; None for all. Unfinished runs are always
            kept.

    Raises:
        DamagedError: a kept run cannot be read, so the artifacts that it uses are unknown.
    """
    project = ProjectLayout(spec.output, spec.project)
    kept, removed = _runs(project, keep)
    garbage = [
        *(Path(run.run_layout.base) for run in removed),
        *_unused_datasets(project, kept),
        *_unused_cache(project, kept),
        *Path(project.base).rglob(f"{TEMPORARY_PREFIX}*"),
    ]
    size = 0
    for path in garbage:
        files = path.rglob("*") if path.is_dir() else [path]
        size += sum(file.stat().st_size for file in files if file.is_file())
    return Garbage(sorted(map(str, garbage)), size, removed)


def remove(spec: ExperimentSpec, garbage: Garbage) -> None:
    """Remove garbage. The target of a symbolic link is kept.

    Raises:
        OutputError: something cannot be removed.
    """
    store = open_store(ProjectLayout(spec.output, spec.project), spec.store)
    for run in garbage.runs:
        store.remove(run.experiment, run.run)
    for each in garbage.paths:
        path = Path(each)
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot remove {error.filename}: {error.strerror}.") from error


def _runs(project: ProjectLayout, keep: int | None) -> tuple[list[RunLayout], list[RunAddress]]:
    """Return kept runs, and runs to remove."""
    kept: list[RunLayout] = []
    removed: list[RunAddress] = []
    for experiment in _children(project.experiments):
        runs = [
            RunAddress(project.root, project.project, experiment.name, run.name)
            for run in _children(str(experiment))
        ]
        begun = [run for run in runs if Path(run.run_layout.request).is_file()]
        ended = [run for run in begun if Path(run.run_layout.done).is_file()]
        old = ended[:-keep] if keep else []
        removed += old
        kept += [run.run_layout for run in begun if run not in old]
    return kept, removed


def _unused_datasets(project: ProjectLayout, kept: list[RunLayout]) -> Iterator[Path]:
    storage = LocalStorage()
    used = {read_parsed(storage, run.request, RunRequest.from_json).dataset for run in kept}
    reserved = {project.pointers, project.snapshots, project.scratch}
    for path in _children(project.datasets):
        if str(path) not in reserved and path.name not in used:
            yield path
    for pointer in _children(project.pointers):
        try:
            dataset = read_parsed(storage, str(pointer), json.loads)["dataset"]
        except DamagedError:
            dataset = ""
        if dataset not in used:
            yield pointer


def _unused_cache(project: ProjectLayout, kept: list[RunLayout]) -> Iterator[Path]:
    storage = LocalStorage()
    used: set[str] = set()
    for run in kept:
        for path in _children(run.records):
            record = read_parsed(storage, str(path), PartitionRecord.from_json)
            used |= {record.fit, record.explanation}
    for folder in _children(project.cache.base):
        for path in _children(str(folder)):
            if path.name not in used:
                yield path


def _children(folder: str) -> list[Path]:
    path = Path(folder)
    return sorted(path.iterdir()) if path.is_dir() else []
