"""A table, a view or a query of BigQuery as a source, read as of the moment it was begun."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property

import pyarrow as pa
from google.cloud import bigquery
from google.cloud.bigquery import SchemaField
from google.cloud.bigquery_storage_v1 import types

from steps.errors import Problem, SpecError
from steps.google.bigquery.clients import Clients
from steps.google.bigquery.errors import BigQueryErrors
from steps.google.bigquery.fingerprint import (
    STORED,
    State,
    UnstableRowsError,
    query_state,
    table_state,
)
from steps.google.bigquery.jobs import (
    DryRun,
    Result,
    bytes_error,
    dry_run,
    find_result,
    materialise,
    staging_of,
)
from steps.google.bigquery.request import BigQueryRequest, TableName, quoted
from steps.google.bigquery.rows import (
    STREAMS,
    SessionRequest,
    StreamPiece,
    open_session,
    pieces_of,
    read_at_once,
)
from steps.google.bigquery.types import arrow_schema
from steps.google.errors import DEADLINE_SECONDS
from steps.records import canonical_json, digest

_CLOCK_SECONDS = 1.0
"""This machine's clock may be ahead of BigQuery's by so much; BigQuery knows no future rows."""


@dataclass(frozen=True)
class BigQuerySnapshot:
    """What fixes the rows of a source, from the begin of a data set to its end.

    Attributes:
        micros: the moment whose rows are read, microseconds since 1970.
        state: a digest of what the rows depend on.
        name: of the job and the table that hold the rows of a view or a query.
        fields: name, type and mode of each column.
    """

    micros: int
    state: str
    name: str
    fields: tuple[tuple[str, str, str], ...]

    def to_json(self) -> str:
        """The text that is kept."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> BigQuerySnapshot:
        """Read what ``to_json`` wrote."""
        raw = json.loads(text)
        raw["fields"] = tuple((name, kind, mode) for name, kind, mode in raw["fields"])
        return cls(**raw)


