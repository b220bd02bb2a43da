"""The result tables as arrays: only the columns, features and classes that are drawn.

Tables come some rows at a time, and their rows go at once to where they belong in the arrays: what
is held grows with what is drawn of a partition, not with what is known of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from steps.charts.arrays import (
    Layers,
    Names,
    among,
    distinct,
    known,
    numbers_of,
    texts_of,
    where,
)
from steps.charts.curves import Bools, Floats, usable_cells
from steps.results.schema import EXPERIMENT

Reader: TypeAlias = Callable[[str, list[str]], Iterator[pa.Table]]
"""Columns of one result table, by the table's name: its rows in order, some at a time. A table
without rows gives one empty piece."""

METHODS = ("permutation", "mean_abs_shap", "gain")
"""Methods of importance, the one that compares best across partitions first."""


@dataclass(frozen=True)
class Partition:
    """A row of the table ``partitions``; NaN for a missing number."""

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
        """True if the partition has a model."""
        return self.status == "trained"

    @property
    def rows_with_target(self) -> float:
        """Rows that have a target, which the models are made from."""
        return self.rows - self.rows_without_target

    @property
    def scored(self) -> bool:
        """True if its skill is defined."""
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
        """True if the cells are levels without order."""
        return not np.isfinite(self.numbers).any()


def column_quantile(values: Floats, share: float) -> Floats:
    """Return quantile of each column over its finite values; NaN for a column that has none."""
    result = np.full(values.shape[1], np.nan)
    for column in range(values.shape[1]):
        finite = values[np.isfinite(values[:, column]), column]
        if finite.size:
            result[column] = np.quantile(finite, share)
    return result


def whole(read: Reader, name: str, columns: list[str]) -> pa.Table:
    """Return all rows of a table that has at most one row per partition."""
    return pa.concat_tables(read(name, columns))


def read_experiment(read: Reader) -> Mapping[str, Any]:
    """Return the one row of the table ``experiment``."""
    rows = whole(read, "experiment", list(EXPERIMENT.names)).to_pylist()
    return rows[0] if rows else dict.fromkeys(EXPERIMENT.names)


def read_partitions(read: Reader) -> tuple[Partition, ...]:
    """Return all partitions in the order of the table."""
    texts = ["partition_id", "partition", "status", "reason", "message", "metric"]
    numbers = ["rows", "rows_without_target", "folds", "value", "constant_value"]
    numbers += ["skill", "skill_low", "skill_high", "rank"]
    table = whole(read, "partitions", texts + numbers)
    columns: list[list[Any]] = [texts_of(table, name) for name in texts]
    columns += [numbers_of(table, name).tolist() for name in numbers]
    return tuple(Partition(*row) for row in zip(*columns, strict=True))


def read_importance(read: Reader, trained: Sequence[Partition]) -> dict[str, Importance]:
    """Return importance by each method that has a value, best for comparing first."""
    found = {method: (Names(), Layers(trained, ("value",))) for method in METHODS}
    for piece in read("importance", ["partition_id", "feature", "method", "value", "scale"]):
        for method, (features, layers) in found.items():
            rows = known(where(piece, "method", method), trained)
            layers.put(rows, features.codes(rows, "feature"))
    return {
        method: Importance(method, layers.scale, tuple(features), layers["value"])
        for method, (features, layers) in found.items()
        if np.isfinite(layers["value"]).any()
    }


_GRIDS = ("value", "centred", "centred_fold_sd", "support", "extrapolated")
"""Columns that become an array of ``Curves``."""


def read_curves(
    read: Reader, trained: Sequence[Partition], features: Sequence[str]
) -> list[Curves]:
    """Return partial dependence on ``features``: one ``Curves`` for each feature and class."""
    names = ["partition_id", "feature", "class", "grid_index", "grid_value", "grid_number", "value"]
    names += ["centred", "centred_fold_sd", "support", "extrapolated", "scale"]
    return _curves(read("partial_dependence", names), trained, features)


def read_shap_curves(
    read: Reader, trained: Sequence[Partition], features: Sequence[str]
) -> list[Curves]:
    """Return SHAP by the feature's value as curves; support is the number of explained rows."""
    names = ["partition_id", "feature", "class", "grid_index", "grid_value", "grid_number", "mean"]
    names += ["fold_sd", "rows", "scale"]
    return _curves(map(_as_curves, read("shap_by_value", names)), trained, features)


