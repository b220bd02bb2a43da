"""Terminal output: colours and progress bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from steps.errors import RefeedError, SpecError

if TYPE_CHECKING:
    from workflows.runs.follow import View

out = Console(highlight=False, soft_wrap=True)
"""Standard output, for results. Respects NO_COLOR, as rich does."""

err = Console(stderr=True, highlight=False, soft_wrap=True)
"""Standard error, for progress and errors, so that a pipe receives results only."""

_SECONDS_BETWEEN_LINES = 5.0


def print_error(error: RefeedError) -> None:
    """Print an error and its hint."""
    clear_progress()
    err.print("[bold red]error:[/]", end=" ")
    if not isinstance(error, SpecError):
        err.print(escape(visible(error.message)))
        if error.hint:
            err.print(f"[dim]{escape(visible(error.hint))}[/]")
        return
    count = len(error.problems)
    err.print(f"{count} problem{'s' if count > 1 else ''} in {escape(visible(error.path))}")
    for problem in error.problems:
        position = f"{error.path}:{problem.line}:{problem.column}" if problem.line else error.path
        field = f" [cyan]{escape(visible(problem.where))}[/]:" if problem.where else ""
        message = escape(visible(problem.message))
        err.print(f"[bold]{escape(visible(position))}[/]:{field} {message}")
        if problem.hint:
            err.print(f"    [dim]{escape(visible(problem.hint))}[/]")


def print_warnings(warnings: Iterable[str]) -> None:
    """Print warnings to standard error."""
    for warning in warnings:
        err.print(f"[yellow]warning:[/] {escape(visible(warning))}")


def clear_progress() -> None:
    """Stop the active progress bars, so that they do not mix with what is printed next."""
    while _active_bars:
        _active_bars[-1].end()


def visible(text: str) -> str:
    """Return text with control characters escaped, so that it cannot move the cursor."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


class Bars:
    """A progress bar per step on a terminal: count, rate, time left."""

    def begin(self, step: str, unit: str, total: int | None) -> None:
        """See ``steps.runtime.progress.Progress``."""
        self._unit, self._total = unit, total
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description:<7}"),
            BarColumn(bar_width=30, complete_style="cyan", finished_style="green"),
            TextColumn("{task.fields[count]:<32}"),
            TextColumn("[dim]{task.fields[rate]:>10}[/]"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=err,
        )
        self._task = self._progress.add_task(step, total=total, count=self._count(0), rate="")
        self._progress.start()
        _active_bars.append(self)

    def advance(self, units: int, note: str = "", *, failed: int = 0) -> None:  # noqa: ARG002
        """See ``steps.runtime.progress.Progress``."""
        self._progress.advance(self._task, units)
        task = self._progress.tasks[0]
        count, rate = self._count(task.completed), _rate(task.completed, task.elapsed or 0.0)
        self._progress.update(self._task, count=count, rate=rate)
        if note:
            self._progress.console.print(f"  [yellow]{escape(visible(note))}[/]")

    def end(self) -> None:
        """See ``steps.runtime.progress.Progress``."""
        self._progress.stop()
        _active_bars[:] = [bars for bars in _active_bars if bars is not self]

    def _count(self, done: float) -> str:
        of = f"/{self._total:,}" if self._total else ""
        return f"{done:,.0f}{of} {self._unit}"


_active_bars: list[Bars | LiveView] = []


