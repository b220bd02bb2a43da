"""Grouping of rows by partition in bounded memory: sorted runs, on disk where they must be.

Rows are buffered until ``budget`` bytes are reached; the buffer is then sorted by partition and
kept as a *run* (external sorting as in Knuth, TAOCP 5.4). A partition is afterwards put together
from its slice of every run.
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
"""The budget is exceeded by a batch; so many rows more are made room for."""


class Run(Protocol):
    """Rows sorted by partition code, then by hash."""

    def get(self, code: int, first: int, last: int) -> Iterator[Rows]:
        """The rows of one partition whose hashes lie between two, both included."""


class MemoryRun:
    """A run in memory."""

    def __init__(self, batch: pa.RecordBatch, hashes: Hashes, codes: Codes) -> None:
        self.batch, self.hashes = batch, hashes
        self.codes, starts = np.unique(codes, return_index=True)
        self.bounds = np.append(starts, len(codes))

    def get(self, code: int, first: int, last: int) -> Iterator[Rows]:
        """See ``Run.get``; a view, nothing is copied."""
        found = int(np.searchsorted(self.codes, code))
        if found < len(self.codes) and self.codes[found] == code:
            start, end = int(self.bounds[found]), int(self.bounds[found + 1])
            yield from between(
                (self.batch.slice(start, end - start), self.hashes[start:end]), first, last
            )


def between(rows: Rows, first: int, last: int) -> Iterator[Rows]:
    """The rows, in order of their hashes, whose hashes lie between two."""
    batch, hashes = rows
    start = int(np.searchsorted(hashes, np.uint64(first), side="left"))
    end = int(np.searchsorted(hashes, np.uint64(last), side="right"))
    if end > start:
        yield batch.slice(start, end - start), hashes[start:end]


class DiskRun:
    """A run in an Arrow IPC file, with record batches of at most ``_BATCH_ROWS`` rows."""

    def __init__(self, run: MemoryRun, folder: Path) -> None:
        self.schema = run.batch.schema
        self.places: dict[int, list[_Place]] = {}
        schema = self.schema.append(pa.field("", pa.uint64()))
        handle, path = tempfile.mkstemp(dir=folder, suffix=".arrow")
        with os.fdopen(handle, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for number, (code, start, end) in enumerate(_pieces(run)):
                hashes = run.hashes[start:end]
                arrays = [*run.batch.slice(start, end - start).columns, pa.array(hashes)]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
                place = number, int(hashes[0]), int(hashes[-1])
                self.places.setdefault(code, []).append(place)
        self.reader = pa.ipc.open_file(pa.OSFile(path))
        self.lock = threading.Lock()  # a reader is not safe in several threads

    def get(self, code: int, first: int, last: int) -> Iterator[Rows]:
        """See ``Run.get``; reads only the batches that hold some of them."""
        for number, low, high in self.places.get(code, ()):
            if low <= last and high >= first:
                yield from between(self._read(number), first, last)

    def _read(self, number: int) -> Rows:
        with self.lock:
            batch = self.reader.get_batch(number)
        rows = pa.RecordBatch.from_arrays(batch.columns[:-1], schema=self.schema)
        return rows, batch.columns[-1].to_numpy()


_Place = tuple[int, int, int]
"""Of a record batch: its number, its first and its last hash."""


def _pieces(run: MemoryRun) -> Iterator[tuple[int, int, int]]:
    """A partition's code, and the first row and the one after the last of a piece of it."""
    for code, start, end in zip(run.codes, run.bounds[:-1], run.bounds[1:], strict=True):
        for first in range(int(start), int(end), _BATCH_ROWS):
            yield int(code), first, min(first + _BATCH_ROWS, int(end))


class _Numbers:
    """A column of 64-bit cells in one array, which is sorted into a spare one: no new memory."""

    def __init__(self, kind: pa.DataType, rows: int) -> None:
        self.kind = kind
        self.cells = np.empty(rows, np.uint64)
        self.valid: NDArray[np.bool_] | None = None

    def add(self, column: pa.Array, start: int) -> None:
        """Take in a batch's column; ``start`` rows are in already."""
        end = start + len(column)
        if end > len(self.cells):
            self.cells = _longer(self.cells, start, end)
        raw = np.frombuffer(column.buffers()[1], np.uint64)
        self.cells[start:end] = raw[column.offset : column.offset + len(column)]
        if column.null_count and self.valid is None:
            self.valid = np.ones(len(self.cells), np.bool_)
        if self.valid is not None:
            if end > len(self.valid):
                self.valid = _longer(self.valid, start, end)
            self.valid[start:end] = column.is_valid().to_numpy(zero_copy_only=False)

    def sorted(self, order: Positions, spare: Hashes) -> tuple[pa.Array, Hashes]:
        """The column in a new order, and the array that is spare from now on.

        The column's next batches are written over the returned one, which must be gone by then.
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
    """A column of any other type, as the arrays that came."""

    def __init__(self) -> None:
        self.arrays: list[pa.Array] = []

    def add(self, column: pa.Array, _start: int) -> None:
        """Take in a batch's column."""
        self.arrays.append(column)

    def sorted(self, order: Positions, spare: Hashes) -> tuple[pa.Array, Hashes]:
        """See ``_Numbers.sorted``."""
        arrays, self.arrays = self.arrays, []
        return pa.concat_arrays(arrays).take(pa.array(order)), spare


