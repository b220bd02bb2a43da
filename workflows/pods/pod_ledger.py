"""One record per pod: why each ended, so that budgets are kept by cause and survive everything.

The workflow engine counts retries whatever caused them; the budget is kept here. What killed a pod
that could not say so itself is known to the engine, which tells the next pod.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from steps.contract import RunLayout
from steps.records import PodRecord
from steps.storage.base import Storage, read_parsed

COUNTED = {"transient", "error"}
"""Causes that use up the budget of retries. Lost and preempted pods do not, nor does memory."""


@dataclass(frozen=True)
class PodInfo:
    """What the workflow engine tells a pod.

    Attributes:
        name: of the pod.
        workflow: that it belongs to.
        step: such as ``split`` or ``train-small-00003``.
        resource_class: its name.
        class_offset: by how many classes it is larger than the step's own.
        last_message: of the pod before it, if it is a retry; empty if not.
        last_status: of the pod before it. ``Running`` if the pod vanished, and this one has
            its name.
    """

    name: str
    workflow: str
    step: str
    resource_class: str
    class_offset: int
    last_message: str
    last_status: str

    @property
    def killed_for_memory(self) -> bool:
        """Whether the pod before this one was killed since it ran out of memory."""
        return "OOMKilled" in self.last_message and self.last_status != "Running"


class Ledger:
    """The pods of one step of a workflow, and the entry of this one.

    Args:
        run: where the records lie.
        storage: of the run.
        facts: what the engine tells.
    """

    def __init__(self, run: RunLayout, storage: Storage, facts: PodInfo) -> None:
        self._run, self._storage, self._facts = run, storage, facts
        self.earlier = self._earlier()
        number = max((each.number for each in self.earlier), default=0) + 1
        self.record = PodRecord(
            pod=facts.name,
            workflow=facts.workflow,
            step=facts.step,
            number=number,
            resource_class=facts.resource_class,
            class_offset=facts.class_offset,
            began=_now(),
        )
        self._write(self.record)

    @property
    def counted(self) -> int:
        """Earlier pods whose end used up the budget."""
        return sum(each.cause in COUNTED for each in self.earlier)

    @property
    def killed_for_memory(self) -> bool:
        """Whether the pod right before this one was killed since it ran out of memory."""
        return bool(self.earlier) and self.earlier[-1].cause == "memory"

    @property
    def class_offset(self) -> int:
        """How many classes larger than the step's own it takes, for all that is known."""
        killed = [each.class_offset for each in self.earlier if each.cause == "memory"]
        return max(killed) + 1 if killed else 0

    def update(self, done: int, total: int, statuses: Mapping[str, int]) -> None:
        """Tell how far this pod has come."""
        self.record = replace(self.record, done=done, total=total, statuses=dict(statuses))
        self._write(self.record)

    def close(self, cause: str) -> None:
        """Tell why this pod ends."""
        self.record = replace(self.record, cause=cause, ended=_now())
        self._write(self.record)

    def _earlier(self) -> list[PodRecord]:
        prefix = f"{self._facts.workflow}.{self._facts.step}."
        names = [name for name in self._storage.names(self._run.pods) if name.startswith(prefix)]
        uris = [f"{self._run.pods}/{name}" for name in names]
        found = [read_parsed(self._storage, uri, PodRecord.from_json) for uri in uris]
        return [self._settled(each) for each in found]

    def _settled(self, record: PodRecord) -> PodRecord:
        """An earlier pod that could not say why it ended: it was killed."""
        if record.cause:
            return record
        cause = "memory" if self._facts.killed_for_memory else "lost"
        settled = replace(record, cause=cause, ended=_now())
        self._write(settled)
        return settled

    def _write(self, record: PodRecord) -> None:
        uri = self._run.pod(record.workflow, record.step, record.number)
        self._storage.write(uri, record.to_json().encode())


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
