"""What wrappers of a live source pass on to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from steps.split.sources.base import LiveSource


class LiveDelegate:
    """The methods of a ``LiveSource`` that a wrapper does not change."""

    source: LiveSource

    def take_snapshot(self) -> str:
        """See ``LiveSource.take_snapshot``."""
        return self.source.take_snapshot()

    def resume(self, snapshot: str) -> None:
        """See ``LiveSource.resume``."""
        self.source.resume(snapshot)

    def release(self) -> None:
        """See ``LiveSource.release``."""
        self.source.release()

    def snapshot_time(self) -> float:
        """See ``LiveSource.snapshot_time``."""
        return self.source.snapshot_time()

    def estimate(self, columns: list[str]) -> int:
        """See ``LiveSource.estimate``."""
        return self.source.estimate(columns)

    def warnings(self) -> Sequence[str]:
        """See ``LiveSource.warnings``."""
        return self.source.warnings()

    def close(self) -> None:
        """See ``LiveSource.close``."""
        self.source.close()
