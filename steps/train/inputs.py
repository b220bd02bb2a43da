"""Reads the inputs of the next partitions while earlier ones are trained."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self

from steps.contract import explanation_member, fit_member, fold_models_member
from steps.errors import DamagedError, MissingInputError
from steps.records import PartitionEntry
from steps.runtime.parallel import REQUESTS
from steps.segments.reader import SegmentReader
from steps.train.context import TrainContext
from steps.train.keys import keys_of
from steps.train.partition import Inputs, StoredFit
from steps.train.reading import read_parts

LARGE_BYTES = 8 * 1024 * 1024
"""A partition with larger part files is read by its worker, which then holds the only copy."""
_AHEAD_BYTES = 64 * 1024 * 1024
"""Part files that wait for a worker, together."""


class InputReader:
    """Reads part files, and fits that earlier runs have stored, in the order of training.

    Args:
        context: inputs that all partitions share.
        stored: the segments of earlier runs.
    """

    def __init__(self, context: TrainContext, stored: SegmentReader) -> None:
        self._context, self._stored = context, stored
        self._next: deque[PartitionEntry] = deque()
        self._running: dict[str, Future[Inputs]] = {}
        self._bytes = 0
        self._threads = ThreadPoolExecutor(REQUESTS)

    def start(self, entries: Iterable[PartitionEntry]) -> None:
        """Begin to read partitions in the order in which they will be taken."""
        self._next = deque(entries)
        self._read_ahead()

    def take(self, entry: PartitionEntry) -> Inputs:
        """Return the inputs of a partition, when they have been read.

        Raises:
            LostArtifactError: a part file was deleted.
        """
        reading = self._running.pop(entry.key.partition_id, None)
        if reading is None:
            return self._read(entry)
        self._bytes -= entry.bytes
        self._read_ahead()
        return reading.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def _read_ahead(self) -> None:
        while self._next and len(self._running) < 2 * REQUESTS:
            entry = self._next[0]
            if self._running and self._bytes + entry.bytes > _AHEAD_BYTES:
                return
            self._next.popleft()
            self._bytes += entry.bytes
            self._running[entry.key.partition_id] = self._threads.submit(self._read, entry)

    def _read(self, entry: PartitionEntry) -> Inputs:
        large = entry.bytes > LARGE_BYTES
        parts = None if large else tuple(read_parts(self._context, entry))
        keys = keys_of(self._context, entry)
        explained = explanation_member(keys.explanation) in self._stored
        return Inputs(parts, self._stored_fit(keys.fit), explained)

    def _stored_fit(self, key: str) -> StoredFit | None:
        models = fold_models_member(key)
        if models not in self._stored or fit_member(key) not in self._stored:
            return None
        try:
            return StoredFit(self._stored.read(models))
        except (MissingInputError, DamagedError):  # the fit is made again
            return None
