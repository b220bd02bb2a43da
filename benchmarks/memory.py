"""Peak memory of a split and of a whole run, all processes together.

The sum of proportional set sizes over the process tree, sampled every 50 ms: a page that forked
workers share counts once. The limit is that of a small machine, 2 GiB, and does not grow with the
table: a split of a larger one spills to disk.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import yaml

from benchmarks.common import (
    MIB,
    Row,
    peak_memory,
    scratch,
    show_progress,
    start_fresh,
    write_table,
)
from benchmarks.split import FEATURES, KEYS, ours

LIMIT = 2048 * MIB


def judged(what: str, peak: int, took: float) -> Row:
    show_progress(f"memory: {what}: {peak / MIB:.0f} MiB, {took:.1f} s with imports")
    limit = f"limit {LIMIT / MIB:.0f} MiB"
    ratio = f"{peak / LIMIT:.2f} of it"
    return Row(what, f"{peak / MIB:.0f} MiB", limit, ratio, "below the limit", peak < LIMIT)


def of_split(folder: Path, rows: int) -> Row:
    source = write_table(folder / f"{rows}.parquet", rows, FEATURES, KEYS)
    began = time.perf_counter()
    with scratch() as out:
        process = start_fresh(ours, str(source), str(out), "parquet")
        peak = peak_memory(process)
        process.communicate()
    source.unlink()
    if process.returncode:
        raise RuntimeError("the split failed")
    took = time.perf_counter() - began
    return judged(f"peak memory, split of {rows / 1e6:g} M rows", peak, took)


def of_run(folder: Path, partitions: int, rows: int, features: int) -> Row:
    """Run the whole `refeed run` command, with small models."""
    write_table(folder / "table.parquet", partitions * rows, features + 1, partitions, even=True)
    spec = {
        "name": "many",
        "project": "bench",
        "dataset": {"source": "table.parquet", "partition_by": "k", "target": "f00"},
        "trainer": {"name": "lightgbm", "params": {"num_leaves": 8, "rounds": 20}},
        "evaluate": {"folds": 3},
        "output": "runs",
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("refeed")), "run", str(path)]
    began = time.perf_counter()
    with (folder / "out.txt").open("w") as sink:
        process = subprocess.Popen(command, stdout=sink, stderr=sink, text=True)
        peak = peak_memory(process)
    if process.returncode:
        raise RuntimeError((folder / "out.txt").read_text())
    took = time.perf_counter() - began
    what = f"peak memory, run of {partitions:,} partitions of {rows} rows x {features} features"
    return judged(what, peak, took)


def run(*, quick: bool) -> list[Row]:
    with scratch() as folder:
        sizes = (100_000,) if quick else (1_000_000, 2_000_000, 5_000_000)
        rows = [of_split(folder, size) for size in sizes]
        return [*rows, of_run(folder, 20 if quick else 1000, 300, 10)]
