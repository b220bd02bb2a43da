"""Estimate the CPU time of training, in seconds per partition.

A model with measured constants weighs rows, features and parameters. If an earlier run of the
experiment recorded the times of its partitions, the estimate is scaled by actual over predicted
time, which accounts for the machine, the trainer and the data.
"""

from __future__ import annotations

import math
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
    "ebm": (1.9e-6, 0.047, 0.0, 0.06),
}
"""CPU seconds by trainer: per row, feature and tree; per leaf and tree; per leaf, feature and tree;
per partition. A fit of ``linear`` counts as one tree without leaves, a bag of ``ebm`` as one tree
with one leaf. Fitted to runs with 200 to
20,000 rows, 10 to 40 features, 7 to 31 leaves and 50 or 100 trees on an AMD EPYC of 2025, and
accurate within a factor of 1.6 for the times in benchmarks/results.md."""

EXPLAINED = 1.4
"""Factor by which explanations increase the time of a fit (benchmarks/results.md)."""

MEASURED_FACTOR = 1.5
"""Error factor of an estimate from an earlier run, which may have used other machines."""
MODEL_FACTOR = 3.0
"""Error factor of an estimate from the constants, measured on other machines and data."""
UNKNOWN_TRAINER_FACTOR = 10.0
"""Error factor of an estimate for a trainer without constants."""

_ROWS_PER_LEAF = 25
"""Rows per leaf, which limit the leaves in a small partition: LightGBM needs 20."""
_AUTO_ROUNDS = 100
"""Rounds that early stopping is expected to choose."""
_INNER_FOLDS = 5
"""Inner folds, unless a parameter sets their number."""
_RUNS = 5
"""Number of recent runs to search for recorded times."""


@dataclass(frozen=True)
class Shape:
    """Properties of a run that decide the time of a partition, apart from its rows.

    Attributes:
        trainer: name of the trainer.
        fits: models per partition: one per fold, and the final one.
        trees: trees per model.
        leaves: leaves per tree; None if they follow from the rows of a partition.
        features: features of the dataset.
        explained: true if explanations that take time are computed.
    """

    trainer: str
    fits: int
    trees: int
    leaves: int | None
    features: int
    explained: bool

    def seconds(self, rows: int) -> float:
        """Return the CPU seconds of a partition, from its number of rows with a target."""
        cell, leaf, leaf_feature, rest = CONSTANTS.get(self.trainer, CONSTANTS["lightgbm"])
        most = _leaves_of_rows(rows) if self.leaves is None else self.leaves
        leaves = min(most, rows / _ROWS_PER_LEAF)
        each = cell * rows * self.features + leaves * (leaf + leaf_feature * self.features)
        return rest + self.fits * self.trees * each * (EXPLAINED if self.explained else 1)


def shape_of(
    trainer: dict[str, Any],
    evaluate: dict[str, Any],
    explain: dict[str, Any],
    features: int,
    classes: int,
) -> Shape:
    """Return the shape of a run, from the parts of its request."""
    outputs = classes if classes > 2 else 1  # noqa: PLR2004 - two classes have one margin
    return Shape(
        trainer=trainer["name"],
        fits=1 + (1 if evaluate["method"] == "holdout" else evaluate["folds"]),
        trees=outputs * _trees(trainer["name"], trainer["params"]),
        leaves=_leaves(trainer["name"], trainer["params"]),
        features=features,
        explained=bool(
            explain["partial_dependence"] or explain["shap"] or explain["permutation_importance"]
        ),
    )


def _trees(trainer: str, params: dict[str, Any]) -> int:
    """Return the trees per model and output; see ``CONSTANTS`` for models without trees."""
    if trainer == "linear":
        return 1
    if trainer == "ebm":
        return int(params.get("bags", 4))
    rounds = params.get("rounds", math.ceil(10 / params.get("learning_rate", 0.2)))
    if rounds == "auto":  # each inner fold grows as many trees, and some more before it stops
        rounds = _AUTO_ROUNDS * (1 + params.get("inner_folds", _INNER_FOLDS))
    return int(rounds)


