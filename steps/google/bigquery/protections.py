"""Protections of tables under which a read succeeds, but with fewer rows or with masked values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from google.cloud import bigquery

from steps.errors import RefeedError
from steps.google.bigquery.clients import Clients
from steps.google.bigquery.errors import BigQueryErrors
from steps.google.bigquery.request import TableName

_ROWS = (
    "{} has row access policies{}: only the rows that they grant to the caller are read, and "
    "another caller may read others."
)
_MASKED = "Data masking applies to the query: some columns have masked values, such as a hash."
_TAGGED = "{} policy tag{}. If the caller is a masked reader, the values are masked."

_PAST = "bigquery.rowAccessPolicies.overrideTimeTravelRestrictions"
"""Permission without which a table with row access policies is not read as of a moment."""


def of_job(job: bigquery.QueryJob) -> tuple[str, ...]:
    """Return a warning for each protection that applied to a query.

    See https://cloud.google.com/bigquery/docs/reference/rest/v2/Job#jobstatistics.
    """
    statistics = job._properties.get("statistics", {})  # noqa: SLF001 - no public accessor
    return tuple(_applied(statistics))


def _applied(statistics: Mapping[str, Any]) -> Iterator[str]:
    if statistics.get("rowLevelSecurityStatistics", {}).get("rowLevelSecurityApplied"):
        yield _ROWS.format("A table of the query", "")
    if statistics.get("dataMaskingStatistics", {}).get("dataMaskingApplied"):
        yield _MASKED


def of_table(clients: Clients, table: bigquery.Table, columns: Collection[str]) -> tuple[str, ...]:
    """Return a warning for each protection that may apply to columns of a table.

    BigQuery does not report whether it applied them to a read session.

    Raises:
        TransientError: BigQuery cannot be reached.
    """
    return (*_policies(clients, table), *tagged(table, columns))


def _policies(clients: Clients, table: bigquery.Table) -> Iterator[str]:
    """Yield a warning if the caller may read a table in spite of its row access policies."""
    if not _may_read_the_past(clients, table):
        return  # BigQuery refuses the read if there are policies
    name = TableName.of(table)
    try:
        with BigQueryErrors.of_table(name, clients.billing).translated():
            listed = clients.rest._call_api(  # noqa: SLF001 - the client has no method for it
                clients.retry, method="GET", path=f"{table.path}/rowAccessPolicies"
            )
    except RefeedError as error:
        if error.transient:
            raise
        yield _ROWS.format(f"The table {name} possibly", "")
        return
    policies = listed.get("rowAccessPolicies", ())
    if policies:
        names = ", ".join(each["rowAccessPolicyReference"]["policyId"] for each in policies)
        yield _ROWS.format(f"The table {name}", f" ({names})")


def _may_read_the_past(clients: Clients, table: bigquery.Table) -> bool:
    try:
        with BigQueryErrors.of_table(TableName.of(table), clients.billing).translated():
            granted = clients.rest.test_iam_permissions(table, [_PAST], **clients.options)
    except RefeedError as error:
        if error.transient:
            raise
        return False
    return _PAST in granted.get("permissions", ())


def tagged(table: bigquery.Table, columns: Collection[str]) -> Iterator[str]:
    """Yield a warning if columns of a table have policy tags."""
    found = [f.name for f in table.schema if f.name in columns and _is_tagged(f)]
    if found:
        names = ", ".join(map(repr, found))
        one = len(found) == 1
        yield _TAGGED.format(
            f"The column {names} has a" if one else f"The columns {names} have", "" if one else "s"
        )


def _is_tagged(field: bigquery.SchemaField) -> bool:
    """Return True if a column has a policy tag, or a data policy of its own."""
    raw = field.to_api_repr()
    return bool(raw.get("policyTags", {}).get("names") or raw.get("dataPolicies"))
