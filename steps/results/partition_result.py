"""The result of one partition, as an experiment store keeps it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PartitionResult:
    """The rows of one partition in all result tables; see ``steps.results.schema``.

    Attributes:
        row: row of the table ``partitions``, by column.
        tables: by name, the columns of the other tables without ``partition_id`` and
            ``partition``; those of one table have one length. A table without rows is left out.
    """

    row: dict[str, Any]
    tables: dict[str, dict[str, list[Any]]]

    @property
    def partition_id(self) -> str:
        """The partition's identifier: safe in a path, the same in all runs."""
        found: str = self.row["partition_id"]
        return found
