"""Column roles: resolve the spec's names against a table, and check that each column fits."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa

from steps.errors import Problem, SpecError, did_you_mean
from steps.records import Roles
from steps.split.config import DatasetConfig, ExcludedFeatures
from steps.table.recognize import recognize
from steps.table.types import canonical_text

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
        partition_by=config.partition_column,
        keys=config.keys if len(config.keys) > 1 else (),
        target=config.target,
        features=features,
        categorical=tuple(name for name in features if name in categorical),
        weight=config.weight,
        group=group,
        time=time,
        identity=tuple(sorted(set(config.identity or ()))),
        offset=config.offset,
        exposure=config.exposure,
    )
    problems = _unfit(config, roles, types)
    if problems:
        raise SpecError("the spec", problems)
    return roles


def role_columns(roles: Roles) -> list[str]:
    """Return the columns of the dataset, sorted."""
    named = [roles.partition_by, roles.target, roles.weight, roles.group, roles.time]
    named += [roles.offset, roles.exposure]
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
        ("dataset.partition_by", config.partition_column),
        ("dataset.target", config.target),
        ("dataset.weight", config.weight),
        ("dataset.offset", config.offset),
        ("dataset.exposure", config.exposure),
        ("evaluate.group", group),
        ("evaluate.time", time),
    ]
    named += [(f"dataset.identity.{i}", name) for i, name in enumerate(config.identity or [])]
    if not stored:
        chosen = enumerate(config.categorical or [])
        named += [(f"dataset.categorical.{i}", name) for i, name in chosen]
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
            hint = f"{did_you_mean(name, types)}The source has {shown}{more}."
            problems.append(Problem(field, f"there is no column {name!r}", hint))
    return problems


def _features(
    config: DatasetConfig, group: str | None, time: str | None, types: Mapping[str, str]
) -> tuple[str, ...]:
    if isinstance(config.features, list):
        return tuple(config.features)
    excluded = config.features.exclude if isinstance(config.features, ExcludedFeatures) else []
    others = {
        config.partition_column,
        *config.keys,
        config.target,
        config.weight,
        group,
        time,
        *excluded,
    }
    others |= {config.offset, config.exposure}
    return tuple(
        sorted(name for name in types if name not in others and not _UNNAMED.fullmatch(name))
    )


_UNNAMED = re.compile(r"|__index_level_[0-9]+__")
"""Columns that pandas writes for an index without a name: they count the rows."""


def _unfit(config: DatasetConfig, roles: Roles, types: Mapping[str, str]) -> list[Problem]:
    problems = []
    if not roles.features:
        problems.append(Problem("dataset.features", "no columns remain as features"))
    for role, article in (("weight", "a"), ("offset", "an"), ("exposure", "an")):
        name = getattr(roles, role)
        if name is not None and types[name] not in {"int64", "float64"}:
            kind = types[name]
            noun = f"{article} {role}"
            message = f"the column {name!r} has the type {kind}, but {noun} must be a number"
            hint = f"Name a column with numbers, or leave dataset.{role} out."
            problems.append(Problem(f"dataset.{role}", message, hint))
    if time_text := roles.time if roles.time and types[roles.time] == "string" else None:
        problems.append(
            Problem(
                "evaluate.time",
                f"{time_text!r} is text, which has no order in time",
                f"Set dataset.types: {{{time_text!r}: date(%d/%m/%Y)}} with the format of its "
                "dates, or name a column of dates, times or numbers.",
            )
        )
    for i, name in enumerate(config.categorical or []):
        if name not in roles.features:
            problems.append(
                Problem(
                    f"dataset.categorical.{i}",
                    f"{name!r} is not a feature",
                    f"Remove {name!r} from categorical, or do not exclude it from features.",
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


def weight_problem(weight: str, low: float | None, missing: int) -> Problem | None:
    """Return what is wrong with the values of the weight column; None if nothing is.

    Args:
        weight: name of the column.
        low: its smallest value.
        missing: rows without one.
    """
    if low is not None and low > 0 and not missing:
        return None
    return Problem(
        "dataset.weight",
        f"the weight {weight!r} must be a positive number in every row, but its smallest value is "
        f"{'missing' if low is None else f'{low:g}'} and {missing:,} rows have none",
        "Remove these rows from the source. Other programs leave rows of weight 0 out.",
    )


def offset_problem(roles: Roles, low: float | None, missing: int) -> Problem | None:
    """Return what is wrong with the values of the offset or exposure column, if there is one.

    Args:
        roles: roles of the columns.
        low: smallest value of the column. Infinite values are refused when they are read.
        missing: rows without one.
    """
    role, kind = ("offset", "number") if roles.offset else ("exposure", "positive number")
    if not missing and low is not None and (roles.offset or low > 0):
        return None
    return Problem(
        f"dataset.{role}",
        f"the {role} {roles.offset or roles.exposure!r} must be a {kind} in every row, but its "
        f"smallest value is {'missing' if low is None else f'{low:g}'} and {missing:,} rows have "
        "none",
        "Remove these rows from the source, or correct them.",
    )


def resolve_task(
    task: str,
    target: str,
    kind: str,
    levels: Mapping[str, int] | None,
    positive: str | float | bool | None = None,
    cells: pa.Array | None = None,
) -> tuple[str, tuple[str, ...]]:
    """Return the task and, for classification, the class names ordered by value.

    Of two classes, the positive one is last.

    Args:
        task: the task in the spec, possibly ``auto``.
        target: name of the target.
        kind: canonical type of the target.
        levels: rows of each distinct value of the target, or None if there are too many for
            classes.
        positive: the positive class in the spec; None to guess it.
        cells: some of the target's cells, for the error; they may be numbers in another notation.

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
    if positive is not None and task != "binary":
        message = f"positive names a class of a target of two classes, but the task is {task}"
        raise SpecError("the spec", [Problem("dataset.positive", message, "Remove positive.")])
    if task == "regression":
        if kind in {"string", "bool"}:
            message = f"regression predicts a number, but {target!r} is {kind}"
            raise _task_error(message, _number_hint(target, cells))
        return task, ()
    if levels is None:
        message = f"{target!r} ({kind}) has more than 64 distinct values, the limit for classes"
        raise _task_error(message, _number_hint(target, cells))
    if task == "binary" and len(levels) > 2:  # noqa: PLR2004 - binary means two
        raise _task_error(f"{target!r} has {len(levels)} distinct values; a binary target has two")
    classes = tuple(sorted(levels, key=lambda text: class_order(kind, text)))
    if task != "binary" or len(classes) < 2:  # noqa: PLR2004 - binary means two
        return task, classes
    last = guess_positive(kind, levels) if positive is None else _chosen(positive, classes)
    return task, (*(name for name in classes if name != last), last)


