"""Trainers by name: Python entry points that are loaded on use."""

from __future__ import annotations

import difflib
import traceback
from contextlib import suppress
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, metadata, version
from typing import Any

from pydantic import BaseModel, ValidationError

from steps.errors import Problem, SpecError, TrainerError
from steps.train.trainer import Trainer

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
    """Return the trainer's parameters with all defaults.

    Raises:
        SpecError: the trainer has no such parameter, or rejects its value.
    """
    model = load_class(name).Params
    try:
        return model.model_validate(params)
    except ValidationError as error:
        problems = []
        for each in error.errors():
            param = ".".join(map(str, each["loc"]))
            if each["type"] == "extra_forbidden":
                near = difflib.get_close_matches(param, model.model_fields, n=1)
                meant = f"Did you mean {near[0]!r}? " if near else ""
                message = "unknown parameter"
                hint = f"{meant}Its parameters are {', '.join(model.model_fields)}."
            else:
                field = model.model_fields.get(param)
                message = (
                    f"{each['input']!r} is not valid: {each['msg'][:1].lower()}{each['msg'][1:]}"
                )
                hint = (field.description or "") if field else ""
            problems.append(Problem(f"trainer.params.{param}", message, hint))
        raise SpecError("the spec", problems) from None


def make_trainer(name: str, params: dict[str, Any]) -> Trainer[Any, Any]:
    """Return a trainer with checked parameters. Raises like ``check_params`` and ``load_class``."""
    return load_class(name)(check_params(name, params))


def library_versions(trainer: type[Trainer[Any, Any]]) -> dict[str, str]:
    """Return the versions of all libraries that can change the trainer's numbers."""
    versions = {}
    for name in ("numpy", "pyarrow", "scipy", *trainer.libraries):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"
    return versions
