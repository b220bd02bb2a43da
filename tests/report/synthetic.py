"""Synthetic result tables that are consistent with each other, for any number of partitions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from steps.results.schema import DATASET_TABLES, TABLES

ALL_TABLES = DATASET_TABLES | TABLES

GRID = 20
HOSTILE_LEVELS = ("<script>alert(2)</script>", "\u202elevel", "")
LEVELS = ("AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN")
TYPES = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "boolean": pa.bool_()}

Columns = dict[str, Any]


@dataclass
class Synthetic:
    """A run's result tables; ``read`` is what ``build_report`` takes.

    Every eleventh partition is skipped and every thirty-seventh failed, if there are that many.
    Partition 2 of at least five bends the other way in feature 0, so it is unusual.
    """

    partitions: int = 12
    features: int = 6
    task: str = "regression"
    seed: int = 0
    names: Sequence[str] = ()
    feature_names: Sequence[str] = ()
    without: Sequence[str] = ()
    methods: Sequence[str] = ("permutation", "gain", "mean_abs_shap")
    piece_rows: int = 997
    tables: dict[str, pa.Table] = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)
        self.keys = [*self.names, *(f"P{i:03d}" for i in range(len(self.names), self.partitions))]
        start = len(self.feature_names)
        self.columns = [
            *self.feature_names,
            *(f"feature_{i:02d}" for i in range(start, self.features)),
        ]
        self.columns = self.columns[: self.features]
        self.ids = [f"p{i:020x}" for i in range(self.partitions)]
        self.status = [_status(i) for i in range(self.partitions)]
        self.trained = [i for i, status in enumerate(self.status) if status == "trained"]
        self.rows = np.round(10 ** self.rng.uniform(1.8, 4.3, self.partitions)).astype(int)
        self.effect = 0.4 * np.exp(-0.45 * np.arange(self.features))
        self.strength = self.rng.gamma(8, 0.12, (self.partitions, self.features)) * self.effect
        self.classes = {"regression": [""], "binary": ["no", "yes"]}.get(self.task, list("abcd"))
        self.scale = "target" if self.task == "regression" else "log_odds"
        makers: dict[str, Callable[[], Columns]] = {
            "partitions": self._partitions,
            "importance": self._importance,
            "partial_dependence": self._partial_dependence,
            "shap_summary": self._shap_summary,
            "shap_by_value": self._shap_by_value,
            "features": self._features,
            "experiment": self._experiment,
            "column_statistics": self._column_statistics,
            "column_top_values": self._column_top_values,
            "column_histograms": self._column_histograms,
            "data_warnings": self._data_warnings,
        }
        self.tables = {name: self._table(name, makers.get(name)) for name in ALL_TABLES}

    def read(self, name: str, columns: list[str]) -> Iterator[pa.Table]:
        """In pieces that no partition keeps to."""
        table = self.tables[name].select(columns)
        yield table.slice(0, 0)
        for start in range(0, len(table), self.piece_rows):
            yield table.slice(start, self.piece_rows)

    def _table(self, name: str, make: Callable[[], Columns] | None) -> pa.Table:
        schema = pa.schema(
            [(column.name, TYPES[column.type]) for column in ALL_TABLES[name].columns]
        )
        if make is None or name in self.without:
            return schema.empty_table()
        columns = make()
        size = max(np.size(values) for values in columns.values())
        arrays = []
        for item in schema:
            values = columns.get(item.name)
            if isinstance(values, np.ndarray) and values.dtype.kind in "fib":
                arrays.append(pa.array(values, from_pandas=True).cast(item.type))  # NaN is null
                continue
            raw = [None] * size if values is None else np.asarray(values, dtype=object).tolist()
            clean = [None if value in ("", None) or value != value else value for value in raw]  # noqa: PLR0124
            arrays.append(pa.array(clean, item.type))
        return pa.table(arrays, schema=schema)

    def _each(self, *sizes: int) -> list[np.ndarray[Any, Any]]:
        """Positions of trained partitions crossed with ``sizes``, each flattened."""
        axes = np.meshgrid(np.array(self.trained, int), *map(np.arange, sizes), indexing="ij")
        return [axis.ravel() for axis in axes]

    def _keys(self, at: np.ndarray[Any, Any]) -> Columns:
        return {"partition_id": _take(self.ids, at), "partition": _take(self.keys, at)}

    def _partitions(self) -> Columns:
        trained = np.array([status == "trained" for status in self.status])
        share = self.strength.sum(axis=1)
        noise = self.rng.normal(0, 1, self.partitions) * 3 / np.sqrt(self.rows)
        skill = np.where(
            trained, 0.5 * share / (1 + share) - 2 / np.sqrt(self.rows) + noise, np.nan
        )
        half = 5 / np.sqrt(self.rows)
        rank = np.full(self.partitions, np.nan)
        order = np.argsort(np.where(trained, -(skill - half), np.inf), kind="stable")[
            : trained.sum()
        ]
        rank[order] = np.arange(1, len(order) + 1)
        metric = "rmse" if self.task == "regression" else "log_loss"
        reasons = {"trained": "", "skipped": "too_few_rows", "failed": "trainer_error"}
        words = {
            "trained": "",
            "skipped": "9 rows; 50 are needed.",
            "failed": "ValueError: <b>no</b>",
        }
        return {
            "partition_id": self.ids,
            "partition": self.keys,
            "status": self.status,
            "reason": [reasons[status] for status in self.status],
            "message": [words[status] for status in self.status],
            "rows": self.rows,
            "rows_without_target": self.rows // 50,
            "folds": [5 if each else None for each in trained],
            "metric": [metric if each else None for each in trained],
            "value": 40 * (1 - skill),
            "constant_value": np.where(trained, 40.0, np.nan),
            "skill": skill,
            "skill_low": skill - half,
            "skill_high": skill + half,
            "rank": [None if np.isnan(value) else int(value) for value in rank],
        }

    def _importance(self) -> Columns:
        at, feature, method = self._each(self.features, len(self.methods))
        noise = self.rng.normal(0, 0.1, len(at)) / np.sqrt(self.rows[at])
        scales = {"permutation": "share_of_constant_loss", "gain": "share_of_gain"}
        return self._keys(at) | {
            "feature": _take(self.columns, feature),
            "method": _take(list(self.methods), method),
            "value": self.strength[at, feature] + noise,
            "fold_sd": np.abs(noise),
            "folds": np.full(len(at), 5),
            "rank": feature + 1,
            "scale": [scales.get(self.methods[index], self.scale) for index in method],
        }

    def _is_level(self, feature: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(feature % 4 == 3)

    def _grid(self, *outer: int) -> tuple[np.ndarray[Any, Any], ...]:
        """Partition, feature, cell and the ``outer`` axes; levels have fewer cells than numbers."""
        at, feature, cell, *more = self._each(self.features, GRID, *outer)
        keep = ~self._is_level(feature) | (cell < len(LEVELS))
        return tuple(axis[keep] for axis in (at, feature, cell, *more))

    def _cells(self, feature: np.ndarray[Any, Any], cell: np.ndarray[Any, Any]) -> Columns:
        numbers = np.round(np.exp(cell / 4) * 3) * (1 + feature % 3)
        level = self._is_level(feature)
        texts = [
            LEVELS[index] if is_level else f"{value:g}"
            for is_level, index, value in zip(level, cell, numbers, strict=True)
        ]
        return {
            "feature": _take(self.columns, feature),
            "grid_index": cell,
            "grid_value": texts,
            "grid_number": np.where(level, np.nan, numbers),
        }

    def _shape(self, at: Any, feature: Any, cell: Any) -> Any:
        """The curve behind the data; centred on the whole grid."""
        x = cell / (GRID - 1) - 0.5
        bend = np.where((at == 2) & (feature == 0) & (self.partitions >= 5), -1.5, 1.0)
        curve = np.where(
            self._is_level(feature), np.sin(cell * 2.4), np.tanh(4 * x) + 0.2 * np.sin(9 * x)
        )
        return 20 * bend * self.strength[at, feature] * curve

    def _partial_dependence(self) -> Columns:
        at, feature, cell, class_ = self._grid(len(self.classes))
        unit = 1.0 if self.task == "regression" else 0.02
        noise = self.rng.normal(0, 6, len(at)) / np.sqrt(self.rows[at])
        centred = unit * (self._shape(at, feature, cell) + noise) * np.where(class_ % 2, 1, -1)
        support = self.rng.poisson(self.rows[at] / GRID * (0.2 + (cell % 5)) / 2.2)
        return (
            self._keys(at)
            | self._cells(feature, cell)
            | {
                "class": _take(self.classes, class_),
                "value": centred + 0.25 + 0.1 * class_,
                "fold_sd": np.abs(noise) * unit,
                "centred": centred,
                "centred_fold_sd": unit * (0.6 + np.abs(noise)),
                "support": support,
                "extrapolated": support == 0,
                "scale": np.full(len(at), "target" if self.task == "regression" else "probability"),
            }
        )

    def _shap_summary(self) -> Columns:
        at, feature, class_ = self._each(self.features, len(self.classes))
        size = 10 * self.strength[at, feature]
        return self._keys(at) | {
            "feature": _take(self.columns, feature),
            "class": _take(self.classes, class_),
            "mean": self.rng.normal(0, 0.2, len(at)) * size,
            "mean_abs": size,
            "rows": np.minimum(self.rows[at], 1000),
            "scale": np.full(len(at), self.scale),
        }

    def _shap_by_value(self) -> Columns:
        at, feature, cell, class_ = self._grid(len(self.classes))
        return (
            self._keys(at)
            | self._cells(feature, cell)
            | {
                "class": _take(self.classes, class_),
                "mean": self._shape(at, feature, cell) * 0.8,
                "fold_sd": np.full(len(at), 0.1),
                "rows": np.full(len(at), 7),
                "scale": np.full(len(at), self.scale),
            }
        )

    def _features(self) -> Columns:
        level = self._is_level(np.arange(self.features))
        return {
            "feature": self.columns,
            "type": np.where(level, "string", "float64"),
            "categorical": level.tolist(),
            "rows": np.full(self.features, self.rows.sum()),
            "missing": np.zeros(self.features, int),
        }

    def _column_statistics(self) -> Columns:
        """Of the whole table; every third feature is missing in some rows, the last in all."""
        at, rows = np.arange(self.features), int(self.rows.sum())
        level, last = self._is_level(at), (at == self.features - 1) & (self.features > 1)
        number = ~level & ~last
        spread = 10.0 ** (at % 9 - 3)
        facts = {"min": -1.5, "max": 4.0, "mean": 0.1, "sd": 1.0, "q50": 0.0}
        return {
            "scope": ["table"] * self.features,
            "column": self.columns,
            "type": np.where(level, "string", np.where(at % 5 == 1, "date", "float64")),
            "rows": np.full(self.features, rows),
            "missing": np.where(last, rows, np.where(at % 3 == 0, rows // 2000, 0)),
            "distinct": np.where(last, 0, np.where(level, len(LEVELS), rows)),
            "distinct_exact": (level | last).tolist(),
            **{name: np.where(number, value * spread, np.nan) for name, value in facts.items()},
        }

    def _column_top_values(self) -> Columns:
        at = np.repeat(np.flatnonzero(self._is_level(np.arange(self.features))), 5)
        rank = np.tile(np.arange(5), len(at) // 5)
        texts = [*HOSTILE_LEVELS, *LEVELS] if self.names else LEVELS
        return {
            "scope": ["table"] * len(at),
            "column": _take(self.columns, at),
            "rank": rank + 1,
            "value": _take(texts, rank),
            "count": 1000 / (rank + 1),
            "share": 0.4 / (rank + 1),
        }

    def _column_histograms(self) -> Columns:
        numbers = np.flatnonzero(~self._is_level(np.arange(self.features - (self.features > 1))))
        at, bucket = np.repeat(numbers, 10), np.tile(np.arange(10), len(numbers))
        return {
            "scope": ["table"] * len(at),
            "column": _take(self.columns, at),
            "bucket": bucket,
            "low": bucket - 5.0,
            "high": bucket - 4.0,
            "count": np.round(1000 * np.exp(-((bucket - at % 10) ** 2) / 8)),
        }

    def _data_warnings(self) -> Columns:
        kinds = ["leakage", "missing", "few_rows"][: min(self.features, 3)]
        columns = [self.columns[0], self.columns[-1], ""][: len(kinds)]
        return {
            "kind": kinds,
            "column": columns,
            "number": [0.9, 1.0, 3.0][: len(kinds)],
            "threshold": [0.75, 0.95, 10.0][: len(kinds)],
            "message": [f"{column!r} is not as it should be." for column in columns],
        }

    def _experiment(self) -> Columns:
        count = self.status.count
        return {
            "schema_version": [1],
            "project": ["flights"],
            "experiment": ["delays"],
            "spec_hash": ["5f0c" * 8],
            "dataset": ["a1b2" * 8],
            "partition_by": ["dest"],
            "target": ["dep_delay"],
            "task": [self.task],
            "positive_class": ["yes" if self.task == "binary" else None],
            "trainer": ["lightgbm"],
            "trainer_params": [json.dumps({"num_leaves": 31, "learning_rate": 0.05})],
            "evaluate": [json.dumps({"method": "kfold", "folds": 5, "group": None})],
            "explain": [json.dumps({"partial_dependence": {"grid": GRID}, "shap": True})],
            "versions": [json.dumps({"refeed": "0.1.0", "lightgbm": "4.6.0", "numpy": "2.4.6"})],
            "rows": [int(self.rows.sum())],
            "rows_without_target": [int((self.rows // 50).sum())],
            "partitions": [self.partitions],
            "trained": [count("trained")],
            "skipped": [count("skipped")],
            "failed": [count("failed")],
        }


def _status(index: int) -> str:
    if index % 37 == 36:
        return "failed"
    return "skipped" if index % 11 == 10 else "trained"


def _take(values: Sequence[str], at: np.ndarray[Any, Any]) -> list[str]:
    return [values[index] for index in at.tolist()]
