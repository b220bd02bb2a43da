"""Predicted cost of partitions: seconds and memory, as data that outlives the trainer's image.

A trainer states the cost of one fit (``Trainer.fit_cost``). From it, folds and explanations follow
the cost of a partition, evaluated on a grid of rows, features and outputs: only its image can
evaluate the trainer's formula, but split, which knows the rows, runs in another.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any, Literal

from steps.train.config import EvaluateConfig, ExplainConfig

Source = Literal["trainer", "probe", "unknown"]

ROWS = tuple(16 * 4**n for n in range(10))
FEATURES = tuple(4**n for n in range(7))
OUTPUTS = tuple(4**n for n in range(4))
"""The grid. Between two points, the logarithm of a cost is linear in the logarithm of each
coordinate, which is exact for a power law; for a constant plus a line it is off by 6 % at most."""

PARTITION_SECONDS = 0.006
"""CPU seconds of a partition apart from fits and explanations: reading rows, dealing folds,
metrics, writing results."""
FEATURE_SECONDS = 0.0002
"""The same, per feature."""
CELL_BYTES = 40
"""Memory per row and feature apart from the trainer's: the rows and the copies for folds."""


@dataclass(frozen=True)
class FitSize:
    """Size of the data of one fit.

    Attributes:
        rows: number of rows.
        features: number of features.
        outputs: columns of ``predict``: one, or one per class if there are more than two.
    """

    rows: float
    features: float
    outputs: float = 1


@dataclass(frozen=True)
class FitCost:
    """Cost of one fit.

    Attributes:
        seconds: CPU seconds of the fit. For a trainer that mostly waits, such as for a GPU: time.
        explain_seconds: CPU seconds of explaining as many other rows with the model: SHAP values,
            partial dependence on 20 points per feature, one shuffle per feature.
        memory_mib: memory that the fit adds to its data, in MiB.
    """

    seconds: float
    explain_seconds: float = 0.0
    memory_mib: float = 0.0


CostFunction = Callable[[FitSize], FitCost]


def unknown_cost(size: FitSize) -> FitCost:
    """Return the assumed cost of a fit by a trainer about which nothing is known.

    It is about that of 100 trees with 31 leaves.
    """
    cells = size.rows * size.features
    seconds = size.outputs * (0.05 + 6e-7 * cells)
    return FitCost(seconds, 0.4 * seconds, cells * 40 / 2**20)


@dataclass(frozen=True)
class CostTable:
    """Cost of partitions on the grid of ``ROWS``, ``FEATURES`` and ``OUTPUTS``.

    Attributes:
        source: what the costs are based on: the trainer's statement, a probe, or nothing.
        seconds: by position in the grid; the outputs vary fastest.
        memory_mib: memory of a worker beyond its fixed part.
    """

    source: Source
    seconds: tuple[float, ...]
    memory_mib: tuple[float, ...]

    @classmethod
    def build(
        cls, source: Source, cost: CostFunction, evaluate: EvaluateConfig, explain: ExplainConfig
    ) -> CostTable:
        """Return the costs of partitions, with all folds and explanations."""
        sizes = [FitSize(*each) for each in product(ROWS, FEATURES, OUTPUTS)]
        seconds = [partition_seconds(cost, size, evaluate, explain) for size in sizes]
        memory = [
            cost(size).memory_mib + size.rows * size.features * CELL_BYTES / 2**20 for size in sizes
        ]
        return cls(source, tuple(map(_short, seconds)), tuple(map(_short, memory)))

    @classmethod
    def from_raw(cls, raw: dict[str, Any]) -> CostTable:
        """Read what ``to_raw`` returned."""
        return cls(raw["source"], tuple(raw["seconds"]), tuple(raw["memory_mib"]))

    def to_raw(self) -> dict[str, Any]:
        """Return the values as JSON."""
        return asdict(self)

    def seconds_of(self, size: FitSize) -> float:
        """Return the predicted seconds of a partition."""
        return _between(self.seconds, size)

    def memory_of(self, size: FitSize) -> float:
        """Return the predicted memory of a worker in MiB, beyond its fixed part."""
        return _between(self.memory_mib, size) if size.rows else 0.0


def _short(value: float) -> float:
    return float(f"{max(value, 1e-6):.4g}")


def partition_seconds(
    cost: CostFunction, size: FitSize, evaluate: EvaluateConfig, explain: ExplainConfig
) -> float:
    """Return the predicted seconds of a partition: a fit per fold, explanations, the final fit."""
    folds = list(_folds(size.rows, evaluate))
    fits = sum(
        cost(FitSize(rows, size.features, size.outputs)).seconds
        for rows in [*(train for train, _ in folds), size.rows]
    )
    held_out = sum(rows for _, rows in folds)
    share = min(1.0, explain.rows / held_out) if held_out else 0.0
    explained = _explained(explain) * sum(
        cost(FitSize(rows * share, size.features, size.outputs)).explain_seconds
        for _, rows in folds
    )
    return PARTITION_SECONDS + FEATURE_SECONDS * size.features + fits + explained


def _folds(rows: float, evaluate: EvaluateConfig) -> Iterator[tuple[float, float]]:
    """Yield the rows that each fold trains on and holds out."""
    if evaluate.method == "holdout":
        yield rows * (1 - evaluate.fraction), rows * evaluate.fraction
    elif evaluate.method == "kfold":
        yield from [(rows - rows / evaluate.folds, rows / evaluate.folds)] * evaluate.folds
    else:
        block = rows / (evaluate.folds + 1)
        yield from ((block * (fold + 1), block) for fold in range(evaluate.folds))


def _explained(explain: ExplainConfig) -> float:
    """Return the extent of the explanations, 1 for the default of ``explain``."""
    dependence = explain.partial_dependence
    curves = dependence.grid / 20 if dependence else 0.0
    return 0.4 * curves + 0.4 * explain.shap + 0.2 * explain.permutation_importance


def _between(values: Sequence[float], size: FitSize) -> float:
    """Return the value at a point of the grid or between its points."""
    axes = (ROWS, FEATURES, OUTPUTS)
    places = [
        _place(axis, value)
        for axis, value in zip(axes, (size.rows, size.features, size.outputs), strict=True)
    ]
    total = 0.0
    for corner in product((0, 1), repeat=3):
        weight, position = 1.0, 0
        for axis, (at, share), upper in zip(axes, places, corner, strict=True):
            weight *= share if upper else 1 - share
            position = position * len(axis) + at + upper
        total += weight * math.log(values[position])
    return math.exp(total)


def _place(axis: Sequence[int], value: float) -> tuple[int, float]:
    """Return the interval that a value is in or next to, and its place there from 0 to 1.

    Below the axis the value counts as its first point; above, the last interval is extended.
    """
    value = max(value, axis[0])
    at = min(bisect_right(axis, value), len(axis) - 1) - 1
    return at, math.log(value / axis[at]) / math.log(axis[at + 1] / axis[at])
