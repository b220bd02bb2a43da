"""A probe: measures the cost of a trainer that states none, by fits on generated rows.

It needs the trainer and no dataset, so the check step can run it in the trainer's image before the
dataset exists. The fits run in a process of their own, with a deadline.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import time
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from typing import Any

from steps.train.config import TrainerConfig
from steps.train.cost import CELL_BYTES, CostFunction, FitCost, FitSize
from steps.train.loss import Task
from steps.train.workers.host import Spent, peak_memory_mib

SECONDS = 60.0
"""Deadline of a probe."""
SIZES = ((100, 4), (400, 4), (400, 16), (1600, 16))
"""Rows and features of the fits, in order."""


@dataclass(frozen=True)
class Measured:
    """A measured fit.

    Attributes:
        size: its data.
        seconds: seconds of the fit.
        explain_seconds: seconds of explaining as many rows; 0 if it did not end.
        memory_mib: memory that was added.
    """

    size: FitSize
    seconds: float
    explain_seconds: float = 0.0
    memory_mib: float = 0.0


def probe(config: TrainerConfig, task: str, seconds: float = SECONDS) -> CostFunction | None:
    """Return the cost of fits as measured, or None if no fit succeeded.

    If even the first fit does not end in time, a fit counts as long as the deadline.

    Args:
        config: the trainer.
        task: the task of the spec, or auto.
        seconds: the deadline.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(config, task, theirs), daemon=True)
    process.start()
    theirs.close()
    measured, in_time = _received(ours, seconds)
    process.kill()
    process.join()
    if not measured and not in_time:
        measured = [Measured(FitSize(*SIZES[0]), seconds)]
    return fitted(measured) if measured else None


def _received(connection: Connection, seconds: float) -> tuple[list[Measured], bool]:
    """Return the measured fits, and whether the process ended before the deadline."""
    deadline, measured = time.monotonic() + seconds, []
    while connection.poll(max(0.0, deadline - time.monotonic())):
        try:
            measured.append(connection.recv())
        except EOFError:
            return measured, True
    return measured, False


def fitted(measured: list[Measured]) -> CostFunction:
    """Return power laws through measured fits: exponents between the first and last are 0 to 2."""
    last = measured[-1]
    by_rows = _exponent(measured, "rows")
    by_features = _exponent(measured, "features")

    def cost(size: FitSize) -> FitCost:
        rows, features = size.rows / last.size.rows, size.features / last.size.features
        factor = size.outputs * max(rows, 1e-3) ** by_rows * max(features, 1e-3) ** by_features
        cells = size.rows * size.features
        per_cell = max(last.memory_mib / (last.size.rows * last.size.features), CELL_BYTES / 2**20)
        return FitCost(
            max(last.seconds * factor, measured[0].seconds / 2),
            last.explain_seconds * factor,
            cells * min(per_cell, 10 * CELL_BYTES / 2**20),
        )

    return cost


def _exponent(measured: list[Measured], axis: str) -> float:
    """Return the exponent of a coordinate, from the last two fits that differ in it alone."""
    other = "features" if axis == "rows" else "rows"
    found = 0.0
    for first, second in pairwise(measured):
        if getattr(first.size, other) == getattr(second.size, other):
            ratio = getattr(second.size, axis) / getattr(first.size, axis)
            found = math.log(second.seconds / first.seconds) / math.log(ratio)
    return min(max(found, 0.0), 2.0)


def _measure(config: TrainerConfig, task: str, connection: Connection) -> None:
    """Fit on generated rows of growing size, in a process of its own, and send what it took."""
    from steps.train.registry import make_trainer  # noqa: PLC0415 - loads the trainer

    with contextlib.suppress(Exception):  # a trainer may refuse generated rows
        trainer = make_trainer(config.name, config.params)
        chosen = task if task in trainer.tasks else max(trainer.tasks)
        _timed_fit(trainer, chosen, FitSize(*SIZES[0]))  # loads libraries
        for rows, features in SIZES:
            connection.send(_timed_fit(trainer, chosen, FitSize(rows, features)))


def _timed_fit(trainer: Any, task: Task, size: FitSize) -> Measured:  # noqa: ANN401 - any trainer
    from steps.train.generated import generated_data  # noqa: PLC0415 - loads numpy

    data = generated_data(task, int(size.rows), int(size.features), trainer.inner_folds)
    before = peak_memory_mib()
    began = Spent.now()
    model = trainer.fit(data)
    fit = Spent.now().since(began).busy_seconds
    began = Spent.now()
    points = data.features.values[:20, 0]
    trainer.response_curves(model, data.features, 0, points)
    curve = Spent.now().since(began).busy_seconds
    began = Spent.now()
    trainer.shap_values(model, data.features)
    explain = curve * size.features + Spent.now().since(began).busy_seconds
    return Measured(size, max(fit, 1e-4), explain, max(peak_memory_mib() - before, 0.0))
