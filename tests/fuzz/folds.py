"""Properties of folds, for every partition of a dataset.

Folds are compared with the table by the number of each distinct row, which is a feature. Copies of
a row have the same number, and the same group, time and target.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from steps.records import Roles
from steps.train.config import EvaluateConfig
from steps.train.evaluation.folds import Folds, make_folds
from steps.train.frame import Frame, make_frame, target_rows
from tests.fuzz.splitting import Dataset
from tests.fuzz.table import Cell, Table

_FEWEST_GROUPS = 3
_MAX_LEVELS = 10_000


@dataclass(frozen=True)
class _Rows:
    """The rows of a partition that have a target, as the table has them.

    Attributes:
        count: how often each row number occurs.
        target: target of each row number.
        group: group of each row number; None where it is missing.
        time: time of each row number; None where it is missing.
    """

    count: Counter[int]
    target: dict[int, Cell]
    group: dict[int, Cell]
    time: dict[int, Cell]


@dataclass(frozen=True)
class _Dealt:
    """A partition's rows in the order of its frame, and its folds."""

    numbers: list[int]
    folds: Folds

    def held(self) -> list[tuple[int, Counter[int]]]:
        """Return the number of each fold, and the row numbers that it holds out."""
        return [
            (part.number, Counter(self.numbers[i] for i in part.held_out))
            for part in self.folds.parts
        ]


def fold_problems(table: Table, dataset: Dataset) -> Iterator[str]:
    """Yield the properties that the folds of some partition do not have."""
    config = EvaluateConfig(**table.evaluation, group=table.group or None, time=table.time or None)
    fold_of_group: dict[Cell, tuple[int, str]] = {}
    for position, entry in enumerate(dataset.result.index.entries):
        if entry.key.kind == "null":
            continue
        part = dataset.part(position)
        rows = _rows(table, part)
        dealt = _deal(table, dataset, part, config)
        name = f"folds of {entry.key.text!r}"
        for each in _common_problems(rows, dealt, config):
            yield f"{name}: {each}"
        for each in _method_problems(table, rows, dealt, config):
            yield f"{name}: {each}"
        if table.group and not dealt.folds.own:
            for each in _shared_problems(rows, dealt, fold_of_group, entry.key.text):
                yield f"{name}: {each}"
        order = list(range(len(part)))
        Random(position).shuffle(order)
        if _deal(table, dataset, part.take(pa.array(order)), config).held() != dealt.held():
            yield f"{name}: they depend on the order of rows"
        if not table.group and not table.time:
            yield from _identity_problems(table, dataset, part, config, name)


