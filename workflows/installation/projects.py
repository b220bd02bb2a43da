"""The project that a spec runs in, and the checks that keep the spec inside it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from steps.contract import ProjectLayout
from steps.errors import Problem, SpecError
from steps.split.config import DataflowConfig
from workflows.installation.isolation import conflicting_bigquery, inside
from workflows.installation.model import Installation, Project
from workflows.spec.model import ExperimentSpec


def project_for(installation: Installation, spec: ExperimentSpec) -> Project:
    """The project that a spec runs in.

    Raises:
        SpecError: the installation does not have it, or the spec's output lies outside it or its
            store is another one, or a pod cannot reach the source, or Argo would expand something
            in either.
    """
    problems = [
        *_unknown(installation, spec),
        *_outside(installation, spec),
        *_another_store(installation, spec),
        *_another_staging(installation, spec),
        *_another_engine(installation, spec),
        *_unreachable(installation, spec),
        *_braces(spec),
    ]
    if problems:
        raise SpecError("the spec", problems)
    return installation.projects[spec.project]


def _unknown(installation: Installation, spec: ExperimentSpec) -> list[Problem]:
    named: list[tuple[str, str, str, str, Any]] = [
        ("project", "project", spec.project, "project={}", installation.projects),
        ("trainer", "trainer.name", spec.trainer.name, "trainer.name={}", installation.trainers),
    ]
    named += [
        ("class", f"execution.classes.{i}", name, "'execution.classes=[{}]'", installation.classes)
        for i, name in enumerate(spec.execution.classes or [])
    ]
    return [
        Problem(
            where,
            f"the installation has no {what} {name!r}",
            f"It has {', '.join(known)}: use --set {change.format(next(iter(known)))}",
        )
        for what, where, name, change, known in named
        if name not in known
    ]


def _braces(spec: ExperimentSpec) -> list[Problem]:
    """Argo expands what is in braces, and Kubernetes what is after a dollar."""
    uris = (("output", spec.output), ("dataset.source", spec.dataset.source))
    return [
        Problem(
            where,
            f"{uri!r} has braces or a dollar sign, which Argo or Kubernetes would expand",
            f"Name it otherwise: --set {where}=gs://...",
        )
        for where, uri in uris
        if set(uri) & set("{}$")
    ]


def _outside(installation: Installation, spec: ExperimentSpec) -> list[Problem]:
    project = installation.projects.get(spec.project)
    if project is None or inside(project.root, spec.output):
        return []
    local = "://" not in spec.output
    why = "a pod cannot reach a local folder" if local else "a project is the unit of isolation"
    return [
        Problem(
            "output",
            f"{spec.output!r} is not under {project.root!r}, the artifact root of the project "
            f"{spec.project!r}: {why}",
            f"Use --set output={project.root}",
        )
    ]


def _another_store(installation: Installation, spec: ExperimentSpec) -> list[Problem]:
    project = installation.projects.get(spec.project)
    if project is None or spec.store in {None, project.store}:
        return []
    own = f"is {project.store!r}" if project.store else "lies at its artifact root"
    message = (
        f"{spec.store!r} is not the store of the project {spec.project!r}, which {own}: a project "
        "is the unit of isolation"
    )
    return [Problem("store", message, "Use --set store=null")]


def dataflow_for(spec: ExperimentSpec, installation: Installation) -> DataflowConfig:
    """Where a spec's project has its jobs of Dataflow run; nothing where it asks for none."""
    project = installation.projects.get(spec.project)
    if project is None or spec.split.engine == "embedded":
        return DataflowConfig()
    image = installation.images.worker
    return project.dataflow.model_copy(update={"worker_image": image} if image else {})


def _another_engine(installation: Installation, spec: ExperimentSpec) -> list[Problem]:
    if spec.split.engine != "embedded" and installation.images.worker is None:
        message = f"the engine {spec.split.engine!r} needs an image with Beam, which is not named"
        hint = "The installation file names it: images.worker. Or use --set split.engine=embedded"
        return [Problem("split.engine", message, hint)]
    return spec.split.conflicts(dataflow_for(spec, installation), spec.project)


def _another_staging(installation: Installation, spec: ExperimentSpec) -> list[Problem]:
    project = installation.projects.get(spec.project)
    if project is None:
        return []
    problems = conflicting_bigquery(spec.dataset, spec.project, project.staging, project.billing)
    if spec.dataset.query is not None and project.staging is None:
        message = f"the project {spec.project!r} has no staging dataset, where its result could lie"
        hint = f"The installation file names it: projects.{spec.project}.staging."
        problems.append(Problem("dataset.query", message, hint))
    return problems


def _unreachable(installation: Installation, spec: ExperimentSpec) -> list[Problem]:
    project = installation.projects.get(spec.project)
    if project is None or spec.dataset.is_remote:
        return []
    name = Path(spec.dataset.source).name
    to = ProjectLayout(project.root, spec.project).uploaded(re.sub(r"[^\w.-]", "_", name))
    return [
        Problem(
            "dataset.source",
            f"{spec.dataset.source!r} is a local path, which a pod cannot reach",
            f"Copy it, say to {to}, and use --set dataset.source={to}; or submit with --upload.",
        )
    ]
