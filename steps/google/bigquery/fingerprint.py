"""The state that the rows of a table or query depend on, without reading rows.

If the state cannot be determined, nothing is reused: an unnecessary read costs less than stale
rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from google.cloud import bigquery

from steps.errors import DataError, ForbiddenError, MissingInputError, RefeedError
from steps.google.bigquery.clients import Clients
from steps.google.bigquery.errors import BigQueryErrors
from steps.google.bigquery.jobs import DryRun, dry_run
from steps.google.bigquery.request import TableName

State = list[list[str]]
"""One entry per table or view: its name, and values that change with its rows."""

STORED = frozenset({"TABLE", "SNAPSHOT"})
"""Types of tables that BigQuery itself stores, and that the Storage Read API can read."""

_UNKNOWN = (MissingInputError, ForbiddenError, DataError, ValueError)
"""Errors for a name that is not a table, or a table that is hidden."""

_LISTED = 50
"""Maximum number of tables that BigQuery lists for a query."""
_NAMES = 20
"""Maximum number of names in a query that is analyzed."""
_DEPTH = 5
_UNSTABLE = re.compile(
    r"\b(current_\w+|rand|generate_uuid|session_user|system_time|external_query|information_schema"
    r"|ml|ai|appends|changes|now|keys|net|tablesample)\b",
    re.IGNORECASE,
)
"""Words in queries whose result can change although no table has changed."""
_TEXTS = re.compile(
    r"'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\""
    r"|--[^\n]*|#[^\n]*|/\*.*?\*/",
    re.DOTALL,
)
_PART = r"(?:`[^`]+`|\w[\w-]*)"
_CHAIN = re.compile(rf"{_PART}(?:\s*\.\s*{_PART})+|`[^`]+\.[^`]+`")


class UnstableRowsError(Exception):
    """The rows can change undetected."""


def table_state(table: bigquery.Table) -> list[str]:
    """Return the state of one table.

    Raises:
        UnstableRowsError: the table has a streaming buffer, so its modification time is unreliable,
            or BigQuery does not store its rows.
    """
    if table.table_type not in STORED or table.streaming_buffer is not None:
        raise UnstableRowsError
    modified = table.modified.isoformat() if table.modified else ""
    created = table.created.isoformat() if table.created else ""
    return [str(TableName.of(table)), created, modified]


def query_state(clients: Clients, sql: str, query: DryRun, depth: int = 0) -> State:
    """Return the state of all tables that a query reads, including those of views.

    Args:
        clients: BigQuery clients.
        sql: the query.
        query: BigQuery's description of it.
        depth: number of views that lead to it.

    Raises:
        UnstableRowsError: the state cannot be determined.
        RefeedError: see ``ErrorTranslator.translated``.
    """
    code = _TEXTS.sub(" ", sql)
    if depth > _DEPTH or query.calls_routines or query.warnings or _UNSTABLE.search(code):
        raise UnstableRowsError
    if not query.tables or len(query.tables) >= _LISTED:
        raise UnstableRowsError
    chains = {re.sub(r"[`\s]", "", chain) for chain in _CHAIN.findall(code)}
    if len(chains) > _NAMES:
        raise UnstableRowsError
    mentioned = {  # without a project, a name refers to the billed one
        TableName.parse(chain if chain.count(".") > 1 else f"{clients.billing}.{chain}")
        for chain in chains
    }
    state = [[sql]]
    for table in _tables(clients, query.tables, mentioned):
        if table.table_type == "VIEW" and not table.view_use_legacy_sql:
            inner = table.view_query
            state += [[str(TableName.of(table))]]
            state += query_state(clients, inner, _look_into(clients, inner), depth + 1)
        else:
            state.append(table_state(table))
    return sorted(state)


def _look_into(clients: Clients, sql: str) -> DryRun:
    """Return BigQuery's description of a view's own SQL.

    It may be refused although the view can be read: a filter of the outer query can be necessary,
    and an authorized view reads tables that the caller cannot.

    Raises:
        UnstableRowsError: BigQuery refuses it, so the state is unknown.
        TransientError: BigQuery cannot be reached.
    """
    try:
        return dry_run(clients, sql, "dataset.source")
    except RefeedError as error:
        if error.transient:
            raise
        raise UnstableRowsError from error


def _tables(
    clients: Clients, listed: Iterable[TableName], mentioned: Iterable[TableName]
) -> Iterable[bigquery.Table]:
    """Yield all tables that BigQuery lists for a query, and views, which it may not list."""
    for name in sorted(set(listed)):
        try:
            yield _get(clients, name)
        except _UNKNOWN as error:  # a wildcard table, or a table behind an authorized view
            raise UnstableRowsError from error
    for name in sorted(set(mentioned) - set(listed)):
        try:
            yield _get(clients, name)
        except _UNKNOWN:  # probably a column of a table
            continue


def _get(clients: Clients, name: TableName) -> bigquery.Table:
    with BigQueryErrors.of_table(name, clients.billing).translated():
        return clients.rest.get_table(str(name), **clients.options)
