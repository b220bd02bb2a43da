"""The train step: trains the partitions of one shard in a pool of warm workers."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from steps.contract import RunAddress
from steps.errors import LargerClassError, TransientError
from steps.records import PartitionEntry, PartitionRecord, Reason
from steps.runtime.log import RunLog
from steps.runtime.parallel import REQUESTS, map_ordered
from steps.runtime.progress import Progress
from steps.storage.base import read_parsed
from steps.train.partition import TrainContext, record_without_training
from steps.train.registry import load_class
from steps.train.workers.history import History
from steps.train.workers.host import memory_kills
from steps.train.workers.pool import Pool, Stop, death_message
from steps.train.workers.worker import (
    OUT_OF_MEMORY,
    TaskResult,
    WorkerTask,
    open_context,
    record_task_attempt,
    write_record,
)

_RAN_OUT_MESSAGES = {
    "out_of_memory": OUT_OF_MEMORY,
    "out_of_disk": "Its pod used more disk than the largest resource class has, also when it was "
    "tried again alone.",
}


@dataclass(frozen=True)
class TrainLimits:
    """Resources of this pod, and those that a later pod may have. A laptop has no later pod.

    Attributes:
        workers: processes at the same time; None for one per CPU.
        class_offset: number of classes by which this pod exceeds the shard's own class.
        largest_class_offset: the offset of the largest class.
        can_retry_later: a later pod may retry after a transient error.
        previous_end: ``PodRecord.cause`` of the previous pod of the shard; empty if there is none.
        evicted: names of earlier pods of the shard that used more disk than they may.
        evictions: why this pod must not train, as a message: the shard's pods were evicted too
            often. Partitions that are left fail with it. Empty if the pod may train.
    """

    workers: int | None = None
    class_offset: int = 0
    largest_class_offset: int = 0
    can_retry_later: bool = False
    previous_end: str = ""
    evicted: frozenset[str] = frozenset()
    evictions: str = ""


@dataclass
class TrainResult:
    """Result of the step.

    Attributes:
        statuses: partitions finished in this attempt, by status.
        cached: the same partitions, by what the cache had: full, fit or none.
        finished: partitions that an earlier attempt of this run finished.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    cached: Counter[str] = field(default_factory=Counter)
    finished: int = 0


def train(
    address: RunAddress,
    shard: str,
    limits: TrainLimits,
    progress: Progress,
    log: RunLog,
    stop: Stop | None = None,
) -> TrainResult:
    """Train the partitions of a shard that have no record yet; largest first, suspects last.

    Args:
        address: address of the run.
        shard: name of the shard, such as ``small-00003``.
        limits: resources of this pod and of later ones.
        progress: advances with each partition.
        log: receives an event per partition.
        stop: request to stop, which SIGTERM sets.

    Raises:
        MissingInputError: the run does not exist.
        LostArtifactError: part of the dataset was deleted or damaged.
        SpecError: the trainer is not installed here.
        PreemptedError: the pod had to stop.
        LargerClassError: the remaining partitions need a larger resource class.
        TransientError: the remaining partitions failed with transient errors.
    """
    context = open_context(address)
    training = _Shard(context, address, shard, limits, progress, log)
    ids: list[str] = read_parsed(context.storage, address.run_layout.shard(shard), json.loads)
    wanted = set(ids)
    entries = {e.key.partition_id: e for e in context.index.entries if e.key.partition_id in wanted}
    progress.begin("train", "partitions", len(ids))
    tasks = list(training.prepare_tasks([entries[partition_id] for partition_id in ids]))
    if tasks:
        training.make_pool(address, stop or Stop()).run(tasks)
    progress.end()
    training.raise_for_deferred()
    return training.result


