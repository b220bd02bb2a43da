"""Check many seeds on several processes, in slices that resume."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED as FIRST
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Check = Callable[[int], list[str]]
"""Returns what is wrong with Refeed for a seed."""

CHUNK = 20
"""Seeds of a task of a process."""


@dataclass
class Progress:
    """The chunks that are done, and what failed, in a file.

    Attributes:
        path: the file; it is removed when everything is done.
        done: chunks such as ``tables 40``, by their first seed.
        failed: problems by check and seed, such as ``tables 41``.
    """

    path: Path
    done: set[str] = field(default_factory=set)
    failed: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Progress:
        """Return the progress in a file, none if it does not exist."""
        if not path.is_file():
            return cls(path)
        stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return cls(path, set(stored["done"]), stored["failed"])

    def write(self) -> None:
        """Write the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        content = {"done": sorted(self.done), "failed": self.failed}
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(content), encoding="utf-8")
        part.replace(self.path)


def run_slice(
    checks: Mapping[str, Check], seeds: range, seconds: float, processes: int, progress: Progress
) -> bool:
    """Check the chunks that are not done yet, and return True if all are done.

    Args:
        checks: functions that processes can import, by name.
        seeds: seeds for each of them.
        seconds: no chunk begins later.
        processes: number of processes.
        progress: receives the results.
    """
    end = time.monotonic() + seconds
    todo = iter(_chunks(checks, seeds, progress.done))
    running: dict[Future[dict[int, list[str]]], str] = {}
    with ProcessPoolExecutor(processes) as pool:
        while True:
            while len(running) < processes and time.monotonic() < end:
                chunk = next(todo, None)
                if chunk is None:
                    break
                name, part = chunk
                running[pool.submit(_check, checks[name], part)] = f"{name} {part[0]}"
            if not running:
                break
            for future in wait(running, return_when=FIRST).done:
                chunk_name = running.pop(future)
                _record(progress, chunk_name, future.result())
    return next(todo, None) is None


def _chunks(
    checks: Mapping[str, Check], seeds: range, done: set[str]
) -> Iterator[tuple[str, Sequence[int]]]:
    for name in checks:
        for first in range(seeds.start, seeds.stop, CHUNK):
            if f"{name} {first}" not in done:
                yield name, range(first, min(first + CHUNK, seeds.stop))


def _check(check: Check, seeds: Sequence[int]) -> dict[int, list[str]]:
    """Return the problems of the seeds that have some, in a process of the pool."""
    found = {seed: check(seed) for seed in seeds}
    return {seed: problems for seed, problems in found.items() if problems}


def _record(progress: Progress, chunk: str, found: Mapping[int, list[str]]) -> None:
    name = chunk.split(maxsplit=1)[0]
    for seed, problems in found.items():
        progress.failed[f"{name} {seed}"] = problems
        print(problems[0], flush=True)  # noqa: T201
    progress.done.add(chunk)
    progress.write()
