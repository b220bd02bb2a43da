"""The second pass of an engine that has many workers: rows are dealt to groups, groups are written.

Groups are those of the embedded engine: neighbours among the partitions that are small enough to be
written together, and each part of a large one for itself. So what is written is the same, file by
file, wherever it is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

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
from steps.split.engines.spill import MemoryRun, SortBuffer, between
from steps.storage.base import Storage
from steps.table.hashing import Hashes

BUDGET = 128 << 20
"""Bytes of rows that a worker holds before it deals them out."""

GroupPart = tuple[int, int]
"""Where rows go: the number of the group, and that of the part."""


@dataclass(frozen=True)
class Group:
    """Partitions that are written together.

    Attributes:
        first: code of the first.
        keys: of all, in order.
        bits: of the row hash that name the part; 0 where there is one part.
        rows: of all.
    """

    first: int
    keys: tuple[PartitionKey, ...]
    bits: int
    rows: int


@dataclass(frozen=True)
class Assignment:
    """Who gets which rows; follows from the facts of the first pass.

    Attributes:
        plan: of the data set.
        dataset: its hash.
        content: digest of its content.
        groups: in the order of keys.
        codes: of the values of the partition column, in the order of keys.
    """

    plan: SplitPlan
    dataset: str
    content: str
    groups: tuple[Group, ...]
    codes: dict[object, int]

    @classmethod
    def of(cls, facts: FirstPass) -> Assignment:
        """The deal.

        Raises:
            DataError: there was no row.
        """
        dataset, content = facts.digests()
        items = facts.partitions.sorted()
        keys = [key for key, _, _ in items]
        check_collisions(keys)
        sizes = [int(facts.partitions.rows[code]) for _, _, code in items]
        groups = tuple(
            Group(
                first=some.start,
                keys=tuple(keys[i] for i in some),
                bits=part_bits(sizes[some.start]),
                rows=sum(sizes[i] for i in some),
            )
            for some in group_partitions(sizes)
        )
        codes = {value: position for position, (_, value, _) in enumerate(items)}
        return cls(facts.plan, dataset, content, groups, codes)

    def codes_of(self, batch: pa.RecordBatch) -> Codes:
        """The code of each row's partition; shape (rows,)."""
        values, places = value_codes(batch.column(self.plan.partition_by))
        return np.array([self.codes[value] for value in values], np.int32)[places]


class RowRouter:
    """Collects rows, and deals them out in portions as large as memory allows.

    Args:
        deal: who gets which.
        budget: bytes of rows that are held.
    """

    def __init__(self, deal: Assignment, budget: int = BUDGET) -> None:
        self.deal, self.budget = deal, budget
        self._buffer = SortBuffer(deal.plan.schema)
        self._firsts = np.array([group.first for group in deal.groups])

    def add(self, batch: pa.RecordBatch, hashes: Hashes) -> Iterator[tuple[GroupPart, bytes]]:
        """Take in a batch; what is dealt out to make room."""
        self._buffer.add(batch, hashes, self.deal.codes_of(batch))
        if self._buffer.bytes >= self.budget:
            yield from self.rest()

    def rest(self) -> Iterator[tuple[GroupPart, bytes]]:
        """What is still held."""
        if self._buffer.rows:
            run = self._buffer.take()
            for number, (start, end) in self._slices(run):
                rows = run.batch.slice(start, end - start), run.hashes[start:end]
                for part, some in _parts(rows, self.deal.groups[number].bits):
                    yield (number, part), encode_rows(*some)

    def _slices(self, run: MemoryRun) -> Iterator[tuple[int, tuple[int, int]]]:
        """Groups that have rows in a run, with the first row and the one after the last."""
        starts = run.bounds[np.searchsorted(run.codes, self._firsts)]
        ends = np.append(starts[1:], run.bounds[-1])
        for number in np.flatnonzero(ends > starts).tolist():
            yield number, (int(starts[number]), int(ends[number]))


Rows = tuple[pa.RecordBatch, Hashes]


def _parts(rows: Rows, bits: int) -> Iterator[tuple[int, Rows]]:
    if not bits:
        yield 0, rows
        return
    for part, (first, last) in enumerate(hash_ranges(bits)):
        for some in between(rows, first, last):
            yield part, some


def encode_rows(batch: pa.RecordBatch, hashes: Hashes) -> bytes:
    """Rows and their hashes for another worker, which knows the schema."""
    schema = batch.schema.append(pa.field("", pa.uint64()))
    arrays = [*batch.columns, pa.array(hashes)]
    content: bytes = pa.RecordBatch.from_arrays(arrays, schema=schema).serialize().to_pybytes()
    return content


def decode_rows(content: bytes, schema: pa.Schema) -> Rows:
    """Read what ``encode_rows`` made of rows of this schema."""
    batch = pa.ipc.read_record_batch(
        pa.py_buffer(content), schema.append(pa.field("", pa.uint64()))
    )
    rows = pa.RecordBatch.from_arrays(batch.columns[:-1], schema=schema)
    return rows, batch.columns[-1].to_numpy()


def write_group_part(
    deal: Assignment,
    dealt: GroupPart,
    portions: Iterable[bytes],
    storage: Storage,
    layout: DatasetLayout,
) -> WrittenGroup:
    """Write the part files of all rows that were dealt to one place."""
    number, part = dealt
    group, buffer = deal.groups[number], SortBuffer(deal.plan.schema)
    for content in portions:
        batch, hashes = decode_rows(content, deal.plan.schema)
        buffer.add(batch, hashes, deal.codes_of(batch))
    run = buffer.take()
    parts = [
        Part.of(group.keys[code - group.first], part, *rows) for code, rows in _partitions(run)
    ]
    return write_group(parts, deal.plan.format, layout, storage)


def _partitions(run: MemoryRun) -> Iterator[tuple[int, Rows]]:
    bounds: NDArray[np.intp] = run.bounds
    for code, start, end in zip(run.codes, bounds[:-1], bounds[1:], strict=True):
        rows = run.batch.slice(int(start), int(end - start)), run.hashes[int(start) : int(end)]
        yield int(code), rows
