"""Retries of calls to a cluster: following a run survives a restart of the control plane."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from steps.errors import RefeedError, TransientError
from steps.retry import retry_call
from workflows.cluster.errors import UnreachableError

Result = TypeVar("Result")

ATTEMPTS = 6
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.5, 8.0
"""15.5 s in total, the time that a control plane takes to restart."""


class RetryPolicy:
    """Retry policy of calls that can be repeated.

    A network error is transient only if the cluster was reached before, so that a mistyped address
    is reported at once.

    Args:
        sleep: function that waits a number of seconds.
    """

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._sleep = sleep
        self._reached = False

    def call(self, function: Callable[[], Result]) -> Result:
        """Call a function until it succeeds, or raise the error of the last attempt."""
        return retry_call(
            lambda: self.call_once(function),
            is_transient=self._is_transient,
            first_pause=FIRST_PAUSE_SECONDS,
            longest_pause=LONGEST_PAUSE_SECONDS,
            attempts=ATTEMPTS,
            sleep=self._sleep,
        )

    def call_once(self, function: Callable[[], Result]) -> Result:
        """Call a function once, and record that the cluster was reached."""
        try:
            result = function()
        except UnreachableError:
            raise
        except RefeedError:
            self._reached = True
            raise
        self._reached = True
        return result

    def _is_transient(self, error: BaseException) -> bool:
        if isinstance(error, UnreachableError):
            return self._reached and not error.permanent
        return isinstance(error, TransientError)
