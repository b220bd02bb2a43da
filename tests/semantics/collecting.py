"""A collect in a process of its own, which reports its progress."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from steps.collect.step import collect
from steps.contract import ProjectLayout, RunAddress
from steps.records import RunRecord
from steps.results.partition_result import PartitionResult
from steps.run_context import RunContext
from steps.runtime.progress import NoProgress
from steps.storage.local import LocalStorage
from steps.stores.firestore import FirestoreStore

WRITES = 2
"""Documents in a commit: few, so that there are many instants to be killed at."""


@dataclass
class ScopeTables:
    """A store that reports when collect begins and ends writing."""

    store: FirestoreStore
    to: Connection

    def put_results(self, experiment: str, run: str, results: Iterable[PartitionResult]) -> None:
        self.to.send("begun")
        self.store.put_results(experiment, run, results)

    def put(self, record: RunRecord) -> None:
        self.store.put(record)
        self.to.send("ended")

    def __getattr__(self, name: str) -> Any:
        """All else is the store's."""
        return getattr(self.store, name)


def collect_and_tell(root: str, run_id: str, uri: str, address: str, to: Connection) -> None:
    """Collect a run into a database of the emulator's."""
    os.environ["FIRESTORE_EMULATOR_HOST"] = address
    project = ProjectLayout(root, "lab")
    store: Any = ScopeTables(FirestoreStore(project, uri, writes=WRITES), to)
    run = RunAddress(root, "lab", "trial", run_id)
    collect(RunContext(run, LocalStorage(), store), "table", NoProgress())
