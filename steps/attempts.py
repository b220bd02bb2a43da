"""Tries at partitions, where a run keeps them: a mark when one begins, a record when it ends.

They are two objects, since object storage takes one write per second of one name, and a small
partition is trained faster than that.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from steps.contract import RunLayout
from steps.records import Attempt
from steps.storage import Storage

BEGUN = "begun"
"""Outcome of a try that is under way, or was when its pod was killed."""


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
