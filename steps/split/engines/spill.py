"""Group rows by partition in bounded memory, with sorted runs that spill to disk.

Rows are buffered until ``budget`` bytes are reached. The buffer is then sorted by partition and
stored as a *run* (external sorting as in Knuth, TAOCP 5.4). A partition is later assembled from its
slice of every run.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from steps.split.dataset.part_files import hash_ranges, part_bits
from steps.split.engines.first_pass import Codes
from steps.table.hashing import Hashes

Positions = NDArray[np.intp]

Rows = tuple[pa.RecordBatch, Hashes]
"""Rows with their hashes."""

_BATCH_ROWS = 1 << 16
_SLACK_ROWS = 1 << 17
"""Extra rows to allocate, because the last batch can exceed the budget."""


class Run(Protocol):
    """Rows sorted by partition code, then by hash."""

    def get(self, code: int, first: int, last: int) -> Iterator[Rows]:
        """Yield the rows of one partition whose hashes are from ``first`` to ``last``."""


class MemoryRun:
    """A run in memory."""

    def __init__(self, batch: pa.RecordBatch, hashes: Hashes, codes: Codes) -> None:
        self.batch, self.hashes = batch, hashes
        self.codes, starts = np.unique(codes, return_index=True)
        self.bounds = np.append(starts, len(codes))

    def get(self, code: int, first: int, last: int) -> Iterator[Rows]:
        """See ``Run.get``; yields views without copying."""
        position = int(np.searchsorted(self.codes, code))
        if position < len(self.codes) and self.codes[position] == code:
            start, end = int(self.bounds[position]), int(self.bounds[position + 1])
            yield from between(
                (self.batch.slice(start, end - start), self.hashes[start:end]), first, last
            )


def between(rows: Rows, first: int, last: int) -> Iterator[Rows]:
    """Yield the rows, ordered by hash, whose hashes are from ``first`` to ``last``."""
    batch, hashes = rows
    start = int(np.searchsorted(hashes, np.uint64(first), side="left"))
    end = int(np.searchsorted(hashes, np.uint64(last), side="right"))
    if end > start:
        yield batch.slice(start, end - start), hashes[start:end]


class DiskRun:
    """A run in an Arrow IPC file, with record batches of at most ``_BATCH_ROWS`` rows."""

    def __init__(self, run: MemoryRun, folder: Path) -> None:
        self.schema = run.batch.schema
        self.batches: dict[int, list[_BatchRange]] = {}
        schema = self.schema.append(pa.field("", pa.uint64()))
        handle, path = tempfile.mkstemp(dir=folder, suffix=".arrow")
        with os.fdopen(handle, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for number, (code, start, end) in enumerate(_pieces(run)):
                hashes = run.hashes[start:end]
                arrays = [*run.batch.slice(start, end - start).columns, pa.array(hashes)]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
                batch_range = number, int(hashes[0]), int(hashes[-1])
                self.batches.setdefault(code, []).append(batch_range)
        self.reader = pa.ipc.open_file(pa.OSFile(path))
        self.lock = threading.Lock()  # a reader is not thread-safe

    def get(self, code: int, first: int, last: int) -> Iterator[Rows]:
        """See ``Run.get``; reads only the batches that contain such rows."""
        for number, low, high in self.batches.get(code, ()):
            if low <= last and high >= first:
                with self.lock:
                    batch = self.reader.get_batch(number)
                rows = pa.RecordBatch.from_arrays(batch.columns[:-1], schema=self.schema)
                yield from between((rows, batch.columns[-1].to_numpy()), first, last)


_BatchRange = tuple[int, int, int]
"""The number of a record batch, and its first and last hash."""


def _pieces(run: MemoryRun) -> Iterator[tuple[int, int, int]]:
    """Yield the code of a partition and the row range of each piece of it."""
    for code, start, end in zip(run.codes, run.bounds[:-1], run.bounds[1:], strict=True):
        for first in range(int(start), int(end), _BATCH_ROWS):
            yield int(code), first, min(first + _BATCH_ROWS, int(end))


class _Numbers:
    """A column of 64-bit cells in one array, sorted into a spare array to avoid allocation."""

    def __init__(self, kind: pa.DataType, rows: int) -> None:
        self.kind = kind
        self.cells = np.empty(rows, np.uint64)
        self.valid: NDArray[np.bool_] | None = None

    def add(self, column: pa.Array, start: int) -> None:
        """Add a batch's column after the first ``start`` rows."""
        end = start + len(column)
        if end > len(self.cells):
            self.cells = _grow(self.cells, start, end)
        raw = np.frombuffer(column.buffers()[1], np.uint64)
        self.cells[start:end] = raw[column.offset : column.offset + len(column)]
        if column.null_count and self.valid is None:
            self.valid = np.ones(len(self.cells), np.bool_)
        if self.valid is not None:
            if end > len(self.valid):
                self.valid = _grow(self.valid, start, end)
            self.valid[start:end] = column.is_valid().to_numpy(zero_copy_only=False)

    def sorted(self, order: Positions, spare: Hashes) -> tuple[pa.Array, Hashes]:
        """Return the column in a new order, and the new spare array.

        The column's next batches overwrite the memory of the returned column.
        """
        rows = len(order)
        if len(spare) < rows:
            spare = np.empty(len(self.cells), np.uint64)
        np.take(self.cells[:rows], order, out=spare[:rows], mode="clip")
        self.cells, spare = spare, self.cells
        valid = None
        if self.valid is not None:
            known = self.valid[:rows][order]
            valid = pa.py_buffer(np.packbits(known, bitorder="little"))
            self.valid = None
        buffers = [valid, pa.py_buffer(self.cells[:rows])]
        return pa.Array.from_buffers(self.kind, rows, buffers), spare


