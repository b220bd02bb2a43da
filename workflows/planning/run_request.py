"""Build the requests of a run from its spec: for split, and for train and collect."""

from __future__ import annotations

from typing import Any

from steps.contract import RESULTS_VERSION
from steps.errors import Problem, SpecError
from steps.records import RunRequest, digest
from steps.split.engines.choose import Engine, choose_engine
from steps.split.step import SplitRequest, SplitResult
from steps.train.config import EvaluateConfig
from steps.train.registry import conflicts, data_shape, installed
from workflows.planning.trainer_info import TrainerInfo
from workflows.spec.model import ExperimentSpec

DEFAULT_GRID = 20


def split_request(spec: ExperimentSpec) -> SplitRequest:
    """Return the request of the split step."""
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
    """Return the engine that builds the dataset.

    Args:
        spec: the spec, with all settings of its engine.
        follower: identity of the process that waits for a Dataflow job.

    Raises:
        SpecError: a setting is missing, or the engine's workers cannot reach source or output.
    """
    uris = (
        ("output", spec.output, "://" in spec.output),
        ("dataset.source", spec.dataset.source, spec.dataset.is_remote),
    )
    problems = [
        Problem(
            where,
            f"{value!r} is a local path, which Dataflow's workers cannot reach",
            f"Copy it to a bucket, and use --set {where}=gs://...",
        )
        for where, value, remote in uris
        if spec.split.engine == "dataflow" and not remote
    ]
    if problems:
        raise SpecError("the spec", problems)
    return choose_engine(spec.split, follower)


def run_request(
    spec: ExperimentSpec, split: SplitResult, run: str, trainer: TrainerInfo
) -> RunRequest:
    """Return the request of a run.

    Raises:
        SpecError: the trainer does not fit the data, or explain names an unknown feature.
    """
    problems = []
    if spec.trainer.name in installed():  # else the train step checks it, in the trainer's image
        shape = data_shape(split.task, split.roles, split.classes)
        problems = conflicts(spec.trainer.name, spec.trainer.params, shape)
    problems += spec.explain.unknown_features(split.roles.features)
    if problems:
        raise SpecError("the spec", problems)
    identity = spec.identity() | {"trainer": trainer.config}
    return RunRequest(
        project=spec.project,
        experiment=spec.name,
        run=run,
        spec_hash=digest(identity),
        dataset=split.index.dataset,
        grid=split.grid,
        roles=split.roles,
        task=split.task,
        classes=split.classes,
        min_rows=spec.dataset.min_rows,
        max_levels=spec.dataset.max_levels,
        trainer=trainer.config,
        evaluate=_evaluation(spec.evaluate, trainer.quantile),
        explain=spec.explain.model_dump(mode="json"),
        versions=trainer.versions,
        max_failed_fraction=spec.execution.max_failed_fraction,
        force=spec.execution.force,
        label=spec.execution.label,
        results_version=RESULTS_VERSION,
        fold_models=spec.execution.fold_models,
        base=spec.base.resolve(_large_enough(split, spec.dataset.min_rows)),
    )


def _large_enough(split: SplitResult, min_rows: int) -> int:
    """Return the number of partitions that have enough rows for a model."""
    target = split.roles.target
    return sum(
        entry.key.kind != "null" and split.index.rows_with_target(entry, target) >= min_rows
        for entry in split.index.entries
    )


def _evaluation(evaluate: EvaluateConfig, level: float | None) -> dict[str, Any]:
    """Return the settings of the evaluation, at the quantile that the trainer predicts, if any."""
    config = evaluate.model_dump(mode="json")
    return config if level is None else {**config, "quantile": level}
