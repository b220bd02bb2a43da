"""The part of the spec that says where the split is done."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from steps.config import SpecPart
from steps.errors import Problem

Region = Annotated[str, Field(pattern=r"^[a-z]+-[a-z]+[0-9]+$")]
CloudProject = Annotated[str, Field(pattern=r"^[a-z][a-z0-9.:-]{3,98}$")]
Account = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*@[a-z0-9.-]+$")]
Subnetwork = Annotated[str, Field(pattern=r"^(https://[a-z./]+|regions|projects)/[a-z0-9/._-]+$")]
WorkerImage = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9./:_@-]*[:@][A-Za-z0-9._:-]+$")]


class DataflowPlace(SpecPart):
    """Where jobs of Google Cloud Dataflow run, and as whom."""

    gcp_project: CloudProject | None = None
    """The Google Cloud project that pays for the job."""
    region: Region | None = None
    """Where the workers are, such as `europe-west1`."""
    service_account: Account | None = None
    """Whom the workers act as; default: Compute Engine's own service account."""
    subnetwork: Subnetwork | None = None
    """Where the workers are on the network, `regions/<region>/subnetworks/<name>`. They have no
    public addresses."""
    worker_image: WorkerImage | None = None
    """The image of the workers, with Refeed and Beam in it: see containers/worker."""


class SplitConfig(DataflowPlace):
    """Where the split is done; nothing here changes a result."""

    engine: Literal["embedded", "beam", "dataflow"] = "embedded"
    """embedded: in the split step itself, in bounded memory. dataflow: in a job of Google Cloud
    Dataflow, for tables that one machine would read for hours. beam: the pipeline of that job in
    the split step itself, to try it; all rows must fit into memory."""
    machine_type: str | None = Field(default=None, pattern=r"^[a-z][a-z0-9-]*$")
    """Of Dataflow's workers, such as `n2-standard-4`; default: Dataflow's choice."""
    workers: int = Field(default=20, ge=1, le=1000)
    """Dataflow's workers at the most."""

    def strange(self, place: DataflowPlace, project: str) -> list[Problem]:
        """What the spec names that its project has another one of."""
        return [
            Problem(
                0,
                0,
                f"split.{name}",
                f"{mine!r} is not that of the project {project!r}, which has {own!r}: a project is "
                "the unit of isolation",
                f"Use --set split.{name}=null",
            )
            for name, own in place.model_dump().items()
            for mine in [getattr(self, name)]
            if own is not None and mine not in {None, own}
        ]

    def at(self, place: DataflowPlace) -> SplitConfig:
        """The same with what the project has, where the spec names nothing."""
        if self.engine == "embedded":
            return self
        given = {n: v for n, v in place.model_dump().items() if getattr(self, n) is None}
        return self.model_copy(update=given)
