"""Progress in a pod: lines in its log, a number for Argo, now and then a record in the run."""

from __future__ import annotations

import os
import sys
import time
from collections import Counter
from pathlib import Path

from workflows.pods.pod_ledger import Ledger

ARGO_FILE = "ARGO_PROGRESS_FILE"
"""Argo names a file in this variable, and shows the ``done/total`` that it holds."""
_SECONDS_BETWEEN = 3.0


class PodProgress:
    """Counts partitions for whoever watches the run.

    Args:
        ledger: keeps the count; None where nobody asks for it.
        counts: whether the units are partitions, which Argo is to show.
    """

    def __init__(self, ledger: Ledger | None = None, *, counts: bool = False) -> None:
        self._ledger, self._counts = ledger, counts
        self._statuses: Counter[str] = Counter()

    def begin(self, step: str, unit: str, total: int | None) -> None:
        """See ``steps.runtime.progress.Progress``."""
        self._step, self._unit, self._total, self._done = step, unit, total or 0, 0
        self._tell()

    def advance(self, units: int, note: str = "") -> None:
        """See ``steps.runtime.progress.Progress``."""
        self._done += units
        self._statuses["failed"] += note.startswith("failed")
        if time.monotonic() - self._told >= _SECONDS_BETWEEN:
            self._tell()

    def end(self) -> None:
        """See ``steps.runtime.progress.Progress``."""
        self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        of = f" of {self._total:,}" if self._total else ""
        sys.stderr.write(f"{self._step}: {self._done:,}{of} {self._unit}\n")
        if not self._counts:
            return
        if os.environ.get(ARGO_FILE):
            Path(os.environ[ARGO_FILE]).write_text(f"{self._done}/{self._total}\n")
        if self._ledger:
            self._ledger.update(self._done, self._total, +self._statuses)
