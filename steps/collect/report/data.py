"""The result tables as arrays: only the columns, features and classes that are drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from steps.collect.report.curves import Bools, Floats, usable_cells
from steps.schema import EXPERIMENT

Reader: TypeAlias = Callable[[str, list[str]], pa.Table]
"""Columns of one result table, by the table's name."""

Codes: TypeAlias = NDArray[np.int64]

METHODS = ("permutation", "mean_abs_shap", "gain")
"""Methods of importance, the one that compares best across partitions first."""


@dataclass(frozen=True)
class Partition:
    """A row of the table ``partitions``; NaN for a number that is not there."""

    identifier: str
    name: str
    status: str
    reason: str
    message: str
    metric: str
    rows: float
    rows_without_target: float
    folds: float
    value: float
    constant: float
    skill: float
    low: float
    high: float
    rank: float

    @property
    def trained(self) -> bool:
        """Whether it has a model."""
        return self.status == "trained"

    @property
    def scored(self) -> bool:
        """Whether its skill is defined."""
        return self.trained and bool(np.isfinite(self.skill))


@dataclass(frozen=True)
class Importance:
    """Importance by one method: ``values`` has the shape (trained partitions, features)."""

    method: str
    scale: str
    features: tuple[str, ...]
    values: Floats

    @property
    def medians(self) -> Floats:
        """Median over the partitions that have a value; NaN where none has."""
        return column_quantile(self.values, 0.5)

    @property
    def ranking(self) -> list[int]:
        """Feature numbers, the largest median first."""
        medians = np.nan_to_num(self.medians, nan=-np.inf)
        return [int(index) for index in np.argsort(-medians, kind="stable")]


@dataclass(frozen=True)
class Curves:
    """All partitions' curves of one feature (and class); arrays are (trained partitions, cells).

    ``numbers`` has the cells' values, NaN for a category; ``labels`` the same as text.
    """

    feature: str
    class_: str
    scale: str
    labels: tuple[str, ...]
    numbers: Floats
    value: Floats
    centred: Floats
    fold_sd: Floats
    support: Floats
    extrapolated: Bools

    @property
    def usable(self) -> Bools:
        """See ``curves.usable_cells``."""
        return usable_cells(self.centred, self.support, self.extrapolated)

    @property
    def categorical(self) -> bool:
        """Whether the cells are levels without order."""
        return not np.isfinite(self.numbers).any()


def column_quantile(values: Floats, share: float) -> Floats:
    """Quantile of each column over its finite values; NaN for a column that has none."""
    result = np.full(values.shape[1], np.nan)
    for column in range(values.shape[1]):
        finite = values[np.isfinite(values[:, column]), column]
        if finite.size:
            result[column] = np.quantile(finite, share)
    return result


def read_experiment(read: Reader) -> Mapping[str, Any]:
    """The one row of the table ``experiment``."""
    rows = read("experiment", list(EXPERIMENT.names)).to_pylist()
    return rows[0] if rows else dict.fromkeys(EXPERIMENT.names)


def read_partitions(read: Reader) -> tuple[Partition, ...]:
    """All partitions, as the table orders them; the columns are in the order of the fields."""
    texts = ["partition_id", "partition", "status", "reason", "message", "metric"]
    numbers = ["rows", "rows_without_target", "folds", "value", "constant_value"]
    numbers += ["skill", "skill_low", "skill_high", "rank"]
    table = read("partitions", texts + numbers)
    columns: list[list[Any]] = [texts_of(table, name) for name in texts]
    columns += [numbers_of(table, name).tolist() for name in numbers]
    return tuple(Partition(*row) for row in zip(*columns, strict=True))


def read_importance(read: Reader, trained: Sequence[Partition]) -> dict[str, Importance]:
    """Importance by each method that has a value, best for comparing first."""
    table = read("importance", ["partition_id", "feature", "method", "value", "scale"])
    found = (_importance(table, method, trained) for method in METHODS)
    return {each.method: each for each in found if each is not None}


def _importance(table: pa.Table, method: str, trained: Sequence[Partition]) -> Importance | None:
    table = _known(table.filter(pc.equal(table["method"], method)), trained)
    values = numbers_of(table, "value")
    if not np.isfinite(values).any():
        return None
    features = _distinct(table, "feature")
    shape = (len(trained), len(features))
    places = (
        codes_of(table, "partition_id", _identifiers(trained)),
        codes_of(table, "feature", features),
    )
    scale = next((scale for scale in texts_of(table, "scale") if scale), "")
    return Importance(method, scale, tuple(features), _laid_out(shape, places, values))


def read_curves(
    read: Reader, trained: Sequence[Partition], features: Sequence[str]
) -> list[Curves]:
    """Partial dependence on ``features``: one ``Curves`` for each feature and class."""
    names = ["partition_id", "feature", "class", "grid_index", "grid_value", "grid_number", "value"]
    names += ["centred", "centred_fold_sd", "support", "extrapolated", "scale"]
    return _curves(_only(read("partial_dependence", names), features, trained), trained)


