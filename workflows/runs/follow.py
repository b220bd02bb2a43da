"""Following a run to its end: what its folder and its cluster tell, told to whoever watches."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
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
from workflows.cluster.base import Cluster
from workflows.cluster.diagnose import diagnose
from workflows.runs.find import RunProgress, Watch
from workflows.runs.submit import ENDED, Submitted

SECONDS_BETWEEN_LOOKS = 2.0
_PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class View:
    """What there is to see of a run at one moment.

    Attributes:
        phase: of the workflow.
        step: that is under way: ``check``, ``split``, ``train``, ``collect`` or ``finish``.
        advance: how far it has come.
        seconds_left: until all partitions are done with, if it goes on like this; None if nobody
            can tell yet.
        problems: what is wrong just now, a sentence each.
    """

    phase: str
    step: str
    advance: RunProgress
    seconds_left: float | None
    problems: tuple[str, ...]


class Watcher(Protocol):
    """Shows views."""

    def show(self, view: View) -> None:
        """The run looks like this now."""

    def end(self) -> None:
        """Nothing more comes."""


@dataclass(frozen=True)
class RunEnd:
    """The end of a run.

    Attributes:
        status: of the workflow.
        message: why it failed; empty if it did not.
        outcome: what came of it; None if it did not come to collect.
    """

    status: str
    message: str
    outcome: Outcome | None

    def raise_for_failure(self) -> None:
        """Raise if the run did not end well.

        Raises:
            TooManyFailuresError: more partitions failed than the spec allows.
            RunFailedError: it came to no end, or was stopped.
        """
        if self.status == "Succeeded":
            return
        if self.outcome and self.outcome.too_many_failed:
            raise TooManyFailuresError(
                f"{self.message} That is more than execution.max_failed_fraction allows. "
                "The tables are written all the same.",
                hint=f"The reasons are in {self.outcome.tables}/partitions.csv.",
            )
        raise RunFailedError(
            f"The run ended as {self.status}: {self.message or 'nobody said why'}",
            hint="`refeed logs RUN` shows what its steps logged, `refeed retry RUN` goes on.",
        )


def follow(submitted: Submitted, cluster: Cluster, watcher: Watcher) -> RunEnd:
    """Watch a run until its workflow has ended.

    Raises:
        MissingInputError: somebody deleted the workflow.
        RefeedError: the cluster does not answer for minutes.
    """
    watch, pace = Watch(submitted.address), _Pace()
    try:
        while True:
            workflow = _ask(cluster, submitted)
            phase = workflow.get("status", {}).get("phase") or "Pending"
            advance = _patiently(watch.look, submitted)
            watcher.show(
                View(
                    phase=phase,
                    step=_step(workflow),
                    advance=advance,
                    seconds_left=pace.left(advance),
                    problems=tuple(diagnose(workflow, _age(workflow))),
                )
            )
            if phase in ENDED:
                return _ended(submitted, workflow)
            time.sleep(SECONDS_BETWEEN_LOOKS)
    finally:
        watcher.end()


Looked = TypeVar("Looked")


def _patiently(look: Callable[[], Looked], submitted: Submitted) -> Looked:
    """Look at cluster or storage, and retry for minutes if they do not answer.

    Raises:
        UnavailableError: they still do not answer; the run itself continues.
    """
    try:
        return retry_call(
            look,
            is_transient=lambda error: isinstance(error, TransientError | UnavailableError),
            first_pause=SECONDS_BETWEEN_LOOKS,
            longest_pause=SECONDS_BETWEEN_LOOKS,
            timeout=_PATIENCE_SECONDS,
            sleep=lambda seconds: time.sleep(seconds),  # noqa: PLW0108 - looked up at each call
        )
    except (TransientError, UnavailableError) as error:
        run = submitted.address.run
        raise UnavailableError(
            f"No longer following the run {run}, which continues: {error.message}",
            hint=f"Do not submit it again. To look at it later: refeed status {run}",
        ) from error


def _age(workflow: dict[str, Any]) -> float:
    """Seconds since the workflow was created."""
    created = datetime.fromisoformat(workflow["metadata"]["creationTimestamp"])
    return (datetime.now(UTC) - created).total_seconds()


def _ask(cluster: Cluster, submitted: Submitted) -> dict[str, Any]:
    """The workflow."""
    found = _patiently(lambda: cluster.workflow(submitted.namespace, submitted.workflow), submitted)
    if found is None:
        raise MissingInputError(
            f"Somebody deleted the workflow {submitted.workflow!r}.",
            hint=f"What is finished is kept: refeed retry {submitted.address.run}",
        )
    return found


def _step(workflow: dict[str, Any]) -> str:
    """The step that is under way: of the last node that is not done with."""
    nodes = workflow.get("status", {}).get("nodes") or {}
    under_way = [
        node["templateName"].partition("-")[0]
        for node in nodes.values()
        if node.get("type") == "Pod" and node.get("phase") in {"Pending", "Running"}
    ]
    order = ("finish", "collect", "train", "split", "check")
    return next((step for step in order if step in under_way), "check" if not nodes else "")


class _Pace:
    """Estimates the time left from the partitions done since the first look at training."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None

    def left(self, advance: RunProgress) -> float | None:
        if not advance.partitions:
            return None
        now = time.monotonic()
        if self._first is None:
            self._first = (now, advance.done)
        began, before = self._first
        made = advance.done - before
        if made <= 0:
            return None
        return (now - began) / made * (advance.partitions - advance.done)


def _ended(submitted: Submitted, workflow: dict[str, Any]) -> RunEnd:
    layout, storage = submitted.address.run_layout, storage_for(submitted.address.root)
    status = workflow["status"]["phase"]
    message = "" if status == "Succeeded" else str(workflow["status"].get("message", ""))
    outcome = None
    try:
        if storage.exists(layout.done):
            outcome = read_parsed(storage, layout.outcome, Outcome.from_json)
        # A store of its own, such as Firestore, leaves no status in the run's folder.
        place = layout.done if outcome else layout.status
        message = read_parsed(storage, place, RunRecord.from_json).message or message
    except MissingInputError:
        pass  # it was stopped before it could write anything
    except RefeedError as error:
        message = f"{message} (its folder cannot be read: {error.message})"
    return RunEnd(status, message, outcome)
