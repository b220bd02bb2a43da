"""The installation file: what the engineer who runs the platform says once, for all specs.

Read at compile time only; what a run needs of it is compiled into its WorkflowTemplate.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from steps.config import SpecPart
from steps.errors import MissingInputError, SpecError
from steps.quantity import parse_duration
from steps.split.config import DATASET, GCP_PROJECT, DataflowConfig
from workflows.installation.resource_classes import ResourceClass
from workflows.spec.model import DURATION, NAME, STORE, ExperimentSpec
from workflows.spec.validation_errors import located, problems_of
from workflows.spec.yaml_positions import parse_yaml, read_text

VARIABLE = "REFEED_INSTALLATION"
"""Names the environment variable that names the file."""

_IMAGE = r"^[a-z0-9][a-z0-9./:_@-]*[:@][A-Za-z0-9._:-]+$"
_REGISTRY = r"^[a-z0-9][a-z0-9./:_-]*[a-z0-9]$"
_ACCOUNT = r"^[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z][a-z0-9.:-]+\.iam\.gserviceaccount\.com$"

Image = Annotated[str, Field(pattern=_IMAGE)]
Account = Annotated[str, Field(pattern=_ACCOUNT)]
Name = Annotated[str, Field(pattern=NAME, max_length=45)]


class TrainerImage(SpecPart):
    """The image of one trainer: it holds Refeed and the plug-in."""

    image: Image
    """With a tag or a digest."""


class StepImages(SpecPart):
    """The images of the steps that are no trainers."""

    split: Image
    """Of the split step."""
    collect: Image
    """Of the collect step, which also tells of failures."""
    worker: Image | None = None
    """Of Dataflow's workers, and of the split step where the spec's engine is beam or dataflow."""


class StepClasses(SpecPart):
    """The resource class of each step that is no trainer."""

    check: str = "small"
    """Of the check step: it reads a spec."""
    split: str = "medium"
    """Of the split step: it streams the table."""
    collect: str = "small"
    """Of the collect step: it streams the results."""


class Prices(SpecPart):
    """What resources cost, to tell what a run costs."""

    cpu_hour: float = Field(ge=0)
    """Of one processor for one hour."""
    gib_hour: float = Field(ge=0)
    """Of one GiB of memory for one hour."""
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    """ISO 4217."""


class Notify(SpecPart):
    """Whom to tell of runs that failed or came late: a webhook that takes JSON with a `text`."""

    secret: Name = "refeed-notify"  # noqa: S105 - a name, not a secret
    """Name of the Secret in the project's namespace that holds the webhook's URL."""
    key: str = Field(default="url", min_length=1)
    """Key within it."""
    late_after: Annotated[str, Field(pattern=DURATION)] = "6h"
    """A run that took longer is late."""

    @property
    def late_seconds(self) -> int:
        """``late_after`` in seconds."""
        return parse_duration(self.late_after)


class Identities(SpecPart):
    """The Google service accounts that a project's pods act as, by workload identity."""

    split: Account | None = None
    """Of the split step: it reads the sources."""
    train: Account | None = None
    """Of the trainers."""
    collect: Account | None = None
    """Of the collect step: it writes results."""


class Project(SpecPart):
    """The unit of isolation: a namespace and an artifact root of its own."""

    namespace: str = Field(pattern=NAME, max_length=63)
    """Where its workflows run."""
    root: str = Field(pattern=r"^gs://[a-z0-9][a-z0-9._-]+(/[^{}\s]*)?$")
    """The artifact root, `gs://bucket` or `gs://bucket/prefix`; nothing is written outside it."""
    store: str | None = Field(default=None, pattern=STORE)
    """The experiment store, `firestore://gcp-project` or `firestore://gcp-project/database`;
    default: objects at the root."""
    staging: str | None = Field(default=None, pattern=DATASET)
    """The BigQuery dataset, `gcp-project.dataset`, where results of queries and views lie for a
    day; without one, tables alone are read."""
    billing: str | None = Field(default=None, pattern=GCP_PROJECT)
    """The Google Cloud project that pays for reading BigQuery; default: that of the pods' service
    account."""
    dataflow: DataflowConfig = DataflowConfig()
    """Where its jobs of Dataflow run. What is named here, a spec cannot name otherwise; the image
    is `images.worker`."""
    identities: Identities = Identities()
    """What its pods act as in Google Cloud; `refeed project` writes it into its manifests."""
    analysts: list[str] = Field(default_factory=list)
    """Groups, as the cluster knows them, whose members may run workflows in it."""


