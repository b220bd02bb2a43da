"""The second pass with many workers: route rows to groups of partitions, then write each group.

The groups are those of the embedded engine: neighboring small partitions that are written together,
and each part of a large partition by itself. Every engine therefore writes identical files.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from steps.contract import DatasetLayout
from steps.records import PartitionKey
from steps.split.dataset.part_files import (
    Part,
    WrittenGroup,
    check_collisions,
    group_partitions,
    hash_ranges,
    part_bits,
    write_group,
)
from steps.split.dataset.plan import SplitPlan
from steps.split.engines.first_pass import Codes, FirstPass, value_codes
from steps.split.engines.spill import SortBuffer, between
from steps.storage.base import Storage
from steps.table.hashing import Hashes

BUDGET = 128 << 20
"""Bytes of rows that a worker buffers before it emits them."""

GroupPart = tuple[int, int]
"""The destination of rows: the number of the group, and of the part."""


@dataclass(frozen=True)
class Group:
    """Partitions that are written together.

    Attributes:
        first: code of the first partition.
        keys: keys of the partitions, in order.
        bits: bits of the row hash that select the part; 0 for a single part.
        rows: number of rows in all partitions.
    """

    first: int
    keys: tuple[PartitionKey, ...]
    bits: int
    rows: int


@dataclass(frozen=True)
class Assignment:
    """The assignment of partitions to groups, which follows from the first pass.

    Attributes:
        plan: plan of the dataset.
        dataset: the dataset's hash.
        content: digest of the dataset's content.
        groups: groups of partitions in the order of keys.
        codes: code of each value of the partition column, in the order of keys.
    """

    plan: SplitPlan
    dataset: str
    content: str
    groups: tuple[Group, ...]
    codes: dict[object, int]

    @classmethod
    def of(cls, first_pass: FirstPass) -> Assignment:
        """Return the assignment for the partitions of a first pass.

        Raises:
            DataError: the source has no rows.
        """
        dataset, content = first_pass.digests()
        items = first_pass.partitions.sorted()
        keys = [key for key, _, _ in items]
        check_collisions(keys)
        sizes = [int(first_pass.partitions.rows[code]) for _, _, code in items]
        groups = tuple(
            Group(
                first=positions.start,
                keys=tuple(keys[i] for i in positions),
                bits=part_bits(sizes[positions.start]),
                rows=sum(sizes[i] for i in positions),
            )
            for positions in group_partitions(sizes)
        )
        codes = {value: position for position, (_, value, _) in enumerate(items)}
        return cls(first_pass.plan, dataset, content, groups, codes)

    def codes_of(self, batch: pa.RecordBatch) -> Codes:
        """Return the code of each row's partition; shape (rows,)."""
        values, value_positions = value_codes(batch.column(self.plan.partition_by))
        return np.array([self.codes[value] for value in values], np.int32)[value_positions]


class RowRouter:
    """A buffer that routes rows to groups, in chunks as large as memory allows.

    Args:
        assignment: the groups of partitions.
        budget: bytes of rows to buffer.
    """

    def __init__(self, assignment: Assignment, budget: int = BUDGET) -> None:
        self.assignment, self.budget = assignment, budget
        self._buffer = SortBuffer(assignment.plan.schema)
        self._firsts = np.array([group.first for group in assignment.groups])

    def add(self, batch: pa.RecordBatch, hashes: Hashes) -> Iterator[tuple[GroupPart, bytes]]:
        """Add a batch, and yield buffered rows if the buffer is full."""
        self._buffer.add(batch, hashes, self.assignment.codes_of(batch))
        if self._buffer.bytes >= self.budget:
            yield from self.flush()

    def flush(self) -> Iterator[tuple[GroupPart, bytes]]:
        """Yield all buffered rows."""
        if not self._buffer.rows:
            return
        run = self._buffer.take()
        starts = run.bounds[np.searchsorted(run.codes, self._firsts)]
        ends = np.append(starts[1:], run.bounds[-1])
        for number in np.flatnonzero(ends > starts).tolist():
            start, end = int(starts[number]), int(ends[number])
            rows = run.batch.slice(start, end - start), run.hashes[start:end]
            for part, part_rows in _parts(rows, self.assignment.groups[number].bits):
                yield (number, part), encode_rows(*part_rows)


Rows = tuple[pa.RecordBatch, Hashes]


def _parts(rows: Rows, bits: int) -> Iterator[tuple[int, Rows]]:
    if not bits:
        yield 0, rows
        return
    for part, (first, last) in enumerate(hash_ranges(bits)):
        for part_rows in between(rows, first, last):
            yield part, part_rows


def encode_rows(batch: pa.RecordBatch, hashes: Hashes) -> bytes:
    """Encode rows and their hashes for another worker, which knows the schema."""
    schema = batch.schema.append(pa.field("", pa.uint64()))
    arrays = [*batch.columns, pa.array(hashes)]
    content: bytes = pa.RecordBatch.from_arrays(arrays, schema=schema).serialize().to_pybytes()
    return content


def decode_rows(content: bytes, schema: pa.Schema) -> Rows:
    """Decode the result of ``encode_rows``."""
    batch = pa.ipc.read_record_batch(
        pa.py_buffer(content), schema.append(pa.field("", pa.uint64()))
    )
    rows = pa.RecordBatch.from_arrays(batch.columns[:-1], schema=schema)
    return rows, batch.columns[-1].to_numpy()


def write_group_part(
    assignment: Assignment,
    group_part: GroupPart,
    chunks: Iterable[bytes],
    storage: Storage,
    layout: DatasetLayout,
) -> WrittenGroup:
    """Write the part files of all rows that were routed to one group."""
    number, part = group_part
    group, buffer = assignment.groups[number], SortBuffer(assignment.plan.schema)
    for content in chunks:
        batch, hashes = decode_rows(content, assignment.plan.schema)
        buffer.add(batch, hashes, assignment.codes_of(batch))
    run = buffer.take()
    bounds, parts = run.bounds.tolist(), []
    for code, start, end in zip(run.codes.tolist(), bounds[:-1], bounds[1:], strict=True):
        key = group.keys[code - group.first]
        rows = run.batch.slice(start, end - start)
        parts.append(Part.of(key, part, rows, run.hashes[start:end]))
    return write_group(parts, assignment.plan.format, layout, storage)
