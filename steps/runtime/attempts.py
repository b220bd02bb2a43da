"""Attempts at partitions: one object when an attempt begins, another when it ends.

They are two objects because object storage accepts one write per second and object, and a small
partition is trained faster than that.
"""

from __future__ import annotations

import json
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from typing import Literal

from steps.contract import RunLayout
from steps.records import canonical_json
from steps.storage.base import Storage

BEGUN = "begun"
"""Outcome of an attempt that is running, or was when its pod was killed."""


@dataclass(frozen=True)
class Attempt:
    """One attempt at one partition. It differs from run to run, so it is not part of ``tables/``.

    Attributes:
        partition_id: id of the partition.
        attempt: number of the attempt within the run, from 1.
        outcome: ``begun`` while it runs; then the record's status, or the reason for another
            attempt; ``lost`` if the worker died; ``dropped`` if the pod had to stop.
        cached: ``full`` (nothing computed), ``fit`` (only explained) or ``none``.
        seconds: wall time.
        peak_memory_mib: peak memory of the worker process so far.
        worker: process id, or the pod's name.
        cpu: the processor's model name.
        shard: shard of the partition.
        class_offset: number of resource classes by which the pod was larger than the shard's own.
        alone: true if no other partition was trained in the pod at the same time.
    """

    partition_id: str
    attempt: int
    outcome: str
    cached: Literal["full", "fit", "none"]
    seconds: float
    peak_memory_mib: float
    worker: str
    cpu: str
    shard: str = ""
    class_offset: int = 0
    alone: bool = False

    def to_json(self) -> str:
        """Return the text that is stored under ``marks/`` and ``attempts/``."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Attempt:
        """Read what ``to_json`` wrote, also under a field's earlier name."""
        old = {"memory_step": "class_offset"}
        return cls(**{old.get(name, name): value for name, value in json.loads(text).items()})


def record_attempt(storage: Storage, run: RunLayout, attempt: Attempt) -> None:
    """Record the beginning or the end of an attempt."""
    uri_of = run.started_attempt if attempt.outcome == BEGUN else run.attempt
    storage.write(uri_of(attempt.partition_id, attempt.attempt), attempt.to_json().encode())


def attempt_uris(storage: Storage, run: RunLayout) -> dict[str, str]:
    """Return the URI of each attempt by name, sorted: of its end if it has ended."""
    uris = {name: f"{run.started_attempts}/{name}" for name in storage.names(run.started_attempts)}
    uris |= {name: f"{run.attempts}/{name}" for name in storage.names(run.attempts)}
    return {name: uris[name] for name in sorted(uris)}


def delete_attempts(storage: Storage, run: RunLayout, partition_ids: AbstractSet[str]) -> None:
    """Delete all attempts at some partitions; ends first, so that it can be repeated."""
    for folder in (run.attempts, run.started_attempts):
        for name in storage.names(folder):
            if partition_and_number(name)[0] in partition_ids:
                storage.delete(f"{folder}/{name}")


def partition_and_number(name: str) -> tuple[str, int]:
    """Return the partition of an attempt, and the attempt's number, which counts from 1."""
    partition_id, _, number = name.removesuffix(".json").rpartition("-")
    return partition_id, int(number)