T = TypeVar("T", bound=np.generic)


def _longer(values: NDArray[T], used: int, needed: int) -> NDArray[T]:
    longer = np.empty(max(needed, 2 * len(values)), values.dtype)
    longer[:used] = values[:used]
    return longer


class SortBuffer:
    """Collects batches in memory, and gives them back sorted by partition code, then by hash.

    Args:
        schema: of the batches.
        rows: to make room for at first.
    """

    def __init__(self, schema: pa.Schema, rows: int = 0) -> None:
        self.schema = schema
        self._columns = [
            _Numbers(field.type, rows) if _is_number(field.type) else _Cells() for field in schema
        ]
        self._spare: Hashes = np.empty(0, np.uint64)
        self._keys: list[tuple[Hashes, Codes]] = []
        self.rows = self.bytes = 0

    def add(self, batch: pa.RecordBatch, hashes: Hashes, codes: Codes) -> None:
        """Take in a batch."""
        for column, cells in zip(self._columns, batch.columns, strict=True):
            column.add(cells, self.rows)
        self._keys.append((hashes, codes))
        self.rows += batch.num_rows
        self.bytes += batch.nbytes

    def take(self) -> MemoryRun:
        """The rows as a run; at least one. The next batches may be written over its memory."""
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
    """Collects batches, then gives back the rows of one partition at a time.

    Args:
        schema: of the batches.
        folder: for runs that do not fit; the caller removes it.
        budget: bytes of rows held in memory before they are spilled.
        rows: that will come, where that is known; spares growing.
    """

    def __init__(self, schema: pa.Schema, folder: Path, budget: int, rows: int | None) -> None:
        self.folder, self.budget = folder, budget
        first = min(rows or 0, budget // (8 * max(1, len(schema))) + _SLACK_ROWS)
        self._buffer = SortBuffer(schema, first)
        self._counts = np.zeros(0, np.int64)
        self.runs: list[Run] = []

    def add(self, batch: pa.RecordBatch, hashes: Hashes, codes: Codes) -> None:
        """Take in a batch."""
        counts = np.bincount(codes, minlength=len(self._counts))
        counts[: len(self._counts)] += self._counts
        self._counts = counts
        self._buffer.add(batch, hashes, codes)
        if self._buffer.bytes >= self.budget:
            self.runs.append(DiskRun(self._buffer.take(), self.folder))

    def finish(self) -> None:
        """All batches are in: the last run may stay in memory if it is the only one."""
        if self._buffer.rows:
            run = self._buffer.take()
            self.runs.append(DiskRun(run, self.folder) if self.runs else run)
        del self._buffer

    def rows(self, code: int) -> int:
        """Rows of one partition."""
        return int(self._counts[code])

    def part_numbers(self, code: int) -> list[int]:
        """The parts of a partition that have rows; see ``part_files``."""
        ranges = list(hash_ranges(part_bits(self.rows(code))))
        if len(ranges) == 1:
            return [0]
        return [n for n, between in enumerate(ranges) if any(self._found(code, *between))]

    def _found(self, code: int, first: int, last: int) -> Iterator[Rows]:
        for run in self.runs:
            yield from run.get(code, first, last)

    def rows_of(self, code: int, part: int) -> Rows:
        """The rows of one part, and their hashes; in no particular order across runs."""
        ranges = list(hash_ranges(part_bits(self.rows(code))))
        found = list(self._found(code, *ranges[part]))
        if len(found) == 1:
            return found[0]
        batches, hashes = zip(*found, strict=True)
        return pa.concat_batches(batches), np.concatenate(hashes)


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_primitive(kind)) and kind.bit_width == 64  # noqa: PLR2004


def _order(hashes: Hashes, codes: Codes) -> Positions:
    """Positions by code, then by hash; equal hashes in any order."""
    order = np.argsort(hashes)
    low = (codes & 0xFFFF).astype(np.uint16)  # numpy sorts 16 bits by radix
    order = order[np.argsort(low[order], kind="stable")]
    if codes.max(initial=0) > 0xFFFF:  # noqa: PLR2004
        high = (codes >> 16).astype(np.uint16)
        order = order[np.argsort(high[order], kind="stable")]
    return order
