"""Choose the engine that a spec names."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, cast

from steps.contract import ProjectLayout
from steps.errors import Problem, SpecError
from steps.records import PartitionIndex
from steps.runtime.progress import Progress
from steps.split.config import SplitConfig
from steps.split.dataset.plan import SplitPlan
from steps.split.engines.embedded import build_dataset
from steps.split.sources.base import Source
from steps.storage.base import Storage

Engine = Callable[[Source, SplitPlan, ProjectLayout, Storage, Progress], PartitionIndex]
"""A function that builds a dataset. All engines write identical files."""


def choose_engine(config: SplitConfig, follower: str = "") -> Engine:
    """Return the engine that a spec names. Beam and Dataflow are imported on demand.

    Args:
        config: the spec's ``split`` section, with the installation's defaults.
        follower: id of the run that waits for a Dataflow job; a job is cancelled only when no run
            waits for it.

    Raises:
        SpecError: the engine is not installed, or a setting that it requires is missing.
    """
    if config.engine == "embedded":
        return build_dataset
    if config.engine == "beam":
        return cast(Engine, _load("local").build_dataset)
    missing = config.missing()
    if missing:
        raise SpecError("the spec", missing)
    return cast(Engine, _load("dataflow").DataflowEngine(config, follower))


def _load(name: str) -> Any:  # noqa: ANN401 - a module has no static type
    try:
        return importlib.import_module(f"steps.split.engines.beam.{name}")
    except ModuleNotFoundError as error:
        message = f"this engine needs the module {error.name}, which is not installed"
        hint = "Install it with: pip install 'refeed[beam]'"
        raise SpecError("the spec", [Problem("split.engine", message, hint)]) from error