class Argo(SpecPart):
    """Argo Workflows itself, as `refeed project render` writes it into the cluster's manifests."""

    images: Annotated[str, Field(pattern=_REGISTRY)] | None = None
    """Where its images come from instead of `quay.io/argoproj`, such as a mirror."""
    account: Account | None = None
    """The Google service account that its server reads reports and logs as."""


class Installation(SpecPart):
    """A platform on which specs run: its images, resource classes and projects."""

    images: StepImages
    """Of the steps."""
    trainers: dict[Name, TrainerImage] = Field(min_length=1)
    """By the name that specs use."""
    classes: dict[Name, ResourceClass] = Field(min_length=1)
    """Resource classes, the smallest memory first."""
    steps: StepClasses = StepClasses()
    """Which class each step runs in."""
    projects: dict[Name, Project] = Field(min_length=1)
    """By the name that specs use."""
    prices: Prices | None = None
    """What resources cost, for `refeed profile`, which tells before a run what it will cost."""
    argo: Argo = Argo()
    """Argo Workflows itself, where its manifests come from here."""
    notify: Notify | None = None
    """Whom to tell of failures; null for nobody."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables of all pods, such as a proxy's. No secrets: they would be readable."""

    @model_validator(mode="after")
    def _classes_grow(self) -> Installation:
        for name, resource_class in self.classes.items():
            self.classes[name] = resource_class.with_name(name)
        sizes = [each.memory_mib for each in self.classes.values()]
        if sizes != sorted(set(sizes)):
            raise ValueError(
                f"classes have {sizes} MiB of memory: name them in growing order, no two alike, "
                "since a pod that ran out of memory gets the next class"
            )
        for step, name in self.steps.model_dump().items():
            if name not in self.classes:
                known = ", ".join(self.classes)
                raise ValueError(f"steps.{step} is {name!r}, which is no class; there are {known}")
        return self

    def classes_from(self, smallest: str) -> tuple[ResourceClass, ...]:
        """Return a resource class and all larger ones, the smallest first."""
        names = list(self.classes)
        return tuple(self.classes[name] for name in names[names.index(smallest) :])

    def training_classes(self, spec: ExperimentSpec) -> tuple[ResourceClass, ...]:
        """Return the resource classes that a spec's training pods may use, the smallest first."""
        allowed = spec.execution.classes or self.classes
        return tuple(each for name, each in self.classes.items() if name in allowed)


def find_installation(path: str | Path | None) -> Path:
    """The installation file: the one that is given, or the one that the environment names.

    Raises:
        MissingInputError: neither names one.
    """
    named = path or os.environ.get(VARIABLE)
    if named:
        return Path(named)
    raise MissingInputError(
        "There is no installation file, so nobody knows images, resource classes and projects.",
        hint=f"Name it with --installation FILE or in {VARIABLE}; "
        "manifests/installation.example.yaml is one to begin with.",
    )


def load_installation(path: str | Path | None = None) -> Installation:
    """Read and check the installation file.

    Raises:
        MissingInputError: there is none.
        SpecError: with one problem for each thing that is wrong.
    """
    found = find_installation(path)
    hint = "manifests/installation.example.yaml is one to begin with."
    raw, places = parse_yaml(str(found), read_text(found, hint))
    try:
        return Installation.model_validate(raw)
    except ValidationError as error:
        problems = problems_of(Installation, error)
        raise SpecError(str(found), [located(each, places) for each in problems]) from None
