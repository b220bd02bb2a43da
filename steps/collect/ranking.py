"""One row per partition, and their ranking from best to worst."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from steps.records import PartitionRecord
from steps.results.constant_models import predicts_constant


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

    @property
    def rows_with_target(self) -> int:
        """Rows that have a target, which the models are made from."""
        return self.rows - self.rows_without_target

    @property
    def predicts_constant(self) -> bool:
        """See ``constant_models``."""
        return predicts_constant(self.skill, self.skill_low, self.skill_high)

    def as_row(self) -> dict[str, Any]:
        """Return values by column."""
        return asdict(self)


def ranked(lines: list[PartitionRow]) -> list[PartitionRow]:
    """Return trained partitions, best first: by the lower bound of the interval of skill.

    Models that predict a constant come after all others, and partitions whose bound is undefined
    last; equal ones in order of their identifier.
    """
    trained = [line for line in lines if line.status == "trained"]

    def position(line: PartitionRow) -> tuple[bool, bool, float, str]:
        undefined = line.skill_low is None
        return undefined, line.predicts_constant, -(line.skill_low or 0.0), line.partition_id

    return sorted(trained, key=position)


def best_and_worst(
    ranking: list[PartitionRow], most: int
) -> tuple[list[PartitionRow], list[PartitionRow]]:
    """Return the best and the worst partitions of a ranking, none among both.

    The best have the highest lower bounds of the interval of skill, the worst the lowest upper
    bounds. Models that predict a constant are neither.

    Args:
        ranking: trained partitions, best first.
        most: partitions on each side, at most.
    """
    known = [
        line
        for line in ranking
        if line.skill_high is not None and line.skill_low is not None and not line.predicts_constant
    ]
    half = min(most, max(1, len(known) // 2))
    best = known[:half]
    worst = sorted(known[half:], key=lambda line: (line.skill_high, line.partition_id))
    return best, worst[:half]
