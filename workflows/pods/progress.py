"""Progress in a pod, reported in its log, to Argo and in the pod's record."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from workflows.pods.pod_ledger import Ledger

ARGO_FILE = "ARGO_PROGRESS_FILE"
"""Variable with the path of a file from which Argo reads ``done/total``."""
_SECONDS_BETWEEN_REPORTS = 3.0
_SECONDS_BETWEEN_RECORDS = 30.0
"""The pod's record is an object: each update is a write that Cloud Storage charges for."""


class PodProgress:
    """Progress of a step in a pod.

    Args:
        ledger: ledger of a training pod, whose units are partitions; None for other steps, whose
            progress is not reported to Argo.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        self._ledger = ledger
        self._failed = 0

    def begin(self, step: str, unit: str, total: int | None) -> None:
        """See ``steps.runtime.progress.Progress``."""
        self._step, self._unit, self._total, self._done = step, unit, total or 0, 0
        self._report()
        self._record()

    def advance(self, units: int, note: str = "", *, failed: int = 0) -> None:
        """See ``steps.runtime.progress.Progress``."""
        if note:
            sys.stderr.write(f"{self._step}: {note}\n")
        self._done += units
        self._failed += failed
        if time.monotonic() - self._last_report >= _SECONDS_BETWEEN_REPORTS:
            self._report()
        if time.monotonic() - self._last_record >= _SECONDS_BETWEEN_RECORDS:
            self._record()

    def end(self) -> None:
        """See ``steps.runtime.progress.Progress``."""
        self._report()
        self._record()

    def _report(self) -> None:
        self._last_report = time.monotonic()
        of = f" of {self._total:,}" if self._total else ""
        sys.stderr.write(f"{self._step}: {self._done:,}{of} {self._unit}\n")
        if self._ledger is not None and os.environ.get(ARGO_FILE):
            Path(os.environ[ARGO_FILE]).write_text(f"{self._done}/{self._total}\n")

    def _record(self) -> None:
        self._last_record = time.monotonic()
        if self._ledger is not None:
            self._ledger.update(self._done, self._total, self._failed)
