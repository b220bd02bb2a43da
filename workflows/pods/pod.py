"""Around every step in a pod: its record, its log, its budget, and what its end is called."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

from steps.contract import RunAddress
from steps.errors import (
    MoreMemoryError,
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

_LONGEST_WAIT_SECONDS = 60.0


@dataclass
class Pod:
    """What a step in a pod works with.

    Attributes:
        context: of the run.
        platform: what the run needs of the installation.
        ledger: the pods of this step, and the record of this one.
        log: structured lines that outlive the pod.
    """

    context: RunContext
    platform: Platform
    ledger: Ledger
    log: RunLog

    @property
    def address(self) -> RunAddress:
        """The run's address."""
        return self.context.address

    @property
    def storage(self) -> Storage:
        """Of the project's artifacts."""
        return self.context.storage

    @property
    def store(self) -> ExperimentStore:
        """Of the project."""
        return self.context.store

    @property
    def budget_left(self) -> bool:
        """Whether a later pod may try again what fails for a passing reason."""
        return self.ledger.counted < self.platform.retries


@contextmanager
def pod(address: RunAddress, step: str) -> Iterator[Pod]:
    """Open a step's pod, and close it with the cause of its end.

    Args:
        address: of the run.
        step: such as ``split`` or ``train-small-00003``.

    Raises:
        SpecError: the run lies outside this namespace's project.
        UnavailableError: it failed for a passing reason once too often.
        RefeedError: whatever the step raises.
    """
    check_isolation(os.environ, address.project, address.root)
    platform = Platform.read(os.environ)
    storage = storage_for(address.root)
    ledger = Ledger(address.run_layout, storage, pod_info(os.environ, step))
    with RunLog(storage, address.run_layout.log(step), step) as log:
        store = open_store(address.layout, platform.store)
        here = Pod(RunContext(address, storage, store), platform, ledger, log)
        signal.signal(signal.SIGTERM, _stop)
        try:
            _wait_after(ledger.counted)
            if not step.startswith("train"):  # which looks at each partition
                _check_memory(ledger)
            yield here
        except BaseException as error:
            raise _closed(here, error) from error
    ledger.close("done")


def _check_memory(ledger: Ledger) -> None:
    """A step that was killed for memory goes on with more, or not at all.

    Raises:
        MoreMemoryError: the pod is too small.
        OutOfMemoryError: the largest pod is.
    """
    needed = ledger.class_offset
    if needed > int(os.environ.get(env.LARGEST_CLASS_OFFSET) or 0):
        raise OutOfMemoryError(
            "It ran out of memory in the largest resource class.",
            hint="Add a larger class to the installation, or name one for the step in `steps`.",
        )
    if needed > ledger.record.class_offset:
        raise MoreMemoryError(needed)


def _stop(_number: int, _frame: object) -> None:
    raise PreemptedError("The pod was told to stop; it is started again and goes on.")


def _wait_after(failures: int) -> None:
    """Wait twice as long after each passing failure, and not all pods equally long."""
    if failures:
        longest = min(_LONGEST_WAIT_SECONDS, 2.0**failures)
        time.sleep(random.uniform(longest / 2, longest))  # noqa: S311 - no secret


def _closed(here: Pod, error: BaseException) -> BaseException:
    """Write down the cause; the error that the pod ends with."""
    cause = cause_of(error)
    if cause in {"transient", "error"} and not here.budget_left:
        error = UnavailableError(
            f"It failed {here.ledger.counted + 1} times for a passing reason, the last time: "
            f"{error}",
            hint="execution.retries is the budget. `refeed retry RUN` goes on where it stopped.",
        )
        cause = "failed"
    elif isinstance(error, Exception) and not isinstance(error, RefeedError):
        error = internal_error(error)
    with suppress(RefeedError):  # the first error is the one to tell
        here.ledger.close(cause)
        if cause == "failed":
            put_failed(here.store, here.address, error)
    return error


def cause_of(error: BaseException) -> str:
    """Why a pod ends, in one of the words of ``PodRecord.cause``."""
    if isinstance(error, PreemptedError):
        return "preempted"
    if isinstance(error, MoreMemoryError):
        return "more_memory"
    if isinstance(error, TransientError):
        return "transient"
    return "failed" if isinstance(error, RefeedError) and error.exit_code != 70 else "error"  # noqa: PLR2004


def put_failed(store: ExperimentStore, address: RunAddress, error: BaseException) -> None:
    """Tell the store that the run has failed, and why, unless it has an end already.

    The first reason is the one to tell; and a pod that was not let go on with an earlier run has
    not made that one fail.
    """
    known = find(store, address) or unknown(address)
    if not known.ended:
        store.put(replace(known, status="failed", ended=now(), message=str(error)))


def unknown(address: RunAddress) -> RunRecord:
    """A run of which the store knows nothing yet."""
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
    """What the store knows of a run."""
    return store.get(address.experiment, address.run)
