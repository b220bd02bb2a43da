"""Trainers by name: Python entry points that are loaded on use."""

from __future__ import annotations

import difflib
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, metadata, version
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from steps.config import best_errors
from steps.errors import Problem, ProblemCode, SpecError, TrainerError
from steps.records import Roles
from steps.train.config import EvaluateConfig, TrainerConfig
from steps.train.trainer import DataShape, Trainer

GROUP = "refeed.trainers"


def installed() -> dict[str, EntryPoint]:
    """Return the entry points of all installed trainers by name, without loading them."""
    return {point.name: point for point in sorted(entry_points(group=GROUP))}


def load_class(name: str) -> type[Trainer[Any, Any]]:
    """Return the class of a trainer.

    Raises:
        SpecError: no such trainer is installed.
        TrainerError: it cannot be imported, or is not a trainer.
    """
    found = installed()
    if name not in found:
        near = difflib.get_close_matches(name, found, n=1)
        meant = f"Did you mean {near[0]!r}? " if near else ""
        hint = (
            f"{meant}Installed are {', '.join(found)}. A trainer is a package with an entry point "
            f"in the group {GROUP}."
        )
        problem = Problem("trainer.name", f"the trainer {name!r} is not installed", hint)
        raise SpecError("the spec", [problem])
    try:
        loaded = found[name].load()
    except Exception as error:
        last = traceback.format_exception_only(error)[-1].strip()
        raise TrainerError(
            f"The trainer {name!r} ({found[name].value}) cannot be imported: {last}.",
            hint=_import_hint(name),
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Trainer)):
        raise TrainerError(
            f"The trainer {name!r} ({found[name].value}) is not a subclass of Trainer.",
            hint="Correct the class or the entry point; see examples/custom_trainer/README.md.",
        )
    return loaded


def _import_hint(name: str) -> str:
    with suppress(PackageNotFoundError):  # Refeed runs from a folder without being installed
        if name in (metadata("refeed").get_all("Provides-Extra") or []):
            return f"Install its libraries: pip install 'refeed[{name}]'."
    return "Install what its package needs, or correct the package's entry point."


def check_params(name: str, params: dict[str, Any]) -> BaseModel:
    """Return the trainer's parameters with all defaults; a parameter may have any of its names.

    Raises:
        SpecError: the trainer has no such parameter, or rejects its value.
    """
    model = load_class(name).Params
    named, written, problems = _by_main_name(model, params)
    try:
        checked = model.model_validate(named)
    except ValidationError as error:
        for where, details in best_errors(error).items():
            param, _, rest = where.partition(".")
            path = ".".join(filter(None, [written.get(param, param), rest]))
            problems.append(_problem(model, param, path, details))
        checked = None
    if checked is None or problems:
        raise SpecError("the spec", problems)
    return checked


def _by_main_name(
    model: type[BaseModel], params: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, str], list[Problem]]:
    """Return the known parameters by their main names, the name as written, and the problems."""
    aliases: Mapping[str, str] = getattr(model, "aliases", {})
    refused: Mapping[str, str] = getattr(model, "refused", {})
    named: dict[str, Any] = {}
    written: dict[str, str] = {}
    problems = []
    for name, value in params.items():
        main = aliases.get(name, name)
        if main in written:
            message = f"the same parameter as {written[main]!r}, which is set too"
            problems.append(_at(name, message, "Keep one of the two.", "unknown_key"))
        elif main in model.model_fields:
            named[main], written[main] = value, name
        elif name in refused:
            message = f"cannot be set: {refused[name]}"
            problems.append(_at(name, message, "Remove it.", "unknown_key"))
        else:
            hint = _known_names(model, name)
            problems.append(_at(name, "unknown parameter", hint, "unknown_key"))
    return named, written, problems


def _known_names(model: type[BaseModel], name: str) -> str:
    """Return a hint that names the parameter that is meant, or all of them."""
    aliases: Mapping[str, str] = getattr(model, "aliases", {})
    known = [*model.model_fields, *aliases, *getattr(model, "refused", {})]
    near = difflib.get_close_matches(name, known, n=1)
    if not near:
        return f"Its parameters are {', '.join(model.model_fields)}."
    main = aliases.get(near[0], near[0])
    if main == near[0] or difflib.get_close_matches(name, [main]):
        return f"Did you mean {main!r}?"
    return f"Did you mean {near[0]!r}, another name of {main!r}?"


