"""Polling and retrying wait as long as they say, and no longer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from steps.errors import TransientError
from steps.retry import poll_until, retry_call


def failing(times: int, then: str = "done") -> Callable[[], str]:
    left = [TransientError("busy")] * times

    def call() -> str:
        if left:
            raise left.pop()
        return then

    return call


def test_poll_returns_the_first_result() -> None:
    answers, pauses = iter([None, None, "found"]), list[float]()
    assert poll_until(lambda: next(answers), interval=3.0, sleep=pauses.append) == "found"
    assert pauses == [3.0, 3.0]


def test_poll_gives_up_when_the_time_is_up() -> None:
    assert poll_until(lambda: None, interval=0.01, timeout=0.05) is None


def test_poll_looks_once_without_time() -> None:
    assert poll_until(lambda: "found", interval=1.0, timeout=0.0) == "found"


def test_retry_pauses_double_up_to_the_longest() -> None:
    pauses = list[float]()
    done = retry_call(
        failing(5),
        is_transient=lambda error: isinstance(error, TransientError),
        first_pause=0.5,
        longest_pause=4.0,
        attempts=6,
        sleep=pauses.append,
    )
    assert done == "done"
    assert pauses == [0.5, 1.0, 2.0, 4.0, 4.0]


def test_retry_raises_the_last_error() -> None:
    with pytest.raises(TransientError, match="busy"):
        retry_call(
            failing(2),
            is_transient=lambda _: True,
            first_pause=0.0,
            longest_pause=0.0,
            attempts=2,
        )


def test_other_errors_are_not_retried() -> None:
    pauses = list[float]()
    with pytest.raises(TransientError):
        retry_call(
            failing(1),
            is_transient=lambda _: False,
            first_pause=1.0,
            longest_pause=1.0,
            attempts=9,
            sleep=pauses.append,
        )
    assert pauses == []
