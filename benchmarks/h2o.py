"""One model per partition from a CSV file: `refeed run` against H2O-3's `train_segments`.

Ours is all of `refeed run`: split with statistics of every column, five folds and a final model per
partition, metrics with intervals, every explanation, result tables and the report. H2O reads the
same file and fits the same number of models (five folds and one of all rows per segment) of as many
trees, with its metrics, but explains nothing and writes nothing. Depth 4 has up to 16 leaves; ours
have up to 15. H2O's server is started and the library imported before its clock starts; ours starts
workers and imports while it runs. Both use all cores. Sides take turns; values are medians, with
the processor time of all processes (H2O's in whole seconds).

H2O needs Java and a package of 270 MB, so it is not in the lock file. Install it anywhere, and name
the interpreter:

    python3 -m venv /tmp/h2o && /tmp/h2o/bin/pip install h2o pandas
    REFEED_H2O_PYTHON=/tmp/h2o/bin/python python benchmarks/bench.py h2o
"""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import yaml

from benchmarks.common import (
    Row,
    in_new_process,
    median,
    scratch,
    seconds,
    show_progress,
    write_table,
)

ROWS, FEATURES, TREES, FOLDS = 2000, 30, 30, 5
PARAMS = {"num_leaves": 15, "rounds": TREES, "learning_rate": 0.1}

Times = tuple[float, float]
"""Seconds, and seconds of processor time."""


def ours(spec: str) -> Times:
    """Return the times of `refeed run`."""
    from benchmarks.train import processor_seconds
    from workflows.local import run as run_refeed

    began = time.perf_counter()
    result = run_refeed(spec)
    took = time.perf_counter() - began
    assert not result.outcome.counts["failed"], result.outcome.counts
    return took, processor_seconds()


def train_segments(source: str, partitions: int, trees: int, folds: int) -> dict[str, float]:
    """Return the times of H2O. It runs in an interpreter that has nothing else of ours."""
    import os
    import subprocess
    import time

    import h2o  # type: ignore[import-not-found, unused-ignore]
    from h2o.estimators import (  # type: ignore[import-not-found, unused-ignore]
        H2OGradientBoostingEstimator,
    )

    def processor() -> float:
        command = ["ps", "--ppid", str(os.getpid()), "-o", "comm=,cputimes="]
        lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return sum(float(line.split()[1]) for line in lines.splitlines() if "java" in line)

    h2o.init(nthreads=-1, max_mem_size="2g", verbose=False)
    h2o.no_progress()
    try:
        before, began = processor(), time.perf_counter()
        frame = h2o.import_file(source)
        frame["k"] = frame["k"].asfactor()
        features = [name for name in frame.columns if name not in {"k", "f00"}]
        model = H2OGradientBoostingEstimator(
            ntrees=trees, max_depth=4, learn_rate=0.1, nfolds=folds, seed=1
        )
        segments = model.train_segments(
            x=features, y="f00", training_frame=frame, segments=["k"], parallelism=os.cpu_count()
        )
        found = segments.as_frame()
        took = time.perf_counter() - began
        assert found.nrow == partitions
        assert (found["status"] == "SUCCEEDED").all()
        return {"seconds": took, "processor": processor() - before}
    finally:
        h2o.cluster().shutdown()


def time_h2o(python: str, folder: Path, *arguments: Any) -> Times:  # noqa: ANN401 - JSON
    """Call ``train_segments`` in the interpreter that has H2O."""
    code = (
        f"import json, sys\n{inspect.getsource(train_segments)}\n"
        "print(json.dumps(train_segments(*json.loads(sys.argv[1]))))"
    )
    command = [python, "-c", code, json.dumps(arguments)]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith('{"seconds"')]
    found = json.loads(lines[-1])
    return found["seconds"], found["processor"]


def missing(python: str) -> str:
    """Return why H2O cannot run; empty if it can."""
    if shutil.which("java") is None:
        return "java is not installed"
    code = "import importlib.metadata; importlib.metadata.version('h2o')"
    done = subprocess.run([python, "-c", code], capture_output=True, check=False)
    return "" if done.returncode == 0 else "the package h2o is not installed: see benchmarks/h2o.py"


def write_inputs(folder: Path, partitions: int) -> tuple[str, Path]:
    """Write a CSV file and a spec, and return the paths of both."""
    source = folder / "table.csv"
    table = write_table(
        folder / "table.parquet", partitions * ROWS, FEATURES + 1, partitions, even=True
    )
    pa_csv.write_csv(pq.read_table(table), source)
    spec = {
        "name": "segments",
        "project": "bench",
        "dataset": {"source": str(source), "partition_by": "k", "target": "f00"},
        "trainer": {"name": "lightgbm", "params": PARAMS},
        "evaluate": {"method": "kfold", "folds": FOLDS},
        "output": str(folder / "runs"),
    }
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return str(source), path


def run(*, quick: bool) -> list[Row]:
    python = os.environ.get("REFEED_H2O_PYTHON", sys.executable)
    reason = missing(python)
    partitions, rounds = (4, 1) if quick else (100, 1 if reason else 3)
    what = (
        f"{partitions} partitions of {ROWS:,} rows x {FEATURES} features, {TREES} trees, from CSV"
    )
    if reason:
        show_progress(f"h2o: skipped, because {reason}")
    mine, theirs = [], []
    with scratch() as folder:
        source, spec = write_inputs(folder, partitions)
        for _ in range(rounds):
            shutil.rmtree(folder / "runs", ignore_errors=True)
            mine.append(tuple(in_new_process(ours, str(spec))))
            show_progress(f"h2o: ours {mine[-1][0]:.1f} s, processor {mine[-1][1]:.1f} s")
            if not reason:
                theirs.append(time_h2o(python, folder, source, partitions, TREES, FOLDS))
                show_progress(f"h2o: H2O {theirs[-1][0]:.1f} s, processor {theirs[-1][1]:.0f} s")
    return [
        _row(what + kind, [each[at] for each in mine], [each[at] for each in theirs], reason)
        for at, kind in enumerate(("", ", processor time"))
    ]


def _row(what: str, mine: list[float], theirs: list[float], reason: str) -> Row:
    if not theirs:
        return Row(what, f"with explanations {seconds(median(mine))}", f"H2O-3 skipped: {reason}")
    ratio = median([b / a for a, b in zip(mine, theirs, strict=True)])
    return Row(
        what,
        f"with explanations {seconds(median(mine))}",
        f"H2O-3 train_segments, without, {seconds(median(theirs))}",
        f"{ratio:.1f} times as fast",
    )
