"""Outcome of a run: a summary that is read when all pods are gone."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field

from steps.collect.ranking import PartitionRow, best_and_worst, ranked
from steps.errors import NothingTrainedError, TooManyFailuresError
from steps.records import RunRequest, canonical_json

SHOWN = 5
"""Best and worst partitions in an outcome, at most."""


@dataclass(frozen=True)
class Outcome:
    """Outcome of a run.

    Attributes:
        run: its id.
        partitions: number of partitions of the dataset.
        rows: number of rows of the dataset.
        rows_without_target: rows that could not be used.
        counts: partitions by status.
        reasons: skipped and failed partitions by reason.
        metric: the headline metric; empty if nothing was trained.
        best: trained partitions, by the lower bound of the interval of skill.
        worst: trained partitions, by the upper bound.
        cached: partitions by how much of them was found in the cache.
        too_many_failed: a larger share failed than the spec allows.
        seconds: wall time of the run.
        report: URI of the report.
        tables: URI of the result tables.
        attempts: pods by cause of their end; empty on a laptop.
        constant_models: trained partitions whose models predict a constant.
        warnings: warnings about the data, the gravest first.
        costs: predicted and actual cost, see ``compare_costs``; empty if nothing was predicted.
        advice: how more partitions could be trained; empty if at least half of them are.
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
    constant_models: int = 0
    advice: str = ""
    warnings: list[str] = field(default_factory=list)
    costs: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        request: RunRequest,
        partitions: list[PartitionRow],
        rows: int,
        *,
        seconds: float,
        report: str,
        tables: str,
        cached: dict[str, int],
        attempts: dict[str, int],
        warnings: list[str],
        costs: dict[str, float],
    ) -> Outcome:
        """Count the statuses and reasons of a run's partitions.

        Args:
            request: the request that started the run.
            partitions: one row per partition.
            rows: number of rows of the dataset.
            seconds: see ``Outcome``.
            report: see ``Outcome``.
            tables: see ``Outcome``.
            cached: see ``Outcome``.
            attempts: see ``Outcome``.
            warnings: see ``Outcome``.
            costs: see ``Outcome``.
        """
        counts = Counter(each.status for each in partitions)
        ranking = ranked(partitions)
        best, worst = best_and_worst(ranking, SHOWN)
        return cls(
            run=request.run,
            partitions=len(partitions),
            rows=rows,
            rows_without_target=sum(each.rows_without_target for each in partitions),
            counts={status: counts[status] for status in ("trained", "skipped", "failed")},
            reasons=dict(
                sorted(Counter(each.reason for each in partitions if each.reason).items())
            ),
            metric=ranking[0].metric or "" if ranking else "",
            best=best,
            worst=worst,
            too_many_failed=counts["failed"] > request.max_failed_fraction * len(partitions),
            seconds=seconds,
            tables=tables,
            report=report,
            cached=cached,
            attempts=attempts,
            warnings=warnings,
            costs=costs,
            constant_models=sum(each.predicts_constant for each in ranking),
            advice=min_rows_advice(
                request.min_rows,
                [each.rows_with_target for each in partitions if each.reason == "too_few_rows"],
                counts["trained"],
                len(partitions),
            ),
        )

    @property
    def nothing_trained(self) -> bool:
        """True if no partition has a model."""
        return not self.counts["trained"]

    @property
    def failed(self) -> bool:
        """True if the run counts as failed."""
        return self.too_many_failed or self.nothing_trained

    @property
    def failure(self) -> str:
        """Message of a failed run; empty if it did not fail."""
        if self.too_many_failed:
            return f"{self.counts['failed']} of {self.partitions} partitions failed."
        if self.nothing_trained:
            return f"No partition was trained: all {self.partitions} were skipped."
        return ""

    def raise_for_failures(self) -> None:
        """Raise if more partitions failed than the spec allows, or if none was trained.

        Raises:
            TooManyFailuresError: with the number of failed partitions.
            NothingTrainedError: no partition has a model.
        """
        if self.too_many_failed:
            raise TooManyFailuresError(
                f"{self.counts['failed']} of {self.partitions} partitions failed, more than "
                "execution.max_failed_fraction allows. The tables have been written.",
                hint=f"The reasons are in {self.tables}/partitions.csv.",
            )
        if self.nothing_trained:
            raise NothingTrainedError(
                self.failure,
                hint=self.advice or f"The reasons are in {self.tables}/partitions.csv.",
            )

    def to_json(self) -> str:
        """Return the text that is stored as ``operations/outcome.json``."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Outcome:
        """Read what ``to_json`` wrote."""
        raw = json.loads(text)
        for name in ("best", "worst"):
            raw[name] = [PartitionRow(**line) for line in raw[name]]
        return cls(**raw)


_FEWEST_ROWS = 20
"""Rows below which no model is recommended."""


def min_rows_advice(min_rows: int, skipped: list[int], trained: int, partitions: int) -> str:
    """Return which ``min_rows`` would train more; empty if at least half of them are trained.

    It is the largest value with which half of all partitions are trained, or the largest that
    trains any, but not below 20.

    Args:
        min_rows: the spec's value.
        skipped: rows with a target of each partition that has fewer.
        trained: number of trained partitions.
        partitions: number of all partitions.
    """
    sizes = sorted((rows for rows in skipped if rows), reverse=True)
    if 2 * trained >= partitions or not sizes:
        return ""
    needed = (partitions + 1) // 2 - trained
    value = max(sizes[min(needed, len(sizes)) - 1], min(_FEWEST_ROWS, sizes[0]))
    more = sum(rows >= value for rows in sizes)
    return (
        f"dataset.min_rows is {min_rows:,}, and the largest partition below it has {sizes[0]:,} "
        f"rows with a target. With dataset.min_rows: {value}, {trained + more:,} of {partitions:,} "
        "partitions are trained. Models of few rows need smaller leaves, such as "
        "trainer.params: {min_data_in_leaf: 5}."
    )
