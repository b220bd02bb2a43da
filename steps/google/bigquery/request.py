"""Names of tables, and what a source is asked for."""

from __future__ import annotations

from dataclasses import dataclass

SCHEME = "bigquery://"


@dataclass(frozen=True, order=True)
class TableName:
    """A table, a view, or whatever else BigQuery keeps under such a name."""

    project: str
    dataset: str
    table: str

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Read ``project.dataset.table``; a project may hold dots, a table none."""
        project, dataset, table = text.removeprefix(SCHEME).rsplit(".", 2)
        return cls(project, dataset, table)

    def __str__(self) -> str:
        return f"{self.project}.{self.dataset}.{self.table}"

    @property
    def path(self) -> str:
        """As the Storage Read API has it."""
        return f"projects/{self.project}/datasets/{self.dataset}/tables/{self.table}"


@dataclass(frozen=True)
class BigQueryRequest:
    """What a spec wants of BigQuery.

    Attributes:
        table: of which all rows are read that pass ``restriction``; None where there is ``query``.
        query: a SELECT of which all rows are read; empty where there is ``table``.
        restriction: a condition in SQL that rows must fulfil; empty for all rows.
        staging: ``project.dataset`` where results of queries and views lie for a day.
        billing: the project that pays for jobs and reading; None for the credentials' own.
        max_bytes: more than so many are not read; None for any number.
    """

    table: TableName | None
    query: str = ""
    restriction: str = ""
    staging: str | None = None
    billing: str | None = None
    max_bytes: int | None = None


def quoted(name: str) -> str:
    """A name as an identifier of GoogleSQL."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
