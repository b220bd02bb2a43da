"""The embedded split engine: streams a source through memory of bounded size into part files.

First pass: canonical types, row hashes, summaries, grouping by partition. Second pass: one
partition at a time in canonical order. The partition index is written last.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyarrow as pa

from steps.contract import SPLIT_VERSION, DatasetLayout, ProjectLayout
from steps.errors import DataError
from steps.progress import Progress
from steps.records import (
    Column,
    PartitionEntry,
    PartitionIndex,
    PartitionKey,
    canonical_json,
    digest,
)
from steps.split.source import Source
from steps.split.spill import Codes, Grouping
from steps.storage import Storage, read_parsed, scheme_of
from steps.table.hashing import Hashes, content_digest, mix, row_hashes
from steps.table.parts import arrow_schema, canonical_order, encode_part
from steps.table.sample import SAMPLE_ROWS, BottomSample
from steps.table.summaries import TableSummary, column_totals
from steps.table.types import canonical_batch, canonical_text

MEMORY_BUDGET = 512 << 20
"""Bytes of rows that are held before they are spilled to disk; the peak is about twice it."""

_THREADS = min(4, os.cpu_count() or 1)


@dataclass(frozen=True)
class SplitPlan:
    """What is to be made.

    Attributes:
        columns: names and canonical types, sorted by name.
        partition_by: name of the partition column.
        format: of the part files.
    """

    columns: tuple[Column, ...]
    partition_by: str
    format: str


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
        rows = source.rows()
        schema = arrow_schema(plan.columns)
        scan = _Scan(plan, Grouping(schema, Path(folder), memory_budget, rows))
        progress.begin("read", "rows", rows)
        for count in scan.read(source.batches(schema.names)):
            progress.advance(count)
        progress.end()
        dataset, content = scan.finish()
        layout = project.dataset(dataset)
        if storage.exists(layout.index):
            return read_parsed(storage, layout.index, PartitionIndex.from_json)
        return _write(scan, (dataset, content), layout, storage, progress)


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
        self._rows = 0
        self._sums = np.zeros(2, np.uint64)

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
        self._rows += len(hashes)
        self._sums += np.array([hashes.sum(), mix(hashes).sum()], np.uint64)
        self.summary.merge(summary)
        self.sample.add(batch, hashes)
        codes = self.partitions.codes_of(batch.column(self.plan.partition_by))
        self.grouping.add(batch, hashes, codes)

    def finish(self) -> tuple[str, str]:
        """The data set's hash, and the digest of its content, which no format changes."""
        if not self._rows:
            raise DataError("The source has no rows, so there is nothing to train on.")
        self.grouping.finish()
        columns = [asdict(column) for column in self.plan.columns]
        sums = [self._rows, *map(int, self._sums)]
        content = digest([sums, columns, self.plan.partition_by])
        return digest([content, self.plan.format, SPLIT_VERSION]), content


def _write(
    scan: _Scan,
    digests: tuple[str, str],
    layout: DatasetLayout,
    storage: Storage,
    progress: Progress,
) -> PartitionIndex:
    """The second pass: part files, sample, statistics, and last the index."""
    keys = scan.partitions.sorted()
    _refuse_collisions([key for key, _ in keys])
    progress.begin("write", "partitions", len(keys))
    entries = []
    for entry, totals in _parts(scan, keys, layout, storage):
        entries.append(entry)
        scan.summary.add_totals(totals)
        progress.advance(1)
    progress.end()
    storage.write(layout.sample, scan.sample.sample(scan.grouping.schema).to_ipc())
    columns = {name: asdict(column) for name, column in scan.summary.columns.items()}
    storage.write(layout.statistics, canonical_json(columns).encode("utf-8", "surrogatepass"))
    plan = scan.plan
    index = PartitionIndex(*digests, plan.columns, plan.partition_by, plan.format, tuple(entries))
    storage.write(layout.index, index.to_json().encode("utf-8", "surrogatepass"))
    return index


def _refuse_collisions(keys: list[PartitionKey]) -> None:
    """Two keys with one id would overwrite each other; with 80 bits it will not happen."""
    ids = {key.partition_id: key for key in keys}
    if len(ids) != len(keys):
        raise DataError("Two partition keys have the same identifier: rename one of them.")


def _parts(
    scan: _Scan, keys: list[tuple[PartitionKey, int]], layout: DatasetLayout, storage: Storage
) -> Iterator[tuple[PartitionEntry, list[float]]]:
    """Write the part files in the order of keys, a few at once."""

    def write(item: tuple[PartitionKey, int]) -> tuple[PartitionEntry, list[float]]:
        key, code = item
        batch, hashes = scan.grouping.rows_of(code)
        return _write_part(key, batch, hashes, scan.plan.format, layout, storage)

    yield from _in_order(write, keys, _THREADS, 8 * _THREADS)


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


def _write_part(
    key: PartitionKey,
    rows: pa.RecordBatch,
    hashes: Hashes,
    file_format: str,
    layout: DatasetLayout,
    storage: Storage,
) -> tuple[PartitionEntry, list[float]]:
    order = canonical_order(rows, hashes)
    if (order[1:] < order[:-1]).any():  # a run in memory is in order already
        rows, hashes = rows.take(pa.array(order)), hashes[order]
    content = encode_part(pa.Table.from_batches([rows]), file_format)
    part = layout.part(key.partition_id, 0, file_format)
    storage.write(f"{layout.base}/{part}", content)
    entry = PartitionEntry(
        key=key,
        rows=rows.num_rows,
        missing=tuple(column.null_count for column in rows.columns),
        content=content_digest(rows.schema, hashes),
        parts=(part,),
        bytes=len(content),
    )
    return entry, column_totals(rows)


def read_statistics(content: bytes) -> dict[str, dict[str, object]]:
    """The column summaries that split wrote, by column."""
    statistics: dict[str, dict[str, object]] = json.loads(content)
    return statistics
