"""The embedded split engine: stream a source into part files in bounded memory.

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
"""Bytes of rows in memory before rows are spilled to disk. Peak memory is about twice as much."""


def build_dataset(
    source: Source,
    plan: SplitPlan,
    project: ProjectLayout,
    storage: Storage,
    progress: Progress,
    memory_budget: int = MEMORY_BUDGET,
) -> PartitionIndex:
    """Build a dataset from a source, or return the index of an identical one that exists.

    Raises:
        DataError: the source cannot be used.
        OutputError: the artifact root cannot be written.
    """
    with _scratch_folder(project) as folder:
        rows, schema = source.rows(), plan.schema
        scan = _Scan(plan, Grouping(schema, Path(folder), memory_budget, rows))
        progress.begin("read", "rows", rows)
        for count in scan.read(source.batches(schema.names)):
            progress.advance(count)
        progress.end()
        digests = scan.finish()
        layout = project.dataset(digests[0])
        complete = complete_index(layout, storage)
        if complete is not None:
            return complete
        return _write_dataset(scan, digests, layout, storage, progress)


def _scratch_folder(project: ProjectLayout) -> tempfile.TemporaryDirectory[str]:
    """Create a folder for spilled rows; it is removed when the step ends, even after an error."""
    if scheme_of(project.root):  # a container's own disk, which is removed with the container
        return tempfile.TemporaryDirectory(prefix="refeed-", ignore_cleanup_errors=True)
    base = Path(project.scratch)
    base.mkdir(parents=True, exist_ok=True)
    for folder in base.iterdir():  # left by a process that was killed
        if not alive(folder.name.split("-")[0]):
            shutil.rmtree(folder, ignore_errors=True)
    return tempfile.TemporaryDirectory(
        dir=base, prefix=f"{os.getpid()}-", ignore_cleanup_errors=True
    )


def alive(process: str) -> bool:
    """Return True if a process with that id exists."""
    if not process.isdigit():
        return False
    try:
        os.kill(int(process), 0)  # signal 0 only asks
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True


class _Scan:
    """The first pass over a source, which summarizes and groups its rows."""

    def __init__(self, plan: SplitPlan, grouping: Grouping) -> None:
        self.plan, self.grouping, self.first_pass = plan, grouping, FirstPass(plan)

    def read(self, batches: Iterator[pa.RecordBatch]) -> Iterator[int]:
        """Add the batches of the source, and yield the number of rows of each.

        Threads prepare batches ahead of time; results are merged in the order of the batches.
        """
        for prepared in map_ordered(self.first_pass.prepare, batches):
            batch, hashes, _ = prepared
            self.grouping.add(batch, hashes, self.first_pass.add(prepared))
            yield batch.num_rows

    def finish(self) -> tuple[str, str]:
        """See ``FirstPass.digests``."""
        digests = self.first_pass.digests()
        self.grouping.finish()
        return digests


def _write_dataset(
    scan: _Scan,
    digests: tuple[str, str],
    layout: DatasetLayout,
    storage: Storage,
    progress: Progress,
) -> PartitionIndex:
    """Write part files, statistics, sample and, last, the index: the second pass."""
    keys = [(key, code) for key, _, code in scan.first_pass.partitions.sorted()]
    check_collisions([key for key, _ in keys])
    progress.begin("write", "partitions", len(keys))
    with DatasetWriter(scan.plan, layout, storage) as writer:
        for entries, statistics in _write_partitions(scan, keys, layout, storage):
            writer.add(entries, statistics)
            progress.advance(len(entries))
        sample = scan.first_pass.sample.sample(scan.plan.schema)
        writer.finish(sample, scan.first_pass.summary)
    progress.end()
    return writer.commit(digests)


Keys = list[tuple[PartitionKey, int]]
"""Partitions with their codes."""


def _write_partitions(
    scan: _Scan, keys: Keys, layout: DatasetLayout, storage: Storage
) -> Iterator[tuple[list[PartitionEntry], GroupStatistics]]:
    """Write the part files in the order of keys and of parts, a few at a time."""

    def write(item: tuple[Keys, int]) -> WrittenGroup:
        group, number = item
        parts = [Part.of(key, number, *scan.grouping.rows_of(code, number)) for key, code in group]
        return write_group(parts, scan.plan.format, layout, storage, alone=False)

    rows = scan.first_pass.partitions.rows
    positions = group_partitions([int(rows[code]) for _, code in keys])
    groups = [[keys[i] for i in group] for group in positions]
    numbers = [scan.grouping.part_numbers(group[0][1]) for group in groups]
    items = [(group, n) for group, parts in zip(groups, numbers, strict=True) for n in parts]
    written = map_ordered(write, items, ahead=2 * THREADS)
    for parts in numbers:
        yield partition_entries([next(written) for _ in parts], scan.plan.schema)
