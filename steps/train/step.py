"""The train step: all partitions of one shard, in a pool of warm workers."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from steps.progress import Progress
from steps.records import PartitionEntry, PartitionRecord
from steps.storage import read_parsed
from steps.train.partition import Work, settle_untrained
from steps.train.pool import Pool, death_message
from steps.train.registry import load_class
from steps.train.worker import (
    Order,
    Report,
    WorkerSetup,
    note_attempt,
    open_work,
    write_record,
)


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


def train(setup: WorkerSetup, shard: int, workers: int | None, progress: Progress) -> TrainResult:
    """Train the partitions of a shard that have no record yet; largest first.

    Args:
        setup: names the run.
        shard: number of the shard.
        workers: processes at once; None for one per processor.
        progress: told of every partition.

    Raises:
        MissingInputError: the run is not there.
        SpecError: the trainer is not installed here.
    """
    work = open_work(setup)
    step = _Step(work, setup, progress)
    ids = read_parsed(work.storage, setup.run_layout.shard(shard), json.loads)
    wanted = set(ids)
    entries = {e.key.partition_id: e for e in work.index.entries if e.key.partition_id in wanted}
    progress.begin("train", "partitions", len(ids))
    orders = list(step.orders(entries[partition_id] for partition_id in ids))
    if orders:
        module = load_class(work.request.trainer["name"]).__module__
        preload = [module, *work.trainer.preload, "steps.train.worker"]
        size = workers or os.cpu_count() or 1
        Pool(setup, preload, size, step.on_report, step.on_death).run(orders)
    progress.end()
    return step.result


class _Step:
    """Keeps count, and writes what no worker can: records of what needs none, or has lost its."""

    def __init__(self, work: Work, setup: WorkerSetup, progress: Progress) -> None:
        self.work, self.progress, self.run = work, progress, setup.run_layout
        self.result = TrainResult()

    def orders(self, entries: Iterable[PartitionEntry]) -> Iterator[Order]:
        """Orders for what must be computed; all else is settled on the way."""
        finished = {
            name.removesuffix(".json") for name in self.work.storage.names(self.run.records)
        }
        names = self.work.storage.names(self.run.attempts)
        tries = Counter(name.rpartition("-")[0] for name in names)
        for entry in entries:
            partition_id = entry.key.partition_id
            if partition_id in finished:
                self.result.finished += 1
                self.progress.advance(1)
            elif not self._settled(entry, Order(partition_id, tries[partition_id] + 1)):
                yield Order(partition_id, tries[partition_id] + 1)

    def _settled(self, entry: PartitionEntry, order: Order) -> bool:
        settled = settle_untrained(self.work, entry)
        if settled is None:
            return False
        record, cached = settled
        note_attempt(self.work, self.run, order, record.status, cached, 0.0)
        write_record(self.work, self.run, record)
        self._count(record.status, cached)
        return True

    def on_report(self, report: Report) -> None:
        """A worker is done with a partition."""
        note = "" if report.status == "trained" else f"{report.status}: {report.reason}"
        self._count(report.status, report.cached, note)

    def on_death(self, order: Order, exit_code: int) -> None:
        """A worker died under a partition; if it was alone, that partition has failed."""
        note_attempt(self.work, self.run, order, "lost", "none", 0.0)
        if order.alone:
            entries = {entry.key.partition_id: entry for entry in self.work.index.entries}
            key = entries[order.partition_id].key
            record = PartitionRecord(key, "failed", "worker_died", death_message(exit_code))
            write_record(self.work, self.run, record)
            self._count("failed", "none", "failed: worker_died")

    def _count(self, status: str, cached: str, note: str = "") -> None:
        self.result.statuses[status] += 1
        self.result.cached[cached] += 1
        self.progress.advance(1, note)
