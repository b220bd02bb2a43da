"""Work in threads, whose results come in the order of its items.

What is worth a thread here spends its time in numpy, Arrow or a request, without Python's lock.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

THREADS = min(4, os.cpu_count() or 1)
"""At once, where they compute; more would only hold more memory."""

Item = TypeVar("Item")
Done = TypeVar("Done")


def map_ordered(
    work: Callable[[Item], Done], items: Iterable[Item], threads: int = THREADS, ahead: int = 0
) -> Iterator[Done]:
    """``map`` in threads.

    Args:
        work: is called for each item.
        items: are taken as they are needed.
        threads: at once.
        ahead: items begun but not yet taken, at the most; one more than there are threads if 0.
    """
    with ThreadPoolExecutor(threads) as pool:
        running: deque[Future[Done]] = deque()
        for item in items:
            running.append(pool.submit(work, item))
            if len(running) > (ahead or threads + 1):
                yield running.popleft().result()
        while running:
            yield running.popleft().result()