class BigQuerySource:
    """See ``steps.split.sources.base.LiveSource``.

    Args:
        wanted: what a spec wants.
        deadline: seconds for which a call is tried again.
    """

    def __init__(self, wanted: BigQueryRequest, deadline: float = DEADLINE_SECONDS) -> None:
        self.wanted = wanted
        home = wanted.table.project if wanted.table else ""
        if not home and wanted.staging:
            home = staging_of(wanted.staging).project
        self.clients = Clients(wanted.billing, home, deadline)
        self._pin: BigQuerySnapshot | None = None
        self._held: tuple[tuple[str, ...], types.ReadSession] | None = None
        self._made: TableName | None = None

    @property
    def pin(self) -> BigQuerySnapshot:
        """What fixes the rows; made now if there is none yet."""
        if self._pin is None:
            self._pin = self._new_pin()
        return self._pin

    def take_snapshot(self) -> str:
        """See ``LiveSource.take_snapshot``."""
        return self.pin.to_json()

    def resume(self, pin: str) -> None:
        """See ``LiveSource.resume``."""
        self.release()
        self._pin = BigQuerySnapshot.from_json(pin)

    def release(self) -> None:
        """See ``LiveSource.release``."""
        self._pin = self._made = self._held = None
        self.__dict__.pop("_table", None)

    def snapshot_time(self) -> float:
        """See ``LiveSource.snapshot_time``."""
        return self.pin.micros / 1e6

    def close(self) -> None:
        """See ``LiveSource.close``."""
        self.clients.close()

    def fingerprint(self) -> str:
        """See ``Source.fingerprint``: of what BigQuery says about tables, not of their rows."""
        return self.pin.state

    def schema(self) -> pa.Schema:
        """See ``Source.schema``."""
        return arrow_schema(SchemaField(name, kind, mode) for name, kind, mode in self.pin.fields)

    def rows(self) -> int | None:
        """See ``Source.rows``: as many as there are now, where all of a table is read."""
        if self._table is None or self._table.table_type not in STORED or self.wanted.restriction:
            return None
        return int(self._table.num_rows)

    def estimate(self, columns: list[str]) -> int:
        """See ``LiveSource.estimate``."""
        if self._direct:
            session = self._session(columns, STREAMS)
            self._held = tuple(columns), session
            asked, what = session.estimated_total_bytes_scanned, f"the table {self.wanted.table}"
        else:
            asked, what = self._look(columns).bytes, "the query"
        if self.wanted.max_bytes is not None and asked > self.wanted.max_bytes:
            raise bytes_error(asked, self.wanted.max_bytes, what)
        return int(asked)

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``; each call opens a session of its own, of the same rows."""
        if self._held is None or self._held[0] != tuple(columns):
            self._ready(columns)
        held, self._held = self._held, None
        session = held[1] if held else self._session(columns, STREAMS)
        yield from read_at_once(self.clients, pieces_of(session, self.clients.billing))

    def pieces(self, columns: list[str]) -> list[StreamPiece]:
        """See ``Source.pieces``: a stream each, as many as BigQuery finds good."""
        self._ready(columns)
        return pieces_of(self._session(columns, 0), self.clients.billing)

    @cached_property
    def _table(self) -> bigquery.Table | None:
        """What BigQuery knows of the table or view."""
        if self.wanted.table is None:
            return None
        what = f"table {self.wanted.table}"
        with BigQueryErrors(what, self.clients.billing).translated():
            return self.clients.rest.get_table(str(self.wanted.table), **self.clients.options)

    @property
    def _direct(self) -> bool:
        """Whether the Storage Read API reads it as it is."""
        return self._table is not None and self._table.table_type in STORED

    def _new_pin(self) -> BigQuerySnapshot:
        now = int((time.time() - _CLOCK_SECONDS) * 1e6)
        if self._table is not None and self._table.modified is not None:
            # The time of change is cut to milliseconds; the change is in the rows that are read.
            now = max(now, int(self._table.modified.timestamp() * 1000) * 1000 + 999)
        name = f"refeed_{secrets.token_hex(8)}"
        try:
            state = digest(self._state())
        except UnstableRowsError:
            state = digest(["nobody can tell", now, name])
        fields = self._table.schema if self._table else self._look([]).fields
        return BigQuerySnapshot(
            now, state, name, tuple((f.name, f.field_type, f.mode) for f in fields)
        )

    def _state(self) -> State:
        if self._table is not None and self._table.table_type in STORED:
            return [table_state(self._table)]
        return query_state(self.clients, self._sql([]), self._field)

    @property
    def _field(self) -> str:
        return "dataset.query" if self.wanted.query else "dataset.source"

    def _sql(self, columns: list[str]) -> str:
        """What is run for a view or a query; of a view only the columns, or all if none is named.

        A query is run as it is.
        """
        if self.wanted.table is None:
            return self.wanted.query
        chosen = ", ".join(map(quoted, columns)) or "*"
        condition = f"\nWHERE (\n{self.wanted.restriction}\n)" if self.wanted.restriction else ""
        return f"SELECT {chosen} FROM `{self.wanted.table}`{condition}"  # noqa: S608 - checked by dry_run

    def _look(self, columns: list[str]) -> DryRun:
        return dry_run(self.clients, self._sql(columns), self._field)

    def _ready(self, columns: list[str]) -> None:
        """See to it that there is a table to read, and that it is not too much.

        Raises:
            SpecError: it is, or there is no place for a result.
        """
        if self._direct:
            self.estimate(columns)
            return
        if self._made is None:
            self._made = find_result(self.clients, self._result)
        if self._made is None:
            self.estimate(columns)
            self._made = materialise(
                self.clients, self._sql(columns), self._result, self.wanted.max_bytes
            )

    @property
    def _result(self) -> Result:
        if self.wanted.staging is None:
            kind = "a query" if self.wanted.table is None else f"{self.wanted.table}, a view,"
            message = f"{kind} needs a dataset in which its result can lie for a day"
            hint = "Name one as dataset.staging: project.dataset; see docs/platform/bigquery.md."
            raise SpecError("the spec", [Problem("dataset.staging", message, hint)])
        return Result(staging_of(self.wanted.staging), self.pin.name, self.pin.micros)

    def _session(self, columns: list[str], streams: int) -> types.ReadSession:
        if self._direct and self.wanted.table is not None:
            restriction, micros = self.wanted.restriction, self.pin.micros
            reading = SessionRequest(self.wanted.table, tuple(columns), restriction, micros)
        else:
            self._ready(columns)
            assert self._made is not None, "a result has been made"
            reading = SessionRequest(self._made, tuple(columns), "", None)
        return open_session(self.clients, reading, streams)
