"""Garbage collection: remove artifacts that no kept run refers to, from any storage and store.

On a local disk a lock keeps runs from starting meanwhile. In object storage there is no lock: only
what is older than any run in progress can be is removed.
"""

from __future__ import annotations

import bisect
import json
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from steps.contract import (
    OldResultsLayout,
    ProjectLayout,
    RunAddress,
    cache_key_of,
    join,
    run_of,
)
from steps.errors import DamagedError, MissingInputError, TransientError
from steps.records import PartitionRecord, RunRequest
from steps.segments.archive import SegmentName
from steps.segments.compaction import GRACE_SECONDS, groups, long_replaced, rewrite
from steps.segments.reader import SegmentReader
from steps.segments.run_results import RunResults
from steps.storage.base import (
    TEMPORARY_PREFIX,
    Storage,
    StoredObject,
    read_parsed,
    scheme_of,
    storage_for,
)
from steps.storage.file_lock import file_lock
from steps.stores.base import open_store
from workflows.spec.model import ExperimentSpec


@dataclass(frozen=True)
class Garbage:
    """Artifacts that can be removed.

    Attributes:
        paths: URIs of folders, objects and segments.
        bytes: total size.
        runs: runs that are also removed from the experiment store.
        rewritten: segments of ``paths`` that hold other results, too. These are written again.
    """

    paths: list[str]
    bytes: int
    runs: list[RunAddress]
    rewritten: list[RewrittenSegments] = field(default_factory=list)


@dataclass(frozen=True)
class RewrittenSegments:
    """Segments of a folder that hold needed and unneeded members.

    Attributes:
        reader: reader of their folder.
        names: names of the segments.
        unneeded: names of the members that are left out.
    """

    reader: SegmentReader
    names: list[str]
    unneeded: frozenset[str]


@contextmanager
def exclusive(spec: ExperimentSpec) -> Iterator[None]:
    """Keep runs and splits of the project from starting on a local disk.

    Raises:
        TransientError: a run or split of the project is in progress.
    """
    project = ProjectLayout(spec.output, spec.project)
    if scheme_of(spec.output) or not Path(project.base).is_dir():
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
    storage = storage_for(spec.output)
    grace = GRACE_SECONDS if scheme_of(spec.output) else 0.0
    return _Collector(project, storage, grace, keep).garbage()


def remove(spec: ExperimentSpec, garbage: Garbage) -> None:
    """Remove garbage. The target of a symbolic link is kept.

    In object storage a segment that is written again stays for a grace period, in case a run reads
    it. A later call removes it.

    Raises:
        OutputError: something cannot be removed.
    """
    storage = storage_for(spec.output)
    store = open_store(ProjectLayout(spec.output, spec.project), spec.store)
    for run in garbage.runs:
        store.remove(run.experiment, run.run)
    stay: set[str] = set()
    for each in garbage.rewritten:
        for group in groups(filter(None, map(SegmentName.parse, each.names))):
            rewrite(storage, each.reader, group, leave_out=each.unneeded)
        if scheme_of(spec.output):
            stay |= {each.reader.uri(name) for name in each.names}
    for uri in garbage.paths:
        if uri not in stay:
            storage.delete_folder(uri)


