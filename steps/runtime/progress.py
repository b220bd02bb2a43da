"""How a step tells whoever watches how far it has come."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A watcher: a progress bar, a log, or nobody."""

    def begin(self, step: str, unit: str, total: int | None) -> None:
        """A step begins; ``total`` units are ahead, or nobody knows how many."""

    def advance(self, units: int, note: str = "") -> None:
        """So many more units are done."""

    def end(self) -> None:
        """The step has ended."""


class Silent:
    """Nobody watches."""

    def begin(self, step: str, unit: str, total: int | None) -> None:
        """See ``Progress.begin``."""

    def advance(self, units: int, note: str = "") -> None:
        """See ``Progress.advance``."""

    def end(self) -> None:
        """See ``Progress.end``."""
