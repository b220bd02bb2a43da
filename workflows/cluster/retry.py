"""Trying again what may be asked twice, so that following a run survives a hiccup."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from steps.errors import RefeedError, TransientError
from workflows.cluster.errors import UnreachableError

Found = TypeVar("Found")

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between one attempt and the next; a control plane that restarts is away that long."""


class RetryPolicy:
    """How a cluster is asked again.

    A network that does not lead there is a hiccup only where it once did: whoever mistyped the
    address is told at once.

    Args:
        pauses: seconds before each further attempt.
        sleep: waits that long.
    """

    def __init__(
        self, pauses: Sequence[float] = PAUSES, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._pauses, self._sleep = pauses, sleep
        self._reached = False

    def again(self, act: Callable[[], Found]) -> Found:
        """What the act returns, the last time with the error that it raises."""
        for pause in self._pauses:
            try:
                return self.once(act)
            except TransientError:
                pass
            except UnreachableError as error:
                if error.lasting or not self._reached:
                    raise
            self._sleep(pause)
        return self.once(act)

    def once(self, act: Callable[[], Found]) -> Found:
        """What the act returns, tried once."""
        try:
            found = act()
        except UnreachableError:
            raise
        except RefeedError:
            self._reached = True
            raise
        self._reached = True
        return found