class _Shard:
    """Training of one shard: counts results, and writes the records that no worker writes."""

    def __init__(
        self,
        context: TrainContext,
        address: RunAddress,
        shard: str,
        limits: TrainLimits,
        progress: Progress,
        log: RunLog,
    ) -> None:
        self.context, self.progress, self.log = context, progress, log
        self.run, self.shard, self.limits = address.run_layout, shard, limits
        self.result = TrainResult()
        self._keys = {entry.key.partition_id: entry.key for entry in context.index.entries}
        self._kills = memory_kills()
        self._needed_offsets: list[int] = []
        self._transient_messages: list[str] = []

    def prepare_tasks(self, entries: Sequence[PartitionEntry]) -> Iterator[WorkerTask]:
        """Yield the partitions that must be computed, and record all others."""
        finished = {
            name.removesuffix(".json") for name in self.context.storage.names(self.run.records)
        }
        history = History(
            self.run,
            self.context.storage,
            previous_end=self.limits.previous_end,
            evicted=self.limits.evicted,
        )
        left = [entry for entry in entries if entry.key.partition_id not in finished]
        self.result.finished += len(entries) - len(left)
        self.progress.advance(len(entries) - len(left))
        records = map_ordered(partial(record_without_training, self.context), left, REQUESTS)
        for entry, existing in zip(left, records, strict=True):
            task = WorkerTask(
                entry.key.partition_id,
                history.last_attempt(entry.key.partition_id) + 1,
                self.shard,
                self.limits.class_offset,
                alone=history.suspect(entry.key.partition_id),
                can_use_larger_class=self.limits.class_offset < self.limits.largest_class_offset,
                can_retry_later=self.limits.can_retry_later,
            )
            if existing is not None:
                record, cached = existing
                record_task_attempt(self.context, self.run, task, record.status, cached, 0.0)
                write_record(self.context, self.run, record)
                self._count(task, record.status, cached, record.reason, record.message)
            elif self._fits_or_defer(task, history):
                yield task

    def _fits_or_defer(self, task: WorkerTask, history: History) -> bool:
        """Return whether the partition fits this pod; else defer it, or record its failure."""
        largest = self.limits.largest_class_offset
        reason = history.ran_out_alone(task.partition_id, largest)
        if reason:
            self._fail(task, reason, _RAN_OUT_MESSAGES[reason])
            return False
        if self.limits.evictions:
            self._fail(task, "out_of_disk", self.limits.evictions)
            return False
        needed = min(history.class_offset(task.partition_id), largest)
        if needed > self.limits.class_offset:
            self._needed_offsets.append(needed)
        return needed <= self.limits.class_offset

    def on_result(self, result: TaskResult) -> None:
        """Count the result of a worker, or defer the partition to a later pod."""
        task = result.task
        if result.retry and result.reason == "out_of_memory":
            self._needed_offsets.append(self.limits.class_offset + 1)
        elif result.retry:
            self._transient_messages.append(result.message)
        else:
            fields = (result.cached, result.reason, result.message, result.detail)
            self._count(task, result.status, *fields, seconds=result.seconds)

    def on_death(self, task: WorkerTask, exit_code: int) -> None:
        """Record that a worker died. A partition that was alone then has failed."""
        kills = memory_kills()
        memory, self._kills = kills > self._kills, kills
        outcome = "out_of_memory" if memory else "lost"
        record_task_attempt(self.context, self.run, task, outcome, "none", 0.0)
        self.log.event("worker died", partition=task.partition_id, exit_code=exit_code)
        if not task.alone:
            return
        if memory and task.can_use_larger_class:
            self._needed_offsets.append(self.limits.class_offset + 1)
        elif memory:
            self._fail(task, "out_of_memory", OUT_OF_MEMORY)
        else:
            self._fail(task, "worker_died", death_message(exit_code))

    def on_drop(self, task: WorkerTask) -> None:
        """Record that the pod had to stop during an attempt, which is not the partition's fault."""
        record_task_attempt(self.context, self.run, task, "dropped", "none", 0.0)

    def _fail(self, task: WorkerTask, reason: Reason, message: str) -> None:
        key = self._keys[task.partition_id]
        write_record(self.context, self.run, PartitionRecord(key, "failed", reason, message))
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

    def make_pool(self, address: RunAddress, stop: Stop) -> Pool:
        """Return the pool of worker processes, which import the trainer's modules only once."""
        module = load_class(self.context.request.trainer["name"]).__module__
        remote = ["steps.storage.gcs"] if "://" in address.root else []
        return Pool(
            address,
            [module, *self.context.trainer.preload, "steps.train.workers.worker", *remote],
            self.limits.workers or os.cpu_count() or 1,
            self.on_result,
            self.on_death,
            self.on_drop,
            stop,
        )

    def raise_for_deferred(self) -> None:
        """Raise if partitions are left for a later pod.

        Raises:
            LargerClassError: some need a larger resource class.
            TransientError: some failed with a transient error.
        """
        if self._needed_offsets:
            raise LargerClassError(min(self._needed_offsets))
        if self._transient_messages:
            raise TransientError(
                f"{len(self._transient_messages)} partitions failed with a temporary error, for "
                "example: "
                f"{self._transient_messages[0]}",
                hint="Run again to retry these partitions. On a cluster they are retried "
                "automatically.",
            )
