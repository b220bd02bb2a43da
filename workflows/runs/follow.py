"""Follow a run until it ends, from its folder and its cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from steps.collect.outcome import Outcome
from steps.errors import (
    MissingInputError,
    RefeedError,
    RunFailedError,
    TooManyFailuresError,
    TransientError,
    UnavailableError,
)
from steps.records import RunRecord
from steps.retry import retry_call
from steps.storage.base import read_parsed, storage_for
from workflows.cluster.base import ENDED, Cluster
from workflows.cluster.diagnose import diagnose
from workflows.runs.find import ProgressReader, RunProgress
from workflows.runs.submit import Submitted
from workflows.runs.unrecorded import age_seconds

POLL_SECONDS = 2.0
_RETRY_SECONDS = 300.0


@dataclass(frozen=True)
class View:
    """The state of a run at one moment.

    Attributes:
        phase: phase of the workflow.
        step: current step: ``check``, ``split``, ``train``, ``collect`` or ``finish``.
        progress: progress of the run.
        seconds_left: estimated seconds until all partitions are done; None if unknown.
        problems: current problems, one sentence each.
    """

    phase: str
    step: str
    progress: RunProgress
    seconds_left: float | None
    problems: tuple[str, ...]


class Watcher(Protocol):
    """A display of views."""

    def show(self, view: View) -> None:
        """Show the current state of the run."""

    def end(self) -> None:
        """Close the display."""


@dataclass(frozen=True)
class RunEnd:
    """The end of a run.

    Attributes:
        status: final phase of the workflow.
        message: reason of its failure; empty if it succeeded.
        outcome: outcome of the run; None if collect did not run.
    """

    status: str
    message: str
    outcome: Outcome | None

    def raise_for_failure(self) -> None:
        """Raise if the run did not succeed.

        Raises:
            TooManyFailuresError: more partitions failed than the spec allows.
            NothingTrainedError: no partition has a model.
            RunFailedError: the run failed or was stopped.
        """
        if self.status == "Succeeded":
            return
        if self.outcome and self.outcome.too_many_failed:
            raise TooManyFailuresError(
                f"{self.message} That is more than execution.max_failed_fraction allows. "
                "The tables have been written.",
                hint=f"The reasons are in {self.outcome.tables}/partitions.csv.",
            )
        if self.outcome and self.outcome.nothing_trained:
            self.outcome.raise_for_failures()
        raise RunFailedError(
            f"The run ended with the status {self.status}: {self.message or 'no reason reported'}",
            hint="See the logs with `refeed logs RUN`, or resume with `refeed retry RUN`.",
        )


def follow(submitted: Submitted, cluster: Cluster, watcher: Watcher) -> RunEnd:
    """Follow a run until its workflow has ended.

    Raises:
        MissingInputError: the workflow was deleted.
        RefeedError: the cluster has not responded for several minutes.
    """
    namespace, name = submitted.namespace, submitted.workflow
    reader, pace = ProgressReader(submitted.address), _Pace()
    problems: list[str] = []
    try:
        while True:
            workflow = _with_retries(lambda: cluster.workflow(namespace, name), submitted)
            if workflow is None:
                raise MissingInputError(
                    f"The workflow {name!r} was deleted. Finished work is kept.",
                    hint=f"Resume with `refeed retry {submitted.address.run}`.",
                )
            phase = workflow.get("status", {}).get("phase") or "Pending"
            progress = _with_retries(reader.read, submitted)
            current = diagnose(workflow, age_seconds(workflow))
            watcher.show(
                View(
                    phase=phase,
                    step=_step(workflow),
                    progress=progress,
                    seconds_left=pace.seconds_left(progress),
                    problems=tuple(current),
                )
            )
            if phase in ENDED:  # Argo reports a deadline, not what kept a pod from starting
                return _run_end(submitted, workflow, current or problems)
            problems = current
            time.sleep(POLL_SECONDS)
    finally:
        watcher.end()


Result = TypeVar("Result")


def _with_retries(call: Callable[[], Result], submitted: Submitted) -> Result:
    """Call the cluster or storage, with retries for several minutes.

    Raises:
        UnavailableError: there is still no response; the run itself continues.
    """
    try:
        return retry_call(
            call,
            is_transient=lambda error: isinstance(error, TransientError | UnavailableError),
            first_pause=POLL_SECONDS,
            longest_pause=POLL_SECONDS,
            timeout=_RETRY_SECONDS,
            sleep=lambda seconds: time.sleep(seconds),  # noqa: PLW0108 - looked up at each call
        )
    except (TransientError, UnavailableError) as error:
        run = submitted.address.run
        raise UnavailableError(
            f"Lost contact with the cluster: {error.message}",
            hint=f"The run {run} continues there, so do not submit it again. Check it later with "
            f"`refeed status {run}`.",
        ) from error


def _step(workflow: dict[str, Any]) -> str:
    """Return the latest step that has a pending or running pod."""
    nodes = workflow.get("status", {}).get("nodes") or {}
    active = [
        node["templateName"].partition("-")[0]
        for node in nodes.values()
        if node.get("type") == "Pod" and node.get("phase") in {"Pending", "Running"}
    ]
    order = ("finish", "collect", "train", "base", "split", "check")
    return next((step for step in order if step in active), "check" if not nodes else "")


class _Pace:
    """Estimate of the time left, from the partitions done since the first call."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def seconds_left(self, progress: RunProgress) -> float | None:
        if not progress.partitions:
            return None
        now = time.monotonic()
        if self._first is None:
            self._first = (now, progress.done)
        start, done_at_start = self._first
        done = progress.done - done_at_start
        if done <= 0:
            return None
        return (now - start) / done * (progress.partitions - progress.done)


def _run_end(submitted: Submitted, workflow: dict[str, Any], problems: list[str]) -> RunEnd:
    layout, storage = submitted.address.run_layout, storage_for(submitted.address.root)
    status = workflow["status"]["phase"]
    message = "" if status == "Succeeded" else str(workflow["status"].get("message", ""))
    outcome = None
    try:
        if storage.exists(layout.done):
            outcome = read_parsed(storage, layout.outcome, Outcome.from_json)
        # A separate store, such as Firestore, leaves no status in the run's folder.
        uri = layout.done if outcome else layout.status
        message = read_parsed(storage, uri, RunRecord.from_json).message or message
    except MissingInputError:
        pass  # the run was stopped before it wrote anything
    except RefeedError as error:
        message = f"{message} (the run's folder cannot be read: {error.message})"
    if status != "Succeeded" and outcome is None and problems:
        message = f"{message} Last problem: {problems[0]}".lstrip()
    return RunEnd(status, message, outcome)