def dealt_targets(
    table: Table, dataset: Dataset, position: int, config: EvaluateConfig
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Return the targets of the training rows and of the held-out rows of each fold."""
    part = dataset.part(position)
    rows = _rows(table, part)
    dealt = _deal(table, dataset, part, config)
    target = np.array([rows.target[number] for number in dealt.numbers], np.float64)
    return [(target[each.train], target[each.held_out]) for each in dealt.folds.parts]


def _rows(table: Table, part: pa.Table) -> _Rows:
    """Return the rows of a partition, found in the table by their number."""
    numbers = table.column(table.row_id).cells
    first = {number: row for row, number in enumerate(numbers)}
    target = table.column(table.target).cells
    group = table.column(table.group).cells if table.group else ()
    time = table.column(table.time).cells if table.time else ()
    count: Counter[int] = Counter()
    for number in part.column(table.row_id).to_pylist():
        if target[first[number]] is not None:
            count[number] += 1
    return _Rows(
        count,
        {number: target[first[number]] for number in count},
        {number: group[first[number]] for number in count} if group else {},
        {number: time[first[number]] for number in count} if time else {},
    )


def _deal(
    table: Table,
    dataset: Dataset,
    part: pa.Table,
    config: EvaluateConfig,
    roles: Roles | None = None,
) -> _Dealt:
    roles = roles or dataset.result.roles
    rows = target_rows(part, roles)
    frame: Frame = make_frame(rows, roles, dataset.result.classes, _MAX_LEVELS)
    values: Any = frame.features.values[:, frame.features.names.index(table.row_id)]
    return _Dealt([int(value) for value in values], make_folds(frame, config))


def _common_problems(rows: _Rows, dealt: _Dealt, config: EvaluateConfig) -> Iterator[str]:
    """Yield what is wrong whatever the method."""
    if Counter(dealt.numbers) != rows.count:
        yield "the frame has other rows than the partition"
    total = sum(rows.count.values())
    held_before: set[int] = set()
    for part in dealt.folds.parts:
        train, held = set(part.train.tolist()), set(part.held_out.tolist())
        if not train or not held:
            yield f"fold {part.number} has no rows on one side"
        if train & held:
            yield f"fold {part.number} trains on {len(train & held)} of its held-out rows"
        if held & held_before:
            yield f"fold {part.number} holds out rows of another fold"
        if max(train | held, default=0) >= total:
            yield f"fold {part.number} has rows that do not exist"
        held_before |= held
        if config.method != "time" and len(train | held) != total:
            yield f"fold {part.number} has {len(train | held)} of {total} rows"
    if config.method == "kfold" and dealt.folds.parts and len(held_before) != total:
        yield f"{total - len(held_before)} rows are never held out"


def _method_problems(
    table: Table, rows: _Rows, dealt: _Dealt, config: EvaluateConfig
) -> Iterator[str]:
    if table.time:
        yield from _time_problems(rows, dealt, config)
    elif table.group:
        yield from _group_problems(rows, dealt, config)
    else:
        yield from _balance_problems(rows, dealt, config)


def _balance_problems(rows: _Rows, dealt: _Dealt, config: EvaluateConfig) -> Iterator[str]:
    """Yield what is wrong without groups: sizes within one row, also class by class."""
    total = sum(rows.count.values())
    if config.method == "holdout":
        held = sum(len(part.held_out) for part in dealt.folds.parts)
        if total > 1 and abs(held - config.fraction * total) >= 1:
            yield f"{held} of {total} rows are held out, not a share of {config.fraction}"
        return
    if len(dealt.folds.parts) != (config.folds if total >= config.folds else 0):
        yield f"{len(dealt.folds.parts)} folds of {total} rows"
        return
    sizes = [len(part.held_out) for part in dealt.folds.parts]
    if sizes and max(sizes) - min(sizes) > 1:
        yield f"the folds have {sizes} rows"


def class_problems(table: Table, dataset: Dataset) -> Iterator[str]:
    """Yield classes whose rows are not spread evenly over the folds of a partition."""
    if dataset.result.task == "regression" or table.group or table.time:
        return
    config = EvaluateConfig(**table.evaluation)
    for position, entry in enumerate(dataset.result.index.entries):
        part = dataset.part(position)
        rows = _rows(table, part)
        held = [each for _, each in _deal(table, dataset, part, config).held()]
        if config.method != "kfold" or not held:
            continue
        for label in set(rows.target.values()):
            sizes = [
                sum(n for row, n in each.items() if rows.target[row] == label) for each in held
            ]
            if max(sizes) - min(sizes) > 1:
                yield f"folds of {entry.key.text!r}: the class {label!r} has {sizes} rows in them"


def _group_problems(rows: _Rows, dealt: _Dealt, config: EvaluateConfig) -> Iterator[str]:
    """Yield what is wrong with groups; each row without a group is a group of its own."""
    known = {group for group in rows.group.values() if group is not None}
    alone = sum(n for row, n in rows.count.items() if rows.group[row] is None)
    groups = len(known) + alone
    if bool(dealt.folds.parts) != (groups >= _FEWEST_GROUPS):
        yield f"{len(dealt.folds.parts)} folds of {groups} groups"
    if config.method == "kfold" and len(dealt.folds.parts) == 1:
        yield "there is one fold only"
    for number, held in dealt.held():
        held_groups = {rows.group[row] for row in held} - {None}
        outside = Counter(rows.count)
        outside.subtract(held)
        split = held_groups & {rows.group[row] for row, n in outside.items() if n > 0}
        if split:
            yield f"fold {number} divides the groups {sorted(split, key=repr)}"
        train_alone = sum(n for row, n in outside.items() if rows.group[row] is None)
        if len(known - held_groups) + train_alone < _FEWEST_GROUPS - 1:
            yield f"fold {number} is trained on fewer than two groups"


def _shared_problems(
    rows: _Rows, dealt: _Dealt, fold_of_group: dict[Cell, tuple[int, str]], partition: str
) -> Iterator[str]:
    """Yield groups that are in another fold here than in another partition."""
    for number, held in dealt.held():
        for group in {rows.group[row] for row in held} - {None}:
            other, where = fold_of_group.setdefault(group, (number, partition))
            if other != number:
                yield f"the group {group!r} is in fold {number} here, in {other} of {where!r}"


def _time_problems(rows: _Rows, dealt: _Dealt, config: EvaluateConfig) -> Iterator[str]:
    """Yield what is wrong with blocks of time: each is predicted from all earlier rows."""
    known = {row: _moment(time) for row, time in rows.time.items() if time is not None}
    times = len(set(known.values()))
    if len(dealt.folds.parts) != (config.folds if times > config.folds else 0):
        yield f"{len(dealt.folds.parts)} folds of {times} times"
    for part in dealt.folds.parts:
        train = [dealt.numbers[i] for i in part.train]
        held = [dealt.numbers[i] for i in part.held_out]
        if not known.keys() >= {*train, *held}:
            yield f"fold {part.number} has rows without a time"
            continue
        begin = min(known[row] for row in held)
        if max(known[row] for row in train) >= begin:
            yield f"fold {part.number} predicts from rows that are not earlier"
        earlier = sum(n for row, n in rows.count.items() if row in known and known[row] < begin)
        if len(train) != earlier:
            yield f"fold {part.number} is not trained on all earlier rows"


def _moment(time: Cell) -> float:
    assert isinstance(time, (int, float))
    return time


def _identity_problems(
    table: Table, dataset: Dataset, part: pa.Table, config: EvaluateConfig, name: str
) -> Iterator[str]:
    """Yield rows that change their fold when a feature is dropped and the identity is kept."""
    roles = dataset.result.roles
    dropped = [each for each in roles.features if each != table.row_id]
    if not dropped:
        return
    fixed = Roles(**{**vars(roles), "identity": (table.row_id,)})
    fewer = tuple(each for each in roles.features if each != dropped[0])
    child = Roles(
        **{
            **vars(fixed),
            "features": fewer,
            "categorical": tuple(each for each in roles.categorical if each in fewer),
        }
    )
    parent = _deal(table, dataset, part, config, fixed).held()
    if _deal(table, dataset, part.drop_columns([dropped[0]]), config, child).held() != parent:
        yield f"{name}: they change without the feature {dropped[0]!r}, though identity is kept"