class _Collector:
    """Finds the garbage of a project.

    Args:
        project: paths of the project.
        storage: its storage.
        grace: seconds for which everything is kept after it was written.
        keep: number of latest runs to keep per experiment.
    """

    def __init__(
        self, project: ProjectLayout, storage: Storage, grace: float, keep: int | None
    ) -> None:
        self._project, self._storage, self._keep = project, storage, keep
        self._grace, self._limit = grace, time.time() - grace
        self._objects = storage.objects(project.base)
        self._names = [each.name for each in self._objects]
        self._kept, self._removed = self._runs()

    def garbage(self) -> Garbage:
        """Return the garbage."""
        rewritten = list(self._segments_to_rewrite())
        segments = [each.reader.uri(name) for each in rewritten for name in each.names]
        folders = [
            *(run.run_layout.base for run in self._removed),
            *self._unused_datasets(),
            *self._unused_contexts(),
            *self._replaced_segments(),
            *self._unused_old_results(),
            *self._temporary(),
        ]
        size = sum(map(self._size, folders))
        size += sum(each.reader.size(name) for each in rewritten for name in each.unneeded)
        return Garbage(sorted([*folders, *segments]), size, self._removed, rewritten)

    # --- runs -------------------------------------------------------------------------------

    def _runs(self) -> tuple[list[RunAddress], list[RunAddress]]:
        """Return kept runs, and runs to remove."""
        uris = {self._uri(each) for each in self._objects}
        runs: dict[str, list[RunAddress]] = defaultdict(list)
        for experiment, run in sorted(self._folders(self._project.experiments, 2)):
            address = RunAddress(self._project.root, self._project.project, experiment, run)
            if address.run_layout.request in uris:
                runs[experiment].append(address)
        kept: list[RunAddress] = []
        removed: list[RunAddress] = []
        for begun in runs.values():
            ended = [run for run in begun if run.run_layout.done in uris]
            old = [run for run in (ended[: -self._keep] if self._keep else []) if self._is_old(run)]
            removed += old
            kept += [run for run in begun if run not in old]
        return kept, removed

    def _is_old(self, run: RunAddress) -> bool:
        return self._newest(run.run_layout.base) < self._limit

    @cached_property
    def _requests(self) -> dict[RunAddress, RunRequest]:
        return {
            run: read_parsed(self._storage, run.run_layout.request, RunRequest.from_json)
            for run in self._kept
        }

    # --- datasets ---------------------------------------------------------------------------

    def _unused_datasets(self) -> Iterator[str]:
        used = {request.dataset for request in self._requests.values()}
        project = self._project
        reserved = {project.pointers, project.snapshots, project.scratch}
        for name in self._storage.names(project.datasets):  # also empty folders, and links
            uri = join(project.datasets, name)
            if uri not in reserved and name not in used and self._newest(uri) < self._limit:
                yield uri
        for name in self._storage.names(project.pointers):
            uri = join(project.pointers, name)
            if self._dataset_of(uri) not in used and self._newest(uri) < self._limit:
                yield uri

    def _dataset_of(self, pointer: str) -> str:
        try:
            return str(read_parsed(self._storage, pointer, json.loads)["dataset"])
        except (DamagedError, MissingInputError):
            return ""

    # --- results ----------------------------------------------------------------------------

    def _unused_contexts(self) -> Iterator[str]:
        used = {request.fit_context for run, request in self._requests.items() if not request.force}
        for name in self._storage.names(self._project.cache.segments):
            uri = self._project.cache.segment_folder(name)
            if name not in used and self._newest(uri) < self._limit:
                yield uri

    @cached_property
    def _used_contexts(self) -> dict[str, list[RunAddress]]:
        """Kept runs by the folder of segments that they use."""
        by_folder: dict[str, list[RunAddress]] = defaultdict(list)
        for run, request in self._requests.items():
            cache = run.run_layout.cache if request.force else self._project.cache
            by_folder[cache.segment_folder(request.fit_context)].append(run)
        return by_folder

    def _segments_to_rewrite(self) -> Iterator[RewrittenSegments]:
        uris = {self._uri(each) for each in self._objects}
        for folder, runs in sorted(self._used_contexts.items()):
            in_progress = [run for run in runs if run.run_layout.done not in uris]
            if in_progress and self._grace:  # it may use any of the members
                continue
            reader = SegmentReader(self._storage, folder)
            reader.refresh()
            unneeded = frozenset(self._unneeded(reader, runs))
            names = [
                name
                for name, footer in sorted(reader.segments.items())
                if name not in reader.replaced
                and unneeded & footer.members.keys()
                and self._newest(reader.uri(name)) < self._limit
            ]
            if names:
                members = {m for name in names for m in reader.segments[name].members}
                yield RewrittenSegments(reader, names, unneeded & members)

    def _unneeded(self, reader: SegmentReader, runs: list[RunAddress]) -> Iterator[str]:
        keys: set[str] = set()
        for run in runs:
            results = RunResults.open(self._storage, run, self._requests[run])
            for record in results.records().values():
                keys |= {record.fit, record.explanation, record.comparison}
        kept = {(run.experiment, run.run) for run in runs}
        for name in reader:
            key = cache_key_of(name)
            if (key not in keys) if key is not None else (run_of(name) not in kept):
                yield name

    def _replaced_segments(self) -> Iterator[str]:
        for folder in self._used_contexts:
            reader = SegmentReader(self._storage, folder)
            reader.refresh()
            for name in long_replaced(self._storage, reader, self._grace):
                yield reader.uri(name)

    def _unused_old_results(self) -> Iterator[str]:
        """Yield base models, and results of versions before segments, that no kept run names."""
        used = {request.base_key for request in self._requests.values() if request.base}
        for run in self._kept:
            old = OldResultsLayout(run.run_layout.base, self._project.cache.base)
            for name in self._storage.names(old.records):
                uri = join(old.records, name)
                record = read_parsed(self._storage, uri, PartitionRecord.from_json)
                used |= {record.fit, record.explanation}
        cache = self._project.cache
        for first, key in sorted(self._folders(cache.base, 2)):
            uri = join(cache.base, first, key)
            is_old = not uri.startswith(f"{cache.segments}/")
            if is_old and key not in used and self._newest(uri) < self._limit:
                yield uri

    def _temporary(self) -> Iterator[str]:
        """Yield files that killed processes have left half-written."""
        for each in self._objects:
            if f"/{each.name}".rpartition("/")[2].startswith(TEMPORARY_PREFIX):
                yield self._uri(each)

    # --- objects ----------------------------------------------------------------------------

    def _uri(self, each: StoredObject) -> str:
        return join(self._project.base, each.name)

    def _in(self, uri: str) -> list[StoredObject]:
        name = uri.removeprefix(f"{self._project.base}/")
        found = []
        for first, last in ((name, f"{name}\0"), (f"{name}/", f"{name}0")):  # 0 follows /
            start = bisect.bisect_left(self._names, first)
            found += self._objects[start : bisect.bisect_left(self._names, last)]
        return found

    def _newest(self, uri: str) -> float:
        """Return when something in a folder was last written; 0 for an empty folder."""
        return max((each.updated for each in self._in(uri)), default=0.0)

    def _size(self, uri: str) -> int:
        return sum(each.size for each in self._in(uri))

    def _folders(self, uri: str, depth: int) -> set[tuple[str, ...]]:
        """Return the parts of all paths of that depth in a folder."""
        prefix = uri.removeprefix(f"{self._project.base}/")
        parts = {
            tuple(each.name.removeprefix(f"{prefix}/").split("/")[:depth]) for each in self._in(uri)
        }
        return {each for each in parts if len(each) == depth}
