"""Predicted against actual cost of partitions, over the tables of the field suite.

Each table is run with its spec (LightGBM with 40 rounds of 7 leaves) in a new artifact root, so
that no earlier run corrects the prediction, and then with the defaults of the trainers. The actual
cost is the CPU time of the worker, since other processes may use the machine. A ratio is actual
over predicted: of a table the sum over its partitions, of a partition its own. The tables are those
that the constants were fitted to, so the benchmark shows how much of the cost follows from rows,
features and parameters at all, not how other tables or machines fare.

    python benchmarks/bench.py cost
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.common import Row, show_progress

TRAINERS = {
    "lightgbm": [],
    "lightgbm, its defaults": ["trainer={name: lightgbm}"],
    "linear": ["trainer={name: linear}"],
    "ebm": ["trainer={name: ebm}"],
}


def run(*, quick: bool) -> list[Row]:
    """Return two rows per trainer: ratios of tables, and of partitions."""
    return [row for name, changes in TRAINERS.items() for row in _rows(name, changes, quick=quick)]


def _rows(name: str, changes: list[str], *, quick: bool) -> Iterator[Row]:
    from tests.field.suite.tables import TABLES

    tables, partitions = [], []
    for table in [each for each in TABLES if each.quick or not quick]:
        show_progress(f"cost, {name}: {table.name}")
        ratios = _measure(table.name, changes)
        if ratios:
            tables.append(sum(actual for actual, _ in ratios) / sum(said for _, said in ratios))
            partitions += [actual / said for actual, said in ratios]
    for what, found in (("tables", tables), ("partitions", partitions)):
        low, middle, high = np.quantile(found, (0.05, 0.5, 0.95))
        share = np.mean((np.array(found) >= 0.5) & (np.array(found) <= 2))
        yield Row(
            f"cost of {len(found)} {what}, {name}: actual over predicted seconds",
            f"median {middle:.2f}",
            f"5 % to 95 %: {low:.2f} to {high:.2f}",
            f"{share:.0%} within a factor of 2",
            "at least 90%" if what == "tables" and name == "lightgbm" else "",
            bool(share >= 0.9) if what == "tables" and name == "lightgbm" else None,
        )


def _measure(name: str, changes: list[str]) -> list[tuple[float, float]]:
    """Return actual and predicted seconds of the partitions that were trained."""
    from tests.field.suite.tables import TABLES
    from workflows.local import run as run_spec

    with TemporaryDirectory() as folder:
        (table,) = (each for each in TABLES if each.name == name)
        path = table.write(Path(folder))
        layout = run_spec(path, overrides=["execution.workers=1", *changes]).layout
        with Path(layout.predictions).open() as lines:
            predicted = {
                row["partition_id"]: float(row["seconds"]) for row in csv.DictReader(lines)
            }
        with Path(layout.attempts_table).open() as lines:
            return [
                (float(row["cpu_seconds"]), predicted[row["partition_id"]])
                for row in csv.DictReader(lines)
                if row["outcome"] == "trained"
            ]
