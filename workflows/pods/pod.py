"""The context of every step in a pod: record, log, retry budget and the cause of its end."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from steps.contract import RunAddress
from steps.errors import (
    LargerClassError,
    OutOfDiskError,
    OutOfMemoryError,
    PreemptedError,
    RefeedError,
    TransientError,
    UnavailableError,
    internal_error,
)
from steps.records import RunRecord
from steps.run_context import RunContext
from steps.runtime.log import RunLog
from steps.storage.base import Storage, storage_for
from steps.stores.base import ExperimentStore, open_store
from workflows.planning.run_files import now
from workflows.pods import environment as env
from workflows.pods.environment import Platform, check_isolation, pod_info
from workflows.pods.pod_ledger import Ledger

_MAX_BACKOFF_SECONDS = 60.0


@dataclass
class Pod:
    """A pod that executes one step of a run.

    Attributes:
        context: context of the run.
        platform: the part of the installation that the run needs.
        ledger: records of the step's pods, including this one.
        log: structured log, which outlives the pod.
    """

    context: RunContext
    platform: Platform
    ledger: Ledger
    log: RunLog

    @property
    def address(self) -> RunAddress:
        """Address of the run."""
        return self.context.address

    @property
    def storage(self) -> Storage:
        """Storage of the project's artifacts."""
        return self.context.storage

    @property
    def store(self) -> ExperimentStore:
        """Experiment store of the project."""
        return self.context.store

    def too_many_evictions(self, causes: AbstractSet[str], allowed: int) -> str:
        """Return why the step must not go on: its pods were evicted too often. Empty if it may.

        Each attempt repeats the work since the last checkpoint, which may be billed.

        Args:
            causes: the causes of ``PodRecord.cause`` that count.
            allowed: how many earlier pods may have ended by them, in addition to
                ``execution.retries``.
        """
        count = self.ledger.ended_by(causes)
        if count <= self.platform.retries + allowed:
            return ""
        times = "once" if count == 1 else f"{count} times"
        return (
            f"Its pods were evicted {times} for lack of disk. Last time: "
            f"{self.ledger.last_message.strip()}"
        )

    @property
    def has_retries_left(self) -> bool:
        """True if another pod may retry after a transient error."""
        return self.ledger.counted < self.platform.retries


@contextmanager
def open_pod(address: RunAddress, step: str, shard: str = "") -> Iterator[Pod]:
    """Open the pod of a step, and close it with the cause of its end.

    Args:
        address: address of the run.
        step: ``check``, ``split``, ``train`` or ``collect``.
        shard: the shard of a training pod, such as ``small-00003``.

    Raises:
        SpecError: the run is outside this namespace's project.
        UnavailableError: a transient error occurred, and no retries are left.
        OutOfDiskError: the step was evicted too often, or from the largest resource class.
        RefeedError: the step's own error.
    """
    name = f"{step}-{shard}" if shard else step
    check_isolation(os.environ, address.project, address.root)
    platform = Platform.read(os.environ)
    storage = storage_for(address.root)
    ledger = Ledger(address.run_layout, storage, pod_info(os.environ, name))
    with RunLog(storage, address.run_layout.log(name), name) as log:
        store = open_store(address.layout, platform.store)
        pod = Pod(RunContext(address, storage, store), platform, ledger, log)
        signal.signal(signal.SIGTERM, _on_sigterm)
        try:
            if ledger.counted:  # back off exponentially after transient failures, with jitter
                longest = min(_MAX_BACKOFF_SECONDS, 2.0**ledger.counted)
                time.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - no secret
            if not shard:  # the train step checks memory and disk for each partition
                _check_class(ledger)
                _check_evictions(pod)
            yield pod
        except BaseException as error:
            raise _close(pod, error) from error
    ledger.close("done")


def _check_evictions(pod: Pod) -> None:
    """Check that full nodes did not evict the step too often.

    Raises:
        OutOfDiskError: they did. A step that used more disk than its class has is none of these:
            it gets a larger class.
    """
    evicted = pod.too_many_evictions({"evicted"}, 0)
    if evicted:
        raise OutOfDiskError(
            f"The step cannot go on. {evicted}",
            hint="Use nodes with larger disks, or raise ephemeral_storage of the step's resource "
            "class, so that fewer pods share a node.",
        )


def _check_class(ledger: Ledger) -> None:
    """Check that this pod is larger than earlier pods that ran out of memory or disk.

    Raises:
        LargerClassError: this pod is too small.
        OutOfMemoryError: the pod in the largest class ran out of memory.
        OutOfDiskError: the pod in the largest class used more disk than it may.
    """
    needed = ledger.class_offset
    if needed > int(os.environ.get(env.LARGEST_CLASS_OFFSET) or 0):
        raise _too_large(ledger)
    if needed > ledger.record.class_offset:
        raise LargerClassError(needed)


def _too_large(ledger: Ledger) -> RefeedError:
    largest = [each for each in ledger.earlier if each.class_offset == ledger.class_offset - 1]
    if any(each.cause == "disk" for each in largest):
        return OutOfDiskError(
            "The step needs more disk than the largest resource class has "
            f"({ledger.last_message.strip().rstrip('.')}).",
            hint="Raise ephemeral_storage of the class in the installation file. A split copies "
            "its source to the pod's disk unless the source is in BigQuery.",
        )
    return OutOfMemoryError(
        "The step ran out of memory in the largest resource class.",
        hint="Add a larger class to the installation file, or choose another for the step.",
    )


def _on_sigterm(_number: int, _frame: object) -> None:
    raise PreemptedError(
        "The pod was stopped. Argo restarts it, and it resumes. You need not do anything."
    )


def _close(pod: Pod, error: BaseException) -> BaseException:
    """Record the cause of the pod's end, and return the error to raise."""
    cause = cause_of(error)
    if cause in {"transient", "error"} and not pod.has_retries_left:
        error = UnavailableError(
            f"The step failed {pod.ledger.counted + 1} times with a transient error. Last error: "
            f"{error}",
            hint="Resume with `refeed retry RUN`. execution.retries sets how often a step is "
            "retried.",
        )
        cause = "failed"
    elif isinstance(error, Exception) and not isinstance(error, RefeedError):
        error = internal_error(error)
    with suppress(RefeedError):  # report the first error
        pod.ledger.close(cause)
        if cause == "failed":
            put_failed(pod.store, pod.address, error)
    return error


def cause_of(error: BaseException) -> str:
    """Return the value of ``PodRecord.cause`` for an error."""
    if isinstance(error, PreemptedError):
        return "preempted"
    if isinstance(error, LargerClassError):
        return "more_memory"
    if isinstance(error, TransientError):
        return "transient"
    is_known = isinstance(error, RefeedError) and error.exit_code != RefeedError.exit_code
    return "failed" if is_known else "error"


def put_failed(store: ExperimentStore, address: RunAddress, error: BaseException) -> None:
    """Record in the store that the run has failed, unless the run has already ended.

    The first error is kept, and a pod that could not resume an ended run does not change it.
    """
    record = find(store, address) or new_record(address)
    if not record.ended:
        store.put(replace(record, status="failed", ended=now(), message=str(error)))


def new_record(address: RunAddress) -> RunRecord:
    """Return the record of a run that the store does not have yet."""
    return RunRecord(
        project=address.project,
        experiment=address.experiment,
        run=address.run,
        spec_hash="",
        dataset="",
        status="running",
        started=now(),
    )


def find(store: ExperimentStore, address: RunAddress) -> RunRecord | None:
    """Return the store's record of a run, or None."""
    return store.get(address.experiment, address.run)