def _chosen(positive: str | float | bool, classes: tuple[str, ...]) -> str:
    text = canonical_text(positive)
    if text in classes:
        return text
    both = " and ".join(map(repr, classes))
    message = f"{text!r} is no class of the target, whose classes are {both}"
    hint = f"{did_you_mean(text, classes)}Set dataset.positive to one of them."
    raise SpecError("the spec", [Problem("dataset.positive", message, hint)])


_YES = frozenset({"yes", "y", "true", "t", "positive", "pos", "ja", "oui", "si", "sí", "はい"})
_NO = frozenset({"no", "n", "false", "f", "negative", "neg", "none", "nein", "non", "いいえ"})


def guess_positive(kind: str, levels: Mapping[str, int]) -> str:
    """Return the positive class of two: true, the larger number, yes, or else the rarer one."""
    classes = sorted(levels, key=lambda text: class_order(kind, text))
    if kind != "string":
        return classes[-1]
    yes = [name for name in classes if name.strip().lower() in _YES]
    not_no = [name for name in classes if name.strip().lower() not in _NO]
    for found in (yes, not_no):
        if len(found) == 1:
            return found[0]
    return min(classes, key=lambda name: (levels[name], name))


def class_order(kind: str, text: str) -> tuple[float, str]:
    """Return the sort key of a class: numbers by value, other types by text."""
    return (float(text) if kind in {"int64", "float64"} else 0.0, text)


def _number_hint(target: str, cells: pa.Array | None) -> str:
    """Return how the target's text is read as numbers, if it is numbers."""
    found = recognize(cells) if cells is not None and pa.types.is_string(cells.type) else None
    if found is None or found.what != "numbers":
        return ""
    return f"Its cells are numbers such as {found.example!r}: set {found.choices(target)}. "


def _task_error(message: str, hint: str = "") -> SpecError:
    hint += "Set task to auto, regression, binary or multiclass, or choose another target."
    return SpecError("the spec", [Problem("task", message, hint)])
