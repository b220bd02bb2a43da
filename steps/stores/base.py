"""The experiment store: which runs there were and what came of them, so that it is found again.

A port with three adapters: an embedded one, one on object storage, and Firestore. The artifacts
themselves lie in the runs' folders, and with them the result tables: the first two adapters read
results there, and keep no second copy.
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
"""A partition's id, empty for all rows of the data set, and what is known of its columns."""


class ExperimentStore(Protocol):
    """Runs by experiment, with their results; statistics by data set.

    Writes are idempotent: identities are ids, so a write that was cut off is just done again, and
    two writers of the same leave one of it.

    Any of these raises ``TransientError`` where the store is remote and cannot be reached.
    """

    def put(self, record: RunRecord) -> None:
        """Add a run, or replace what is known of it.

        Raises:
            OutputError: the store cannot be written.
        """

    def get(self, experiment: str, run: str) -> RunRecord | None:
        """What is known of one run; None if nothing is.

        Raises:
            DamagedError: what the store holds cannot be read.
        """

    def runs(self, experiment: str | None = None) -> list[RunRecord]:
        """Runs of an experiment, or of all; the newest first.

        Raises:
            DamagedError: what the store holds cannot be read.
        """

    def find(self, run: str) -> RunRecord | None:
        """Return the run of an id, whatever its experiment; None if there is none.

        Raises:
            DamagedError: the store's content cannot be read.
        """

    def remove(self, experiment: str, run: str) -> None:
        """Remove a run; no error if it is not there. Its artifacts stay.

        Raises:
            OutputError: the store cannot be written.
        """

    def put_results(self, experiment: str, run: str, results: Iterable[PartitionResult]) -> None:
        """Take the results of a run whose tables are written.

        Args:
            experiment: of the run.
            run: its id.
            results: what the tables hold, one partition at a time. A store that lies beside the
                tables asks for none.

        Raises:
            OutputError: the store cannot be written.
        """

    def results(self, experiment: str, run: str) -> Iterator[PartitionResult]:
        """The results of a run, one partition at a time; none if they were not put.

        Raises:
            DamagedError: what the store holds cannot be read.
        """

    def put_statistics(self, dataset: str, statistics: Iterable[Statistics]) -> None:
        """Take the statistics of a data set, partition by partition, the whole table last.

        A store that lies beside the data set asks for none.

        Raises:
            OutputError: the store cannot be written.
        """

    def statistics(self, dataset: str) -> Iterator[Statistics]:
        """The statistics of a data set; none if they were not put.

        Raises:
            DamagedError: what the store holds cannot be read.
        """


_SQLITE = "steps.stores.sqlite:SqliteStore"
_OBJECTS = "steps.stores.objects:ObjectStore"
_ADAPTERS = {"firestore": "steps.stores.firestore:FirestoreStore"}
"""Where the adapter of each URI scheme is imported from; an extra has the scheme's name."""


def open_store(project: ProjectLayout, uri: str | None = None) -> ExperimentStore:
    """The experiment store of a project.

    Args:
        project: of the runs.
        uri: such as ``firestore://gcp-project``; None for the store that lies with the artifacts:
            embedded where the root is local, else on its storage.

    Raises:
        SpecError: no adapter knows the URI's or the root's scheme, or what it needs is not
            installed.
    """
    if uri is not None:
        return _remote(project, uri)
    adapter = load_object(_OBJECTS if scheme_of(project.root) else _SQLITE)
    store: ExperimentStore = adapter(project, storage_for(project.root))
    return store


def _remote(project: ProjectLayout, uri: str) -> ExperimentStore:
    scheme = scheme_of(uri)
    if scheme not in _ADAPTERS:
        message = f"{uri!r} is no store that this version of Refeed knows"
        hint = "firestore://gcp-project is, and so is firestore://gcp-project/database."
        raise SpecError(uri, [Problem("store", message, hint)])
    adapter = load_adapter(_ADAPTERS[scheme], uri, "store", extra=scheme)
    store: ExperimentStore = adapter(project, uri)
    return store
