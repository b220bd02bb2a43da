"""The Beam pipeline.

    pieces ─┬─ summarize ── merge ── assign ──┐ (partitions to groups)
            │                                 │
            └─ route ◄────────────────────────┤
                 │                            │
              group ── write ◄────────────────┘

The source is read twice, because groups depend on the size of each partition. That is cheaper than
storing all rows between two stages. Rows travel as Arrow batches, and no code here handles single
rows: every function is shared with the embedded engine.
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
"""Counters: rows read in the first pass, and rows written to part files."""


@dataclass(frozen=True)
class JobContext:
    """The context of a job, which every worker receives.

    Attributes:
        plan: plan of the dataset.
        project: the project that contains the dataset.
        job: id of the job and name of its folder, unique within the build.
    """

    plan: SplitPlan
    project: ProjectLayout
    job: str

    @property
    def output(self) -> JobOutput:
        """The job's intermediate output."""
        storage = storage_for(self.project.root)
        return JobOutput(self.project, self.plan.build_id, self.job, storage)

    @contextmanager
    def recording_errors(self) -> Iterator[None]:
        """Write an error to the job's output, so that the run that follows the job reports it."""
        try:
            yield
        except RefeedError as error:
            self.output.write_error(error)
            raise


def build(pipeline: beam.Pipeline, pieces: Sequence[SourcePiece], context: JobContext) -> None:
    """Add all steps to a pipeline."""
    source: PCollection[SourcePiece] = pipeline | "pieces" >> beam.Create(
        list(pieces), reshuffle=True
    )
    first_pass = (
        source
        | "summarize" >> beam.ParDo(_Summarize(context))
        | "merge" >> beam.CombineGlobally(_Merge(context.plan))
    )
    assignment = AsSingleton(first_pass | "assign" >> beam.ParDo(_Assign(context)))
    (
        source
        | "route" >> beam.ParDo(_Route(context), assignment).with_output_types(tuple[str, bytes])
        | "group" >> beam.GroupByKey()
        | "write" >> beam.ParDo(_Write(context), assignment)
    )


class _Summarize(beam.DoFn):  # type: ignore[misc]  # Beam has no types
    """The first pass over pieces of the source, with one result per bundle."""

    def __init__(self, context: JobContext) -> None:
        self.context, self.rows = context, Metrics.counter(METRICS, READ)

    def start_bundle(self) -> None:
        self.first_pass = FirstPass(self.context.plan)

    def process(self, piece: SourcePiece) -> None:
        with self.context.recording_errors():
            for prepared in map_ordered(self.first_pass.prepare, piece.batches()):
                self.first_pass.add(prepared)
                self.rows.inc(prepared[0].num_rows)

    def finish_bundle(self) -> Iterator[WindowedValue]:
        yield _global_value(self.first_pass)


class _Merge(beam.CombineFn):  # type: ignore[misc]
    """A combiner that merges first passes over different rows."""

    def __init__(self, plan: SplitPlan) -> None:
        self.plan = plan

    def create_accumulator(self) -> FirstPass:
        return FirstPass(self.plan)

    def add_input(self, total: FirstPass, other: FirstPass) -> FirstPass:
        total.merge(other)
        return total

    def merge_accumulators(self, accumulators: Iterable[FirstPass]) -> FirstPass:
        total = FirstPass(self.plan)
        for first_pass in accumulators:
            total.merge(first_pass)
        return total

    def extract_output(self, total: FirstPass) -> FirstPass:
        return total


class _Assign(beam.DoFn):  # type: ignore[misc]
    """The assignment of partitions to groups; writes the first pass to the job's output."""

    def __init__(self, context: JobContext) -> None:
        self.context = context

    def process(self, first_pass: FirstPass) -> Iterator[Assignment]:
        with self.context.recording_errors():
            assignment = Assignment.of(first_pass)
            self.context.output.write_first_pass(first_pass, assignment)
        yield assignment


class _Route(beam.DoFn):  # type: ignore[misc]
    """The rows of pieces of the source, by group, in chunks as large as memory allows."""

    def __init__(self, context: JobContext) -> None:
        self.context = context
        self.router: RowRouter | None = None

    def start_bundle(self) -> None:
        self.router = None

    def process(self, piece: SourcePiece, assignment: Assignment) -> Iterator[tuple[str, bytes]]:
        first_pass = FirstPass(self.context.plan)
        self.router = self.router or RowRouter(assignment)
        with self.context.recording_errors():
            for batch, hashes in map_ordered(first_pass.canonical, piece.batches()):
                for group_part, rows in self.router.add(batch, hashes):
                    yield _key(group_part), rows

    def finish_bundle(self) -> Iterator[WindowedValue]:
        if self.router:
            for group_part, rows in self.router.flush():
                yield _global_value((_key(group_part), rows))


class _Write(beam.DoFn):  # type: ignore[misc]
    """The part files of a group, or of one part of a large partition."""

    def __init__(self, context: JobContext) -> None:
        self.context, self.rows = context, Metrics.counter(METRICS, WRITTEN)

    def process(self, item: tuple[str, Iterable[bytes]], assignment: Assignment) -> None:
        key, chunks = item
        group, _, part = key.partition(".")
        group_part = int(group), int(part)
        with self.context.recording_errors():
            storage = storage_for(self.context.project.root)
            layout = self.context.project.dataset(assignment.dataset)
            written = write_group_part(assignment, group_part, chunks, storage, layout)
            self.context.output.write_group_record(group_part, written)
            self.rows.inc(sum(each.rows for each in written.parts))


def _key(group_part: GroupPart) -> str:
    group, part = group_part
    return f"{group}.{part}"


def _global_value(value: Any) -> WindowedValue:  # noqa: ANN401 - any element
    return GlobalWindows.windowed_value(value)
