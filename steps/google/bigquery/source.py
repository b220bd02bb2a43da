"""A BigQuery table, view or query as a source, read as of the time of its snapshot."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property

import pyarrow as pa
from google.cloud import bigquery
from google.cloud.bigquery import SchemaField
from google.cloud.bigquery_storage_v1 import types

from steps.errors import DataError, Problem, RefeedError, SpecError
from steps.google.bigquery import protections
from steps.google.bigquery.clients import Clients
from steps.google.bigquery.errors import BigQueryErrors
from steps.google.bigquery.fingerprint import (
    STORED,
    UnstableRowsError,
    query_state,
    table_state,
)
from steps.google.bigquery.jobs import (
    DryRun,
    Result,
    ResultTable,
    bytes_error,
    check_location,
    dry_run,
    find_result,
    materialize,
    staging_of,
)
from steps.google.bigquery.request import BigQueryRequest, quoted
from steps.google.bigquery.rows import (
    STREAMS,
    SessionRequest,
    StreamPiece,
    open_session,
    pieces_of,
    read_streams,
)
from steps.google.bigquery.types import arrow_schema, changed_types
from steps.google.errors import DEADLINE_SECONDS
from steps.records import canonical_json, digest

_KINDS = {
    "VIEW": "a view",
    "MATERIALIZED_VIEW": "a materialized view",
    "EXTERNAL": "an external table",
}
"""Types of tables that are read by a query."""

_AGAIN = "Run again: the split starts over with the current columns."

_CLOCK_SECONDS = 1.0
"""Tolerance for a clock that is ahead of BigQuery's, which cannot read future rows."""


