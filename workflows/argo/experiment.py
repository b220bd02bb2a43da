"""Values shared by all Argo objects of an experiment: names, labels, images, classes."""

from __future__ import annotations

from functools import cached_property

from steps.contract import RunAddress
from workflows.argo.expressions import chosen_image
from workflows.installation.model import Installation, Project
from workflows.installation.projects import dataflow_for
from workflows.installation.resource_classes import ResourceClass
from workflows.pods.environment import Platform
from workflows.spec.model import ExperimentSpec

PROJECT_MAP = "refeed-project"
"""ConfigMap in a project's namespace with the project's name and artifact root."""
EXECUTOR = "refeed-executor"
"""Service account of Argo's own containers; the steps' code never has a Kubernetes token."""


class Experiment:
    """A spec compiled for an installation.

    Args:
        spec: spec that fits the installation.
        installation: installation that it is compiled for.
    """

    def __init__(self, spec: ExperimentSpec, installation: Installation) -> None:
        self.spec, self.installation = spec, installation
        self.project: Project = installation.projects[spec.project]
        trainers = installation.interchangeable(spec.trainer.name)
        self.platform = Platform(
            project=spec.project,
            root=self.project.root,
            store=self.project.store,
            trainers={name: each.image for name, each in trainers.items()},
            settings={name: found for name, each in trainers.items() if (found := each.rules())},
            classes=installation.training_classes(spec),
            retries=spec.execution.retries,
            staging=self.project.staging,
            billing=self.project.billing,
            dataflow=dataflow_for(spec, installation).model_dump(exclude_none=True),
        )
        self.labels = {
            "app.kubernetes.io/part-of": "refeed",
            "refeed/project": spec.project,
            "refeed/experiment": spec.name,
            "refeed/spec": spec.digest(),
        }
        self.annotations = {
            "workflows.argoproj.io/title": spec.name,
            "workflows.argoproj.io/description": (
                f"One model per partition of a table, project {spec.project}. "
                "The report is an artifact of the collect step."
            ),
        }

    @property
    def split_image(self) -> str:
        """Image of the split step, with Beam if the spec's engine needs it.

        ``project_for`` checks that the installation has such an image.
        """
        images = self.installation.images
        needs_beam = self.spec.split.engine != "embedded"
        return images.worker if needs_beam and images.worker else images.split

    @cached_property
    def training_classes(self) -> tuple[ResourceClass, ...]:
        """Resource classes that training pods may use, smallest first."""
        classes = self.installation.training_classes(self.spec)
        return tuple(each.on_spot() for each in classes) if self.spec.execution.spot else classes

    @property
    def chosen_image(self) -> str:
        """Image of the form's trainer, as an expression if there is a choice."""
        return chosen_image(self.platform.trainers, self.spec.trainer.name)

    def address(self, run: str) -> RunAddress:
        """Return the address of a run, whose id may be an Argo tag."""
        return RunAddress(self.spec.output, self.spec.project, self.spec.name, run)
