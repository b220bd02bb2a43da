"""Records of pods and the causes of their ends, from which the retry budget is computed.

Argo counts retries regardless of their cause, so the budget is kept here. If a pod was killed
before it could record the cause, Argo passes the cause to the next pod.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace

from steps.contract import RunLayout
from steps.records import PodRecord
from steps.runtime.pod_end import DISK, cause_in
from steps.storage.base import Storage, read_parsed
from workflows.planning.run_files import now

COUNTED = {"transient", "error"}
"""Causes that count towards the retry budget. Lost, preempted and out of memory do not."""


@dataclass(frozen=True)
class PodInfo:
    """Information that Argo passes to a pod.

    Attributes:
        name: name of the pod.
        workflow: name of its workflow.
        step: step and shard, such as ``split`` or ``train-small-00003``.
        resource_class: name of its resource class.
        class_offset: number of classes by which it is larger than the step's own.
        last_message: message of the previous pod; empty if this is no retry.
        last_status: status of the previous pod; ``Running`` if that pod was lost and this one
            has its name.
    """

    name: str
    workflow: str
    step: str
    resource_class: str
    class_offset: int
    last_message: str
    last_status: str

    @property
    def last_cause(self) -> str:
        """Cause of the previous pod's end if Argo's message names it; ``lost`` otherwise."""
        named = cause_in(self.last_message) if self.last_status != "Running" else ""
        return named or "lost"


class Ledger:
    """Records of the pods of one step of a workflow, including the current one.

    Args:
        run: layout of the run, which has the records.
        storage: storage of the run.
        info: information about the current pod.
    """

    def __init__(self, run: RunLayout, storage: Storage, info: PodInfo) -> None:
        self._run, self._storage = run, storage
        prefix = f"{info.workflow}.{info.step}."
        names = [name for name in storage.names(run.pods) if name.startswith(prefix)]
        uris = [f"{run.pods}/{name}" for name in names]
        self.earlier = [read_parsed(storage, uri, PodRecord.from_json) for uri in uris]
        for i, record in enumerate(self.earlier):
            if not record.cause:  # the pod was killed
                self._amend(i, info.last_cause)
        # The kubelet ends an evicted pod as it ends a preempted one: the pod cannot tell why.
        if self.earlier and self.earlier[-1].cause == "preempted" and info.last_cause in DISK:
            self._amend(-1, info.last_cause)
        self.last_message = info.last_message
        number = max((each.number for each in self.earlier), default=0) + 1
        self.record = PodRecord(
            pod=info.name,
            workflow=info.workflow,
            step=info.step,
            number=number,
            resource_class=info.resource_class,
            class_offset=info.class_offset,
            began=now(),
        )
        self._write(self.record)

    def _amend(self, position: int, cause: str) -> None:
        """Record the cause of an earlier pod's end."""
        ended = self.earlier[position].ended or now()
        self.earlier[position] = replace(self.earlier[position], cause=cause, ended=ended)
        self._write(self.earlier[position])

    def ended_by(self, causes: AbstractSet[str]) -> int:
        """Return the number of earlier pods that ended by one of the causes."""
        return sum(each.cause in causes for each in self.earlier)

    @property
    def counted(self) -> int:
        """Number of earlier pods that count towards the retry budget."""
        return sum(each.cause in COUNTED for each in self.earlier)

    @property
    def previous_end(self) -> str:
        """Cause of the previous pod's end; empty if there was none."""
        return self.earlier[-1].cause if self.earlier else ""

    @property
    def evicted(self) -> frozenset[str]:
        """Names of earlier pods that used more disk than they may."""
        return frozenset(each.pod for each in self.earlier if each.cause == "disk")

    @property
    def class_offset(self) -> int:
        """Class offset that the step needs: one more than the largest that was too small."""
        offsets = [each.class_offset for each in self.earlier if each.cause in {"memory", "disk"}]
        return max(offsets) + 1 if offsets else 0

    def update(self, done: int, total: int, failed: int) -> None:
        """Record the progress of this pod, in partitions."""
        statuses = {"failed": failed} if failed else {}
        self.record = replace(self.record, done=done, total=total, statuses=statuses)
        self._write(self.record)

    def close(self, cause: str) -> None:
        """Record the cause of this pod's end, unless the next pod knows it better.

        A busy kubelet may end an evicted pod so slowly that its successor has begun: the successor
        has the cause from Argo, and this pod takes the signal for a preemption.
        """
        if cause == "preempted" and self._stored_cause():
            return
        self.record = replace(self.record, cause=cause, ended=now())
        self._write(self.record)

    def _stored_cause(self) -> str:
        uri = self._run.pod(self.record.workflow, self.record.step, self.record.number)
        return read_parsed(self._storage, uri, PodRecord.from_json).cause

    def _write(self, record: PodRecord) -> None:
        uri = self._run.pod(record.workflow, record.step, record.number)
        self._storage.write(uri, record.to_json().encode())
