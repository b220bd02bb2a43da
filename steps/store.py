"""The experiment store: which runs there were, so that they are found again.

A small port with two adapters, an embedded one and one on object storage; the artifacts themselves
lie in the runs' folders.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from steps.contract import ProjectLayout
from steps.errors import DamagedError, MissingInputError, OutputError
from steps.records import RunRecord
from steps.storage import Storage, read_parsed, scheme_of, storage_for


class ExperimentStore(Protocol):
    """Runs by experiment. Writes are idempotent: the identity of a run is its id."""

    def put(self, record: RunRecord) -> None:
        """Add a run, or replace what is known of it.

        Raises:
            OutputError: the store cannot be written.
        """

    def runs(self, experiment: str | None = None) -> list[RunRecord]:
        """Runs of an experiment, or of all; the newest first.

        Raises:
            DamagedError: what the store holds cannot be read.
        """


_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
  experiment TEXT NOT NULL,
  run TEXT NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (experiment, run)
)
"""
_WAIT_SECONDS = 30


class SqliteStore:
    """The embedded store: one file per project, safe for several processes at once."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def put(self, record: RunRecord) -> None:
        """See ``ExperimentStore.put``."""
        with self._open() as connection:
            connection.execute(
                "INSERT INTO runs VALUES (?, ?, ?) "
                "ON CONFLICT DO UPDATE SET record = excluded.record",
                (record.experiment, record.run, record.to_json()),
            )

    def runs(self, experiment: str | None = None) -> list[RunRecord]:
        """See ``ExperimentStore.runs``."""
        if not self.path.is_file():
            return []
        with self._open() as connection:
            rows = connection.execute(
                "SELECT record FROM runs WHERE ?1 IS NULL OR experiment = ?1 ORDER BY run DESC",
                (experiment,),
            ).fetchall()
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


class ObjectStore:
    """Runs on any storage: one small object in each run's folder, so that no two writers meet."""

    def __init__(self, project: ProjectLayout, storage: Storage) -> None:
        self.project, self.storage = project, storage

    def put(self, record: RunRecord) -> None:
        """See ``ExperimentStore.put``."""
        place = self.project.run(record.experiment, record.run).status
        self.storage.write(place, record.to_json().encode("utf-8", "surrogatepass"))

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


def open_store(project: ProjectLayout) -> ExperimentStore:
    """The experiment store of a project: embedded where the root is local, else on its storage.

    Raises:
        SpecError: no adapter knows the root's scheme.
    """
    if scheme_of(project.root):
        return ObjectStore(project, storage_for(project.root))
    return SqliteStore(project.store)
