"""Runs on a cluster, found through their folders: they outlive pods, Workflows and terminals."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from steps.collect.outcome import Outcome
from steps.contract import ProjectLayout, RunAddress
from steps.errors import MissingInputError
from steps.records import PartitionKey, PodRecord, RunRecord
from steps.run_context import RunContext
from steps.storage.base import Storage, read_parsed, storage_for
from steps.stores.base import ExperimentStore, open_store
from workflows.installation.model import Installation

RUN_ID = re.compile(r"^\d{8}T\d{6}-[0-9a-f]{4}\Z")
_READERS = 16


@dataclass(frozen=True)
class FoundRun:
    """A run and where it lies.

    Attributes:
        record: what the store knows of it.
        address: of its folder.
        namespace: where its workflows run.
        store: URI of the project's experiment store; None for the one with the artifacts.
    """

    record: RunRecord
    address: RunAddress
    namespace: str
    store: str | None = None

    @cached_property
    def context(self) -> RunContext:
        """The run with its storage and store."""
        return RunContext.open(self.address, self.store)

    @property
    def storage(self) -> Storage:
        """Storage of the run's folder."""
        return self.context.storage


def all_runs(installation: Installation, project: str | None = None) -> list[FoundRun]:
    """The runs of all projects, or of one, the newest first.

    Raises:
        MissingInputError: there is no such project.
    """
    found = [
        _found(installation, layout, record)
        for name in _projects(installation, project)
        for layout, store in [_opened(installation, name)]
        for record in store.runs()
    ]
    return sorted(found, key=lambda run: run.record.run, reverse=True)


def _projects(installation: Installation, project: str | None) -> list[str]:
    if project is None:
        return list(installation.projects)
    if project not in installation.projects:
        known = ", ".join(installation.projects)
        raise MissingInputError(f"The installation has no project {project!r}; it has {known}.")
    return [project]


def _opened(installation: Installation, project: str) -> tuple[ProjectLayout, ExperimentStore]:
    layout = ProjectLayout(installation.projects[project].root, project)
    return layout, open_store(layout, installation.projects[project].store)


def _found(installation: Installation, layout: ProjectLayout, record: RunRecord) -> FoundRun:
    project = installation.projects[layout.project]
    address = RunAddress(layout.root, layout.project, record.experiment, record.run)
    return FoundRun(record, address, project.namespace, project.store)


def find_run(installation: Installation, run: str, project: str | None = None) -> FoundRun:
    """A run by its id.

    Raises:
        MissingInputError: no project of the installation has it.
    """
    for name in _projects(installation, project):
        layout, store = _opened(installation, name)
        record = store.find(run)
        if record is not None:
            return _found(installation, layout, record)
    newest = ", ".join(each.record.run for each in all_runs(installation, project)[:5])
    newest = newest or "none yet"
    raise MissingInputError(
        f"There is no run {run!r} in {project or ', '.join(installation.projects)}; the newest "
        f"are: {newest}.",
        hint="`refeed status` lists them all.",
    )


@dataclass(frozen=True)
class RunProgress:
    """How far a run has come.

    Attributes:
        partitions: of the data set; None until split has ended.
        done: partitions that have a record.
        failed: those of them that failed, as far as the pods have told.
        pods: by cause of their end; those that run have the cause ``running``.
    """

    partitions: int | None
    done: int
    failed: int
    pods: dict[str, int]


class Watch:
    """Reads how far a run has come, again and again; what has ended is read once."""

    def __init__(self, address: RunAddress) -> None:
        self._layout, self._storage = address.run_layout, storage_for(address.root)
        self._ended: dict[str, PodRecord] = {}
        self._partitions: int | None = None

    def look(self) -> RunProgress:
        """How far it is now."""
        if self._partitions is None:
            self._partitions = self._plan()
        pods = self._pods()
        causes: dict[str, int] = {}
        for each in pods:
            causes[each.cause or "running"] = causes.get(each.cause or "running", 0) + 1
        failed = sum(each.statuses.get("failed", 0) for each in pods)
        done = len(self._storage.names(self._layout.records)) if self._partitions else 0
        return RunProgress(self._partitions, done, failed, causes)

    def _plan(self) -> int | None:
        try:
            uri = self._layout.plan
            plan: dict[str, Any] = read_parsed(self._storage, uri, json.loads)
        except MissingInputError:
            return None
        return int(plan["partitions"])

    def _pods(self) -> list[PodRecord]:
        names = self._storage.names(self._layout.pods)
        fresh = [name for name in names if name not in self._ended]
        with ThreadPoolExecutor(_READERS) as pool:
            read = dict(zip(fresh, pool.map(self._read, fresh), strict=True))
        self._ended |= {name: record for name, record in read.items() if record.cause}
        return [*self._ended.values(), *(each for each in read.values() if not each.cause)]

    def _read(self, name: str) -> PodRecord:
        return read_parsed(self._storage, f"{self._layout.pods}/{name}", PodRecord.from_json)


def outcome_of(found: FoundRun) -> Outcome | None:
    """What came of a run; None if it has not come to its end."""
    try:
        return read_parsed(found.storage, found.address.run_layout.outcome, Outcome.from_json)
    except MissingInputError:
        return None


def log_lines(found: FoundRun, partition: str | None = None) -> list[dict[str, Any]]:
    """The structured lines of all steps of a run, in the order of time.

    Args:
        found: the run.
        partition: a partition's key or id, to see its lines only.
    """
    storage, folder = found.storage, f"{found.address.run_layout.base}/logs"
    uris = [f"{folder}/{name}" for name in storage.names(folder)]
    with ThreadPoolExecutor(_READERS) as pool:
        texts = list(pool.map(storage.read, uris))
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    if partition is not None:
        wanted = {partition, *_ids(partition)}
        lines = [each for each in lines if {each.get("partition"), each.get("key")} & wanted]
    return sorted(lines, key=lambda line: str(line["time"]))


def _ids(text: str) -> set[str]:
    """The ids that a partition with this key may have, whatever the column's type."""
    kinds = ("string", "int64", "float64", "bool", "timestamp", "date")
    return {PartitionKey(kind, text).partition_id for kind in kinds}


def workflows_of(found: FoundRun) -> list[str]:
    """Names of the workflows that worked on a run, in the order of their names."""
    names = found.storage.names(found.address.run_layout.workflows)
    return [name.removesuffix(".json") for name in names]
