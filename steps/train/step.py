"""The train step: trains the partitions of one shard in a pool of warm workers."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from steps.contract import RunAddress
from steps.errors import LargerClassError, TransientError
from steps.records import PartitionRecord, Reason
from steps.runtime.attempts import Attempt
from steps.runtime.log import RunLog
from steps.runtime.parallel import REQUESTS, map_ordered
from steps.runtime.progress import Progress
from steps.segments.run_results import RunResults, attempt_members
from steps.segments.writer import SegmentWriter
from steps.storage.base import read_parsed
from steps.train.context import TrainContext
from steps.train.inputs import InputReader
from steps.train.partition import Cached, Inputs, has_results, record_without_training
from steps.train.workers.history import History
from steps.train.workers.host import memory_kills
from steps.train.workers.marks import MarkWriter, read_marks
from steps.train.workers.pool import Pool, Stop, death_message
from steps.train.workers.server import start_server
from steps.train.workers.worker import OUT_OF_MEMORY, TaskResult, WorkerTask, open_context

_ROWS_FOR_THREADS = 50_000
"""Rows from which on a fit gains from threads: LightGBM takes as long with two below it."""
_RAN_OUT_MESSAGES = {
    "out_of_memory": OUT_OF_MEMORY,
    "out_of_disk": "Its pod used more disk than the largest resource class has, also when it was "
    "tried again alone.",
}


@dataclass(frozen=True)
class TrainLimits:
    """Resources of this pod, and those that a later pod may have. A laptop has no later pod.

    Attributes:
        workers: CPUs that processes use at the same time; None for all.
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
    results = RunResults.open(context.storage, address, context.request)
    results.salvage_damaged()
    ids: list[str] = read_parsed(context.storage, address.run_layout.shard(shard), json.loads)
    progress.begin("train", "partitions", len(ids))
    cpus = limits.workers or os.cpu_count() or 1
    workers = max(1, cpus // context.trainer.threads_per_fit)
    marks = MarkWriter(context.storage, address.run_layout, shard, workers)
    with (
        removed_at_the_end(marks),
        SegmentWriter(context.storage, results.segments.folder) as writer,
        InputReader(context, results.segments) as inputs,
    ):
        stored = Stored(results, writer, marks, inputs)
        training = _Shard(context, address, shard, limits, progress, log, stored)
        tasks = list(training.prepare_tasks(ids))
        if tasks:
            start_server(context.request.trainer["name"], address.root)
            training.run(
                Pool(address, workers, training, stop or Stop(), context.trainer.threads_per_fit),
                tasks,
            )
    progress.end()
    training.raise_for_deferred()
    return training.result


@contextmanager
def removed_at_the_end(marks: MarkWriter) -> Iterator[None]:
    """Delete the mark when the block ends: only a pod that is killed leaves one."""
    try:
        yield
    finally:
        marks.remove()


@dataclass(frozen=True)
class Stored:
    """What a shard reads from storage and writes to it.

    Attributes:
        results: results that are stored already.
        writer: writes new results.
        marks: marks partitions before they are trained.
        inputs: reads part files.
    """

    results: RunResults
    writer: SegmentWriter
    marks: MarkWriter
    inputs: InputReader


class _Shard:
    """Training of one shard: decides what to train, stores and counts results."""

    def __init__(
        self,
        context: TrainContext,
        address: RunAddress,
        shard: str,
        limits: TrainLimits,
        progress: Progress,
        log: RunLog,
        stored: Stored,
    ) -> None:
        self.context, self.progress, self.log = context, progress, log
        self.run_layout, self.shard, self.limits = address.run_layout, shard, limits
        self.result = TrainResult()
        self._stored, self._members = stored, stored.results.members
        self._entries = {entry.key.partition_id: entry for entry in context.index.entries}
        self._kills = memory_kills()
        self._workers = self._at_once = 1
        self._needed_offsets: list[int] = []
        self._transient_messages: list[str] = []

    def run(self, pool: Pool, tasks: Sequence[WorkerTask]) -> None:
        """Train partitions in a pool.

        Raises:
            PreemptedError: the pod has to stop.
            RefeedError: see ``Pool.run``.
        """
        together = [task for task in tasks if not task.alone]
        self._workers, self._at_once = pool.size, min(pool.size, max(1, len(together)))
        self._stored.marks.start(together)
        self._stored.inputs.start(self._entries[task.partition_id] for task in together)
        pool.run(tasks)

    def prepare_tasks(self, ids: Sequence[str]) -> Iterator[WorkerTask]:
        """Yield the partitions that must be computed, and record all others."""
        history = self._read_history()
        left = [self._entries[each] for each in ids if not self._is_finished(each)]
        self.result.finished += len(ids) - len(left)
        self.progress.advance(len(ids) - len(left))
        segments = self._stored.results.segments
        known = map_ordered(
            lambda entry: record_without_training(self.context, entry, segments), left, REQUESTS
        )
        for entry, existing in zip(left, known, strict=True):
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
                self._put(record, task.ended(record.status, cached))
                self._count(task, record, cached)
            elif self._fits_or_defer(task, history):
                yield task

    def _read_history(self) -> History:
        """Return the history of the shard, after recording what the marks of lost pods say."""
        marks = read_marks(self.context.storage, self.run_layout, self.shard)
        history = History(
            self._stored.results.attempts(self.shard),
            marks.values(),
            previous_end=self.limits.previous_end,
            evicted=self.limits.evicted,
        )
        self._stored.writer.put(attempt_members(self._members, history.found))
        if marks:
            self._stored.writer.flush()
            for uri in marks:
                self.context.storage.delete(uri)
        return history

    def _is_finished(self, partition_id: str) -> bool:
        """Return whether the partition has a record, and the results that the record names."""
        results = self._stored.results
        if partition_id not in results.recorded:
            return False
        if not results.is_final(partition_id):
            return True
        return has_results(self.context, self._entries[partition_id], results.segments)

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

    def prepare(self, task: WorkerTask) -> Inputs:
        """See ``PoolEvents``: mark the partition, and wait for its inputs."""
        if task.alone:  # so that its mark names nothing else
            self._stored.marks.forget(self._stored.writer.flush())
        self._stored.marks.cover(task)
        inputs = self._stored.inputs.take(self._entries[task.partition_id])
        return replace(inputs, threads=self._threads(task))

    def _threads(self, task: WorkerTask) -> int:
        """Return how many threads a fit may use: processes without a partition become threads."""
        rows = self._entries[task.partition_id].rows
        if not self.context.trainer.uses_threads or rows < _ROWS_FOR_THREADS:
            return 1
        return max(1, self._workers // (1 if task.alone else self._at_once))

    def on_poll(self) -> None:
        """See ``PoolEvents``: store results that are due."""
        self._stored.marks.forget(self._stored.writer.tick())

    def on_result(self, result: TaskResult) -> None:
        """See ``PoolEvents``: store and count the result, or defer the partition to a later pod."""
        task, record = result.task, result.trained.record
        if result.retry:
            self.on_retry(result)
            if record.reason == "out_of_memory":
                self._needed_offsets.append(self.limits.class_offset + 1)
            else:
                self._transient_messages.append(record.message)
            return
        self._put(record, result.attempt, result.trained.members)
        cached, seconds = result.trained.cached, result.attempt.seconds
        self._count(task, record, cached, result.detail, seconds)

    def on_retry(self, result: TaskResult) -> None:
        """See ``PoolEvents``."""
        self._put_attempt(result.attempt)

    def on_death(self, task: WorkerTask, exit_code: int) -> None:
        """See ``PoolEvents``. A partition that was alone when its worker died has failed."""
        kills = memory_kills()
        memory, self._kills = kills > self._kills, kills
        self._put_attempt(task.ended("out_of_memory" if memory else "lost"))
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
        """See ``PoolEvents``. That the pod had to stop is not the partition's fault."""
        self._put_attempt(task.ended("dropped"))

    def _put(
        self,
        record: PartitionRecord,
        attempt: Attempt | None = None,
        members: dict[str, bytes] | None = None,
    ) -> None:
        """Store a partition's record, with everything that it refers to."""
        partition_id = record.key.partition_id
        name = self._members.record(partition_id, final=record.status != "failed")
        text = record.to_json().encode("utf-8", "surrogatepass")
        attempts = attempt_members(self._members, [attempt] if attempt else [])
        self._stored.writer.put({**(members or {}), **attempts, name: text}, partition_id)

    def _put_attempt(self, attempt: Attempt) -> None:
        self._stored.writer.put(attempt_members(self._members, [attempt]), attempt.partition_id)

    def _fail(self, task: WorkerTask, reason: Reason, message: str) -> None:
        key = self._entries[task.partition_id].key
        record = PartitionRecord(key, "failed", reason, message)
        self._put(record)
        self._count(task, record, "none")

    def _count(
        self,
        task: WorkerTask,
        record: PartitionRecord,
        cached: Cached,
        detail: str = "",
        seconds: float = 0.0,
    ) -> None:
        self.result.statuses[record.status] += 1
        self.result.cached[cached] += 1
        self.log.event(
            "partition",
            partition=task.partition_id,
            key=record.key.text,
            status=record.status,
            reason=record.reason,
            message=record.message,
            detail=detail,
            cached=cached,
            seconds=round(seconds, 3),
            attempt=task.attempt,
        )
        failed = record.status == "failed"
        self.progress.advance(1, f"failed: {record.reason}" if failed else "", failed=int(failed))

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