class Lines:
    """Progress without a terminal: a plain line every few seconds."""

    def begin(self, step: str, unit: str, total: int | None) -> None:
        """See ``steps.runtime.progress.Progress``."""
        self._step, self._unit, self._total, self._done = step, unit, total, 0
        self._began = self._last_line = time.monotonic()

    def advance(self, units: int, note: str = "", *, failed: int = 0) -> None:  # noqa: ARG002
        """See ``steps.runtime.progress.Progress``."""
        self._done += units
        if note:
            self._write(visible(note))
        elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES:
            elapsed = time.monotonic() - self._began
            text = _rate(self._done, elapsed)
            if self._total and self._done:
                text += f", {elapsed * (self._total - self._done) / self._done:.0f} s left"
            self._write(text)

    def end(self) -> None:
        """See ``steps.runtime.progress.Progress``."""
        self._write(f"done in {time.monotonic() - self._began:.1f} s")

    def _write(self, text: str) -> None:
        self._last_line = time.monotonic()
        of = f" of {self._total:,}" if self._total else ""
        sys.stderr.write(f"{self._step}: {self._done:,}{of} {self._unit}, {text}\n")
        sys.stderr.flush()


def _rate(done: float, seconds: float) -> str:
    if seconds <= 0:
        return ""
    rate = done / seconds
    return f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"  # noqa: PLR2004 - two digits are enough


class LiveView:
    """A progress bar for a run on a cluster, on a terminal."""

    def __init__(self) -> None:
        self._printed: set[str] = set()
        self._progress = Progress(
            SpinnerColumn(finished_text="✓"),
            TextColumn("{task.description:<7}"),
            BarColumn(bar_width=30, complete_style="cyan", finished_style="green"),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            console=err,
        )
        self._task = self._progress.add_task("check", total=None, text="")
        self._progress.start()
        _active_bars.append(self)

    def show(self, view: View) -> None:
        """See ``workflows.runs.follow.Watcher``."""
        for problem in set(view.problems) - self._printed:
            self._progress.console.print(f"[yellow]{escape(visible(problem))}[/]")
        self._printed |= set(view.problems)
        self._progress.update(
            self._task,
            description=view.step or view.phase.lower(),
            total=view.progress.partitions,
            completed=view.progress.done,
            text=view_text(view),
        )

    def end(self) -> None:
        """See ``workflows.runs.follow.Watcher``."""
        self._progress.stop()
        _active_bars[:] = [each for each in _active_bars if each is not self]


class ViewLines:
    """Progress of a run on a cluster without a terminal: a plain line for each change."""

    def __init__(self) -> None:
        self._printed: set[str] = set()
        self._last, self._last_time = ("", ""), 0.0

    def show(self, view: View) -> None:
        """See ``workflows.runs.follow.Watcher``."""
        for problem in sorted(set(view.problems) - self._printed):
            sys.stderr.write(f"warning: {visible(problem)}\n")
        self._printed |= set(view.problems)
        step, text = view.step or view.phase.lower(), view_text(view)
        too_soon = time.monotonic() - self._last_time < _SECONDS_BETWEEN_LINES
        if (step, text) != self._last and not (too_soon and step == self._last[0]):
            sys.stderr.write(f"{step}: {text}\n" if text else f"{step}\n")
            self._last, self._last_time = (step, text), time.monotonic()
        sys.stderr.flush()

    def end(self) -> None:
        """See ``workflows.runs.follow.Watcher``."""


def view_text(view: View) -> str:
    """Return partitions done and failed, running pods and time left, as far as they are known."""
    progress = view.progress
    parts = []
    if progress.partitions is not None:
        parts.append(f"{progress.done:,} of {progress.partitions:,} partitions")
    if progress.failed:
        parts.append(f"{progress.failed:,} failed")
    running = progress.pods.get("running", 0)
    if running:
        parts.append(f"{running} pod{'s' if running > 1 else ''}")
    if view.seconds_left is not None and view.step == "train":
        parts.append(f"{view.seconds_left:,.0f} s left")
    return ", ".join(parts)


def live() -> LiveView | ViewLines:
    """Return a live view on a terminal, and plain lines elsewhere."""
    return LiveView() if err.is_terminal and os.environ.get("TERM") != "dumb" else ViewLines()


def progress() -> Bars | Lines:
    """Return progress bars on a terminal, and plain lines elsewhere."""
    return Bars() if err.is_terminal and os.environ.get("TERM") != "dumb" else Lines()
