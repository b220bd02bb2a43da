"""The installation file: settings that a platform engineer maintains once for all specs.

It is read at compile time only. The part that a run needs is compiled into its WorkflowTemplate.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from steps.config import SpecPart
from steps.contract import MAX_CLASSES
from steps.errors import MissingInputError, SpecError
from steps.quantity import parse_duration
from steps.split.config import DATASET, GCP_PROJECT, DataflowConfig
from workflows.installation.resource_classes import ResourceClass, ResourceName
from workflows.spec.model import DURATION, NAME, STORE, ExperimentSpec
from workflows.spec.validation_errors import located, problems_of
from workflows.spec.yaml_positions import parse_yaml, read_text

VARIABLE = "REFEED_INSTALLATION"
"""Environment variable with the path of the file."""

_EXAMPLE = "manifests/installation.example.yaml is an example."
_IMAGE = r"^[a-z0-9][a-z0-9./:_@-]*[:@][A-Za-z0-9._:-]+$"
_REGISTRY = r"^[a-z0-9][a-z0-9./:_-]*[a-z0-9]$"
_ACCOUNT = r"^[a-z][a-z0-9-]{4,28}[a-z0-9]@[a-z][a-z0-9.:-]+\.iam\.gserviceaccount\.com$"

Image = Annotated[str, Field(pattern=_IMAGE)]
Account = Annotated[str, Field(pattern=_ACCOUNT)]
Name = Annotated[str, Field(pattern=NAME, max_length=45)]


class Limit(SpecPart):
    """Bounds of a parameter."""

    min: float | None = None
    """Minimum value."""
    max: float | None = None
    """Maximum value."""


class TrainerImage(SpecPart):
    """Image of a trainer, which contains Refeed and the plug-in, and rules for its use."""

    image: Image
    """Image, with a tag or a digest."""
    classes: list[str] | None = Field(default=None, min_length=1)
    """Resource classes that it runs in; default: all classes without `resources`."""
    defaults: dict[str, Any] = Field(default_factory=dict)
    """Parameters that apply where a spec does not set them, such as `{rounds: 50}`."""
    limits: dict[str, Limit] = Field(default_factory=dict)
    """Bounds of parameters that are numbers, such as `{rounds: {max: 2000}}`; they hold for
    defaults too."""

    def rules(self) -> dict[str, Any]:
        """Return defaults and limits for the check step; empty if there are none."""
        return self.model_dump(mode="json", include={"defaults", "limits"}, exclude_defaults=True)


class StepImages(SpecPart):
    """Images of the steps other than train."""

    split: Image
    """Image of the split step."""
    collect: Image
    """Image of the collect step and of the exit handler."""
    worker: Image | None = None
    """Image of Dataflow's workers, and of the split step if the spec's engine is beam or
    dataflow."""


class StepClasses(SpecPart):
    """Resource classes of the steps other than train."""

    check: str = "small"
    """Resource class of the check step, which reads a spec."""
    split: str = "medium"
    """Resource class of the split step, which streams the table."""
    collect: str = "small"
    """Resource class of the collect step, which streams the results."""
    base: str | None = None
    """Resource class of the base step, which holds all rows in memory, or a sample of them;
    default: that of the split step."""

    @property
    def of_base(self) -> str:
        """Resource class of the base step."""
        return self.base or self.split


class Prices(SpecPart):
    """Prices of resources, to estimate the cost of a run."""

    cpu_hour: float = Field(ge=0)
    """Price of one CPU for one hour."""
    gib_hour: float = Field(ge=0)
    """Price of one GiB of memory for one hour."""
    resource_hour: dict[ResourceName, Annotated[float, Field(ge=0)]] = Field(default_factory=dict)
    """Price of one unit of another resource for one hour, such as `{nvidia.com/gpu: 0.35}`."""
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")
    """Currency code (ISO 4217)."""


class Notify(SpecPart):
    """Notification of failed or late runs, by a webhook that accepts JSON with a `text`."""

    secret: Name = "refeed-notify"  # noqa: S105 - a name, not a secret
    """Name of the Secret in the project's namespace that contains the webhook's URL."""
    key: str = Field(default="url", min_length=1)
    """Key of the URL in the Secret."""
    late_after: Annotated[str, Field(pattern=DURATION)] = "6h"
    """Duration after which a run counts as late."""

    @property
    def late_seconds(self) -> int:
        """Seconds of ``late_after``."""
        return parse_duration(self.late_after)


class Identities(SpecPart):
    """Google service accounts of a project's pods, by workload identity."""

    split: Account | None = None
    """Service account of the split step, which reads the sources."""
    train: Account | None = None
    """Service account of the train step."""
    collect: Account | None = None
    """Service account of the collect step, which writes the results."""


