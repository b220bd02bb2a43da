"""From a checked spec and its data set to the request that train and collect carry out."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from refeed import __version__
from steps.errors import Problem, SpecError
from steps.records import RunRequest, canonical_json, digest
from steps.split.engines.choose import Engine, choose_engine
from steps.split.step import SplitRequest, SplitResult
from steps.train.registry import check_params, library_versions, load_class
from workflows.spec.model import ExperimentSpec

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
        force=spec.execution.force,
    )


def split_engine(spec: ExperimentSpec, follower: str) -> Engine:
    """What makes the data set.

    Args:
        spec: with all that its engine needs.
        follower: who waits for a job of Dataflow.

    Raises:
        SpecError: the engine lacks something, or its workers could not reach source or output.
    """
    named = (
        ("output", spec.output, "://" in spec.output),
        ("dataset.source", spec.dataset.source, spec.dataset.is_remote),
    )
    problems = [
        Problem(
            where,
            f"{value!r} is a local path, which Dataflow's workers cannot reach",
            f"Copy it to a bucket, and use --set {where}=gs://...",
        )
        for where, value, remote in named
        if spec.split.engine == "dataflow" and not remote
    ]
    if problems:
        raise SpecError("the spec", problems)
    return choose_engine(spec.split, follower)


def trainer_config(spec: ExperimentSpec) -> dict[str, Any]:
    """Name and parameters of the trainer, all defaults filled in.

    Raises:
        SpecError: no such trainer, or a parameter that it does not take.
    """
    params = check_params(spec.trainer.name, spec.trainer.params)
    return {"name": spec.trainer.name, "params": params.model_dump(mode="json")}


@dataclass(frozen=True)
class TrainerInfo:
    """What only the machine or image that has a trainer knows of it.

    Attributes:
        config: name and parameters, all defaults filled in.
        versions: of Refeed and of the libraries that shape a number.
        tasks: that it can do.
    """

    config: dict[str, Any]
    versions: dict[str, str]
    tasks: tuple[str, ...]

    def to_json(self) -> str:
        """The text that is stored as ``operations/trainer.json``."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> TrainerInfo:
        """Read what ``to_json`` wrote."""
        raw = json.loads(text)
        return cls(raw["config"], raw["versions"], tuple(raw["tasks"]))


def trainer_info(spec: ExperimentSpec) -> TrainerInfo:
    """Check the trainer's part of a spec, and look at the trainer that is installed here.

    Raises:
        SpecError: no such trainer, or a parameter that it does not take.
    """
    config = trainer_config(spec)
    trainer = load_class(spec.trainer.name)
    versions = {"refeed": __version__, **library_versions(trainer)}
    return TrainerInfo(config, versions, tuple(sorted(trainer.tasks)))


def run_request(
    spec: ExperimentSpec, made: SplitResult, run: str, trainer: TrainerInfo
) -> RunRequest:
    """The request of a run.

    Raises:
        SpecError: the trainer cannot do the task, or explain names something that is no feature.
    """
    problems = [*_unfit_task(spec, made.task, trainer.tasks), *_strange_curves(spec, made)]
    if problems:
        raise SpecError("the spec", problems)
    identity = spec.identity() | {"trainer": trainer.config}
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
        trainer=trainer.config,
        evaluate=spec.evaluate.model_dump(mode="json"),
        explain=spec.explain.model_dump(mode="json"),
        versions=trainer.versions,
        max_failed_fraction=spec.execution.max_failed_fraction,
        force=spec.execution.force,
        label=spec.execution.label,
    )


def _unfit_task(spec: ExperimentSpec, task: str, tasks: tuple[str, ...]) -> list[Problem]:
    if task in tasks:
        return []
    can = ", ".join(tasks)
    message = f"{spec.trainer.name!r} cannot do a {task} task; it can do {can}"
    return [Problem("trainer.name", message, "`refeed trainers` lists the others.")]


def _strange_curves(spec: ExperimentSpec, made: SplitResult) -> list[Problem]:
    dependence = spec.explain.partial_dependence
    if not dependence or dependence.features == "all":
        return []
    return [
        Problem(f"explain.partial_dependence.features.{i}", f"{name!r} is no feature")
        for i, name in enumerate(dependence.features)
        if name not in made.roles.features
    ]
