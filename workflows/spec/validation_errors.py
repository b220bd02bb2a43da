"""Convert pydantic validation errors to problems with a position, a message and a hint."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from steps.config import best_errors
from steps.errors import Problem
from workflows.spec.yaml_positions import SourcePosition


def problems_of(model: type[BaseModel], error: ValidationError) -> list[Problem]:
    """Return one problem per field, without lines; ``located`` adds them.

    For a union, it is the error of its best matching branch.
    """
    return [_problem(model, where, details) for where, details in best_errors(error).items()]


def _problem(model: type[BaseModel], where: str, details: ErrorDetails) -> Problem:
    message = details["msg"].removeprefix("Value error, ")
    value = details["input"]
    if details["type"] == "extra_forbidden":
        parent, _, key = where.rpartition(".")
        parent_model = model_at(model, parent)
        known = list(parent_model.model_fields) if parent_model else []
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
        suggestion = f"Did you mean {near[0]!r}? " if near else ""
        hint = f"{suggestion}Allowed keys: {', '.join(known)}." if known else suggestion
        return Problem(where, "unknown key", hint, "unknown_key")
    if details["type"] == "missing":
        return Problem(where, "required, but missing", describe(model, where), "missing")
    if isinstance(value, (dict, BaseModel)):
        return Problem(where, message, describe(model, where))
    shown = repr(value) if len(repr(value)) < 80 else repr(value)[:77] + "..."  # noqa: PLR2004
    return Problem(
        where,
        f"{shown} is not valid: {message[:1].lower()}{message[1:]}",
        describe(model, where),
    )


def model_at(root: type[BaseModel], where: str) -> type[BaseModel] | None:
    """Return the submodel at a dotted path, or None for a plain value."""
    model: type[BaseModel] | None = root
    for name in filter(None, where.split(".")):
        field = model.model_fields.get(name) if model else None
        model = _model_in(field.annotation) if field else None
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any annotation
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = getattr(annotation, "__args__", ())
    return next((model for arg in inner if (model := _model_in(arg))), None)


def describe(root: type[BaseModel], where: str) -> str:
    """Return the description of the field at a dotted path; empty if it has none."""
    parent, _, name = where.rpartition(".")
    model = model_at(root, parent)
    field = model.model_fields.get(name) if model else None
    return " ".join((field.description or "").split()) if field else ""


def located(
    problem: Problem, positions: dict[str, SourcePosition], overridden: Sequence[str] = ()
) -> Problem:
    """Add line and column: of the key if it is unknown, else of the value or nearest parent."""
    if problem.line:
        return problem
    where = problem.where
    if any(where == name or where.startswith(f"{name}.") for name in overridden):
        return replace(problem, where=f"--set {where}")
    if problem.code == "unknown_key":
        where = f"{where}\x00key"
    while where and where not in positions:
        where = where.removesuffix("\x00key") if "\x00" in where else where.rpartition(".")[0]
    line, column = positions.get(where, (0, 0))
    return replace(problem, line=line, column=column)
