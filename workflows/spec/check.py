"""Check a spec as far as possible without its data.

``validate``, ``compile``, ``project render`` and ``submit`` call this, so that none of them accepts
what another one rejects.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from steps.errors import Problem, SpecError
from steps.split.config import ExcludedFeatures
from steps.split.sources.checks import source_problems
from steps.storage.base import location_problem
from steps.train.registry import conflicts, installed, task_conflicts, trainer_of
from steps.train.trainer import DataShape
from workflows.spec.model import ExperimentSpec


def check_spec(spec: ExperimentSpec, *, trainer_elsewhere: bool = False) -> None:
    """Check a spec as far as possible without its data.

    Args:
        spec: the spec.
        trainer_elsewhere: the trainer may be installed only where it runs, in its image.

    Raises:
        SpecError: the spec is invalid.
    """
    output = location_problem(spec.output, "output")
    problems = [
        *source_problems(spec.dataset),
        *([output] if output else []),
        *_no_features(spec),
        *_no_classes(spec),
    ]
    if problems:
        raise SpecError("the spec", problems)
    if trainer_elsewhere and spec.trainer.name not in installed():
        return
    problems = _trainer_problems(spec)
    if problems:
        raise SpecError("the spec", problems)


def _trainer_problems(spec: ExperimentSpec) -> list[Problem]:
    """Return the conflicts of the trainer with the task, if the spec names the task."""
    trainer = trainer_of(spec.trainer, spec.evaluate)
    if spec.task == "auto":
        return []
    dataset = spec.dataset
    offset = "offset" if dataset.offset else "exposure" if dataset.exposure else None
    features = dataset.features if isinstance(dataset.features, list) else []
    categorical = dataset.categorical or []
    shape = DataShape(spec.task, tuple(features), tuple(categorical), (), offset)  # type: ignore[arg-type]
    if _names_data(spec.trainer.params) and not (features and spec.task == "regression"):
        return task_conflicts(spec.trainer.name, trainer, shape)
    return conflicts(spec.trainer.name, spec.trainer.params, shape)


def _names_data(params: dict[str, object]) -> bool:
    """Return True if a parameter may name features or classes, which only the data has."""
    return any(isinstance(value, dict | list) for value in params.values())


def _no_features(spec: ExperimentSpec) -> Iterator[Problem]:
    """Yield a problem for each name that must be a feature, but that the spec itself excludes."""
    dataset = spec.dataset
    if isinstance(dataset.features, list):
        yield from spec.explain.unknown_features(dataset.features)
        return
    excluded = _excluded(spec)
    for i, name in enumerate(dataset.categorical or []):
        if name in excluded:
            hint = f"Remove {name!r} from categorical, or do not exclude it from features."
            yield Problem(f"dataset.categorical.{i}", f"{name!r} is not a feature", hint)
    curves = spec.explain.partial_dependence
    for i, name in enumerate(curves.features if curves and curves.features != "all" else []):
        if name in excluded:
            where = f"explain.partial_dependence.features.{i}"
            yield Problem(where, f"{name!r} is not a feature", "Remove it.")


def _excluded(spec: ExperimentSpec) -> Sequence[str | None]:
    """Return the columns that are no features, unless ``dataset.features`` lists them."""
    dataset = spec.dataset
    names = [*dataset.keys, dataset.target, dataset.weight, dataset.offset, dataset.exposure]
    names += [spec.evaluate.group, spec.evaluate.time]
    if isinstance(dataset.features, ExcludedFeatures):
        names += dataset.features.exclude
    return names


def _no_classes(spec: ExperimentSpec) -> Iterator[Problem]:
    if spec.dataset.positive is not None and spec.task in {"regression", "multiclass"}:
        message = f"positive names a class of a target of two classes, but the task is {spec.task}"
        yield Problem("dataset.positive", message, "Remove positive.")
