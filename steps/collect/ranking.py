"""One row per partition, and their ranking from best to worst."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from steps.records import PartitionRecord


@dataclass(frozen=True)
class PartitionRow:
    """A row of the table ``partitions``, without its rank; see ``steps.results.schema``."""

    partition_id: str
    partition: str
    status: str
    reason: str
    message: str
    rows: int
    rows_without_target: int
    folds: int | None = None
    largest_fold: float | None = None
    own_folds: bool | None = None
    metric: str | None = None
    value: float | None = None
    constant_value: float | None = None
    skill: float | None = None
    skill_low: float | None = None
    skill_high: float | None = None

    @classmethod
    def of(
        cls, record: PartitionRecord, rows: int, without_target: int, tables: dict[str, Any]
    ) -> PartitionRow:
        """Return the row of a partition; ``tables`` is empty unless it is trained."""
        headline: dict[str, Any] = {}
        if tables:
            metrics = tables["metrics"]
            first = metrics["scope"].index("pooled")  # the first metric of the task, pooled
            names = ("metric", "value", "constant_value", "skill", "skill_low", "skill_high")
            headline = {name: metrics[name][first] for name in names}
            headline |= {name: tables[name] for name in ("folds", "largest_fold", "own_folds")}
        return cls(
            record.key.partition_id,
            record.key.text,
            record.status,
            record.reason,
            record.message,
            rows,
            without_target,
            **headline,
        )

    def as_row(self) -> dict[str, Any]:
        """Return values by column."""
        return asdict(self)


def ranked(lines: list[PartitionRow]) -> list[PartitionRow]:
    """Return trained partitions, best first: by the lower bound of the interval of skill.

    A partition whose bound is undefined comes last; equal ones in order of their identifier.
    """
    trained = [line for line in lines if line.status == "trained"]

    def position(line: PartitionRow) -> tuple[bool, float, str]:
        return line.skill_low is None, -(line.skill_low or 0.0), line.partition_id

    return sorted(trained, key=position)


def worst_first(lines: list[PartitionRow], count: int) -> list[PartitionRow]:
    """Return the surely bad partitions first: by the upper bound of the interval, lowest first."""
    known = [line for line in lines if line.status == "trained" and line.skill_high is not None]
    return sorted(known, key=lambda line: (line.skill_high, line.partition_id))[:count]
