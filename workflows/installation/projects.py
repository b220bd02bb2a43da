"""The project that a spec runs in, and the checks that keep the spec inside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from steps.contract import ProjectLayout
from steps.errors import Problem, SpecError
from steps.split.config import DataflowConfig
from workflows.installation.isolation import conflicting_bigquery, inside
from workflows.installation.model import Installation, Project
from workflows.installation.trainer_rules import limit_problems
from workflows.spec.model import ExperimentSpec


def project_for(installation: Installation, spec: ExperimentSpec) -> Project:
    """Return the project that a spec runs in.

    Raises:
        SpecError: the installation lacks something that the spec names, the spec leaves its
            project, a pod cannot read the source, or Argo would expand part of a URI.
    """
    problems = [
        *_unknown_names(installation, spec),
        *_trainer_problems(installation, spec),
        *_conflicting_storage(installation, spec),
        *_conflicting_services(installation, spec),
        *_unusable_uris(installation, spec),
    ]
    if problems:
        raise SpecError("the spec", problems)
    return installation.projects[spec.project]


def _unknown_names(installation: Installation, spec: ExperimentSpec) -> list[Problem]:
    names: list[tuple[str, str, str, str, Any]] = [
        ("project", "project", spec.project, "project={}", installation.projects),
        ("trainer", "trainer.name", spec.trainer.name, "trainer.name={}", installation.trainers),
    ]
    names += [
        ("class", f"execution.classes.{i}", name, "'execution.classes=[{}]'", installation.classes)
        for i, name in enumerate(spec.execution.classes or [])
    ]
    return [
        Problem(
            where,
            f"the installation file defines no {kind} {name!r}",
            f"Available: {', '.join(known)}. For example --set {change.format(next(iter(known)))}",
        )
        for kind, where, name, change, known in names
        if name not in known
    ]


def _trainer_problems(installation: Installation, spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield a problem for each class and parameter that the trainer's rules do not allow."""
    trainer = installation.trainers.get(spec.trainer.name)
    if trainer is None:
        return
    own = [each.name for each in installation.classes_of(spec.trainer.name)]
    for number, name in enumerate(spec.execution.classes or []):
        if name in installation.classes and name not in own:
            message = f"the trainer {spec.trainer.name!r} does not run in the class {name!r}"
            hint = f"It runs in {', '.join(own)}."
            yield Problem(f"execution.classes.{number}", message, hint)
    rules = trainer.rules()
    yield from limit_problems(spec.trainer.params, rules.get("limits", {}))


def dataflow_for(spec: ExperimentSpec, installation: Installation) -> DataflowConfig:
    """Return the project's Dataflow settings; the defaults if the spec does not use Beam."""
    project = installation.projects.get(spec.project)
    if project is None or spec.split.engine == "embedded":
        return DataflowConfig()
    image = installation.images.worker
    return project.dataflow.model_copy(update={"worker_image": image} if image else {})


def _conflicting_storage(installation: Installation, spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield a problem if the output or the store is not the project's own."""
    project = installation.projects.get(spec.project)
    if project is None:
        return
    if not inside(project.root, spec.output):
        local = "://" not in spec.output
        reason = (
            "A pod cannot write a local folder" if local else "A run writes only to its own project"
        )
        message = (
            f"{spec.output!r} is not under {project.root!r}, the artifact root of the project "
            f"{spec.project!r}. {reason}"
        )
        yield Problem("output", message, f"Use --set output={project.root}")
    if spec.store not in {None, project.store}:
        own = repr(project.store) if project.store else "in its artifact root"
        message = (
            f"{spec.store!r} is not the store of the project {spec.project!r}, which is {own}. A "
            "run uses only its own project's store"
        )
        yield Problem("store", message, "Leave it out, or use --set store=null")


def _conflicting_services(installation: Installation, spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield the settings of BigQuery and Dataflow that are not the project's, or are not set."""
    project = installation.projects.get(spec.project)
    if project is not None:
        yield from conflicting_bigquery(
            spec.dataset, spec.project, project.staging, project.billing
        )
        if spec.dataset.query is not None and project.staging is None:
            message = f"the project {spec.project!r} has no staging dataset for the query's result"
            hint = f"Set projects.{spec.project}.staging in the installation file."
            yield Problem("dataset.query", message, hint)
    if spec.split.engine != "embedded" and installation.images.worker is None:
        message = f"the engine {spec.split.engine!r} needs an image with Beam, which is not set"
        hint = "Set images.worker in the installation file, or use --set split.engine=embedded"
        yield Problem("split.engine", message, hint)
    elif project is not None:
        jobs = dataflow_for(spec, installation)
        yield from spec.split.conflicts(jobs, spec.project)
        yield from spec.split.with_defaults(jobs).missing()


def _unusable_uris(installation: Installation, spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield a problem for a local source, and for URIs that Argo or Kubernetes would expand."""
    project = installation.projects.get(spec.project)
    if project is not None and not spec.dataset.is_remote:
        name = Path(spec.dataset.source).name
        uri = ProjectLayout(project.root, spec.project).suggested_source(
            re.sub(r"[^\w.-]", "_", name)
        )
        yield Problem(
            "dataset.source",
            f"{spec.dataset.source!r} is a local path, which a pod cannot read",
            f"Submit with --upload, or copy it to {uri} and use --set dataset.source={uri}",
        )
    for where, uri in (("output", spec.output), ("dataset.source", spec.dataset.source)):
        if set(uri) & set("{}$"):
            yield Problem(
                where,
                f"{uri!r} contains braces or a dollar sign, which Argo or Kubernetes would expand",
                f"Choose another name: --set {where}=gs://...",
            )
