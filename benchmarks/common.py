"""Helpers of all benchmarks: rows of the result table, generated tables, fresh processes."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import psutil
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).resolve().parent.parent
_CHUNK_ROWS = 250_000


@dataclass(frozen=True)
class Row:
    """One line of the result table.

    Attributes:
        name: what was measured.
        ours: Refeed's value, with its unit.
        other: what it is held against, with its value.
        ratio: of the two, as printed; empty without one.
        target: what the ratio (or the value) should be; empty where there is none.
        meets_target: None without a target.
    """

    name: str
    ours: str
    other: str = ""
    ratio: str = ""
    target: str = ""
    meets_target: bool | None = None

    def cells(self) -> list[str]:
        """Return the cells of the row."""
        met = {None: "", True: "yes", False: "**no**"}[self.meets_target]
        return [self.name, self.ours, self.other, self.ratio, self.target, met]


HEADER = ["what", "ours", "peer or limit", "ratio", "target", "met"]


def show_progress(text: str) -> None:
    """Print the time and a line of progress to stderr."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


@contextmanager
def scratch() -> Iterator[Path]:
    """Yield a temporary folder."""
    with TemporaryDirectory(prefix="refeed-bench-") as folder:
        yield Path(folder)


def write_table(path: Path, rows: int, features: int, keys: int, *, even: bool = False) -> Path:
    """Write a Parquet file: normal float64 features, a target computed from some, an int64 key.

    Args:
        path: of the file.
        rows: in all.
        features: ``f00`` (the target, where a model is trained), ``f01``, ...
        keys: distinct values of the key ``k``.
        even: every key has the same number of rows; else keys are drawn at random.
    """
    rng = np.random.default_rng(0)
    writer: pq.ParquetWriter | None = None
    for start in range(0, rows, _CHUNK_ROWS):
        count = min(_CHUNK_ROWS, rows - start)
        values = rng.normal(size=(features, count))
        values[0] += values[1] + np.abs(values[2]) * values[3] + (values[4] > 0)
        key = np.arange(start, start + count) % keys if even else rng.integers(0, keys, count)
        columns = {f"f{i:02d}": column for i, column in enumerate(values)}
        table = pa.table({**columns, "k": key.astype(np.int64)})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return path


# --- fresh processes ------------------------------------------------------------------------


def start_fresh(function: Callable[..., Any], *args: Any, **env: str) -> subprocess.Popen[str]:  # noqa: ANN401 - JSON
    """Call a function of a benchmark module in a process of its own; arguments are JSON."""
    code = (
        f"import json, sys; from {function.__module__} import {function.__name__} as call; "
        "print(json.dumps(call(*json.loads(sys.argv[1]))))"
    )
    command = [sys.executable, "-c", code, json.dumps(args)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **env}
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment)


def result_of(process: subprocess.Popen[str]) -> Any:  # noqa: ANN401 - JSON
    """Wait for the function and return its result."""
    out, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"a measured process ended with exit code {process.returncode}")
    return json.loads(out.splitlines()[-1])


def in_new_process(function: Callable[..., Any], *args: Any, **env: str) -> Any:  # noqa: ANN401 - JSON
    """Return the result of a function in a fresh process, so that every measurement is cold."""
    return result_of(start_fresh(function, *args, **env))


# --- memory ---------------------------------------------------------------------------------


def peak_memory(process: subprocess.Popen[str], every: float = 0.05) -> int:
    """Peak in bytes of a process and all its descendants together, sampled until it ends.

    The proportional set size where the system reports it (shared pages are then counted once), else
    the resident set size.
    """
    root, peak = psutil.Process(process.pid), 0
    while process.poll() is None:
        peak = max(peak, sum(map(_memory, _family(root))))
        time.sleep(every)
    return peak


def _family(root: psutil.Process) -> list[psutil.Process]:
    try:
        return [root, *root.children(recursive=True)]
    except psutil.Error:
        return []


def _memory(process: psutil.Process) -> int:
    try:
        memory = process.memory_full_info()
    except psutil.Error:
        return 0
    return int(getattr(memory, "pss", memory.rss))


# --- words ----------------------------------------------------------------------------------

MIB = 1 << 20


def median(values: list[float]) -> float:
    """Return the median."""
    return float(statistics.median(values))


def seconds(value: float) -> str:
    """With a unit, in a sensible number of digits."""
    return f"{value:.2f} s" if value >= 1 else f"{value * 1000:.1f} ms"
