"""Structured logs, kept in the run's folder so that they outlive the process."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from steps.records import Json, canonical_json
from steps.storage.base import Storage

_SECONDS_BETWEEN_WRITES = 30.0

POD_VARIABLE = "REFEED_POD"
"""The environment variable with the pod's name; not set on a laptop."""


def writer_name() -> str:
    """Return the name of the pod, or the process id on a laptop."""
    return os.environ.get(POD_VARIABLE) or str(os.getpid())


class RunLog:
    """One JSON object per line: time, step, event, and the event's own fields.

    Args:
        storage: storage of the run.
        uri: URI of the log; made unique per writer, so that a later attempt adds a file.
        step: name of the step.
    """

    def __init__(self, storage: Storage, uri: str, step: str) -> None:
        self._storage, self._step = storage, step
        self._uri = uri.replace(".jsonl", f"-{writer_name()}-{time.time_ns():x}.jsonl")
        self._lines: list[str] = []
        self._written = 0.0

    def event(self, name: str, **fields: Json) -> None:
        """Add a line to the log."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        self._lines.append(
            canonical_json({"time": now, "step": self._step, "event": name, **fields})
        )
        if time.monotonic() - self._written > _SECONDS_BETWEEN_WRITES:
            self.flush()

    def flush(self) -> None:
        """Write all lines so far."""
        content = "".join(f"{line}\n" for line in self._lines)
        self._storage.write(self._uri, content.encode("utf-8", "surrogatepass"))
        self._written = time.monotonic()

    def __enter__(self) -> Self:
        self.event("begin")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.event("error", type=type(error).__name__, message=str(error))
        self.event("end", ok=error is None)
        self.flush()
