"""The train step: all partitions of one shard, in a pool of warm workers."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from steps.contract import RunAddress
from steps.errors import MoreMemoryError, TransientError
from steps.records import PartitionEntry, PartitionRecord
from steps.runtime.log import RunLog
from steps.runtime.progress import Progress
from steps.storage.base import read_parsed
from steps.train.partition import Cached, TrainContext, settle_untrained
from steps.train.registry import load_class
from steps.train.workers.history import History
from steps.train.workers.host import memory_kills
from steps.train.workers.pool import Pool, Stop, death_message
from steps.train.workers.worker import (
    OUT_OF_MEMORY,
    TaskResult,
    WorkerTask,
    note_attempt,
    open_context,
    write_record,
)

_READERS = 16


@dataclass(frozen=True)
class TrainLimits:
    """What a pod has to train a shard, and what another one could have. A laptop has no other.

    Attributes:
        workers: processes at once; None for one per processor.
        class_offset: by how many resource classes this pod is larger than the shard's own.
        largest_class_offset: the largest such step there is.
        may_wait: a later pod may try again what failed for a passing reason.
        killed_for_memory: the pod before this one was killed since it ran out of memory.
    """

    workers: int | None = None
    class_offset: int = 0
    largest_class_offset: int = 0
    can_retry_later: bool = False
    killed_for_memory: bool = False


@dataclass
class TrainResult:
    """What the step did.

    Attributes:
        statuses: partitions by status; those that an earlier try had finished are not counted.
        cached: the same partitions by how much of them was found in the cache.
        finished: partitions that an earlier try of this run had finished.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    cached: Counter[str] = field(default_factory=Counter)
    finished: int = 0


def train(
    address: RunAddress,
    shard: str,
    means: TrainLimits,
    progress: Progress,
    log: RunLog,
    stop: Stop | None = None,
) -> TrainResult:
    """Train the partitions of a shard that have no record yet; largest first, suspects last.

    Args:
        address: names the run.
        shard: file name of the shard, such as ``small-00003``.
        means: what there is to train with.
        progress: told of every partition.
        log: told of every partition.
        stop: says when the pod has to stop.

    Raises:
        MissingInputError: the run is not there.
        SpecError: the trainer is not installed here.
        PreemptedError: the pod had to stop.
        MoreMemoryError: all is done but what needs a larger resource class.
        TransientError: all is done but what failed for a passing reason.
    """
    work = open_context(address)
    step = _Step(work, address, shard, means, progress, log)
    uri = f"{address.run_layout.shards}/{shard}.json"
    ids: list[str] = read_parsed(work.storage, uri, json.loads)
    wanted = set(ids)
    entries = {e.key.partition_id: e for e in work.index.entries if e.key.partition_id in wanted}
    progress.begin("train", "partitions", len(ids))
    tasks = list(step.tasks([entries[partition_id] for partition_id in ids]))
    if tasks:
        module = load_class(work.request.trainer["name"]).__module__
        remote = ["steps.storage.gcs"] if "://" in address.root else []
        preload = [module, *work.trainer.preload, "steps.train.workers.worker", *remote]
        size = means.workers or os.cpu_count() or 1
        pool = Pool(
            address, preload, size, step.on_result, step.on_death, step.on_drop, stop or Stop()
        )
        pool.run(tasks)
    progress.end()
    step.raise_for_deferred()
    return step.result


