"""Attempts at partitions, recorded when they end."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Literal

from steps.records import canonical_json, digest


@dataclass(frozen=True)
class Attempt:
    """One attempt at one partition. It differs from run to run, so it is not part of ``tables/``.

    Attributes:
        partition_id: id of the partition.
        attempt: number of the attempt within the run, from 1.
        outcome: the record's status, or the reason for another attempt; ``lost`` if the worker or
            its pod died; ``dropped`` if the pod had to stop.
        cached: ``full`` (nothing computed), ``fit`` (only explained) or ``none``.
        seconds: wall time.
        peak_memory_mib: peak memory of the worker process so far.
        worker: process id, or the pod's name.
        cpu: the processor's model name.
        shard: shard of the partition.
        class_offset: number of resource classes by which the pod was larger than the shard's own.
        alone: true if no other partition was trained in the pod at the same time.
        cpu_seconds: CPU time of the worker process; 0 if it is not known.
        queued_seconds: part of ``seconds`` for which the worker waited for a CPU that others used.
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
    cpu_seconds: float = 0.0
    queued_seconds: float = 0.0

    @property
    def busy_seconds(self) -> float:
        """Time that the attempt would take on a CPU of its own."""
        return busy_seconds(self.seconds, self.cpu_seconds, self.queued_seconds)

    @property
    def digest(self) -> str:
        """Eight hex digits that tell two ends of one attempt apart."""
        return digest(asdict(self), 8)

    def to_json(self) -> str:
        """Return the text that is stored."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Attempt:
        """Read what ``to_json`` wrote."""
        return cls(**json.loads(text))


def busy_seconds(seconds: float, cpu_seconds: float, queued_seconds: float) -> float:
    """Return the time that work would take on a CPU of its own.

    It includes waiting, such as for a GPU. The clocks of a short piece of work disagree by a few
    milliseconds, so it is never less than the CPU time.

    Args:
        seconds: wall time.
        cpu_seconds: CPU time of all threads.
        queued_seconds: part of the wall time in which other processes used the CPU.
    """
    return max(seconds - queued_seconds, min(cpu_seconds, seconds))
