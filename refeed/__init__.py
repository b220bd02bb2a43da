"""Refeed trains one model per partition of a table and compares the models.

This is the only documented Python API. Names are loaded on first use, so that importing the package
costs nothing. A trainer plug-in imports from here and nowhere else.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steps.collect.outcome import Outcome
    from steps.errors import (
        DataError,
        Problem,
        RefeedError,
        SpecError,
        TrainerError,
        TransientError,
    )
    from steps.records import RunRecord
    from steps.train.cost import FitCost, FitSize
    from steps.train.loss import ClassWeight, Link, Loss, LossName, Task
    from steps.train.trainer import (
        DataShape,
        Features,
        RowSubset,
        ShapValues,
        Trainer,
        TrainerParams,
        TrainingData,
    )
    from workflows.api.charts import Chart
    from workflows.api.model import Model
    from workflows.api.partition import PartitionResult
    from workflows.api.run import Run, open_run, run, runs
    from workflows.api.tables import Tables
    from workflows.local import RunSummary
    from workflows.spec.load import LoadedSpec, load_spec
    from workflows.spec.model import ExperimentSpec

_HOMES = {
    "Chart": "workflows.api.charts",
    "ClassWeight": "steps.train.loss",
    "DataError": "steps.errors",
    "DataShape": "steps.train.trainer",
    "ExperimentSpec": "workflows.spec.model",
    "Features": "steps.train.trainer",
    "FitCost": "steps.train.cost",
    "FitSize": "steps.train.cost",
    "Link": "steps.train.loss",
    "LoadedSpec": "workflows.spec.load",
    "Loss": "steps.train.loss",
    "LossName": "steps.train.loss",
    "Model": "workflows.api.model",
    "Outcome": "steps.collect.outcome",
    "PartitionResult": "workflows.api.partition",
    "Problem": "steps.errors",
    "RefeedError": "steps.errors",
    "Run": "workflows.api.run",
    "RowSubset": "steps.train.trainer",
    "RunRecord": "steps.records",
    "RunSummary": "workflows.local",
    "ShapValues": "steps.train.trainer",
    "SpecError": "steps.errors",
    "Tables": "workflows.api.tables",
    "Task": "steps.train.loss",
    "Trainer": "steps.train.trainer",
    "TrainerError": "steps.errors",
    "TrainerParams": "steps.train.trainer",
    "TrainingData": "steps.train.trainer",
    "TransientError": "steps.errors",
    "load_spec": "workflows.spec.load",
    "open_run": "workflows.api.run",
    "run": "workflows.api.run",
    "runs": "workflows.api.run",
}
"""The module that defines each public name."""

__all__ = [
    "Chart",
    "ClassWeight",
    "DataError",
    "DataShape",
    "ExperimentSpec",
    "Features",
    "FitCost",
    "FitSize",
    "Link",
    "LoadedSpec",
    "Loss",
    "LossName",
    "Model",
    "Outcome",
    "PartitionResult",
    "Problem",
    "RefeedError",
    "RowSubset",
    "Run",
    "RunRecord",
    "RunSummary",
    "ShapValues",
    "SpecError",
    "Tables",
    "Task",
    "Trainer",
    "TrainerError",
    "TrainerParams",
    "TrainingData",
    "TransientError",
    "load_spec",
    "open_run",
    "run",
    "runs",
]

__version__: str


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the names above
    if name == "__version__":
        return version("refeed")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