class Project(SpecPart):
    """A project, the unit of isolation, with its own namespace and artifact root."""

    namespace: str = Field(pattern=NAME, max_length=63)
    """Namespace of its workflows."""
    root: str = Field(pattern=r"^gs://[a-z0-9][a-z0-9._-]+(/[^{}\s]*)?$")
    """Artifact root, `gs://bucket` or `gs://bucket/prefix`; nothing is written outside it."""
    store: str | None = Field(default=None, pattern=STORE)
    """Experiment store, `firestore://gcp-project` or `firestore://gcp-project/database`;
    default: objects in the artifact root."""
    staging: str | None = Field(default=None, pattern=DATASET)
    """BigQuery dataset, `gcp-project.dataset`, that keeps results of queries and views for a day;
    without one, only tables can be read."""
    billing: str | None = Field(default=None, pattern=GCP_PROJECT)
    """Google Cloud project that pays for reading BigQuery; default: the project of the pods'
    service account."""
    dataflow: DataflowConfig = DataflowConfig()
    """Settings of Dataflow jobs. A spec cannot override them. The workers' image is
    `images.worker`."""
    identities: Identities = Identities()
    """Google service accounts of its pods; `refeed project` writes them to the manifests."""
    analysts: list[str] = Field(default_factory=list)
    """Groups, by their names in the cluster, whose members may run workflows in the project."""


class Argo(SpecPart):
    """Settings of Argo Workflows that `refeed project render` writes to the manifests."""

    images: Annotated[str, Field(pattern=_REGISTRY)] | None = None
    """Registry of its images, such as a mirror; default: `quay.io/argoproj`."""
    account: Account | None = None
    """Google service account with which the Argo server reads reports and logs."""


