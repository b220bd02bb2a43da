"""The pipeline.

    pieces ─┬─ look ── add up ── deal ──┐ (who gets which rows)
            │                           │
            └─ deal out ◄───────────────┤
                  │                     │
               group by ── write ◄──────┘

The source is read twice, since who gets which rows follows from how many there are of each
partition: cheaper than keeping all rows on disk between two stages. Rows travel as Arrow batches,
and nothing here touches a single row: every function is one of the embedded engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.pvalue import AsSingleton, PCollection
from apache_beam.transforms.window import GlobalWindows
from apache_beam.utils.windowed_value import WindowedValue

from steps.contract import ProjectLayout
from steps.errors import RefeedError
from steps.runtime.parallel import map_ordered
from steps.split.dataset.plan import SplitPlan
from steps.split.engines.first_pass import FirstPass
from steps.split.engines.job_output import JobOutput
from steps.split.engines.shuffle import Assignment, GroupPart, RowRouter, write_group_part
from steps.split.sources.base import SourcePiece
from steps.storage.base import storage_for

METRICS = "refeed"
"""Namespace of the counters below."""
READ, WRITTEN = "rows-read", "rows-written"
"""Counters: rows of the first pass, and rows that lie in part files."""


@dataclass(frozen=True)
class JobContext:
    """What every worker is told.

    Attributes:
        plan: of the data set.
        project: where it is to lie.
        job: by which its folder is named; no other job of this work has it.
    """

    plan: SplitPlan
    project: ProjectLayout
    job: str

    @property
    def handover(self) -> JobOutput:
        """The job's folder."""
        storage = storage_for(self.project.root)
        return JobOutput(self.project, self.plan.work_id, self.job, storage)

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Leave an error of ours where whoever follows the job finds it in its own words."""
        try:
            yield
        except RefeedError as error:
            self.handover.write_error(error)
            raise


def build(pipeline: beam.Pipeline, pieces: Sequence[SourcePiece], work: JobContext) -> None:
    """Add all steps to a pipeline."""
    cut: PCollection[SourcePiece] = pipeline | "pieces" >> beam.Create(list(pieces), reshuffle=True)
    facts = (
        cut
        | "look" >> beam.ParDo(_Look(work))
        | "add up" >> beam.CombineGlobally(_AddUp(work.plan))
    )
    deal = AsSingleton(facts | "deal" >> beam.ParDo(_Plan(work)))
    (
        cut
        | "deal out" >> beam.ParDo(_DealOut(work), deal).with_output_types(tuple[str, bytes])
        | "group by" >> beam.GroupByKey()
        | "write" >> beam.ParDo(_Write(work), deal)
    )


class _Look(beam.DoFn):  # type: ignore[misc]  # Beam has no types
    """Pieces of the source to facts, one for all pieces that a worker has at a time."""

    def __init__(self, work: JobContext) -> None:
        self.work, self.rows = work, Metrics.counter(METRICS, READ)

    def start_bundle(self) -> None:
        self.facts = FirstPass(self.work.plan)

    def process(self, piece: SourcePiece) -> None:
        with self.work.telling():
            for looked in map_ordered(self.facts.look, piece.batches()):
                self.facts.add(looked)
                self.rows.inc(looked[0].num_rows)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        yield _in_no_window(self.facts)


class _AddUp(beam.CombineFn):  # type: ignore[misc]
    """Facts of some rows and of others to facts of all."""

    def __init__(self, plan: SplitPlan) -> None:
        self.plan = plan

    def create_accumulator(self) -> FirstPass:
        return FirstPass(self.plan)

    def add_input(self, facts: FirstPass, more: FirstPass) -> FirstPass:
        facts.merge(more)
        return facts

    def merge_accumulators(self, many: Iterable[FirstPass]) -> FirstPass:
        total = FirstPass(self.plan)
        for facts in many:
            total.merge(facts)
        return total

    def extract_output(self, facts: FirstPass) -> FirstPass:
        return facts


class _Plan(beam.DoFn):  # type: ignore[misc]
    """Facts to the deal; leaves them where whoever finishes the data set finds them."""

    def __init__(self, work: JobContext) -> None:
        self.work = work

    def process(self, facts: FirstPass) -> Iterator[Assignment]:
        with self.work.telling():
            deal = Assignment.of(facts)
            self.work.handover.write_first_pass(facts, deal)
        yield deal


class _DealOut(beam.DoFn):  # type: ignore[misc]
    """Pieces of the source to rows for each group, in portions as large as memory allows."""

    def __init__(self, work: JobContext) -> None:
        self.work = work
        self.dealer: RowRouter | None = None

    def start_bundle(self) -> None:
        self.dealer = None

    def process(self, piece: SourcePiece, deal: Assignment) -> Iterator[tuple[str, bytes]]:
        facts = FirstPass(self.work.plan)
        self.dealer = self.dealer or RowRouter(deal)
        with self.work.telling():
            for batch, hashes in map_ordered(facts.canonical, piece.batches()):
                for dealt, rows in self.dealer.add(batch, hashes):
                    yield _name(dealt), rows

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self.dealer:
            for dealt, rows in self.dealer.rest():
                yield _in_no_window((_name(dealt), rows))


class _Write(beam.DoFn):  # type: ignore[misc]
    """All rows of a group, or of one part of a large partition, to part files."""

    def __init__(self, work: JobContext) -> None:
        self.work, self.rows = work, Metrics.counter(METRICS, WRITTEN)

    def process(self, item: tuple[str, Iterable[bytes]], deal: Assignment) -> None:
        dealt, portions = _dealt(item[0]), item[1]
        with self.work.telling():
            storage = storage_for(self.work.project.root)
            layout = self.work.project.dataset(deal.dataset)
            group = write_group_part(deal, dealt, portions, storage, layout)
            self.work.handover.write_group_record(dealt, group)
            self.rows.inc(sum(part.rows for part in group.parts))


def _name(dealt: GroupPart) -> str:
    return f"{dealt[0]}.{dealt[1]}"


def _dealt(name: str) -> GroupPart:
    group, _, part = name.partition(".")
    return int(group), int(part)


def _in_no_window(value: Any) -> WindowedValue:  # noqa: ANN401 - any element
    return GlobalWindows.windowed_value(value)
