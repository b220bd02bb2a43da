"""The experiment store: a searchable list of runs and their results.

The port has three adapters: an embedded one, one on object storage, and Firestore. Artifacts,
including result tables, are in the runs' folders. The first two adapters read results from there
and keep no copy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from steps.adapters import load_adapter, load_object
from steps.contract import ProjectLayout
from steps.errors import Problem, SpecError
from steps.records import RunRecord
from steps.results.partition_result import PartitionResult
from steps.storage.base import scheme_of, storage_for

Statistics = tuple[str, dict[str, Any]]
"""A partition's id, empty for the whole dataset, and the statistics of its columns."""


class ExperimentStore(Protocol):
    """Runs and their results by experiment, and statistics by dataset.

    Writes are idempotent, because ids identify their content: an interrupted write is repeated, and
    two writers of the same run leave one record.

    Every method raises ``TransientError`` if the store is remote and cannot be reached.
    """

    def put(self, record: RunRecord) -> None:
        """Add or replace the record of a run.

        Raises:
            OutputError: the store cannot be written.
        """

    def get(self, experiment: str, run: str) -> RunRecord | None:
        """Return the record of a run; None if there is none.

        Raises:
            DamagedError: the store's content cannot be read.
        """

    def runs(self, experiment: str | None = None) -> list[RunRecord]:
        """Return the runs of one experiment or of all experiments, newest first.

        Raises:
            DamagedError: the store's content cannot be read.
        """

    def find(self, run: str) -> RunRecord | None:
        """Return the run with an id, in any experiment; None if there is none.

        Raises:
            DamagedError: the store's content cannot be read.
        """

    def remove(self, experiment: str, run: str) -> None:
        """Remove a run, if it exists. Its artifacts stay.

        Raises:
            OutputError: the store cannot be written.
        """

    def put_results(self, experiment: str, run: str, results: Iterable[PartitionResult]) -> None:
        """Store the results of a run whose tables have been written.

        Args:
            experiment: name of the experiment.
            run: id of the run.
            results: results of one partition at a time. A store in the artifact root ignores them.

        Raises:
            OutputError: the store cannot be written.
        """

    def results(self, experiment: str, run: str) -> Iterator[PartitionResult]:
        """Yield the results of a run, one partition at a time; none if none were stored.

        Raises:
            DamagedError: the store's content cannot be read.
        """

    def put_statistics(self, dataset: str, statistics: Iterable[Statistics]) -> None:
        """Store the statistics of a dataset, partition by partition, the whole table last.

        A store in the artifact root ignores them.

        Raises:
            OutputError: the store cannot be written.
        """

    def statistics(self, dataset: str) -> Iterator[Statistics]:
        """Yield the statistics of a dataset; none if none were stored.

        Raises:
            DamagedError: the store's content cannot be read.
        """


_SQLITE = "steps.stores.sqlite:SqliteStore"
_OBJECTS = "steps.stores.objects:ObjectStore"
_ADAPTERS = {"firestore": "steps.stores.firestore:FirestoreStore"}
"""The import path of each URI scheme's adapter. The scheme is also the name of an extra."""


def open_store(project: ProjectLayout, uri: str | None = None) -> ExperimentStore:
    """Return the experiment store of a project.

    Args:
        project: the project that contains the runs.
        uri: URI such as ``firestore://gcp-project``; None for the store in the artifact root, which
            is embedded if the root is local, and otherwise on the root's storage.

    Raises:
        SpecError: the scheme of the URI or root is not supported, or its client is not installed.
    """
    store: ExperimentStore
    if uri is None:
        adapter = load_object(_OBJECTS if scheme_of(project.root) else _SQLITE)
        store = adapter(project, storage_for(project.root))
        return store
    scheme = scheme_of(uri)
    if scheme not in _ADAPTERS:
        message = f"the store {uri!r} is not supported"
        hint = "Use firestore://gcp-project or firestore://gcp-project/database."
        raise SpecError(uri, [Problem("store", message, hint)])
    store = load_adapter(_ADAPTERS[scheme], uri, "store", extra=scheme)(project, uri)
    return store