def read_shap_curves(
    read: Reader, trained: Sequence[Partition], features: Sequence[str]
) -> list[Curves]:
    """SHAP against the feature's value, in the form of curves; support is the rows explained."""
    names = ["partition_id", "feature", "class", "grid_index", "grid_value", "grid_number", "mean"]
    names += ["fold_sd", "rows", "scale"]
    table = _only(read("shap_by_value", names), features, trained)
    more = {"centred": "mean", "value": "mean", "centred_fold_sd": "fold_sd", "support": "rows"}
    columns = {name: table[name] for name in names} | {new: table[old] for new, old in more.items()}
    columns["extrapolated"] = pa.array(np.zeros(len(table), dtype=bool))
    return _curves(pa.table(columns), trained)


def _curves(table: pa.Table, trained: Sequence[Partition]) -> list[Curves]:
    classes = sorted(_distinct(table, "class"))
    groups = [
        (feature, class_, _where(_where(table, "feature", feature), "class", class_))
        for feature in _distinct(table, "feature")
        for class_ in classes
    ]
    return [
        _one_curves(part, feature, class_, trained) for feature, class_, part in groups if len(part)
    ]


def _one_curves(table: pa.Table, feature: str, class_: str, trained: Sequence[Partition]) -> Curves:
    cells = numbers_of(table, "grid_index").astype(np.int64)
    size = int(cells.max()) + 1
    places = (codes_of(table, "partition_id", _identifiers(trained)), cells)
    labels, numbers = [""] * size, np.full(size, np.nan)
    for cell, text in zip(cells.tolist(), texts_of(table, "grid_value"), strict=True):
        labels[cell] = text
    numbers[cells] = numbers_of(table, "grid_number")
    grids = {
        name: _laid_out((len(trained), size), places, numbers_of(table, name))
        for name in ("value", "centred", "centred_fold_sd", "support", "extrapolated")
    }
    return Curves(
        feature=feature,
        class_=class_,
        scale=next((scale for scale in texts_of(table, "scale") if scale), ""),
        labels=tuple(labels),
        numbers=numbers,
        value=grids["value"],
        centred=grids["centred"],
        fold_sd=grids["centred_fold_sd"],
        support=np.nan_to_num(grids["support"]),
        extrapolated=np.nan_to_num(grids["extrapolated"], nan=1.0) > 0,
    )


@dataclass(frozen=True)
class ShapSummary:
    """SHAP values of one class; arrays are (trained partitions, features).

    The class is empty for a regression.
    """

    class_: str
    scale: str
    features: tuple[str, ...]
    mean: Floats
    mean_abs: Floats


def read_shap_summary(read: Reader, trained: Sequence[Partition]) -> list[ShapSummary]:
    """The table ``shap_summary``, one ``ShapSummary`` for each class."""
    names = ["partition_id", "feature", "class", "mean", "mean_abs", "scale"]
    table = _known(read("shap_summary", names), trained)
    features = _distinct(table, "feature")
    return [
        _one_summary(_where(table, "class", class_), class_, features, trained)
        for class_ in sorted(_distinct(table, "class"))
    ]


def _one_summary(
    table: pa.Table, class_: str, features: list[str], trained: Sequence[Partition]
) -> ShapSummary:
    shape = (len(trained), len(features))
    places = (
        codes_of(table, "partition_id", _identifiers(trained)),
        codes_of(table, "feature", features),
    )
    return ShapSummary(
        class_=class_,
        scale=next((scale for scale in texts_of(table, "scale") if scale), ""),
        features=tuple(features),
        mean=_laid_out(shape, places, numbers_of(table, "mean")),
        mean_abs=_laid_out(shape, places, numbers_of(table, "mean_abs")),
    )


def numbers_of(table: pa.Table, name: str) -> Floats:
    """A column as floats, NaN where it is empty."""
    column = table[name]
    if pa.types.is_boolean(column.type):
        column = pc.cast(column, pa.int8())
    result: Floats = pc.cast(column, pa.float64()).to_numpy().astype(np.float64)
    return result


def texts_of(table: pa.Table, name: str) -> list[str]:
    """A column as text, the empty string where it is empty."""
    result: list[str] = _filled(table, name).to_pylist()
    return result


def codes_of(table: pa.Table, name: str, values: Sequence[str]) -> Codes:
    """For each row the position of its text among ``values``."""
    found = pc.index_in(_filled(table, name), value_set=pa.array(values, pa.string()))
    result: Codes = found.to_numpy().astype(np.int64)
    return result


def _filled(table: pa.Table, name: str) -> pa.ChunkedArray:
    return pc.fill_null(pc.cast(table[name], pa.string()), "")


def _distinct(table: pa.Table, name: str) -> list[str]:
    result: list[str] = pc.unique(_filled(table, name)).to_pylist()
    return result


def _where(table: pa.Table, name: str, value: str) -> pa.Table:
    return table.filter(pc.equal(_filled(table, name), value))


def _known(table: pa.Table, trained: Sequence[Partition]) -> pa.Table:
    identifiers = pa.array(_identifiers(trained), pa.string())
    return table.filter(pc.is_in(_filled(table, "partition_id"), value_set=identifiers))


def _only(table: pa.Table, features: Sequence[str], trained: Sequence[Partition]) -> pa.Table:
    chosen = pa.array(list(features), pa.string())
    return _known(table.filter(pc.is_in(_filled(table, "feature"), value_set=chosen)), trained)


def _identifiers(trained: Sequence[Partition]) -> list[str]:
    return [partition.identifier for partition in trained]


def _laid_out(shape: tuple[int, int], places: tuple[Codes, Codes], values: Floats) -> Floats:
    grid = np.full(shape, np.nan)
    grid[places] = values
    return grid
