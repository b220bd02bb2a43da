"""The terminal: colours where people read, plain lines where machines do."""

from __future__ import annotations

import os
import sys
import time

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from steps.errors import RefeedError, SpecError

out = Console(highlight=False, soft_wrap=True)
"""Results. Honours NO_COLOR, as rich does."""

err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Progress and errors, so that a pipe gets results only."""

_SECONDS_BETWEEN_LINES = 5.0


def print_error(error: RefeedError) -> None:
    """An error for people: what, then what to do."""
    err.print("[bold red]error:[/]", end=" ")
    if isinstance(error, SpecError):
        _print_problems(error)
        return
    err.print(escape(visible(error.message)))
    if error.hint:
        err.print(f"[dim]{escape(visible(error.hint))}[/]")


def _print_problems(error: SpecError) -> None:
    count = len(error.problems)
    err.print(f"{count} problem{'s' if count > 1 else ''} in {escape(visible(error.path))}")
    for problem in error.problems:
        place = f"{error.path}:{problem.line}:{problem.column}" if problem.line else error.path
        where = f" [cyan]{escape(visible(problem.where))}[/]:" if problem.where else ""
        err.print(f"[bold]{escape(visible(place))}[/]:{where} {escape(visible(problem.message))}")
        if problem.hint:
            err.print(f"    [dim]{escape(visible(problem.hint))}[/]")


def visible(text: str) -> str:
    """Text that cannot move the cursor or set colours: control characters are spelt out."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)


class Bars:
    """Progress bars on a terminal: count, rate, time left."""

    def __init__(self) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<8}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TextColumn("[dim]{task.fields[rate]}[/]"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=err,
            transient=False,
        )
        self._task: TaskID | None = None
        self._unit = ""

    def begin(self, step: str, unit: str, total: int | None) -> None:
        """See ``steps.progress.Progress``."""
        self._unit = unit
        self._task = self._progress.add_task(step, total=total, unit=unit, rate="")
        self._progress.start()

    def advance(self, units: int, note: str = "") -> None:
        """See ``steps.progress.Progress``."""
        assert self._task is not None
        self._progress.advance(self._task, units)
        task = next(t for t in self._progress.tasks if t.id == self._task)
        self._progress.update(self._task, rate=_rate(task.completed, task.elapsed or 0.0))
        if note:
            self._progress.console.print(f"  [yellow]{escape(visible(note))}[/]")

    def end(self) -> None:
        """See ``steps.progress.Progress``."""
        self._progress.stop()


class Lines:
    """Progress where there is no terminal: a plain line now and then."""

    def begin(self, step: str, unit: str, total: int | None) -> None:
        """See ``steps.progress.Progress``."""
        self._step, self._unit, self._total, self._done = step, unit, total, 0
        self._began = self._said = time.monotonic()

    def advance(self, units: int, note: str = "") -> None:
        """See ``steps.progress.Progress``."""
        self._done += units
        if note:
            self._say(visible(note))
        elif time.monotonic() - self._said >= _SECONDS_BETWEEN_LINES:
            self._say(self._left())

    def end(self) -> None:
        """See ``steps.progress.Progress``."""
        self._say(f"done in {time.monotonic() - self._began:.1f} s")

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        of = f" of {self._total:,}" if self._total else ""
        sys.stderr.write(f"{self._step}: {self._done:,}{of} {self._unit}, {text}\n")
        sys.stderr.flush()

    def _left(self) -> str:
        elapsed = time.monotonic() - self._began
        rate = _rate(self._done, elapsed)
        if not self._total or not self._done:
            return rate
        return f"{rate}, {elapsed * (self._total - self._done) / self._done:.0f} s left"


def _rate(done: float, seconds: float) -> str:
    if seconds <= 0:
        return ""
    rate = done / seconds
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"  # noqa: PLR2004 - two digits do


def progress() -> Bars | Lines:
    """Bars on a terminal, lines elsewhere."""
    return Bars() if err.is_terminal and os.environ.get("TERM") != "dumb" else Lines()
