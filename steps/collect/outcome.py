"""What came of a run in a few lines: read by whoever asks when all pods are gone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from steps.collect.ranking import PartitionRow, worst
from steps.records import canonical_json

SHOWN = 5
"""Best and worst partitions that are told at the most."""


@dataclass(frozen=True)
class Outcome:
    """The end of a run.

    Attributes:
        run: its id.
        partitions: of the data set.
        rows: of the data set.
        rows_without_target: rows that could not be used.
        counts: partitions by status.
        reasons: skipped and failed partitions by reason.
        metric: the headline metric; empty if nothing was trained.
        best: trained partitions, by the lower bound of the interval of skill.
        worst: trained partitions, by the upper bound.
        cached: partitions by how much of them was found in the cache.
        too_many_failed: a larger share failed than the spec allows.
        seconds: wall time of the run.
        report: where the report is.
        tables: where the result tables are.
        attempts: pods by what ended them; empty on a laptop.
    """

    run: str
    partitions: int
    rows: int
    rows_without_target: int
    counts: dict[str, int]
    reasons: dict[str, int]
    metric: str
    best: list[PartitionRow]
    worst: list[PartitionRow]
    cached: dict[str, int]
    too_many_failed: bool
    seconds: float
    report: str
    tables: str
    attempts: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        """The text that is stored as ``operations/outcome.json``."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Outcome:
        """Read what ``to_json`` wrote."""
        raw = json.loads(text)
        for name in ("best", "worst"):
            raw[name] = [PartitionRow(**line) for line in raw[name]]
        return cls(**raw)


def notable(ranking: list[PartitionRow]) -> tuple[list[PartitionRow], list[PartitionRow]]:
    """The best and the worst of a ranking, no partition among both."""
    half = min(SHOWN, max(1, len(ranking) // 2))
    return ranking[:half], worst(ranking, half)