class _Cells:
    """A column of any other type, stored as the arrays of its batches."""

    def __init__(self) -> None:
        self.arrays: list[pa.Array] = []

    def add(self, column: pa.Array, _start: int) -> None:
        """Add a batch's column."""
        self.arrays.append(column)

    def sorted(self, order: Positions, spare: Hashes) -> tuple[pa.Array, Hashes]:
        """See ``_Numbers.sorted``."""
        arrays, self.arrays = self.arrays, []
        return pa.concat_arrays(arrays).take(pa.array(order)), spare


T = TypeVar("T", bound=np.generic)


def _grow(values: NDArray[T], used: int, needed: int) -> NDArray[T]:
    grown = np.empty(max(needed, 2 * len(values)), values.dtype)
    grown[:used] = values[:used]
    return grown


class SortBuffer:
    """A buffer that returns its rows sorted by partition code, then by hash.

    Args:
        schema: schema of the batches.
        rows: initial capacity.
    """

    def __init__(self, schema: pa.Schema, rows: int = 0) -> None:
        self.schema = schema
        self._columns: list[_Numbers | _Cells] = []
        for kind in schema.types:
            is_number = pa.types.is_primitive(kind) and kind.bit_width == 64  # noqa: PLR2004
            self._columns.append(_Numbers(kind, rows) if is_number else _Cells())
        self._spare: Hashes = np.empty(0, np.uint64)
        self._keys: list[tuple[Hashes, Codes]] = []
        self.rows = self.bytes = 0

    def add(self, batch: pa.RecordBatch, hashes: Hashes, codes: Codes) -> None:
        """Add a batch."""
        for column, cells in zip(self._columns, batch.columns, strict=True):
            column.add(cells, self.rows)
        self._keys.append((hashes, codes))
        self.rows += batch.num_rows
        self.bytes += batch.nbytes

    def take(self) -> MemoryRun:
        """Return the buffered rows as a run. The next batches can overwrite its memory."""
        hashes, codes = map(np.concatenate, zip(*self._keys, strict=True))
        order = _order(hashes, codes)
        self._keys, self.rows, self.bytes = [], 0, 0
        arrays = []
        for column in self._columns:
            array, self._spare = column.sorted(order, self._spare)
            arrays.append(array)
        batch = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        return MemoryRun(batch, hashes[order], codes[order])


class Grouping:
    """A collection of batches that returns the rows of one partition at a time.

    Args:
        schema: schema of the batches.
        folder: folder for spilled runs; the caller removes it.
        budget: bytes of rows in memory before they are spilled.
        rows: expected number of rows, if known; sets the initial capacity.
    """

    def __init__(self, schema: pa.Schema, folder: Path, budget: int, rows: int | None) -> None:
        self.folder, self.budget = folder, budget
        capacity = min(rows or 0, budget // (8 * max(1, len(schema))) + _SLACK_ROWS)
        self._buffer = SortBuffer(schema, capacity)
        self._counts = np.zeros(0, np.int64)
        self.runs: list[Run] = []

    def add(self, batch: pa.RecordBatch, hashes: Hashes, codes: Codes) -> None:
        """Add a batch."""
        counts = np.bincount(codes, minlength=len(self._counts))
        counts[: len(self._counts)] += self._counts
        self._counts = counts
        self._buffer.add(batch, hashes, codes)
        if self._buffer.bytes >= self.budget:
            self.runs.append(DiskRun(self._buffer.take(), self.folder))

    def finish(self) -> None:
        """Store the last run, after all batches were added; a single run stays in memory."""
        if self._buffer.rows:
            run = self._buffer.take()
            self.runs.append(DiskRun(run, self.folder) if self.runs else run)
        del self._buffer

    def rows(self, code: int) -> int:
        """Return the number of rows of one partition."""
        return int(self._counts[code])

    def part_numbers(self, code: int) -> list[int]:
        """Return the numbers of a partition's parts that have rows; see ``part_files``."""
        ranges = list(hash_ranges(part_bits(self.rows(code))))
        if len(ranges) == 1:
            return [0]
        return [n for n, between in enumerate(ranges) if any(self._rows_between(code, *between))]

    def _rows_between(self, code: int, first: int, last: int) -> Iterator[Rows]:
        for run in self.runs:
            yield from run.get(code, first, last)

    def rows_of(self, code: int, part: int) -> Rows:
        """Return the rows of one part and their hashes, unordered across runs."""
        ranges = list(hash_ranges(part_bits(self.rows(code))))
        slices = list(self._rows_between(code, *ranges[part]))
        if len(slices) == 1:
            return slices[0]
        batches, hashes = zip(*slices, strict=True)
        return pa.concat_batches(batches), np.concatenate(hashes)


def _order(hashes: Hashes, codes: Codes) -> Positions:
    """Return positions sorted by code, then by hash; equal hashes in any order."""
    order = np.argsort(hashes)
    low = (codes & 0xFFFF).astype(np.uint16)  # numpy sorts 16 bits by radix
    order = order[np.argsort(low[order], kind="stable")]
    if codes.max(initial=0) > 0xFFFF:  # noqa: PLR2004
        high = (codes >> 16).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
    return order