@dataclass(frozen=True)
class BigQuerySnapshot:
    """A snapshot that fixes the rows of a source while its dataset is built.

    Attributes:
        micros: time of the snapshot, in microseconds since 1970.
        state: digest of the state that the rows depend on.
        name: name of the job and the table that contain the rows of a view or query.
        fields: name, type and mode of each column.
    """

    micros: int
    state: str
    name: str
    fields: tuple[tuple[str, str, str], ...]

    def to_json(self) -> str:
        """Return the stored text."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> BigQuerySnapshot:
        """Parse the text that ``to_json`` returned."""
        raw = json.loads(text)
        raw["fields"] = tuple((name, kind, mode) for name, kind, mode in raw["fields"])
        return cls(**raw)


class BigQuerySource:
    """See ``steps.split.sources.base.LiveSource``.

    Args:
        request: the table or query to read.
        deadline: seconds during which a call is retried.
    """

    def __init__(self, request: BigQueryRequest, deadline: float = DEADLINE_SECONDS) -> None:
        self.request = request
        fallback = request.table.project if request.table else ""
        if not fallback and request.staging:
            fallback = staging_of(request.staging).project
        self.clients = Clients(request.billing, fallback, deadline)
        self._snapshot: BigQuerySnapshot | None = None
        self._open_session: tuple[tuple[str, ...], types.ReadSession] | None = None
        self._result_table: ResultTable | None = None
        self._warnings: tuple[str, ...] = ()

    @property
    def snapshot(self) -> BigQuerySnapshot:
        """The snapshot that fixes the rows, taken now if there is none yet."""
        if self._snapshot is not None:
            return self._snapshot
        now = int((time.time() - _CLOCK_SECONDS) * 1e6)
        if self._table is not None and self._table.modified is not None:
            # The modification time is truncated to milliseconds; the read must include the change.
            now = max(now, int(self._table.modified.timestamp() * 1000) * 1000 + 999)
        name = f"refeed_{secrets.token_hex(8)}"
        # The reported schema of a view is that of its tables when the view was created.
        query = None if self._direct else self._dry_run([])
        fields = tuple((f.name, f.field_type, f.mode) for f in self._columns(query))
        state = digest(self._state(query) or ["unknown", now, name])
        self._snapshot = BigQuerySnapshot(now, state, name, fields)
        return self._snapshot

    def _columns(self, query: DryRun | None) -> Sequence[SchemaField]:
        """Return the current columns of the table, or of the view or query with this dry run."""
        if query is not None:
            return query.fields
        return self._table.schema if self._table is not None else ()

    def _state(self, query: DryRun | None) -> list[list[str]]:
        """Return the state that the rows depend on; empty if it is unknown."""
        try:
            if query is not None:
                return query_state(self.clients, self._sql([]), query)
            return [table_state(self._table)] if self._table is not None else []
        except UnstableRowsError:
            return []

    def take_snapshot(self) -> str:
        """See ``LiveSource.take_snapshot``."""
        return self.snapshot.to_json()

    def resume(self, snapshot: str) -> None:
        """See ``LiveSource.resume``."""
        self.release()
        self._snapshot = BigQuerySnapshot.from_json(snapshot)

    def release(self) -> None:
        """See ``LiveSource.release``."""
        self._snapshot = self._result_table = self._open_session = None
        self._warnings = ()
        self.__dict__.pop("_table", None)

    def snapshot_time(self) -> float:
        """See ``LiveSource.snapshot_time``."""
        return self.snapshot.micros / 1e6

    def close(self) -> None:
        """See ``LiveSource.close``."""
        self.clients.close()

    def fingerprint(self) -> str:
        """See ``Source.fingerprint``; a digest of table metadata, not of rows."""
        return self.snapshot.state

    def schema(self) -> pa.Schema:
        """See ``Source.schema``."""
        return arrow_schema(
            SchemaField(name, kind, mode) for name, kind, mode in self.snapshot.fields
        )

    def rows(self) -> int | None:
        """See ``Source.rows``; the current number of rows if a whole table is read."""
        if self._table is None or self._table.table_type not in STORED or self.request.restriction:
            return None
        return int(self._table.num_rows)

    def estimate(self, columns: list[str]) -> int:
        """See ``LiveSource.estimate``."""
        if not self._direct or self._table is None:
            return self._checked_query(columns).bytes
        session = self._session(columns, STREAMS)
        self._open_session = tuple(columns), session
        size = int(session.estimated_total_bytes_scanned)
        self._check_size(size, f"the table {self.request.table}")
        self._warnings = protections.of_table(self.clients, self._table, columns)
        return size

    def warnings(self) -> tuple[str, ...]:
        """See ``LiveSource.warnings``."""
        return self._warnings

    def _checked_query(self, columns: list[str]) -> DryRun:
        """Return the dry run of a view or query.

        Raises:
            SpecError: it would read more than the spec allows.
        """
        with self._columns_named(columns):
            query = self._dry_run(columns)
        self._check_size(query.bytes, "the query")
        return query

    def _check_size(self, size: int, target: str) -> None:
        if self.request.max_bytes is not None and size > self.request.max_bytes:
            raise bytes_error(size, self.request.max_bytes, target)

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``; each call opens a new session for the same rows."""
        if self._open_session is None or self._open_session[0] != tuple(columns):
            self._prepare(columns)
        prepared, self._open_session = self._open_session, None
        session = prepared[1] if prepared else self._session(columns, STREAMS)
        yield from read_streams(self.clients, pieces_of(session, self.clients.billing))

    def pieces(self, columns: list[str]) -> list[StreamPiece]:
        """See ``Source.pieces``; one piece per stream, as many as BigQuery chooses."""
        self._prepare(columns)
        return pieces_of(self._session(columns, 0), self.clients.billing)

    @cached_property
    def _table(self) -> bigquery.Table | None:
        """BigQuery's metadata of the table or view."""
        if self.request.table is None:
            return None
        with BigQueryErrors.of_table(self.request.table, self.clients.billing).translated():
            return self.clients.rest.get_table(str(self.request.table), **self.clients.options)

    @property
    def _direct(self) -> bool:
        """True if the Storage Read API can read the table directly."""
        return self._table is not None and self._table.table_type in STORED

    @property
    def _field(self) -> str:
        return "dataset.query" if self.request.query else "dataset.source"

    def _sql(self, columns: list[str]) -> str:
        """Return the SQL for a view, with the named columns or all if none is named, or a query.

        A query is run unchanged.
        """
        if self.request.table is None:
            return self.request.query
        chosen = ", ".join(map(quoted, columns)) or "*"
        condition = f"\nWHERE (\n{self.request.restriction}\n)" if self.request.restriction else ""
        return f"SELECT {chosen} FROM `{self.request.table}`{condition}"  # noqa: S608 - checked by dry_run

    def _dry_run(self, columns: list[str]) -> DryRun:
        return dry_run(self.clients, self._sql(columns), self._field)

    def _prepare(self, columns: list[str]) -> None:
        """Ensure that there is a table to read, and that its size is within the limit.

        Raises:
            SpecError: it exceeds the limit, or there is no staging dataset for a result.
        """
        if self._direct:
            self.estimate(columns)
            return
        if self._result_table is None:
            self._result_table = find_result(self.clients, self._result)
        if self._result_table is None:
            query = self._checked_query(columns)
            check_location(self.clients, query, self._result.staging)
            self._result_table = materialize(
                self.clients, self._sql(columns), self._result, self.request.max_bytes
            )
        self._warnings = self._result_table.warnings

    @property
    def _result(self) -> Result:
        if self.request.staging is None:
            kind = "a query"
            if self._table is not None:
                kind = f"{self.request.table}, {_KINDS.get(self._table.table_type, 'not a table')},"
            message = f"{kind} needs a BigQuery dataset for its result, and none is set"
            hint = "Set dataset.staging: project.dataset; see docs/platform/bigquery.md."
            raise SpecError("the spec", [Problem("dataset.staging", message, hint)])
        return Result(staging_of(self.request.staging), self.snapshot.name, self.snapshot.micros)

    def _session(self, columns: list[str], streams: int) -> types.ReadSession:
        if self._direct and self.request.table is not None:
            restriction, micros = self.request.restriction, self.snapshot.micros
            request = SessionRequest(self.request.table, tuple(columns), restriction, micros)
        else:
            self._prepare(columns)
            assert self._result_table is not None, "_prepare stores the result"
            request = SessionRequest(self._result_table.name, tuple(columns), "", None)
        with self._columns_named(columns):
            session = open_session(self.clients, request, streams)
        found = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))
        self._check_columns(columns, found)
        return session

    @contextmanager
    def _columns_named(self, columns: list[str]) -> Iterator[None]:
        """Name the columns that no longer exist, if BigQuery rejects a request for them.

        Raises:
            DataError: there are such columns.
        """
        try:
            yield
        except (SpecError, DataError) as error:
            lost = self._lost(columns)
            if lost:
                raise _lost_error(lost) from error
            raise

    def _lost(self, columns: list[str]) -> list[str]:
        self.__dict__.pop("_table", None)
        try:
            query = None if self._direct else self._dry_run([])
        except RefeedError:
            return []
        now = {field.name for field in self._columns(query)}
        return [name for name in columns if name not in now]

    def _check_columns(self, columns: list[str], found: pa.Schema) -> None:
        """Check that the columns still exist, with the types that they had when the split began.

        Raises:
            DataError: one does not, so a new split must begin with the current columns.
        """
        lost = [name for name in columns if name not in found.names]
        if lost:
            raise _lost_error(lost)
        for name, before, now in changed_types(self.schema(), found):
            raise DataError(
                f"The column {name!r} was {before} when the split began, and is {now} now: the "
                "source's tables have changed.",
                hint=_AGAIN,
            )


def _lost_error(columns: list[str]) -> DataError:
    return DataError(
        f"The source had the column {', '.join(map(repr, columns))} when the split began, and has "
        "it no longer: its tables have changed.",
        hint=_AGAIN,
    )
