"""Column roles: resolve the spec's names against a table, and check that each column fits."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

from steps.errors import Problem, SpecError
from steps.records import Roles
from steps.split.config import DatasetConfig, ExcludedFeatures

_SHOWN = 12


def resolve_roles(
    config: DatasetConfig,
    group: str | None,
    time: str | None,
    types: Mapping[str, str],
    *,
    stored: bool = False,
) -> Roles:
    """Return the role of each column.

    Args:
        config: the spec's ``dataset`` section.
        group: ``evaluate.group``.
        time: ``evaluate.time``.
        types: canonical type of each column of the table.
        stored: the table is a stored dataset, which no longer contains excluded columns.

    Raises:
        SpecError: a column does not exist, or cannot play its role.
    """
    problems = _missing(config, group, time, types, stored=stored)
    if problems:
        raise SpecError("the spec", problems)
    features = _features(config, group, time, types)
    categorical = config.categorical
    if categorical is None:
        categorical = [name for name in features if types[name] == "string"]
    roles = Roles(
        partition_by=config.partition_by,
        target=config.target,
        features=features,
        categorical=tuple(name for name in features if name in categorical),
        weight=config.weight,
        group=group,
        time=time,
        identity=tuple(sorted(set(config.identity or ()))),
    )
    problems = _unfit(config, roles, types)
    if problems:
        raise SpecError("the spec", problems)
    return roles


def role_columns(roles: Roles) -> list[str]:
    """Return the columns of the dataset, sorted."""
    named = [roles.partition_by, roles.target, roles.weight, roles.group, roles.time]
    columns = (*named, *roles.features, *roles.identity)
    return sorted({name for name in columns if name is not None})


def _missing(
    config: DatasetConfig,
    group: str | None,
    time: str | None,
    types: Mapping[str, str],
    *,
    stored: bool,
) -> list[Problem]:
    named: list[tuple[str, str | None]] = [
        ("dataset.partition_by", config.partition_by),
        ("dataset.target", config.target),
        ("dataset.weight", config.weight),
        ("evaluate.group", group),
        ("evaluate.time", time),
    ]
    named += [(f"dataset.identity.{i}", name) for i, name in enumerate(config.identity or [])]
    if isinstance(config.features, list):
        named += [(f"dataset.features.{i}", name) for i, name in enumerate(config.features)]
    elif config.features is not None and not stored:
        excluded = enumerate(config.features.exclude)
        named += [(f"dataset.features.exclude.{i}", name) for i, name in excluded]
    shown = ", ".join(map(repr, sorted(types)[:_SHOWN]))
    more = f" and {len(types) - _SHOWN} more" if len(types) > _SHOWN else ""
    problems = []
    for field, name in named:
        if name is not None and name not in types:
            similar = difflib.get_close_matches(name, types, n=1)
            suggestion = f"Did you mean {similar[0]!r}? " if similar else ""
            hint = f"{suggestion}The source has {shown}{more}."
            problems.append(Problem(field, f"there is no column {name!r}", hint))
    return problems


def _features(
    config: DatasetConfig, group: str | None, time: str | None, types: Mapping[str, str]
) -> tuple[str, ...]:
    if isinstance(config.features, list):
        return tuple(config.features)
    excluded = config.features.exclude if isinstance(config.features, ExcludedFeatures) else []
    others = {config.partition_by, config.target, config.weight, group, time, *excluded}
    return tuple(
        sorted(name for name in types if name not in others and not _UNNAMED.fullmatch(name))
    )


_UNNAMED = re.compile(r"|__index_level_[0-9]+__")
"""Columns that pandas writes for an index without a name: they count the rows."""


def _unfit(config: DatasetConfig, roles: Roles, types: Mapping[str, str]) -> list[Problem]:
    problems = []
    if not roles.features:
        problems.append(Problem("dataset.features", "no columns remain as features"))
    if roles.weight is not None and types[roles.weight] not in {"int64", "float64"}:
        kind = types[roles.weight]
        message = f"the column {roles.weight!r} has the type {kind}, but a weight must be a number"
        hint = "Name a column with numbers, or leave dataset.weight out."
        problems.append(Problem("dataset.weight", message, hint))
    if time_text := roles.time if roles.time and types[roles.time] == "string" else None:
        problems.append(
            Problem(
                "evaluate.time",
                f"{time_text!r} is text, which has no order in time",
                f"Set dataset.types: {{{time_text!r}: date(%d/%m/%Y)}} with the format of its "
                "dates, or name a column of dates, times or numbers.",
            )
        )
    for name in roles.features:
        if types[name] == "string" and name not in roles.categorical:
            field = (
                f"dataset.features.{roles.features.index(name)}"
                if isinstance(config.features, list)
                else "dataset.categorical"
            )
            problems.append(
                Problem(
                    field,
                    f"{name!r} is text, but not listed in categorical",
                    f"Add {name!r} to dataset.categorical, or remove it from features.",
                )
            )
    return problems


def resolve_task(
    task: str, target: str, kind: str, levels: Mapping[str, int] | None
) -> tuple[str, tuple[str, ...]]:
    """Return the task and, for classification, the class names ordered by value.

    Args:
        task: the task in the spec, possibly ``auto``.
        target: name of the target.
        kind: canonical type of the target.
        levels: distinct values of the target, or None if there are too many for classes.

    Returns:
        ``auto`` becomes binary for two distinct values, multiclass for more than two strings, and
        regression otherwise.

    Raises:
        SpecError: the target does not suit the task.
    """
    if task == "auto" and (kind == "bool" or (levels is not None and len(levels) == 2)):  # noqa: PLR2004 - binary means two
        task = "binary"
    elif task == "auto":
        task = "multiclass" if kind == "string" else "regression"
    if task == "regression":
        if kind in {"string", "bool"}:
            raise _task_error(f"regression predicts a number, but {target!r} is {kind}")
        return task, ()
    if levels is None:
        raise _task_error(
            f"{target!r} ({kind}) has more than 64 distinct values, the limit for classes"
        )
    if task == "binary" and len(levels) > 2:  # noqa: PLR2004 - binary means two
        raise _task_error(f"{target!r} has {len(levels)} distinct values; a binary target has two")
    return task, tuple(sorted(levels, key=lambda text: class_order(kind, text)))


def class_order(kind: str, text: str) -> tuple[float, str]:
    """Return the sort key of a class: numbers by value, other types by text."""
    return (float(text) if kind in {"int64", "float64"} else 0.0, text)


def _task_error(message: str) -> SpecError:
    hint = "Set task to auto, regression, binary or multiclass, or choose another target."
    return SpecError("the spec", [Problem("task", message, hint)])
