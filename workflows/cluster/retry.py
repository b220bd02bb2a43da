"""Retries of calls to a cluster: following a run survives a restart of the control plane."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from steps.errors import RefeedError, TransientError
from steps.retry import retry_call
from workflows.cluster.errors import UnreachableError

Found = TypeVar("Found")

ATTEMPTS = 6
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 8.0
"""Together 15.5 s, the time that a control plane takes to restart."""


class RetryPolicy:
    """Retries calls that can be repeated.

    A network error is transient only where the cluster was reached before: a mistyped address is
    reported at once.

    Args:
        sleep: waits that many seconds.
    """

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._reached = False

    def again(self, call: Callable[[], Found]) -> Found:
        """Call until it succeeds, or raise the error of the last attempt."""
        return retry_call(
            lambda: self.once(call),
            is_transient=self._is_transient,
            first_pause=FIRST_PAUSE_SECONDS,
            longest_pause=LONGEST_PAUSE_SECONDS,
            attempts=ATTEMPTS,
            sleep=self._sleep,
        )

    def once(self, call: Callable[[], Found]) -> Found:
        """Call, and remember whether the cluster was reached."""
        try:
            found = call()
        except UnreachableError:
            raise
        except RefeedError:
            self._reached = True
            raise
        self._reached = True
        return found

    def _is_transient(self, error: BaseException) -> bool:
        if isinstance(error, UnreachableError):
            return self._reached and not error.lasting
        return isinstance(error, TransientError)
