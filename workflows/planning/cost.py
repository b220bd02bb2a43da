"""What training will take, told before it is done: seconds of one processor per partition.

A model of the time, with constants that were measured, gives the sizes of partitions and parameters
their weight. Where an earlier run of the experiment tells how long its partitions took, the sum is
scaled by what that run took over what the model would have said of it: so the machine, the trainer
and the data count as they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from steps.contract import ProjectLayout
from steps.errors import DamagedError, MissingInputError
from steps.records import PartitionIndex, RunRequest
from steps.storage.base import Storage, read_parsed
from steps.stores.base import open_store
from workflows.spec.model import ExperimentSpec

CONSTANTS = {
    "lightgbm": (6.0e-9, 1.8e-5, 2.0e-6, 0.06),
    "linear": (1.5e-7, 0.0, 0.0, 0.06),
}
"""By trainer, seconds of one processor: of a row, feature and tree; of a leaf and tree; of a leaf,
feature and tree; of a partition whatever it holds. A fit of ``linear`` is one tree without leaves.
Fitted to runs with 200 to 20,000 rows, 10 to 40 features, 7 to 31 leaves and 50 or 100 trees on an
AMD EPYC of 2025; they were within a factor of 1.6 of the times in benchmarks/results.md."""

EXPLAINED = 1.4
"""Explaining a fit multiplies its time by about so much (benchmarks/results.md: 24 % of all)."""

MEASURED_FACTOR = 1.5
"""The truth lies within this factor of an estimate from an earlier run: other machines."""
MODEL_FACTOR = 3.0
"""The same of an estimate from the constants alone: other machines, and other data."""
STRANGER_FACTOR = 10.0
"""The same where the trainer is none of ours."""

_ROWS_PER_LEAF = 25
"""Of a small partition a tree has fewer leaves: LightGBM asks for 20 rows in each."""
_RUNS = 5
"""Earlier runs that are looked at, the newest first."""


@dataclass(frozen=True)
class Shape:
    """What decides the time of a partition, but for its rows.

    Attributes:
        trainer: its name.
        fits: models per partition: one per fold, and the final one.
        trees: in a model.
        leaves: of a tree.
        features: of the data set.
        explained: whether anything is explained that takes time.
    """

    trainer: str
    fits: int
    trees: int
    leaves: int
    features: int
    explained: bool

    def seconds(self, rows: int) -> float:
        """Of one processor, for a partition of so many rows with a target."""
        cell, leaf, leaf_feature, rest = CONSTANTS.get(self.trainer, CONSTANTS["lightgbm"])
        leaves = min(self.leaves, rows / _ROWS_PER_LEAF)
        each = cell * rows * self.features + leaves * (leaf + leaf_feature * self.features)
        return rest + self.fits * self.trees * each * (EXPLAINED if self.explained else 1)


def shape_of(
    trainer: dict[str, Any],
    evaluate: dict[str, Any],
    explain: dict[str, Any],
    features: int,
    classes: int,
) -> Shape:
    """The shape of a run's work, from the parts of its request."""
    params = trainer["params"]
    boosted = trainer["name"] != "linear"
    outputs = classes if classes > 2 else 1  # noqa: PLR2004 - two classes have one margin
    return Shape(
        trainer=trainer["name"],
        fits=1 + (1 if evaluate["method"] == "holdout" else evaluate["folds"]),
        trees=outputs * (int(params.get("rounds", 100)) if boosted else 1),
        leaves=int(params.get("num_leaves", 31)) if boosted else 0,
        features=features,
        explained=bool(
            explain["partial_dependence"] or explain["shap"] or explain["permutation_importance"]
        ),
    )


@dataclass(frozen=True)
class Basis:
    """Where an estimate comes from.

    Attributes:
        run: the earlier run that it is scaled by; empty if there is none.
        partitions: of that run, whose time was taken.
        scale: what they took over what the model says.
        factor: the truth lies within this factor of the estimate.
    """

    run: str
    partitions: int
    scale: float
    factor: float

    @property
    def words(self) -> str:
        """The same in a sentence."""
        within = f"right within a factor of {self.factor:g}, as far as can be told"
        if self.run:
            return f"from {self.partitions:,} partitions that the run {self.run} trained; {within}"
        return f"from constants measured elsewhere, since no run has trained yet; {within}"


def basis_of(spec: ExperimentSpec, project: ProjectLayout, storage: Storage) -> Basis:
    """The newest run of the experiment that trained anything with the same trainer, or none."""
    runs = open_store(project, spec.store).runs(spec.name)
    for record in [each for each in runs if each.status in {"finished", "failed"}][:_RUNS]:
        found = _measured(spec, record.run, project, storage)
        if found is not None:
            return found
    known = spec.trainer.name in CONSTANTS
    return Basis("", 0, 1.0, MODEL_FACTOR if known else STRANGER_FACTOR)


def _measured(
    spec: ExperimentSpec, run: str, project: ProjectLayout, storage: Storage
) -> Basis | None:
    layout = project.run(spec.name, run)
    try:
        request = read_parsed(storage, layout.request, RunRequest.from_json)
        index = read_parsed(
            storage, project.dataset(request.dataset).index, PartitionIndex.from_json
        )
        took = _times(storage.read(layout.attempts_table))
    except (MissingInputError, DamagedError):  # it has been removed, or was of another version
        return None
    if request.trainer["name"] != spec.trainer.name:
        return None
    work = shape_of(
        request.trainer,
        request.evaluate,
        request.explain,
        len(request.roles.features),
        len(request.classes),
    )
    rows = rows_with_target(index, request.roles.target)
    pairs = [(took[key], work.seconds(rows[key])) for key in took if key in rows]
    if not pairs:
        return None
    scale = sum(real for real, _ in pairs) / sum(said for _, said in pairs)
    return Basis(run, len(pairs), scale, MEASURED_FACTOR)


def rows_with_target(index: PartitionIndex, target: str) -> dict[str, int]:
    """By partition id, the rows that can be trained on."""
    at = index.column_position(target)
    return {entry.key.partition_id: entry.rows - entry.missing[at] for entry in index.entries}


def _times(content: bytes) -> dict[str, float]:
    """Seconds of the partitions that were trained, nothing of them found in the cache."""
    if not content:
        return {}
    try:
        table = pa_csv.read_csv(pa.BufferReader(content))
        chosen = table.filter(
            pc.and_(pc.equal(table["outcome"], "trained"), pc.equal(table["cached"], "none"))
        )
    except (pa.ArrowException, KeyError):
        return {}
    ids: Iterable[str] = chosen["partition_id"].to_pylist()
    return dict(zip(ids, chosen["seconds"].to_pylist(), strict=True))