class _Step:
    """Keeps count, and writes what no worker can: records of what needs none, or has lost its."""

    def __init__(
        self,
        work: TrainContext,
        address: RunAddress,
        shard: str,
        means: TrainLimits,
        progress: Progress,
        log: RunLog,
    ) -> None:
        self.work, self.progress, self.log = work, progress, log
        self.run, self.shard, self.means = address.run_layout, shard, means
        self.result = TrainResult()
        self._keys = {entry.key.partition_id: entry.key for entry in work.index.entries}
        self._kills = memory_kills()
        self._larger: list[int] = []
        self._later: list[str] = []

    def tasks(self, entries: Sequence[PartitionEntry]) -> Iterator[WorkerTask]:
        """Orders for what must be computed; all else is settled on the way."""
        finished = {
            name.removesuffix(".json") for name in self.work.storage.names(self.run.records)
        }
        killed = self.means.killed_for_memory
        history = History(self.run, self.work.storage, killed_for_memory=killed)
        left = [entry for entry in entries if entry.key.partition_id not in finished]
        self._pass_over(len(entries) - len(left))
        with ThreadPoolExecutor(_READERS) as pool:  # asking a far storage takes its time
            settled = pool.map(lambda entry: settle_untrained(self.work, entry), left)
            for entry, untrained in zip(left, settled, strict=True):
                task = self._task(entry.key.partition_id, history)
                if untrained is not None:
                    self._settle(task, *untrained)
                elif self._fits(task, history):
                    yield task

    def _pass_over(self, finished: int) -> None:
        self.result.finished += finished
        self.progress.advance(finished)

    def _task(self, partition_id: str, history: History) -> WorkerTask:
        return WorkerTask(
            partition_id,
            history.last_attempt(partition_id) + 1,
            self.shard,
            self.means.class_offset,
            alone=history.suspect(partition_id),
            can_use_larger_class=self.means.class_offset < self.means.largest_class_offset,
            can_retry_later=self.means.can_retry_later,
        )

    def _fits(self, task: WorkerTask, history: History) -> bool:
        """Whether the partition can be tried here; if not, a larger pod does it, or it failed."""
        largest = self.means.largest_class_offset
        if history.ran_out_alone(task.partition_id, largest):
            self._fail(task, "out_of_memory", OUT_OF_MEMORY)
            return False
        needed = min(history.class_offset(task.partition_id), largest)
        if needed > self.means.class_offset:
            self._larger.append(needed)
        return needed <= self.means.class_offset

    def _settle(self, task: WorkerTask, record: PartitionRecord, cached: Cached) -> None:
        note_attempt(self.work, self.run, task, record.status, cached, 0.0)
        write_record(self.work, self.run, record)
        self._count(task, record.status, cached, record.reason, record.message)

    def on_result(self, result: TaskResult) -> None:
        """A worker is done with a partition, as far as this pod can be."""
        task = result.task
        if result.retry and result.reason == "out_of_memory":
            self._larger.append(self.means.class_offset + 1)
        elif result.retry:
            self._later.append(result.message)
        else:
            fields = (result.cached, result.reason, result.message, result.detail)
            self._count(task, result.status, *fields, seconds=result.seconds)

    def on_death(self, task: WorkerTask, exit_code: int) -> None:
        """A worker died under a partition; if it was alone, that partition has failed."""
        kills = memory_kills()
        memory, self._kills = kills > self._kills, kills
        outcome = "out_of_memory" if memory else "lost"
        note_attempt(self.work, self.run, task, outcome, "none", 0.0)
        self.log.event("worker died", partition=task.partition_id, exit_code=exit_code)
        if not task.alone:
            return
        if memory and task.can_use_larger_class:
            self._larger.append(self.means.class_offset + 1)
        elif memory:
            self._fail(task, "out_of_memory", OUT_OF_MEMORY)
        else:
            self._fail(task, "worker_died", death_message(exit_code))

    def on_drop(self, task: WorkerTask) -> None:
        """The pod has to stop while a partition is in hand: that is not the partition's fault."""
        note_attempt(self.work, self.run, task, "dropped", "none", 0.0)

    def _fail(self, task: WorkerTask, reason: str, message: str) -> None:
        key = self._keys[task.partition_id]
        write_record(self.work, self.run, PartitionRecord(key, "failed", reason, message))  # type: ignore[arg-type]
        self._count(task, "failed", "none", reason, message)

    def _count(
        self,
        task: WorkerTask,
        status: str,
        cached: str,
        reason: str,
        message: str,
        detail: str = "",
        seconds: float = 0.0,
    ) -> None:
        self.result.statuses[status] += 1
        self.result.cached[cached] += 1
        self.log.event(
            "partition",
            partition=task.partition_id,
            key=self._keys[task.partition_id].text,
            status=status,
            reason=reason,
            message=message,
            detail=detail,
            cached=cached,
            seconds=round(seconds, 3),
            attempt=task.attempt,
        )
        failed = status == "failed"
        self.progress.advance(1, f"failed: {reason}" if failed else "", failed=int(failed))

    def raise_for_deferred(self) -> None:
        """Say what is left for another pod."""
        if self._larger:
            raise MoreMemoryError(min(self._larger))
        if self._later:
            raise TransientError(
                f"{len(self._later)} partitions failed for a passing reason, such as: "
                f"{self._later[0]}"
            )
