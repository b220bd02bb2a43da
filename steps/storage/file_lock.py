"""Locks between processes of one machine: the system releases them when a process ends."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def file_lock(path: str, *, shared: bool = False) -> Iterator[bool]:
    """Create a file, try to lock it, and yield whether this process holds the lock.

    Args:
        path: path of the lock file.
        shared: share the lock with other processes that request a shared lock.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with Path(path).open("w") as handle:
        try:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
