"""The embedded store: one SQLite file per project."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from steps.contract import ProjectLayout
from steps.errors import DamagedError, OutputError
from steps.records import RunRecord
from steps.storage.base import Storage
from steps.stores.artifacts import ArtifactReader

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
  experiment TEXT NOT NULL,
  run TEXT NOT NULL,
  record TEXT NOT NULL,
  PRIMARY KEY (experiment, run)
)
"""
_WAIT_SECONDS = 30


class SqliteStore(ArtifactReader):
    """The embedded store: one file per project, safe for concurrent processes."""

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
        records = self._select("experiment = ? AND run = ?", experiment, run)
        return records[0] if records else None

    def runs(self, experiment: str | None = None) -> list[RunRecord]:
        """See ``ExperimentStore.runs``."""
        return self._select("?1 IS NULL OR experiment = ?1", experiment)

    def find(self, run: str) -> RunRecord | None:
        """See ``ExperimentStore.find``."""
        records = self._select("run = ?", run)
        return records[0] if records else None

    def remove(self, experiment: str, run: str) -> None:
        """See ``ExperimentStore.remove``."""
        if self.path.is_file():
            with self._open() as connection:
                connection.execute(
                    "DELETE FROM runs WHERE experiment = ? AND run = ?", (experiment, run)
                )

    def _select(self, condition: str, *values: str | None) -> list[RunRecord]:
        if not self.path.is_file():
            return []
        query = f"SELECT record FROM runs WHERE {condition} ORDER BY run DESC"  # noqa: S608 - constant conditions
        with self._open() as connection:
            rows = connection.execute(query, values).fetchall()
        return [RunRecord.from_json(row[0]) for row in rows]

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with (
                closing(sqlite3.connect(self.path, timeout=_WAIT_SECONDS)) as connection,
                connection,
            ):
                connection.execute(_SCHEMA)
                yield connection
        except sqlite3.OperationalError as error:
            raise OutputError(
                f"Cannot use the experiment store {self.path}: {error}.",
                hint="It is a file in the artifact root, which must be writable and not full.",
            ) from error
        except sqlite3.DatabaseError as error:
            hint = "Move the file away. It only lists runs; their folders contain all results."
            raise DamagedError(str(self.path), str(error), hint=hint) from error
