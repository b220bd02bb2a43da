"""The part of the spec that says where the split is done, and the engine that it names."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Annotated, Any, Literal, cast

from pydantic import Field

from steps.config import SpecPart
from steps.contract import ProjectLayout
from steps.errors import Problem, SpecError
from steps.progress import Progress
from steps.records import PartitionIndex
from steps.split.embedded import make_dataset
from steps.split.source import Source
from steps.split.writer import SplitPlan
from steps.storage import Storage

Engine = Callable[[Source, SplitPlan, ProjectLayout, Storage, Progress], PartitionIndex]
"""What makes a data set. All engines make the same one, file by file."""

Region = Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")]
CloudProject = Annotated[str, Field(pattern=r"^[a-z][a-z0-9.:-]{3,98}$")]
Account = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*@[a-z0-9.-]+$")]
Subnetwork = Annotated[str, Field(pattern=r"^(https://[a-z./]+|regions|projects)/[a-z0-9/._-]+$")]
WorkerImage = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9./:_@-]*[:@][A-Za-z0-9._:-]+$")]


class SplitConfig(SpecPart):
    """Where the split is done; nothing here changes a result."""

    engine: Literal["embedded", "beam", "dataflow"] = "embedded"
    """embedded: in the split step itself, in bounded memory. dataflow: in a job of Google Cloud
    Dataflow, for tables that one machine would read for hours. beam: the pipeline of that job in
    the split step itself, to try it; all rows must fit into memory."""
    machine_type: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]*$")
    """Of Dataflow's workers, such as `n2-standard-4`; default: Dataflow's choice."""
    workers: int = Field(default=20, ge=1, le=1000)
    """Dataflow's workers at the most."""
    region: Region | None = None
    """Where Dataflow's workers are; default: the installation's."""
    gcp_project: CloudProject | None = None
    """The Google Cloud project that pays for the job; default: the installation's."""
    service_account: Account | None = None
    """Whom the workers act as; default: the installation's."""
    subnetwork: Subnetwork | None = None
    """Where the workers are on the network, `regions/<region>/subnetworks/<name>`; default: the
    installation's. They have no public addresses."""
    worker_image: WorkerImage | None = None
    """The image of the workers, with Refeed in it; default: the installation's."""


def engine_of(config: SplitConfig, follower: str = "") -> Engine:
    """The engine that a spec names; Beam and Dataflow are imported on demand.

    Args:
        config: the spec's part, completed by the installation's.
        follower: who waits for a Dataflow job, such as a run; a job is cancelled only when nobody
            waits for it any more.

    Raises:
        SpecError: it needs what is not installed, or what nobody has said.
    """
    if config.engine == "embedded":
        return make_dataset
    if config.engine == "beam":
        return cast(Engine, _load("portable").make_dataset)
    _check_complete(config)
    return cast(Engine, _load("dataflow").DataflowEngine(config, follower))


def _load(name: str) -> Any:  # noqa: ANN401 - a module, whose names a type checker cannot know
    try:
        return importlib.import_module(f"steps.split.beam.{name}")
    except ModuleNotFoundError as error:
        message = f"this engine needs the module {error.name}, which is not installed"
        hint = "Install it with: pip install 'refeed[beam]'"
        raise SpecError("the spec", [Problem(0, 0, "split.engine", message, hint)]) from error


def _check_complete(config: SplitConfig) -> None:
    needed = ("gcp_project", "region", "worker_image")
    problems = [
        Problem(
            0,
            0,
            f"split.{name}",
            "Dataflow needs it, and neither the spec nor the installation names one",
            f"Name it with --set split.{name}=...",
        )
        for name in needed
        if getattr(config, name) is None
    ]
    if problems:
        raise SpecError("the spec", problems)