def _as_curves(shap: pa.Table) -> pa.Table:
    """Return rows of ``shap_by_value`` with the columns of ``partial_dependence``."""
    more = {"centred": "mean", "value": "mean", "centred_fold_sd": "fold_sd", "support": "rows"}
    columns = {name: shap[name] for name in shap.column_names}
    columns |= {new: shap[old] for new, old in more.items()}
    return pa.table(columns | {"extrapolated": pa.repeat(False, len(shap))})


def _curves(
    pieces: Iterable[pa.Table], trained: Sequence[Partition], features: Sequence[str]
) -> list[Curves]:
    """Return features as the table has them, of each its classes by name."""
    found: dict[str, dict[str, _CurveLayers]] = {}
    for piece in pieces:
        rows = known(among(piece, "feature", features), trained)
        for feature in distinct(rows, "feature"):
            classes, of_feature = found.setdefault(feature, {}), where(rows, "feature", feature)
            for class_ in distinct(of_feature, "class"):
                layers = classes.setdefault(class_, _CurveLayers(trained, _GRIDS))
                layers.put_cells(where(of_feature, "class", class_))
    return [
        layers.curves(feature, class_)
        for feature, classes in found.items()
        for class_, layers in sorted(classes.items())
    ]


MISSING = "(missing)"
"""Label of the cell for rows in which the feature is missing."""


class _CurveLayers(Layers):
    """The curves of one feature and class, and the labels of their cells."""

    def __init__(self, trained: Sequence[Partition], columns: Sequence[str]) -> None:
        super().__init__(trained, columns)
        self._labels: dict[int, str] = {}
        self._numbers: dict[int, float] = {}

    def put_cells(self, rows: pa.Table) -> None:
        """Add rows of the feature and class."""
        cells = numbers_of(rows, "grid_index").astype(np.int64)
        self.put(rows, cells)
        new, first = np.unique(cells, return_index=True)
        about = rows.take(pa.array(first))
        labels = about["grid_value"].fill_null(MISSING)
        self._labels |= zip(new.tolist(), labels.to_pylist(), strict=True)
        self._numbers |= zip(new.tolist(), numbers_of(about, "grid_number"), strict=True)

    def curves(self, feature: str, class_: str) -> Curves:
        """Return all of them."""
        cells = range(self.width)
        return Curves(
            feature=feature,
            class_=class_,
            scale=self.scale,
            labels=tuple(self._labels.get(cell, "") for cell in cells),
            numbers=np.array([self._numbers.get(cell, np.nan) for cell in cells]),
            value=self["value"],
            centred=self["centred"],
            fold_sd=self["centred_fold_sd"],
            support=np.nan_to_num(self["support"]),
            extrapolated=np.nan_to_num(self["extrapolated"], nan=1.0) > 0,
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
    """Return the table ``shap_summary``, one ``ShapSummary`` for each class."""
    features, found = Names(), dict[str, Layers]()
    for piece in read(
        "shap_summary", ["partition_id", "feature", "class", "mean", "mean_abs", "scale"]
    ):
        rows = known(piece, trained)
        for class_ in distinct(rows, "class"):
            own = where(rows, "class", class_)
            layers = found.setdefault(class_, Layers(trained, ("mean", "mean_abs")))
            layers.put(own, features.codes(own, "feature"))
    for layers in found.values():
        layers.widen(len(tuple(features)))
    return [
        ShapSummary(class_, layers.scale, tuple(features), layers["mean"], layers["mean_abs"])
        for class_, layers in sorted(found.items())
    ]
