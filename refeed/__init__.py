"""Refeed: one model per partition of a table, hundreds at once, laid side by side.

The only documented Python API. Names are loaded on first use, so that importing this package costs
nothing; a trainer plug-in imports from here and nowhere else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steps.errors import DataError, RefeedError, SpecError, TrainerError, TransientError
    from steps.train.trainer import (
        Features,
        ShapValues,
        Task,
        Trainer,
        TrainerParams,
        TrainingData,
    )
    from workflows.local import RunSummary, run
    from workflows.spec.load import load_spec
    from workflows.spec.model import ExperimentSpec

__version__ = "0.1.0"

_HOMES = {
    "DataError": "steps.errors",
    "ExperimentSpec": "workflows.spec.model",
    "Features": "steps.train.trainer",
    "RefeedError": "steps.errors",
    "RunSummary": "workflows.local",
    "ShapValues": "steps.train.trainer",
    "SpecError": "steps.errors",
    "Task": "steps.train.trainer",
    "Trainer": "steps.train.trainer",
    "TrainerError": "steps.errors",
    "TrainerParams": "steps.train.trainer",
    "TrainingData": "steps.train.trainer",
    "TransientError": "steps.errors",
    "load_spec": "workflows.spec.load",
    "run": "workflows.local",
}

__all__ = [
    "DataError",
    "ExperimentSpec",
    "Features",
    "RefeedError",
    "RunSummary",
    "ShapValues",
    "SpecError",
    "Task",
    "Trainer",
    "TrainerError",
    "TrainerParams",
    "TrainingData",
    "TransientError",
    "load_spec",
    "run",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any of the names above
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
