"""Waiting and retrying, with tenacity. Google's clients retry by themselves, see steps.google."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception,
    retry_if_result,
    stop_after_attempt,
    stop_after_delay,
    stop_never,
    wait_exponential,
    wait_fixed,
)

Result = TypeVar("Result")
Sleep = Callable[[float], None]


def poll_until(
    look: Callable[[], Result | None],
    *,
    interval: float,
    timeout: float | None = None,
    sleep: Sleep = time.sleep,
) -> Result | None:
    """Call ``look`` until it returns something; return None if the time is up before.

    Args:
        look: returns None as long as there is nothing.
        interval: seconds between two calls.
        timeout: seconds after which no further call is made; None for no limit.
        sleep: waits that many seconds.
    """
    polling = Retrying(
        sleep=sleep,
        retry=retry_if_result(lambda result: result is None),
        wait=wait_fixed(interval),
        stop=stop_never if timeout is None else stop_after_delay(timeout),
        retry_error_callback=lambda _: None,
    )
    return polling(look)


def retry_call(
    call: Callable[[], Result],
    *,
    is_transient: Callable[[BaseException], bool],
    first_pause: float,
    longest_pause: float,
    attempts: int | None = None,
    timeout: float | None = None,
    sleep: Sleep = time.sleep,
) -> Result:
    """Call again after a transient error, with pauses that double.

    Args:
        call: can be repeated.
        is_transient: predicate of the errors after which the call is repeated.
        first_pause: seconds after the first error.
        longest_pause: seconds at most.
        attempts: calls at most; None for no limit.
        timeout: seconds after which the call is not repeated; None for no limit.
        sleep: waits that many seconds.

    Raises:
        Exception: the error of the last call.
    """
    limits = [
        *([stop_after_attempt(attempts)] if attempts is not None else []),
        *([stop_after_delay(timeout)] if timeout is not None else []),
    ]

    def is_over(state: RetryCallState) -> bool:
        return any(limit(state) for limit in limits)

    retrying = Retrying(
        sleep=sleep,
        retry=retry_if_exception(is_transient),
        wait=wait_exponential(multiplier=first_pause, max=longest_pause),
        stop=is_over,
        reraise=True,
    )
    return retrying(call)
