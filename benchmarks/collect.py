"""Cost of collecting many partitions: time, and memory, which must not grow.

All partitions have the same rows, so one is trained and the others come from the cache: the run is
there quickly, and what lies there for each of them is what any run leaves. Collect then runs again
in a fresh process, and everything that it does is measured: tables as Parquet and CSV, operations,
the report, the store.

The peer is what the same numbers would cost to read if each partition had left a Parquet file for
each table, with nothing done about them: pyarrow opens and decodes file after file.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from benchmarks.common import (
    MIB,
    Row,
    in_new_process,
    peak_memory,
    result_of,
    scratch,
    seconds,
    show_progress,
    start_fresh,
)

LIMIT = 1024 * MIB
FEATURES, ROWS = 30, 60


def write_alike(path: Path, partitions: int) -> None:
    """Return a table whose partitions have the same rows."""
    rng = np.random.default_rng(0)
    one = rng.normal(size=(FEATURES + 1, ROWS))
    columns = {f"f{i:02d}": np.tile(values, partitions) for i, values in enumerate(one)}
    pq.write_table(pa.table({**columns, "k": np.repeat(np.arange(partitions), ROWS)}), path)


def make_run(folder: Path, partitions: int) -> str:
    """Create a run of that many partitions and return its folder."""
    write_alike(folder / "table.parquet", partitions)
    spec = {
        "name": "many",
        "project": "bench",
        "dataset": {
            "source": "table.parquet",
            "partition_by": "k",
            "target": "f00",
            "min_rows": ROWS,
        },
        "trainer": {"name": "linear"},
        "evaluate": {"folds": 2},
        "output": "runs",
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    command = [str(Path(sys.executable).with_name("refeed")), "run", str(path)]
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    show_progress(f"collect: {partitions:,} partitions run in {time.perf_counter() - began:.0f} s")
    (run,) = (folder / "runs" / "bench" / "runs" / "many").glob("*/")
    return str(run)


def _places(run: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - of modules imported late
    from steps.contract import ProjectLayout

    path = Path(run)
    project = ProjectLayout(str(path.parents[3]), "bench")
    return project, project.run("many", path.name)


def ours(run: str) -> float:
    """Seconds of collect."""
    from steps.collect.step import collect
    from steps.contract import RunAddress
    from steps.run_context import RunContext
    from steps.runtime.progress import NoProgress

    project, _ = _places(run)
    context = RunContext.open(RunAddress(project.root, project.project, "many", Path(run).name))
    began = time.perf_counter()
    collect(context, "table", NoProgress())
    return time.perf_counter() - began


def as_parquet(run: str, to: str, partitions: int) -> None:
    """Write the tables of the first partitions, one file per table and partition."""
    from steps.results.run_tables import results_of
    from steps.storage.base import storage_for

    _, place = _places(run)
    for result in results_of(place, storage_for(run)):
        for name, columns in result.tables.items():
            pq.write_table(pa.table(columns), Path(to, f"{result.partition_id}-{name}.parquet"))
        partitions -= 1
        if not partitions:
            return


def reading(folder: str) -> float:
    """Seconds of opening and decoding file after file."""
    paths = sorted(Path(folder).iterdir())
    assert paths
    began = time.perf_counter()
    for path in paths:
        pq.read_table(path)
    return time.perf_counter() - began


def measured(run: str, partitions: int) -> tuple[float, int]:
    """Seconds of a collect, and its peak memory."""
    process = start_fresh(ours, run)
    peak = peak_memory(process)
    took = float(result_of(process))
    show_progress(
        f"collect: {partitions:,} partitions collected in {took:.1f} s, {peak / MIB:.0f} MiB"
    )
    return took, peak


def of_time(took: float, partitions: int, run: str, folder: Path) -> Row:
    some = min(1000, partitions)
    places = folder / "files"
    places.mkdir()
    as_parquet(run, str(places), some)
    peer = float(in_new_process(reading, str(places))) / some
    mine = took / partitions
    return Row(
        f"collect of {partitions:,} partitions x {FEATURES} features, for each",
        seconds(mine),
        f"reading its tables from Parquet {seconds(peer)}",
        f"{mine / peer:.2f} times the time",
    )


def run(*, quick: bool) -> list[Row]:
    few, many = (20, 80) if quick else (1000, 10_000)
    rows, peaks = [], {}
    for partitions in (few, many):
        with scratch() as folder:
            place = make_run(folder, partitions)
            took, peaks[partitions] = measured(place, partitions)
            rows.append(
                Row(
                    f"peak memory, collect of {partitions:,} partitions x {FEATURES} features",
                    f"{peaks[partitions] / MIB:.0f} MiB",
                    f"limit {LIMIT / MIB:.0f} MiB",
                    f"{peaks[partitions] / LIMIT:.2f} of it",
                    "below the limit",
                    peaks[partitions] < LIMIT,
                )
            )
            if partitions == many:
                rows.append(of_time(took, partitions, place, folder))
    return rows
