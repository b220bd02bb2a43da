"""Progress of a step, for a progress bar or a log."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A receiver of a step's progress."""

    def begin(self, step: str, unit: str, total: int | None) -> None:
        """Begin a step of ``total`` units; None if their number is unknown."""

    def advance(self, units: int, note: str = "", *, failed: int = 0) -> None:
        """Add ``units`` finished units, of which ``failed`` have failed, and print a note."""

    def end(self) -> None:
        """End the step."""


class NoProgress:
    """A receiver that shows nothing."""

    def begin(self, step: str, unit: str, total: int | None) -> None:
        """See ``Progress.begin``."""

    def advance(self, units: int, note: str = "", *, failed: int = 0) -> None:
        """See ``Progress.advance``."""

    def end(self) -> None:
        """See ``Progress.end``."""
