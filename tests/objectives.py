"""Specs with an objective, an offset or another trainer, and a table for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tests.workspace import small_table

AUTO = {
    "rounds": "auto",
    "max_rounds": 30,
    "inner_folds": 3,
    "num_leaves": 4,
    "min_data_in_leaf": 5,
}

SPECS: dict[str, dict[str, Any]] = {
    "rounds auto with exposure": {
        "dataset__target": "claims",
        "dataset__exposure": "years",
        "trainer": {"name": "lightgbm", "params": {**AUTO, "objective": "poisson"}},
    },
    "quantile in time order": {
        "trainer": {
            "name": "lightgbm",
            "params": {**AUTO, "objective": "quantile", "alpha": 0.8},
        },
        "evaluate": {"method": "time", "time": "day", "folds": 3},
    },
    "classes with weights and offset": {
        "dataset__target": "late",
        "dataset__positive": "late",
        "dataset__offset": "score",
        "trainer": {
            "name": "lightgbm",
            "params": {"num_leaves": 4, "rounds": 8, "class_weight": "balanced"},
        },
    },
    "explainable boosting": {
        "dataset__target": "claims",
        "dataset__exposure": "years",
        "trainer": {"name": "ebm", "params": {"objective": "poisson", "max_rounds": 30}},
    },
    "linear with exposure": {
        "dataset__target": "claims",
        "dataset__exposure": "years",
        "trainer": {"name": "linear", "params": {"objective": "poisson"}},
    },
}
"""Changes to the spec of ``tests.workspace``."""


def claims_table(partitions: int = 3) -> pa.Table:
    """The small table with counts, years at risk, a score that is known, and classes."""
    table = small_table(partitions)
    rng = np.random.default_rng(11)
    rows = table.num_rows
    years, score = rng.uniform(0.1, 3, rows).round(3), rng.normal(size=rows).round(3)
    number = pc.fill_null(table["number"], 0.0).to_numpy()
    claims = rng.poisson(years * np.exp(0.4 * number))
    late = rng.random(rows) < 1 / (1 + np.exp(-score - number))
    for name, values in {"years": years, "score": score, "claims": claims}.items():
        table = table.append_column(name, pa.array(values))
    return table.append_column("late", pa.array(np.where(late, "late", "on time")))
