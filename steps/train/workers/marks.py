"""Marks: which partitions a pod is about to train, durable before it begins.

If the pod is killed, the mark stays, and the next pod tries the partitions that have no result
alone, each with a mark of its own. A mark names a batch, since object storage would charge more for
a mark per partition than a small fit costs.
"""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from steps.contract import RunLayout
from steps.errors import DamagedError
from steps.records import canonical_json
from steps.runtime.log import writer_name
from steps.storage.base import Storage, read_parsed
from steps.train.workers.worker import WorkerTask

BATCH_SECONDS = 16.0
"""A mark names what the pod trains in about this time."""
_MOST = 2000


@dataclass(frozen=True)
class Mark:
    """The partitions that a pod was training, or was about to.

    Attributes:
        pod: name of the pod, or process id.
        workers: how many partitions it trained at the same time.
        tasks: the partitions.
    """

    pod: str
    workers: int
    tasks: tuple[WorkerTask, ...]

    def to_json(self) -> str:
        """Return the text that is stored under ``marks/``."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Mark:
        """Read what ``to_json`` wrote."""
        raw = json.loads(text)
        return cls(raw["pod"], raw["workers"], tuple(WorkerTask(**task) for task in raw["tasks"]))


def read_marks(storage: Storage, run: RunLayout, shard: str) -> dict[str, Mark]:
    """Return the marks that pods of a shard have left, by URI."""
    folder = run.shard_marks(shard)
    marks = {}
    for name in storage.names(folder):
        uri = f"{folder}/{name}"
        try:
            marks[uri] = read_parsed(storage, uri, Mark.from_json)
        except DamagedError:  # it says nothing
            storage.delete(uri)
    return marks


class MarkWriter:
    """Writes this pod's mark of a shard.

    Args:
        storage: storage of the run.
        run: paths of the run.
        shard: name of the shard.
        workers: how many partitions are trained at the same time.
    """

    def __init__(self, storage: Storage, run: RunLayout, shard: str, workers: int) -> None:
        self._storage, self._workers = storage, workers
        self._uri = run.mark(shard, f"{writer_name()}-{time.time_ns():x}")
        self._next: deque[WorkerTask] = deque()
        self._open: dict[str, WorkerTask] = {}
        self._exists = False
        self._began = time.monotonic()
        self._covered = 0
        self._batch = 1

    def start(self, tasks: Iterable[WorkerTask]) -> None:
        """Set the order in which partitions will be trained."""
        self._next = deque(tasks)

    def cover(self, task: WorkerTask) -> None:
        """Return when a durable mark names the task; the mark names the next ones, too.

        Raises:
            OutputError: the mark cannot be written.
        """
        if self._open.get(task.partition_id) == task:
            return
        batch = [task]
        if not task.alone:
            while self._next and self._next[0] != task:
                self._next.popleft()
            self._batch = self._batch_size()
            batch = [self._next.popleft() for _ in range(min(self._batch, len(self._next)))]
        self._covered += len(batch)
        self._open |= {each.partition_id: each for each in batch or [task]}
        mark = Mark(writer_name(), self._workers, tuple(self._open.values()))
        self._storage.write(self._uri, mark.to_json().encode())
        self._exists = True

    def forget(self, partition_ids: Iterable[str]) -> None:
        """Leave out partitions whose results are durable from the next mark."""
        for partition_id in partition_ids:
            self._open.pop(partition_id, None)

    def remove(self) -> None:
        """Delete the mark, as the pod ends by itself."""
        if self._exists:
            self._storage.delete(self._uri)

    def _batch_size(self) -> int:
        """Return how many partitions take about ``BATCH_SECONDS``; at first, as many as run."""
        rate = self._covered / max(time.monotonic() - self._began, 0.1)
        return max(self._workers, min(int(rate * BATCH_SECONDS), 4 * self._batch, _MOST))
