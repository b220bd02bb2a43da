"""From a checked spec and its data set to the request that train and collect carry out."""

from __future__ import annotations

from typing import Any

from refeed import __version__
from steps.errors import Problem, SpecError
from steps.records import RunRequest, digest
from steps.split.step import SplitRequest, SplitResult
from steps.train.registry import check_params, library_versions, load_class
from workflows.spec import ExperimentSpec

DEFAULT_GRID = 20


def split_request(spec: ExperimentSpec) -> SplitRequest:
    """What the split step is asked for."""
    dependence = spec.explain.partial_dependence
    return SplitRequest(
        config=spec.dataset,
        group=spec.evaluate.group,
        time=spec.evaluate.time,
        task=spec.task,
        grid_points=dependence.grid if dependence else DEFAULT_GRID,
    )


def trainer_config(spec: ExperimentSpec) -> dict[str, Any]:
    """Name and parameters of the trainer, all defaults filled in.

    Raises:
        SpecError: no such trainer, or a parameter that it does not take.
    """
    params = check_params(spec.trainer.name, spec.trainer.params)
    return {"name": spec.trainer.name, "params": params.model_dump(mode="json")}


def run_request(spec: ExperimentSpec, made: SplitResult, run: str) -> RunRequest:
    """The request of a run.

    Raises:
        SpecError: the trainer cannot do the task, or explain names something that is no feature.
    """
    trainer = trainer_config(spec)
    trainer_class = load_class(spec.trainer.name)
    problems = [*_unfit_task(spec, made.task, trainer_class.tasks), *_strange_curves(spec, made)]
    if problems:
        raise SpecError("the spec", problems)
    identity = spec.identity() | {"trainer": trainer}
    return RunRequest(
        project=spec.project,
        experiment=spec.name,
        run=run,
        spec_hash=digest(identity),
        dataset=made.index.dataset,
        grid=made.grid,
        roles=made.roles,
        task=made.task,
        classes=made.classes,
        min_rows=spec.dataset.min_rows,
        max_levels=spec.dataset.max_levels,
        trainer=trainer,
        evaluate=spec.evaluate.model_dump(mode="json"),
        explain=spec.explain.model_dump(mode="json"),
        versions={"refeed": __version__, **library_versions(trainer_class)},
        max_failed_fraction=spec.execution.max_failed_fraction,
    )


def _unfit_task(spec: ExperimentSpec, task: str, tasks: frozenset[Any]) -> list[Problem]:
    if task in tasks:
        return []
    can = ", ".join(sorted(tasks))
    message = f"{spec.trainer.name!r} cannot do a {task} task; it can do {can}"
    return [Problem(0, 0, "trainer.name", message, "`refeed trainers` lists the others.")]


def _strange_curves(spec: ExperimentSpec, made: SplitResult) -> list[Problem]:
    dependence = spec.explain.partial_dependence
    if not dependence or dependence.features == "all":
        return []
    return [
        Problem(0, 0, f"explain.partial_dependence.features.{i}", f"{name!r} is no feature")
        for i, name in enumerate(dependence.features)
        if name not in made.roles.features
    ]