class Installation(SpecPart):
    """A platform that runs specs: its images, resource classes and projects."""

    images: StepImages
    """Images of the steps."""
    trainers: dict[Name, TrainerImage] = Field(min_length=1)
    """Trainer images, by the trainer's name in specs."""
    classes: dict[Name, ResourceClass] = Field(min_length=1, max_length=MAX_CLASSES)
    """Resource classes, the smallest memory first."""
    steps: StepClasses = StepClasses()
    """Resource class of each step."""
    projects: dict[Name, Project] = Field(min_length=1)
    """Projects, by their names in specs."""
    prices: Prices | None = None
    """Prices of resources, from which `refeed profile` estimates the cost of a run."""
    argo: Argo = Argo()
    """Settings of Argo Workflows, if its manifests are rendered from this file."""
    notify: Notify | None = None
    """Notification of failed or late runs; null for none."""
    environment: dict[str, str] = Field(default_factory=dict)
    """Environment variables of all pods, such as proxy settings. Do not put secrets here: the
    values are readable in the cluster."""

    @model_validator(mode="after")
    def _classes_grow(self) -> Installation:
        for name, resource_class in self.classes.items():
            self.classes[name] = resource_class.with_name(name)
        _check_growth("classes", self._without_resources)
        for step, name in self.steps.model_dump(exclude_none=True).items():
            if name not in self.classes:
                known = ", ".join(self.classes)
                raise ValueError(f"steps.{step} is {name!r}, which is not a class: {known}")
            if self.classes[name].resources:
                raise ValueError(
                    f"steps.{step} is {name!r}, a class with resources that only trainers use. "
                    "Choose a class without resources"
                )
        return self

    @model_validator(mode="after")
    def _trainers_have_classes(self) -> Installation:
        for name, trainer in self.trainers.items():
            for unknown in [each for each in trainer.classes or [] if each not in self.classes]:
                known = ", ".join(self.classes)
                raise ValueError(
                    f"trainers.{name}.classes has {unknown!r}, which is not a class: {known}"
                )
            _check_growth(f"trainers.{name}.classes", self.classes_of(name))
        return self

    @property
    def _without_resources(self) -> tuple[ResourceClass, ...]:
        return tuple(each for each in self.classes.values() if not each.resources)

    def classes_from(self, smallest: str) -> tuple[ResourceClass, ...]:
        """Return a class without resources and all larger ones, the smallest first."""
        classes = self._without_resources
        return classes[[each.name for each in classes].index(smallest) :]

    def classes_of(self, trainer: str) -> tuple[ResourceClass, ...]:
        """Return the resource classes that a trainer may run in, the smallest first."""
        config = self.trainers.get(trainer)
        if config is None or config.classes is None:
            return self._without_resources
        return tuple(each for each in self.classes.values() if each.name in config.classes)

    def training_classes(self, spec: ExperimentSpec) -> tuple[ResourceClass, ...]:
        """Return the resource classes that a spec's training pods may use, the smallest first."""
        classes = self.classes_of(spec.trainer.name)
        allowed = spec.execution.classes
        return tuple(each for each in classes if allowed is None or each.name in allowed)

    def interchangeable(self, trainer: str) -> dict[str, TrainerImage]:
        """Return a trainer and all others that run in the same classes, by name.

        A template has training pods of these classes only, so its form offers these trainers.
        """
        classes = self.classes_of(trainer)
        return {
            name: each
            for name, each in sorted(self.trainers.items())
            if self.classes_of(name) == classes
        }


def _check_growth(where: str, classes: Sequence[ResourceClass]) -> None:
    """Check that a pod that ran out of memory or disk has a larger class.

    Raises:
        ValueError: memory does not increase, or disk decreases.
    """
    sizes = [each.memory_mib for each in classes]
    if any(second <= first for first, second in pairwise(sizes)):
        raise ValueError(
            f"{where} have {sizes} MiB of memory. They must be in increasing order, without "
            "duplicates, since a pod that ran out of memory gets the next class"
        )
    disks = [each.disk_mib for each in classes]
    if any(second < first for first, second in pairwise(disks)):
        raise ValueError(
            f"{where} have {disks} MiB of ephemeral_storage. It must not decrease, since a pod "
            "that used more disk than it may gets the next class"
        )


def find_installation(path: str | Path | None) -> Path:
    """Return the path of the installation file: the given one, or the environment's.

    Raises:
        MissingInputError: neither is set.
    """
    chosen = path or os.environ.get(VARIABLE)
    if chosen:
        return Path(chosen)
    raise MissingInputError(
        "No installation file is set. This command needs it, since it describes the cluster.",
        hint=f"Set it with --installation FILE or in {VARIABLE}; {_EXAMPLE} For runs on this "
        "machine use `refeed report SPEC --list`.",
    )


def load_installation(path: str | Path | None = None) -> Installation:
    """Read and validate the installation file.

    Raises:
        MissingInputError: the file does not exist.
        SpecError: the file is not valid; one problem per error.
    """
    file = find_installation(path)
    raw, positions = parse_yaml(str(file), read_text(file, _EXAMPLE))
    try:
        return Installation.model_validate(raw)
    except ValidationError as error:
        problems = problems_of(Installation, error)
        raise SpecError(str(file), [located(each, positions) for each in problems]) from None
