"""Frames made by hand, and lookups in tables: what the tests of the science share."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from steps.records import Roles
from steps.table.grid import Grid, build_grid
from steps.table.hashing import Hashes, seeded
from steps.table.sample import Sample
from steps.table.types import canonical_array
from steps.train.evaluation.evaluate import Rows
from steps.train.evaluation.folds import Fold
from steps.train.frame import Frame, Integers, make_frame, target_rows
from steps.train.trainer import Features, Floats

CLASSES = {"regression": (), "binary": ("no", "yes"), "multiclass": ("a", "b", "c")}


def labels(numbers: Any) -> Hashes:
    """Group labels that look like hashes; equal numbers have equal ones."""
    return seeded(np.asarray(numbers).astype(np.uint64), "labels")


def frame_of(
    target: Floats,
    *,
    task: str = "regression",
    values: Floats | None = None,
    weight: Floats | None = None,
    groups: Any = None,
    time: Integers | None = None,
    classes: tuple[str, ...] | None = None,
) -> Frame:
    """A frame of numeric features, its rows in order of their hashes already."""
    rows = len(target)
    hashes = np.sort(labels(np.arange(rows)))
    matrix = np.zeros((rows, 1)) if values is None else values
    columns = matrix.shape[1]
    names = tuple(f"x{i}" for i in range(columns))
    return Frame(
        features=Features(names, matrix, (None,) * columns),
        codes=(None,) * columns,
        target=np.asarray(target, np.float64),
        weight=weight,
        keys=hashes,
        groups=None if groups is None else labels(groups),
        time=time,
        classes=CLASSES[task] if classes is None else classes,
    )


def table_of(**columns: Any) -> pa.Table:
    """A table of canonical types."""
    arrays = {name: canonical_array(name, pa.array(cells)) for name, cells in columns.items()}
    return pa.table(dict(sorted(arrays.items())))


def roles_of(features: tuple[str, ...], **changes: Any) -> Roles:
    """Roles in which nothing but the target is special."""
    fields = {
        "partition_by": "key",
        "target": "target",
        "categorical": (),
        "weight": None,
        "group": None,
        "time": None,
    }
    return Roles(features=features, **{**fields, **changes})


def read(
    table: pa.Table, roles: Roles, classes: tuple[str, ...] = (), max_levels: int = 100
) -> Frame:
    """The frame of a table."""
    return make_frame(target_rows(table, roles), roles, classes, max_levels)


def grid_of(table: pa.Table, roles: Roles, points: int = 20) -> Grid:
    """The grid of a table that is its own sample."""
    return build_grid(Sample.whole(table), roles.features, set(roles.categorical), points)


def halves(rows: int) -> list[Fold]:
    """Two folds: even and odd rows."""
    even, odd = np.arange(0, rows, 2), np.arange(1, rows, 2)
    return [Fold(odd, even, 0), Fold(even, odd, 1)]


def cell(rows: Rows, column: str, **where: Any) -> Any:
    """The one cell of ``column`` in the row that matches."""
    count = len(rows[column])
    found = [i for i in range(count) if all(rows[key][i] == want for key, want in where.items())]
    assert len(found) == 1, (where, found)
    return rows[column][found[0]]


def select(rows: Rows, column: str, **where: Any) -> list[Any]:
    """All cells of ``column`` in rows that match, in their order."""
    count = len(rows[column])
    return [
        rows[column][i]
        for i in range(count)
        if all(rows[key][i] == want for key, want in where.items())
    ]
