"""The embedded split engine: streams a source through memory of bounded size into part files.

First pass: canonical types, row hashes, summaries, grouping by partition. Second pass: one part of
a partition at a time, in canonical order, with its statistics. The partition index is written last.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from steps.contract import DatasetLayout, ProjectLayout
from steps.records import PartitionEntry, PartitionIndex, PartitionKey
from steps.runtime.lost_artifacts import complete_index
from steps.runtime.parallel import THREADS, map_ordered
from steps.runtime.progress import Progress
from steps.split.dataset.part_files import (
    Part,
    WrittenGroup,
    check_collisions,
    group_partitions,
    partition_entries,
    write_group,
)
from steps.split.dataset.plan import SplitPlan
from steps.split.dataset.writer import DatasetWriter
from steps.split.engines.first_pass import FirstPass
from steps.split.engines.spill import Grouping
from steps.split.sources.base import Source
from steps.storage.base import Storage, scheme_of
from steps.table.statistics import GroupStatistics

MEMORY_BUDGET = 512 << 20
"""Bytes of rows that are held before they are spilled to disk; the peak is about twice it."""


def build_dataset(
    source: Source,
    plan: SplitPlan,
    project: ProjectLayout,
    storage: Storage,
    progress: Progress,
    memory_budget: int = MEMORY_BUDGET,
) -> PartitionIndex:
    """Split a source into a data set, or find that the same data set is there already.

    Raises:
        DataError: the source cannot be used.
        OutputError: the artifact root cannot be written.
    """
    with _scratch(project) as folder:
        rows, schema = source.rows(), plan.schema
        scan = _Scan(plan, Grouping(schema, Path(folder), memory_budget, rows))
        progress.begin("read", "rows", rows)
        for count in scan.read(source.batches(schema.names)):
            progress.advance(count)
        progress.end()
        digests = scan.finish()
        layout = project.dataset(digests[0])
        built = complete_index(layout, storage)
        if built is not None:
            return built
        return _write(scan, digests, layout, storage, progress)


def _scratch(project: ProjectLayout) -> tempfile.TemporaryDirectory[str]:
    """A folder for runs that do not fit into memory; goes when the step ends, also by an error."""
    if scheme_of(project.root):  # a container's own disk, which goes with the container
        return tempfile.TemporaryDirectory(prefix="refeed-", ignore_cleanup_errors=True)
    base = Path(project.scratch)
    base.mkdir(parents=True, exist_ok=True)
    for left in base.iterdir():
        if not alive(left.name.split("-")[0]):
            shutil.rmtree(left, ignore_errors=True)
    return tempfile.TemporaryDirectory(
        dir=base, prefix=f"{os.getpid()}-", ignore_cleanup_errors=True
    )


def alive(process: str) -> bool:
    """Whether a process of that id is there."""
    return process.isdigit() and Path("/proc", process).exists()


class _Scan:
    """The first pass."""

    def __init__(self, plan: SplitPlan, grouping: Grouping) -> None:
        self.plan, self.grouping, self.facts = plan, grouping, FirstPass(plan)

    def read(self, batches: Iterator[pa.RecordBatch]) -> Iterator[int]:
        """Take in the batches of the source, yielding the rows of each.

        What needs one batch only is done ahead in threads; what adds up, in the order of batches.
        """
        for looked in map_ordered(self.facts.look, batches):
            batch, hashes, _ = looked
            self.grouping.add(batch, hashes, self.facts.add(looked))
            yield batch.num_rows

    def finish(self) -> tuple[str, str]:
        """See ``FirstPass.digests``."""
        digests = self.facts.digests()
        self.grouping.finish()
        return digests


def _write(
    scan: _Scan,
    digests: tuple[str, str],
    layout: DatasetLayout,
    storage: Storage,
    progress: Progress,
) -> PartitionIndex:
    """The second pass: part files, statistics, sample, and last the index."""
    keys = [(key, code) for key, _, code in scan.facts.partitions.sorted()]
    check_collisions([key for key, _ in keys])
    progress.begin("write", "partitions", len(keys))
    with DatasetWriter(scan.plan, layout, storage) as writer:
        for entries, seen in _partitions(scan, keys, layout, storage):
            writer.add(entries, seen)
            progress.advance(len(entries))
        writer.finish(scan.facts.sample.sample(scan.plan.schema), scan.facts.summary)
    progress.end()
    return writer.commit(digests)


Keys = list[tuple[PartitionKey, int]]
"""Partitions with their codes."""


def _partitions(
    scan: _Scan, keys: Keys, layout: DatasetLayout, storage: Storage
) -> Iterator[tuple[list[PartitionEntry], GroupStatistics]]:
    """Write the part files in the order of keys and of parts, a few at once."""

    def write(item: tuple[Keys, int]) -> WrittenGroup:
        some, number = item
        parts = [Part.of(key, number, *scan.grouping.rows_of(code, number)) for key, code in some]
        return write_group(parts, scan.plan.format, layout, storage, alone=False)

    sizes = scan.facts.partitions.rows
    groups = [
        [keys[i] for i in group] for group in group_partitions([int(sizes[c]) for _, c in keys])
    ]
    numbers = [scan.grouping.part_numbers(some[0][1]) for some in groups]
    items = [(some, n) for some, parts in zip(groups, numbers, strict=True) for n in parts]
    done = map_ordered(write, items, ahead=2 * THREADS)
    for parts in numbers:
        yield partition_entries([next(done) for _ in parts], scan.plan.schema)
