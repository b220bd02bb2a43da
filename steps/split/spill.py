"""Grouping of rows by partition in bounded memory: sorted runs, on disk where they must be.

Rows are buffered until ``budget`` bytes are reached; the buffer is then sorted by partition and
kept as a *run* (external sorting as in Knuth, TAOCP 5.4). A partition is afterwards put together
from its slice of every run.
"""

from __future__ import annotations

import os
import tempfile
import threading
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from steps.table.hashing import Hashes

Codes = NDArray[np.int32]


class Run(Protocol):
    """Rows sorted by partition code, then by hash."""

    def get(self, code: int) -> tuple[pa.RecordBatch, Hashes] | None:
        """The rows of one partition with their hashes, or None where the run has none."""


class MemoryRun:
    """A run in memory."""

    def __init__(self, batch: pa.RecordBatch, hashes: Hashes, codes: Codes) -> None:
        self.batch, self.hashes = batch, hashes
        self.codes, starts = np.unique(codes, return_index=True)
        self.bounds = np.append(starts, len(codes))

    def get(self, code: int) -> tuple[pa.RecordBatch, Hashes] | None:
        """See ``Run.get``; a view, nothing is copied."""
        found = int(np.searchsorted(self.codes, code))
        if found == len(self.codes) or self.codes[found] != code:
            return None
        start, end = int(self.bounds[found]), int(self.bounds[found + 1])
        return self.batch.slice(start, end - start), self.hashes[start:end]


class DiskRun:
    """A run in an Arrow IPC file with one record batch per partition."""

    def __init__(self, run: MemoryRun, folder: Path) -> None:
        handle, path = tempfile.mkstemp(dir=folder, suffix=".arrow")
        schema = run.batch.schema.append(pa.field("", pa.uint64()))
        with os.fdopen(handle, "wb") as sink, pa.ipc.new_file(sink, schema) as writer:
            for code in run.codes:
                batch, hashes = _found(run, int(code))
                arrays = [*batch.columns, pa.array(hashes)]
                writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))
        self.position = {int(code): i for i, code in enumerate(run.codes)}
        self.schema = run.batch.schema
        self.reader = pa.ipc.open_file(pa.OSFile(path))
        self.lock = threading.Lock()  # a reader is not safe in several threads

    def get(self, code: int) -> tuple[pa.RecordBatch, Hashes] | None:
        """See ``Run.get``; reads only what it returns."""
        if code not in self.position:
            return None
        with self.lock:
            batch = self.reader.get_batch(self.position[code])
        rows = pa.RecordBatch.from_arrays(batch.columns[:-1], schema=self.schema)
        return rows, batch.columns[-1].to_numpy()


def _found(run: MemoryRun, code: int) -> tuple[pa.RecordBatch, Hashes]:
    found = run.get(code)
    assert found is not None
    return found


class Grouping:
    """Collects batches, then gives back the rows of one partition at a time.

    Args:
        schema: of the batches.
        folder: for runs that do not fit; the caller removes it.
        budget: bytes of rows held in memory before they are spilled.
    """

    def __init__(self, schema: pa.Schema, folder: Path, budget: int) -> None:
        self.schema, self.folder, self.budget = schema, folder, budget
        self._buffer: list[tuple[pa.RecordBatch, Hashes, Codes]] = []
        self._bytes = 0
        self.runs: list[Run] = []

    def add(self, batch: pa.RecordBatch, hashes: Hashes, codes: Codes) -> None:
        """Take in a batch."""
        self._buffer.append((batch, hashes, codes))
        self._bytes += batch.nbytes
        if self._bytes >= self.budget:
            self.runs.append(DiskRun(self._sorted(), self.folder))

    def finish(self) -> None:
        """All batches are in: the last run may stay in memory if it is the only one."""
        if self._buffer:
            run = self._sorted()
            self.runs.append(DiskRun(run, self.folder) if self.runs else run)

    def _sorted(self) -> MemoryRun:
        """The buffer as a run, column by column, letting go of each column as it is done."""
        batches, hashes, codes = zip(*self._buffer, strict=True)
        self._buffer, self._bytes = [], 0
        all_hashes, all_codes = np.concatenate(hashes), np.concatenate(codes)
        order = np.lexsort((all_hashes, all_codes))
        positions = pa.array(order)
        columns = [list(batch.columns) for batch in batches]
        del batches
        taken = [
            pa.concat_arrays([batch.pop(0) for batch in columns]).take(positions)
            for _ in self.schema
        ]
        batch = pa.RecordBatch.from_arrays(taken, schema=self.schema)
        return MemoryRun(batch, all_hashes[order], all_codes[order])

    def rows_of(self, code: int) -> tuple[pa.RecordBatch, Hashes]:
        """The rows of one partition, and their hashes; in no particular order across runs."""
        found = [rows for run in self.runs if (rows := run.get(code)) is not None]
        if len(found) == 1:
            return found[0]
        batches, hashes = zip(*found, strict=True)
        return pa.concat_batches(batches), np.concatenate(hashes)