def _leaves(trainer: str, params: dict[str, Any]) -> int | None:
    if trainer in _LEAVES:
        return _LEAVES[trainer]
    leaves = params.get("num_leaves", "auto")
    return None if leaves == "auto" else int(leaves)


_LEAVES = {"linear": 0, "ebm": 1}
"""Leaves of models without trees; see ``CONSTANTS``."""


def _leaves_of_rows(rows: int) -> int:
    """Return the leaves that ``lightgbm`` gives a partition with so many rows."""
    return next((most for below, most in _LEAVES_OF_ROWS if rows < below), 31)


_LEAVES_OF_ROWS = ((2_000, 4), (10_000, 8), (20_000, 15))


@dataclass(frozen=True)
class Basis:
    """The basis of an estimate.

    Attributes:
        run: earlier run that the estimate is scaled by; empty if there is none.
        partitions: number of that run's partitions with recorded times.
        scale: their recorded time over the predicted time.
        factor: error factor of the estimate.
    """

    run: str
    partitions: int
    scale: float
    factor: float

    @property
    def description(self) -> str:
        """Description of the basis."""
        accuracy = f"likely accurate within a factor of {self.factor:g}"
        if self.run:
            return f"based on {self.partitions:,} partitions trained in run {self.run}; {accuracy}"
        return f"based on measured constants, since no run has finished yet; {accuracy}"


def basis_of(spec: ExperimentSpec, project: ProjectLayout, storage: Storage) -> Basis:
    """Return the basis of an estimate: the latest run with the same trainer, or the constants."""
    runs = open_store(project, spec.store).runs(spec.name)
    for record in [each for each in runs if each.status in {"finished", "failed"}][:_RUNS]:
        basis = _measured(spec, record.run, project, storage)
        if basis is not None:
            return basis
    known = spec.trainer.name in CONSTANTS
    return Basis("", 0, 1.0, MODEL_FACTOR if known else UNKNOWN_TRAINER_FACTOR)


def _measured(
    spec: ExperimentSpec, run: str, project: ProjectLayout, storage: Storage
) -> Basis | None:
    layout = project.run(spec.name, run)
    try:
        request = read_parsed(storage, layout.request, RunRequest.from_json)
        index = read_parsed(
            storage, project.dataset(request.dataset).index, PartitionIndex.from_json
        )
        times = _times(storage.read(layout.attempts_table))
    except (MissingInputError, DamagedError):  # removed, or written by another version
        return None
    if request.trainer["name"] != spec.trainer.name:
        return None
    shape = shape_of(
        request.trainer,
        request.evaluate,
        request.explain,
        len(request.roles.features),
        len(request.classes),
    )
    rows = rows_with_target(index, request.roles.target)
    pairs = [(times[key], shape.seconds(rows[key])) for key in times if key in rows]
    if not pairs:
        return None
    scale = sum(actual for actual, _ in pairs) / sum(predicted for _, predicted in pairs)
    return Basis(run, len(pairs), scale, MEASURED_FACTOR)


def rows_with_target(index: PartitionIndex, target: str) -> dict[str, int]:
    """Return the number of rows with a target by partition id."""
    at = index.column_position(target)
    return {entry.key.partition_id: entry.rows - entry.missing[at] for entry in index.entries}


def _times(content: bytes) -> dict[str, float]:
    """Return the seconds of the partitions that were trained without the cache."""
    if not content:
        return {}
    try:
        table = pa_csv.read_csv(pa.BufferReader(content))
        trained = table.filter(
            pc.and_(pc.equal(table["outcome"], "trained"), pc.equal(table["cached"], "none"))
        )
    except (pa.ArrowException, KeyError):
        return {}
    ids: Iterable[str] = trained["partition_id"].to_pylist()
    return dict(zip(ids, trained["seconds"].to_pylist(), strict=True))
