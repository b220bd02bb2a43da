"""Table names, and the request that a spec makes of BigQuery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

SCHEME = "bigquery://"


@dataclass(frozen=True, order=True)
class TableName:
    """The name of a table, view or other table-like object in BigQuery."""

    project: str
    dataset: str
    table: str

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Parse ``project.dataset.table``; a project can contain dots, a table cannot."""
        project, dataset, table = text.removeprefix(SCHEME).rsplit(".", 2)
        return cls(project, dataset, table)

    @classmethod
    def of(cls, table: Any) -> TableName:  # noqa: ANN401 - a table, or a reference to one
        """Return the name of a table that Google's client returned."""
        return cls(table.project, table.dataset_id, table.table_id)

    def __str__(self) -> str:
        return f"{self.project}.{self.dataset}.{self.table}"

    @property
    def path(self) -> str:
        """Resource name in the Storage Read API."""
        return f"projects/{self.project}/datasets/{self.dataset}/tables/{self.table}"


@dataclass(frozen=True)
class BigQueryRequest:
    """The table or query that a spec reads from BigQuery.

    Attributes:
        table: table whose rows are read; None if there is a ``query``.
        query: SELECT statement whose rows are read; empty if there is a ``table``.
        restriction: SQL condition that a table's rows must meet; empty for all rows.
        staging: ``project.dataset`` that stores results of queries and views for a day.
        billing: project that is billed for jobs and reads; None for that of the credentials.
        max_bytes: maximum number of bytes to read; None for no limit.
    """

    table: TableName | None
    query: str = ""
    restriction: str = ""
    staging: str | None = None
    billing: str | None = None
    max_bytes: int | None = None


def quoted(name: str) -> str:
    """Quote a name as a GoogleSQL identifier."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
