"""Small tables with several partitions, and a folder in which experiments on them run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from tests.tables import Tables


def small_table(partitions: int = 5, rows: int = 90, seed: int = 0) -> pa.Table:
    """A regression with numbers, a category, missing values, days as groups and weights."""
    rng = np.random.default_rng(seed)
    count = partitions * rows
    key = np.repeat([f"part {i}" for i in range(partitions)], rows)
    number = rng.normal(size=count).round(3)
    level = rng.choice(["red", "green", "blue", "violet"], count, p=[0.5, 0.3, 0.15, 0.05])
    whole = rng.integers(0, 12, count)
    target = number * np.repeat(np.linspace(-1, 2, partitions), rows) + (level == "red") + whole / 9
    target = target + rng.normal(scale=0.5, size=count)
    return pa.table(
        {
            "key": pa.array(key),
            "number": pa.array(number, mask=rng.random(count) < 0.1),
            "level": pa.array(level, mask=rng.random(count) < 0.05),
            "whole": pa.array(whole),
            "flag": pa.array(rng.random(count) < 0.4),
            "day": pa.array((rng.integers(0, 25, count) + 15_000).astype("int32")).cast(
                pa.date32()
            ),
            "weight": pa.array(rng.uniform(0.5, 2.0, count).round(2)),
            "target": pa.array(target.round(4), mask=rng.random(count) < 0.03),
        }
    )


@dataclass
class Workspace:
    """A folder with a table and a spec, in which experiments run."""

    folder: Path

    def write_table(self, table: pa.Table, name: str = "table.parquet") -> Path:
        """Write a Parquet source."""
        path = self.folder / name
        pq.write_table(table, path)
        return path

    def write_spec(self, file: str = "spec.yaml", **changes: Any) -> Path:
        """Write a spec; dotted keys with __ for dots override the default one."""
        spec: dict[str, Any] = {
            "name": "trial",
            "project": "lab",
            "dataset": {
                "source": "table.parquet",
                "partition_by": "key",
                "target": "target",
                "features": ["number", "level", "whole", "flag"],
                "min_rows": 20,
            },
            "trainer": {"name": "lightgbm", "params": {"num_leaves": 4, "rounds": 8}},
            "evaluate": {"method": "kfold", "folds": 3, "seed": 1, "group": "day"},
            "explain": {"partial_dependence": {"grid": 5}, "rows": 60},
            "execution": {"max_failed_fraction": 1.0, "workers": 2},
            "output": "runs",
        }
        for dotted, value in changes.items():
            *parents, last = dotted.split("__")
            inner = spec
            for parent in parents:
                inner = inner.setdefault(parent, {})
            inner[last] = value
        path = self.folder / file
        path.write_text(yaml.safe_dump(spec, allow_unicode=True), encoding="utf-8")
        return path

    def tables(self, run_folder: str | Path) -> Tables:
        """The bytes of all result tables of a run."""
        folder = Path(run_folder, "tables")
        return Tables({path.name: path.read_bytes() for path in sorted(folder.iterdir())})

    def read(self, run_folder: str | Path, name: str) -> pa.Table:
        """One result table."""
        return pq.read_table(Path(run_folder, "tables", f"{name}.parquet"))
