"""The experiment store: which runs there were and what came of them, so that it is found again.

A port with three adapters: an embedded one, one on object storage, and Firestore. The artifacts
themselves lie in the runs' folders, and with them the result tables: the first two adapters read
results there, and keep no second copy.
"""

from __future__ import annotations

import importlib
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Protocol

from steps.contract import ProjectLayout
from steps.errors import DamagedError, MissingInputError, OutputError, Problem, SpecError
from steps.records import RunRecord
from steps.results.partition_result import PartitionResult
from steps.storage.base import Storage, read_parsed, scheme_of, storage_for

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


class _Beside:
    """What a store need not keep, since it lies beside the artifacts: it finds it there."""

    def __init__(self, project: ProjectLayout, storage: Storage) -> None:
        self.project, self.storage = project, storage

    def put_results(self, experiment: str, run: str, results: Iterable[PartitionResult]) -> None:
        """See ``ExperimentStore.put_results``: the run's tables are the results."""

    def results(self, experiment: str, run: str) -> Iterator[PartitionResult]:
        """See ``ExperimentStore.results``."""
        layout = self.project.run(experiment, run)
        if self.storage.exists(layout.table("partitions", "parquet")):
            yield from _load(_TABLES)(layout, self.storage)

    def put_statistics(self, dataset: str, statistics: Iterable[Statistics]) -> None:
        """See ``ExperimentStore.put_statistics``: the data set's tables are the statistics."""

    def statistics(self, dataset: str) -> Iterator[Statistics]:
        """See ``ExperimentStore.statistics``."""
        layout = self.project.dataset(dataset)
        if self.storage.exists(layout.index):
            yield from _load(_STATISTICS)(layout, self.storage)


_TABLES = "steps.results.run_tables:results_of"
_STATISTICS = "steps.results.dataset_tables:documents"
"""Loaded on use: whoever only lists runs need not have pyarrow."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
  experiment TEXT NOT NULL,
  run TEXT NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (experiment, run)
)
"""
_WAIT_SECONDS = 30


class SqliteStore(_Beside):
    """The embedded store: one file per project, safe for several processes at once."""

    def __init__(self, project: ProjectLayout, storage: Storage) -> None:
        super().__init__(project, storage)
        self.path = Path(project.store)

    def put(self, record: RunRecord) -> None:
        """See ``ExperimentStore.put``."""
        with self._open() as connection:
            connection.execute(
                "INSERT INTO runs VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET record = excluded.record",
                (record.experiment, record.run, record.to_json()),
            )

    def get(self, experiment: str, run: str) -> RunRecord | None:
        """See ``ExperimentStore.get``."""
        found = self._select("experiment = ? AND run = ?", experiment, run)
        return found[0] if found else None

    def runs(self, experiment: str | None = None) -> list[RunRecord]:
        """See ``ExperimentStore.runs``."""
        return self._select("?1 IS NULL OR experiment = ?1", experiment)

    def _select(self, condition: str, *values: str | None) -> list[RunRecord]:
        if not self.path.is_file():
            return []
        query = f"SELECT record FROM runs WHERE {condition} ORDER BY run DESC"  # noqa: S608 - ours
        with self._open() as connection:
            rows = connection.execute(query, values).fetchall()
        return [RunRecord.from_json(row[0]) for row in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with closing(sqlite3.connect(self.path, timeout=_WAIT_SECONDS)) as opened, opened:
                opened.execute(_SCHEMA)
                yield opened
        except sqlite3.OperationalError as error:
            raise OutputError(f"Cannot use the experiment store {self.path}: {error}.") from error
        except sqlite3.DatabaseError as error:
            raise DamagedError(str(self.path), str(error)) from error


_READERS = 16


class ObjectStore(_Beside):
    """Runs on any storage: one small object in each run's folder, so that no two writers meet."""

    def put(self, record: RunRecord) -> None:
        """See ``ExperimentStore.put``."""
        place = self.project.run(record.experiment, record.run).status
        self.storage.write(place, record.to_json().encode("utf-8", "surrogatepass"))

    def get(self, experiment: str, run: str) -> RunRecord | None:
        """See ``ExperimentStore.get``."""
        return self._read(self.project.run(experiment, run).status)

    def runs(self, experiment: str | None = None) -> list[RunRecord]:
        """See ``ExperimentStore.runs``."""
        wanted = self.storage.names(self.project.runs("")) if experiment is None else [experiment]
        places = [
            self.project.run(name, run).status
            for name in wanted
            for run in self.storage.names(self.project.runs(name))
        ]
        with ThreadPoolExecutor(_READERS) as pool:  # each is a request, and they are many
            found = [record for record in pool.map(self._read, places) if record]
        return sorted(found, key=lambda record: record.run, reverse=True)

    def _read(self, place: str) -> RunRecord | None:
        try:
            return read_parsed(self.storage, place, RunRecord.from_json)
        except MissingInputError:  # a run that was killed before it was put
            return None


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
    storage = storage_for(project.root)
    return (
        ObjectStore(project, storage) if scheme_of(project.root) else SqliteStore(project, storage)
    )


def _remote(project: ProjectLayout, uri: str) -> ExperimentStore:
    scheme = scheme_of(uri)
    if scheme not in _ADAPTERS:
        message = f"{uri!r} is no store that this version of Refeed knows"
        hint = "firestore://gcp-project is, and so is firestore://gcp-project/database."
        raise SpecError(uri, [Problem(0, 0, "store", message, hint)])
    try:
        adapter = _load(_ADAPTERS[scheme])
    except ModuleNotFoundError as error:
        message = f"{scheme}:// needs the module {error.name}, which is not installed"
        hint = f"Install it with: pip install 'refeed[{scheme}]'"
        raise SpecError(uri, [Problem(0, 0, "store", message, hint)]) from error
    store: ExperimentStore = adapter(project, uri)
    return store


def _load(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    loaded: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return loaded
