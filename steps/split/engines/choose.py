"""The engines that make data sets: the one that a spec names."""

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
"""What makes a data set. All engines make the same one, file by file."""


def choose_engine(config: SplitConfig, follower: str = "") -> Engine:
    """The engine that a spec names; Beam and Dataflow are imported on demand.

    Args:
        config: the spec's part, completed by the installation's.
        follower: who waits for a Dataflow job, such as a run; a job is cancelled only when nobody
            waits for it any more.

    Raises:
        SpecError: it needs what is not installed, or what nobody has said.
    """
    if config.engine == "embedded":
        return build_dataset
    if config.engine == "beam":
        return cast(Engine, _load("local").build_dataset)
    _check_complete(config)
    return cast(Engine, _load("dataflow").DataflowEngine(config, follower))


def _load(name: str) -> Any:  # noqa: ANN401 - a module, whose names a type checker cannot know
    try:
        return importlib.import_module(f"steps.split.engines.beam.{name}")
    except ModuleNotFoundError as error:
        message = f"this engine needs the module {error.name}, which is not installed"
        hint = "Install it with: pip install 'refeed[beam]'"
        raise SpecError("the spec", [Problem("split.engine", message, hint)]) from error


def _check_complete(config: SplitConfig) -> None:
    needed = ("gcp_project", "region", "worker_image")
    problems = [
        Problem(
            f"split.{name}",
            "Dataflow needs it, and neither the spec nor the installation names one",
            f"Name it with --set split.{name}=...",
        )
        for name in needed
        if getattr(config, name) is None
    ]
    if problems:
        raise SpecError("the spec", problems)