def _problem(model: type[BaseModel], param: str, path: str, details: ErrorDetails) -> Problem:
    message = details["msg"].removeprefix("Value error, ")
    field = model.model_fields.get(param)
    hint = " ".join((field.description or "").split()) if field else ""
    if details["type"] == "missing":
        return _at(path, "required, but missing", hint)
    if details["type"] == "extra_forbidden":  # a key in a parameter that is a mapping
        return _at(path, "unknown key", hint)
    value = f"{details['input']!r} is not valid: {message[:1].lower()}{message[1:]}"
    return _at(path, value if param else message, hint)


def _at(path: str, message: str, hint: str, code: ProblemCode = "invalid") -> Problem:
    return Problem(".".join(filter(None, ["trainer.params", path])), message, hint, code)


def data_shape(task: str, roles: Roles, classes: tuple[str, ...]) -> DataShape:
    """Return what is known about the data after the split, or from a preview of the source."""
    offset: Literal["offset", "exposure"] | None = "offset" if roles.offset else None
    offset = "exposure" if roles.exposure else offset
    return DataShape(task, roles.features, roles.categorical, classes, offset)  # type: ignore[arg-type]


def conflicts(name: str, params: dict[str, Any], shape: DataShape) -> list[Problem]:
    """Return a problem for each setting of the trainer that does not fit the data."""
    trainer = make_trainer(name, params)
    problems = task_conflicts(name, trainer, shape)
    if shape.task not in trainer.tasks:
        return problems
    _, written, _ = _by_main_name(type(trainer).Params, params)
    for problem in trainer.conflicts(shape):
        param, _, rest = problem.where.partition(".")
        path = ".".join(filter(None, [written.get(param, param), rest]))
        problems.append(_at(path, problem.message, problem.hint))
    return problems


def task_conflicts(name: str, trainer: Trainer[Any, Any], shape: DataShape) -> list[Problem]:
    """Return a problem if the trainer does not support the task, or its offset."""
    if shape.task not in trainer.tasks:
        supported = ", ".join(sorted(trainer.tasks))
        message = f"{name!r} does not support {shape.task} tasks. It supports {supported}"
        return [Problem("trainer.name", message, "List other trainers with `refeed trainers`.")]
    return list(_offset_problems(name, trainer, shape))


def _offset_problems(name: str, trainer: Trainer[Any, Any], shape: DataShape) -> Iterator[Problem]:
    if shape.offset is None:
        return
    where, loss = f"dataset.{shape.offset}", trainer.loss(shape.task)
    if shape.task not in trainer.offset_tasks:
        message = f"the trainer {name!r} cannot add it to the score of a {shape.task} task"
        yield Problem(where, message, "Leave it out, or choose another trainer.")
    elif shape.offset == "exposure" and loss.link != "log":
        message = f"needs a loss with a log link, such as poisson, but the loss is {loss.name}"
        hint = "Set such an objective, or use dataset.offset, which is added to the score."
        yield Problem(where, message, hint)


def make_trainer(name: str, params: dict[str, Any]) -> Trainer[Any, Any]:
    """Return a trainer with checked parameters. Raises like ``check_params`` and ``load_class``."""
    return load_class(name)(check_params(name, params))


def trainer_of(config: TrainerConfig, evaluate: EvaluateConfig) -> Trainer[Any, Any]:
    """Return the trainer of a spec. Raises like ``check_params`` and ``load_class``.

    Raises:
        SpecError: the evaluation is about another quantile than the trainer predicts.
    """
    trainer = make_trainer(config.name, config.params)
    level = predicted_quantile(trainer)
    if level is not None and evaluate.quantile not in {level, EvaluateConfig().quantile}:
        message = f"{evaluate.quantile:g} is not the quantile that the models predict, {level:g}"
        hint = "Remove it: the trainer's level is used."
        raise SpecError("the spec", [Problem("evaluate.quantile", message, hint)])
    return trainer


def predicted_quantile(trainer: Trainer[Any, Any]) -> float | None:
    """Return the level of the quantile that regressions predict; None for all other losses."""
    loss = trainer.loss("regression")
    return loss.parameter if loss.name == "pinball" else None


def library_versions(trainer: type[Trainer[Any, Any]]) -> dict[str, str]:
    """Return the versions of all libraries that can change the trainer's numbers."""
    versions = {}
    for name in ("numpy", "pyarrow", "scipy", *trainer.libraries):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions
