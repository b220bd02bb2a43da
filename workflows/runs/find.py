"""Find runs on a cluster through their folders, which outlive pods and Workflows."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from steps.collect.outcome import Outcome
from steps.contract import ProjectLayout, RunAddress
from steps.errors import ForbiddenError, MissingInputError, RefeedError
from steps.records import PartitionKey, PodRecord, RunRecord, RunRequest
from steps.run_context import RunContext
from steps.segments.run_results import RunResults
from steps.storage.base import Storage, read_parsed, storage_for
from steps.stores.base import ExperimentStore, open_store
from workflows.cluster.base import Cluster
from workflows.installation.model import Installation
from workflows.runs.unrecorded import ClusterRun, cluster_runs

RUN_ID = re.compile(r"^\d{8}T\d{6}-[0-9a-f]{4}\Z")
_READERS = 16
_SHORTEST_BEGINNING = 8
"""Characters of an id that name a run: its day."""


@dataclass(frozen=True)
class FoundRun:
    """A run of an installation's project.

    Attributes:
        record: the run's record in the store.
        address: address of its folder.
        namespace: namespace of its workflows.
        store: URI of the project's experiment store; None if it is in the artifact root.
        workflow: name of a workflow that may not have recorded itself in the folder, since none of
            its pods has started; empty for none.
    """

    record: RunRecord
    address: RunAddress
    namespace: str
    store: str | None = None
    workflow: str = ""

    @cached_property
    def context(self) -> RunContext:
        """The run with its storage and store."""
        return RunContext.open(self.address, self.store)

    @property
    def storage(self) -> Storage:
        """Storage of the run's folder."""
        return self.context.storage


def all_runs(installation: Installation, project: str | None = None) -> list[FoundRun]:
    """Return the recorded runs of all projects, or of one, newest first.

    Raises:
        MissingInputError: the installation has no such project.
    """
    runs = [
        _found_run(installation, name, record)
        for name in _projects(installation, project)
        for record in _store(installation, name).runs()
    ]
    return _newest_first(runs)


def with_unrecorded(
    recorded: list[FoundRun],
    installation: Installation,
    cluster: Cluster,
    project: str | None = None,
) -> tuple[list[FoundRun], list[str]]:
    """Return recorded runs and those that only the cluster knows, newest first.

    Returns:
        The runs, and why those of a project are missing, for each whose namespace is closed to
        this user.

    Raises:
        MissingInputError: the installation has no such project.
        RefeedError: the cluster is unavailable.
    """
    runs, refusals = {run.record.run: run for run in recorded}, []
    for name in _projects(installation, project):
        try:
            for each in cluster_runs(installation, cluster, name):
                runs.setdefault(each.run, _unrecorded(installation, each))
        except ForbiddenError as error:
            refusals.append(error.message)
    return _newest_first(list(runs.values())), refusals


def _newest_first(runs: list[FoundRun]) -> list[FoundRun]:
    return sorted(runs, key=lambda run: run.record.run, reverse=True)


def _unrecorded(installation: Installation, found: ClusterRun) -> FoundRun:
    run = _found_run(installation, found.project, found.record)
    return replace(run, workflow=found.name)


def _projects(installation: Installation, project: str | None) -> list[str]:
    if project is None:
        return list(installation.projects)
    if project not in installation.projects:
        known = ", ".join(installation.projects)
        raise MissingInputError(
            f"The installation file has no project {project!r}. It has {known}.",
            hint="Choose one of these with --project, or another file with --installation.",
        )
    return [project]


def _store(installation: Installation, project: str) -> ExperimentStore:
    config = installation.projects[project]
    return open_store(ProjectLayout(config.root, project), config.store)


def _found_run(installation: Installation, project: str, record: RunRecord) -> FoundRun:
    config = installation.projects[project]
    address = RunAddress(config.root, project, record.experiment, record.run)
    return FoundRun(record, address, config.namespace, config.store)


def find_run(
    installation: Installation,
    run: str,
    project: str | None = None,
    cluster: Callable[[], Cluster] | None = None,
) -> FoundRun:
    """Return a run by its id, or by the beginning of an id that only one run has.

    Args:
        installation: the installation whose projects are searched.
        run: the id.
        project: the project to search; default: all.
        cluster: function that connects to the cluster, which knows runs that no store has.

    Raises:
        MissingInputError: no project of the installation has the run, or several runs fit.
    """
    for name in _projects(installation, project):
        record = _store(installation, name).find(run)
        if record is not None:
            return _found_run(installation, name, record)
    runs, problem = all_runs(installation, project), ""
    if cluster is not None:
        try:
            runs, refusals = with_unrecorded(runs, installation, cluster(), project)
        except RefeedError as error:
            refusals = [error.message]
        if refusals:
            problem = f" The cluster was not searched: {' '.join(refusals)}"
    # An empty variable in a script must not name the only run.
    is_beginning = len(run) >= _SHORTEST_BEGINNING
    fitting = [each for each in runs if is_beginning and each.record.run.startswith(run)]
    if len(fitting) == 1:
        return fitting[0]
    projects = project or ", ".join(installation.projects)
    newest = ", ".join(each.record.run for each in (fitting or runs)[:5])
    raise MissingInputError(
        f"There are several runs {run!r}: {newest}."
        if fitting
        else f"There is no run {run!r}. Projects searched: {projects}. "
        f"Recent runs: {newest or 'none'}.{problem}",
        hint="List all runs with `refeed status`, or start one with `refeed submit SPEC`.",
    )


@dataclass(frozen=True)
class RunProgress:
    """The progress of a run.

    Attributes:
        partitions: number of partitions of the dataset; None until split has ended.
        done: number of partitions that have a record.
        failed: number of partitions that failed, as far as the pods have reported.
        pods: number of pods by the cause of their end; ``running`` for running pods.
        predicted: predicted cost of the run, see ``Predicted``; empty if it is not known.
    """

    partitions: int | None
    done: int
    failed: int
    pods: dict[str, int]
    predicted: dict[str, Any] = field(default_factory=dict)


class ProgressReader:
    """Reader of a run's progress, for repeated use: it reads each ended pod's record once."""

    def __init__(self, address: RunAddress) -> None:
        self._address, self._layout = address, address.run_layout
        self._storage = storage_for(address.root)
        self._ended: dict[str, PodRecord] = {}
        self._partitions: int | None = None
        self._predicted: dict[str, Any] = {}
        self._results: RunResults | None = None

    def read(self) -> RunProgress:
        """Return the progress now."""
        if self._partitions is None:
            with suppress(MissingInputError):  # split has not ended
                plan = read_parsed(self._storage, self._layout.plan, json.loads)
                self._partitions = int(plan["partitions"])
                self._predicted = plan.get("predicted", {})
        names = [name for name in self._storage.names(self._layout.pods) if name not in self._ended]
        with ThreadPoolExecutor(_READERS) as pool:
            records = dict(zip(names, pool.map(self._read_pod, names), strict=True))
        self._ended |= {name: record for name, record in records.items() if record.cause}
        pods = [*self._ended.values(), *(pod for pod in records.values() if not pod.cause)]
        causes = Counter(pod.cause or "running" for pod in pods)
        failed = sum(pod.statuses.get("failed", 0) for pod in pods)
        return RunProgress(
            self._partitions, self._recorded(), failed, dict(causes), self._predicted
        )

    def _recorded(self) -> int:
        """Return how many partitions have a record; each segment's index is read once."""
        if not self._partitions:
            return 0
        if self._results is None:
            with suppress(MissingInputError):  # the request is written after the plan
                request = read_parsed(self._storage, self._layout.request, RunRequest.from_json)
                self._results = RunResults.open(self._storage, self._address, request)
        else:
            self._results.refresh()
        return self._results.count() if self._results else 0

    def _read_pod(self, name: str) -> PodRecord:
        return read_parsed(self._storage, f"{self._layout.pods}/{name}", PodRecord.from_json)


def outcome_of(found: FoundRun) -> Outcome | None:
    """Return the outcome of a run, or None if it has not ended."""
    try:
        return read_parsed(found.storage, found.address.run_layout.outcome, Outcome.from_json)
    except MissingInputError:
        return None


def log_lines(found: FoundRun, partition: str | None = None) -> list[dict[str, Any]]:
    """Return the log lines of all steps of a run, ordered by time.

    Args:
        found: the run.
        partition: key or id of a partition, to return its lines only.
    """
    storage, folder = found.storage, f"{found.address.run_layout.base}/logs"
    uris = [f"{folder}/{name}" for name in storage.names(folder)]
    with ThreadPoolExecutor(_READERS) as pool:
        texts = list(pool.map(storage.read, uris))
    lines = [json.loads(line) for text in texts for line in text.splitlines()]
    if partition is not None:
        kinds = ("string", "int64", "float64", "bool", "timestamp", "date")
        # The type of the partition column is unknown here, so try the id of each type.
        names = {partition, *(PartitionKey(kind, partition).partition_id for kind in kinds)}
        lines = [line for line in lines if {line.get("partition"), line.get("key")} & names]
    return sorted(lines, key=lambda line: str(line["time"]))


def workflows_of(found: FoundRun) -> list[str]:
    """Return the names of the workflows of a run, sorted."""
    names = found.storage.names(found.address.run_layout.workflows)
    recorded = {name.removesuffix(".json") for name in names}
    return sorted(recorded | ({found.workflow} if found.workflow else set()))
