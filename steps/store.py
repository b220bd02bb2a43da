"""The experiment store: which runs there were, so that they are found again.

A small port with an embedded adapter; the artifacts themselves lie in the runs' folders.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from steps.errors import DamagedError, OutputError
from steps.records import RunRecord


class ExperimentStore(Protocol):
    """Runs by experiment. Writes are idempotent: the identity of a run is its id."""

    def put(self, record: RunRecord) -> None:
        """Add a run, or replace what is known of it."""

    def runs(self, experiment: str | None = None) -> list[RunRecord]:
        """Runs of an experiment, or of all; the newest first."""


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
