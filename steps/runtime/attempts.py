"""Tries at partitions, where a run keeps them: a mark when one begins, a record when it ends.

They are two objects, since object storage takes one write per second of one name, and a small
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
"""Outcome of a try that is under way, or was when its pod was killed."""


@dataclass(frozen=True)
class Attempt:
    """One try at one partition: what differs from run to run, and so stays out of ``tables/``.

    Attributes:
        partition_id: of the partition.
        attempt: counts from 1 within the run.
        outcome: ``begun`` while it is in flight; then the record's status, or the reason where it
            is tried again; ``lost`` when the worker died under it; ``dropped`` when the pod had to
            stop.
        cached: ``full`` (nothing computed), ``fit`` (only explained) or ``none``.
        seconds: wall time.
        peak_memory_mib: of the worker process so far.
        worker: process id, or name of the pod.
        cpu: the processor's model name.
        shard: that it belongs to.
        class_offset: in which class it was tried: so many larger than the shard's own.
        alone: no other partition was in flight in its pod.
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
        """The text that is stored under ``marks/`` and ``attempts/``."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Attempt:
        """Read what ``to_json`` wrote, also before a field was renamed."""
        old = {"memory_step": "class_offset"}
        return cls(**{old.get(name, name): value for name, value in json.loads(text).items()})


def note(storage: Storage, run: RunLayout, attempt: Attempt) -> None:
    """Write a try down: its begin or, beside that, its end."""
    place = run.mark if attempt.outcome == BEGUN else run.attempt
    storage.write(place(attempt.partition_id, attempt.attempt), attempt.to_json().encode())


def tries(storage: Storage, run: RunLayout) -> dict[str, str]:
    """The URI of each try by its name, in the order of the names: that of its end if it has one."""
    uris = {name: f"{run.marks}/{name}" for name in storage.names(run.marks)}
    uris |= {name: f"{run.attempts}/{name}" for name in storage.names(run.attempts)}
    return {name: uris[name] for name in sorted(uris)}


def forget(storage: Storage, run: RunLayout, partition_ids: AbstractSet[str]) -> None:
    """Remove what is known of tries at these partitions; ends first, so that it can be gone on."""
    for folder in (run.attempts, run.marks):
        for name in storage.names(folder):
            if partition_and_number(name)[0] in partition_ids:
                storage.delete(f"{folder}/{name}")


def partition_and_number(name: str) -> tuple[str, int]:
    """Of which partition a try is, and its number, which counts from 1."""
    partition_id, _, number = name.removesuffix(".json").rpartition("-")
    return partition_id, int(number)
