"""What the rows of a table or a query depend on, as far as that can be told without reading them.

Where it cannot be told, nothing is reused: reading once too often costs less than old rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from google.cloud import bigquery

from steps.errors import DataError, ForbiddenError, MissingInputError
from steps.google.bigquery.clients import Clients
from steps.google.bigquery.errors import BigQueryErrors
from steps.google.bigquery.jobs import dry_run
from steps.google.bigquery.request import TableName

State = list[list[str]]
"""One entry for each table or view: its name, and what changes with it."""

STORED = frozenset({"TABLE", "SNAPSHOT"})
"""Kinds of tables whose rows BigQuery itself keeps; the Storage Read API reads these."""

_UNKNOWN = (MissingInputError, ForbiddenError, DataError, ValueError)
"""What asking for a name may raise if it is no table's, or hidden."""

_LISTED = 50
"""BigQuery names no more tables of a query than so many."""
_NAMES = 20
"""A query that mentions more names than so many is not looked into."""
_DEPTH = 5
_UNSTEADY = re.compile(
    r"\b(current_\w+|rand|generate_uuid|session_user|system_time|external_query|information_schema"
    r"|ml|ai|appends|changes|now|keys|net|tablesample)\b",
    re.IGNORECASE,
)
"""Words of queries that may give other rows although no table has changed."""
_TEXTS = re.compile(
    r"'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\\n])*'|\"(?:\\.|[^\"\\\n])*\""
    r"|--[^\n]*|#[^\n]*|/\*.*?\*/",
    re.DOTALL,
)
_PART = r"(?:`[^`]+`|\w[\w-]*)"
_CHAIN = re.compile(rf"{_PART}(?:\s*\.\s*{_PART})+|`[^`]+\.[^`]+`")


class UnstableRowsError(Exception):
    """The rows may change unseen."""


def table_state(table: bigquery.Table) -> list[str]:
    """The state of one table.

    Raises:
        UncertainError: rows come to it through a buffer, and its time of change does not tell, or
            they are not kept by BigQuery.
    """
    if table.table_type not in STORED or table.streaming_buffer is not None:
        raise UnstableRowsError
    modified = table.modified.isoformat() if table.modified else ""
    created = table.created.isoformat() if table.created else ""
    return [str(name_of(table)), created, modified]


def name_of(table: bigquery.Table) -> TableName:
    """Of a table as the client returns it."""
    return TableName(table.project, table.dataset_id, table.table_id)


def query_state(clients: Clients, sql: str, field: str, depth: int = 0) -> State:
    """The state of all that a query reads, through views too.

    Raises:
        UncertainError: it cannot be told.
        SpecError: it is no query.
        RefeedError: see ``translated``.
    """
    found = dry_run(clients, sql, field)
    plain = _TEXTS.sub(" ", sql)
    if depth > _DEPTH or not found.plain or _UNSTEADY.search(plain):
        raise UnstableRowsError
    if not found.tables or len(found.tables) >= _LISTED:
        raise UnstableRowsError
    state = [[sql]]
    for table in _tables(clients, found.tables, _mentioned(plain, clients.billing)):
        if table.table_type == "VIEW" and not table.view_use_legacy_sql:
            state += [[str(name_of(table))]]
            state += query_state(clients, table.view_query, field, depth + 1)
        else:
            state.append(table_state(table))
    return sorted(state)


def _tables(
    clients: Clients, listed: Iterable[TableName], mentioned: Iterable[TableName]
) -> Iterable[bigquery.Table]:
    """All tables that BigQuery lists for a query; and the views, which it may not list."""
    for name in sorted(set(listed)):
        try:
            yield _get(clients, name)
        except _UNKNOWN as error:  # a wildcard, or behind an authorised view
            raise UnstableRowsError from error
    for name in sorted(set(mentioned) - set(listed)):
        try:
            yield _get(clients, name)
        except _UNKNOWN:  # a column of a table, as it looks
            continue


def _get(clients: Clients, name: TableName) -> bigquery.Table:
    with BigQueryErrors(f"the table {name}", clients.billing).translated():
        return clients.rest.get_table(str(name), **clients.options)


def _mentioned(sql: str, billing: str) -> set[TableName]:
    """What may be a table's name in a query; a name without a project is of the paying one."""
    chains = {re.sub(r"[`\s]", "", chain) for chain in _CHAIN.findall(sql)}
    if len(chains) > _NAMES:
        raise UnstableRowsError
    names = set()
    for chain in chains:
        dots = chain.count(".")
        names |= {TableName.parse(chain if dots > 1 else f"{billing}.{chain}")}
    return names
