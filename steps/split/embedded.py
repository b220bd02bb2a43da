"""The embedded split engine: streams a source through memory of bounded size into part files.

First pass: canonical types, row hashes, summaries, grouping by partition. Second pass: one part of
a partition at a time, in canonical order, with its statistics. The partition index is written last.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from steps.contract import DatasetLayout, ProjectLayout
from steps.errors import DataError
from steps.progress import Progress
from steps.records import PartitionEntry, PartitionIndex, PartitionKey
from steps.split.part_files import (
    Part,
    WrittenPart,
    entry_of,
    refuse_collisions,
    seen_in,
    write_part,
)
from steps.split.source import Source
from steps.split.spill import Codes, Grouping
from steps.split.writer import DatasetWriter, SplitPlan
from steps.storage import Storage, read_parsed, scheme_of
from steps.table.hashing import ContentSums, Hashes, added, content_sums, row_hashes
from steps.table.merging import merged
from steps.table.sample import SAMPLE_ROWS, BottomSample
from steps.table.statistics import Seen
from steps.table.summaries import TableSummary
from steps.table.types import canonical_batch, canonical_text

MEMORY_BUDGET = 512 << 20
"""Bytes of rows that are held before they are spilled to disk; the peak is about twice it."""

_GROUP_ROWS = 1 << 15
_THREADS = min(4, os.cpu_count() or 1)


class Partitions:
    """The partition keys seen so far, each with a code in the order of arrival."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._codes: dict[object, int] = {}

    def codes_of(self, column: pa.Array) -> Codes:
        """The code of each row's key; shape (rows,)."""
        encoded = column.dictionary_encode(null_encoding="encode")
        values = encoded.dictionary.to_pylist()
        codes = [self._codes.setdefault(value, len(self._codes)) for value in values]
        looked_up: Codes = np.asarray(codes, np.int32)[encoded.indices.to_numpy()]
        return looked_up

    def sorted(self) -> list[tuple[PartitionKey, int]]:
        """All keys with their codes, sorted by key: numbers by value, the rest by text."""
        keys = [(self._key(value), code) for value, code in self._codes.items()]
        rank = {code: value for value, code in self._codes.items()}
        numeric = self.kind in {"int64", "float64"}

        def position(entry: tuple[PartitionKey, int]) -> tuple[bool, object, str]:
            value = rank[entry[1]]
            return value is None, value if numeric and value is not None else 0, entry[0].text

        return sorted(keys, key=position)

    def _key(self, value: object) -> PartitionKey:
        return (
            PartitionKey("null", "")
            if value is None
            else PartitionKey(self.kind, canonical_text(value))
        )


def make_dataset(
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
        if storage.exists(layout.index):
            return read_parsed(storage, layout.index, PartitionIndex.from_json)
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
        self.plan, self.grouping = plan, grouping
        self.types = {column.name: column.type for column in plan.columns}
        self.partitions = Partitions(self.types[plan.partition_by])
        self.sample = BottomSample(SAMPLE_ROWS)
        self.summary = TableSummary(self.types)
        self._sums: ContentSums = (0, 0, 0)

    def read(self, batches: Iterator[pa.RecordBatch]) -> Iterator[int]:
        """Take in the batches of the source, yielding the rows of each.

        What needs one batch only is done ahead in threads; what adds up, in the order of batches.
        """
        for part in _in_order(self._look, batches, _THREADS, _THREADS + 1):
            self._add(*part)
            yield len(part[1])

    def _look(self, raw: pa.RecordBatch) -> tuple[pa.RecordBatch, Hashes, TableSummary]:
        batch = canonical_batch(raw, self.types)
        return batch, row_hashes(batch), self.summary.of_batch(batch)

    def _add(self, batch: pa.RecordBatch, hashes: Hashes, summary: TableSummary) -> None:
        self._sums = added([self._sums, content_sums(hashes)])
        self.summary.merge(summary)
        self.sample.add(batch, hashes)
        codes = self.partitions.codes_of(batch.column(self.plan.partition_by))
        self.grouping.add(batch, hashes, codes)

    def finish(self) -> tuple[str, str]:
        """See ``SplitPlan.digests``."""
        if not self._sums[0]:
            raise DataError("The source has no rows, so there is nothing to train on.")
        self.grouping.finish()
        return self.plan.digests(self._sums)


def _write(
    scan: _Scan,
    digests: tuple[str, str],
    layout: DatasetLayout,
    storage: Storage,
    progress: Progress,
) -> PartitionIndex:
    """The second pass: part files, statistics, sample, and last the index."""
    keys = scan.partitions.sorted()
    refuse_collisions([key for key, _ in keys])
    progress.begin("write", "partitions", len(keys))
    with DatasetWriter(scan.plan, layout, storage) as writer:
        for entries, seen in _partitions(scan, keys, layout, storage):
            writer.add(entries, seen)
            progress.advance(len(entries))
        writer.finish(scan.sample.sample(scan.plan.schema), scan.summary)
    progress.end()
    return writer.commit(digests)


Keys = list[tuple[PartitionKey, int]]
"""Partitions with their codes."""


def _partitions(
    scan: _Scan, keys: Keys, layout: DatasetLayout, storage: Storage
) -> Iterator[tuple[list[PartitionEntry], Seen]]:
    """Write the part files in the order of keys and of parts, a few at once."""

    def write(item: tuple[Keys, int]) -> tuple[list[WrittenPart], Seen]:
        some, number = item
        parts = [Part.of(key, number, *scan.grouping.rows_of(code, number)) for key, code in some]
        written = [write_part(part, scan.plan.format, layout, storage) for part in parts]
        return written, seen_in(parts)

    groups = list(_groups(keys, scan.grouping))
    items = [(some, number) for some in groups for number in scan.grouping.part_numbers(some[0][1])]
    done = _in_order(write, items, _THREADS, 2 * _THREADS)
    for some in groups:
        found = [next(done) for _ in scan.grouping.part_numbers(some[0][1])]
        written = zip(*(parts for parts, _ in found), strict=True)
        entries = [
            entry_of(key, parts, scan.plan.schema)
            for (key, _), parts in zip(some, written, strict=True)
        ]
        yield entries, merged([seen for _, seen in found])


def _groups(keys: Keys, grouping: Grouping) -> Iterator[Keys]:
    """Neighbours that are small enough to be looked at together; a large partition is alone."""
    some: Keys = []
    rows = 0
    for key, code in keys:
        more = grouping.rows(code)
        if some and rows + more > _GROUP_ROWS:
            yield some
            some, rows = [], 0
        some.append((key, code))
        rows += more
    yield some


Item = TypeVar("Item")
Done = TypeVar("Done")


def _in_order(
    work: Callable[[Item], Done], items: Iterable[Item], threads: int, ahead: int
) -> Iterator[Done]:
    """``map`` in threads, no more than ``ahead`` items ahead of whoever takes the results."""
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Done]] = deque()
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) > ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
