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
from steps.train.partition import Cached, Work, settle_untrained
from steps.train.registry import load_class
from steps.train.workers.history import History
from steps.train.workers.host import memory_kills
from steps.train.workers.pool import Pool, Stop, death_message
from steps.train.workers.worker import (
    OUT_OF_MEMORY,
    Order,
    Report,
    note_attempt,
    open_work,
    write_record,
)

_READERS = 16


@dataclass(frozen=True)
class Means:
    """What a pod has to train a shard, and what another one could have. A laptop has no other.

    Attributes:
        workers: processes at once; None for one per processor.
        memory_step: by how many resource classes this pod is larger than the shard's own.
        memory_steps: the largest such step there is.
        may_wait: a later pod may try again what failed for a passing reason.
        killed_for_memory: the pod before this one was killed since it ran out of memory.
    """

    workers: int | None = None
    memory_step: int = 0
    memory_steps: int = 0
    may_wait: bool = False
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
    means: Means,
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
    work = open_work(address)
    step = _Step(work, address, shard, means, progress, log)
    uri = f"{address.run_layout.shards}/{shard}.json"
    ids: list[str] = read_parsed(work.storage, uri, json.loads)
    wanted = set(ids)
    entries = {e.key.partition_id: e for e in work.index.entries if e.key.partition_id in wanted}
    progress.begin("train", "partitions", len(ids))
    orders = list(step.orders([entries[partition_id] for partition_id in ids]))
    if orders:
        module = load_class(work.request.trainer["name"]).__module__
        remote = ["steps.storage.gcs"] if "://" in address.root else []
        preload = [module, *work.trainer.preload, "steps.train.workers.worker", *remote]
        size = means.workers or os.cpu_count() or 1
        pool = Pool(
            address, preload, size, step.on_report, step.on_death, step.on_drop, stop or Stop()
        )
        pool.run(orders)
    progress.end()
    step.raise_for_deferred()
    return step.result


class _Step:
    """Keeps count, and writes what no worker can: records of what needs none, or has lost its."""

    def __init__(
        self,
        work: Work,
        address: RunAddress,
        shard: str,
        means: Means,
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

    def orders(self, entries: Sequence[PartitionEntry]) -> Iterator[Order]:
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
                order = self._order(entry.key.partition_id, history)
                if untrained is not None:
                    self._settle(order, *untrained)
                elif self._fits(order, history):
                    yield order

    def _pass_over(self, finished: int) -> None:
        self.result.finished += finished
        self.progress.advance(finished)

    def _order(self, partition_id: str, history: History) -> Order:
        return Order(
            partition_id,
            history.tries(partition_id) + 1,
            self.shard,
            self.means.memory_step,
            alone=history.suspect(partition_id),
            may_grow=self.means.memory_step < self.means.memory_steps,
            may_wait=self.means.may_wait,
        )

    def _fits(self, order: Order, history: History) -> bool:
        """Whether the partition can be tried here; if not, a larger pod does it, or it failed."""
        largest = self.means.memory_steps
        if history.ran_out_alone(order.partition_id, largest):
            self._fail(order, "out_of_memory", OUT_OF_MEMORY)
            return False
        needed = min(history.memory_step(order.partition_id), largest)
        if needed > self.means.memory_step:
            self._larger.append(needed)
        return needed <= self.means.memory_step

    def _settle(self, order: Order, record: PartitionRecord, cached: Cached) -> None:
        note_attempt(self.work, self.run, order, record.status, cached, 0.0)
        write_record(self.work, self.run, record)
        self._count(order, record.status, cached, record.reason, record.message)

    def on_report(self, report: Report) -> None:
        """A worker is done with a partition, as far as this pod can be."""
        order = report.order
        if report.retry and report.reason == "out_of_memory":
            self._larger.append(self.means.memory_step + 1)
        elif report.retry:
            self._later.append(report.message)
        else:
            fields = (report.cached, report.reason, report.message, report.detail)
            self._count(order, report.status, *fields, seconds=report.seconds)

    def on_death(self, order: Order, exit_code: int) -> None:
        """A worker died under a partition; if it was alone, that partition has failed."""
        kills = memory_kills()
        memory, self._kills = kills > self._kills, kills
        outcome = "out_of_memory" if memory else "lost"
        note_attempt(self.work, self.run, order, outcome, "none", 0.0)
        self.log.event("worker died", partition=order.partition_id, exit_code=exit_code)
        if not order.alone:
            return
        if memory and order.may_grow:
            self._larger.append(self.means.memory_step + 1)
        elif memory:
            self._fail(order, "out_of_memory", OUT_OF_MEMORY)
        else:
            self._fail(order, "worker_died", death_message(exit_code))

    def on_drop(self, order: Order) -> None:
        """The pod has to stop while a partition is in hand: that is not the partition's fault."""
        note_attempt(self.work, self.run, order, "dropped", "none", 0.0)

    def _fail(self, order: Order, reason: str, message: str) -> None:
        key = self._keys[order.partition_id]
        write_record(self.work, self.run, PartitionRecord(key, "failed", reason, message))  # type: ignore[arg-type]
        self._count(order, "failed", "none", reason, message)

    def _count(
        self,
        order: Order,
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
            partition=order.partition_id,
            key=self._keys[order.partition_id].text,
            status=status,
            reason=reason,
            message=message,
            detail=detail,
            cached=cached,
            seconds=round(seconds, 3),
            attempt=order.attempt,
        )
        self.progress.advance(1, f"failed: {reason}" if status == "failed" else "")

    def raise_for_deferred(self) -> None:
        """Say what is left for another pod."""
        if self._larger:
            raise MoreMemoryError(min(self._larger))
        if self._later:
            raise TransientError(
                f"{len(self._later)} partitions failed for a passing reason, such as: "
                f"{self._later[0]}"
            )
