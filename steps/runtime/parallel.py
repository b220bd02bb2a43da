"""Map in threads, with results in the order of the items.

Threads pay for work that spends its time in numpy, Arrow or requests, without Python's lock.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

THREADS = min(4, os.cpu_count() or 1)
"""Threads that compute at the same time; more would only hold more memory."""

REQUESTS = 16
"""Requests to remote storage at the same time: they wait, and need no CPU."""

Item = TypeVar("Item")
Done = TypeVar("Done")


def map_ordered(
    work: Callable[[Item], Done], items: Iterable[Item], threads: int = THREADS, ahead: int = 0
) -> Iterator[Done]:
    """Yield ``work(item)`` for each item, in the order of the items.

    It is a sliding window: while the caller uses one result, the next ones are computed.

    Args:
        work: called in a thread for each item.
        items: consumed as needed.
        threads: number of threads.
        ahead: size of the window; 0 for one more than there are threads.
    """
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Done]] = deque()
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) > (ahead or threads + 1):
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
