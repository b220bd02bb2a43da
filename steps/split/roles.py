"""From the spec's names to the columns of a table: who plays which role, and is it able to."""

from __future__ import annotations

import difflib
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
    """Who plays which role.

    Args:
        config: the spec's part.
        group: ``evaluate.group``.
        time: ``evaluate.time``.
        types: canonical type of each column of the table.
        stored: the table is a data set, from which excluded columns have been left out already.

    Raises:
        SpecError: a column that is not there, or that cannot play its role.
    """
    problems = _missing(config, group, time, types, stored=stored)
    if problems:
        raise SpecError("the spec", problems)
    features = _features(config, group, time, types)
    roles = Roles(
        partition_by=config.partition_by,
        target=config.target,
        features=features,
        categorical=_categorical(config, features, types),
        weight=config.weight,
        group=group,
        time=time,
    )
    problems = _unfit(config, roles, types)
    if problems:
        raise SpecError("the spec", problems)
    return roles


def wanted_columns(roles: Roles) -> list[str]:
    """The columns that the data set holds, sorted."""
    named = [roles.partition_by, roles.target, roles.weight, roles.group, roles.time]
    return sorted({name for name in (*named, *roles.features) if name is not None})


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
    if isinstance(config.features, list):
        named += [(f"dataset.features.{i}", name) for i, name in enumerate(config.features)]
    elif config.features is not None and not stored:
        excluded = enumerate(config.features.exclude)
        named += [(f"dataset.features.exclude.{i}", name) for i, name in excluded]
    return [
        Problem(where, f"there is no column {name!r}", _nearest(name, types))
        for where, name in named
        if name is not None and name not in types
    ]


def _nearest(name: str, types: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(name, types, n=1)
    meant = f"Did you mean {near[0]!r}? " if near else ""
    shown = ", ".join(map(repr, sorted(types)[:_SHOWN]))
    more = f" and {len(types) - _SHOWN} more" if len(types) > _SHOWN else ""
    return f"{meant}The source has {shown}{more}."


def _features(
    config: DatasetConfig, group: str | None, time: str | None, types: Mapping[str, str]
) -> tuple[str, ...]:
    if isinstance(config.features, list):
        return tuple(config.features)
    excluded = config.features.exclude if isinstance(config.features, ExcludedFeatures) else []
    taken = {config.partition_by, config.target, config.weight, group, time, *excluded}
    return tuple(sorted(name for name in types if name not in taken))


def _categorical(
    config: DatasetConfig, features: tuple[str, ...], types: Mapping[str, str]
) -> tuple[str, ...]:
    if config.categorical is not None:
        return tuple(name for name in features if name in config.categorical)
    return tuple(name for name in features if types[name] == "string")


def _unfit(config: DatasetConfig, roles: Roles, types: Mapping[str, str]) -> list[Problem]:
    problems = []
    if not roles.features:
        problems.append(Problem("dataset.features", "no column is left to be a feature"))
    if roles.weight is not None and types[roles.weight] not in {"int64", "float64"}:
        kind = types[roles.weight]
        problems.append(Problem("dataset.weight", f"a weight is a number, not {kind}"))
    for name in roles.features:
        if types[name] == "string" and name not in roles.categorical:
            where = (
                f"dataset.features.{roles.features.index(name)}"
                if isinstance(config.features, list)
                else "dataset.categorical"
            )
            problems.append(
                Problem(
                    where,
                    f"{name!r} is text, but not among categorical",
                    f"Add {name!r} to dataset.categorical, or leave it out of features.",
                )
            )
    return problems


def resolve_task(
    task: str, target: str, kind: str, levels: Mapping[str, int] | None
) -> tuple[str, tuple[str, ...]]:
    """The task, and for classes their names in order of their value.

    Args:
        task: as the spec says it, maybe ``auto``.
        target: name of the target.
        kind: its canonical type.
        levels: its distinct values, or None where they are too many to be classes.

    Returns:
        ``auto`` becomes binary where there are two distinct values, multiclass for more values
        that are strings, and else regression.

    Raises:
        SpecError: the target cannot play that task.
    """
    if task == "auto":
        task = _guess(kind, levels)
    if task == "regression":
        if kind in {"string", "bool"}:
            raise _task_error(f"a regression predicts a number, and {target!r} is {kind}")
        return task, ()
    if levels is None:
        raise _task_error(f"{target!r} ({kind}) has more than 64 different values: no classes")
    if task == "binary" and len(levels) > 2:  # noqa: PLR2004 - binary means two
        raise _task_error(f"{target!r} has {len(levels)} different values, a binary target has two")
    return task, tuple(sorted(levels, key=lambda text: class_order(kind, text)))


def class_order(kind: str, text: str) -> tuple[float, str]:
    """Sort key of a class: numbers by value, all else by text."""
    return (float(text) if kind in {"int64", "float64"} else 0.0, text)


def _guess(kind: str, levels: Mapping[str, int] | None) -> str:
    if kind == "bool" or (levels is not None and len(levels) == 2):  # noqa: PLR2004
        return "binary"
    return "multiclass" if kind == "string" else "regression"


def _task_error(message: str) -> SpecError:
    hint = "Allowed for task are auto, regression, binary and multiclass; or name another target."
    return SpecError("the spec", [Problem("task", message, hint)])
