"""A table of the suite with its spec, both as an analyst and as Refeed read them."""

from __future__ import annotations

from collections.abc import Hashable
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

import refeed
from tests.field.suite import direct
from tests.field.suite.direct import Losses, Rows, Split
from tests.field.suite.tables import Table

Key = str | float | None
"""A value of the partition column: a number if the column has numbers, None where it is missing."""


class Case:
    """A table, its truth according to pandas, and Refeed's run of its spec."""

    def __init__(self, table: Table, folder: Path) -> None:
        path = table.write(folder)
        self.table = table
        self.spec: dict[str, Any] = yaml.safe_load(path.read_text())
        self.frame = table.parse_dates(table.read())
        if table.file != "parquet":  # in a CSV file, an empty text is a missing cell
            self.frame = self.frame.replace("", np.nan)
        self.folder = folder
        self._rows: dict[Key, Rows] = {}
        self.run = refeed.run(path, overrides=["execution.workers=1"])

    # --- the truth ---------------------------------------------------------------------------

    @property
    def evaluate(self) -> dict[str, Any]:
        return dict(self.spec["evaluate"])

    @property
    def columns(self) -> list[str]:
        """All columns that the spec uses."""
        dataset = self.spec["dataset"]
        named = [dataset["partition_by"], dataset["target"]]
        named += [self.evaluate[role] for role in ("group", "time") if role in self.evaluate]
        return [*self.features, *named]

    @cached_property
    def features(self) -> list[str]:
        """The features by name; ``exclude`` also leaves out the columns that have another role."""
        dataset = self.spec["dataset"]
        chosen = dataset.get("features", {"exclude": []})
        if isinstance(chosen, list):
            return chosen
        roles = [self.evaluate.get("group"), self.evaluate.get("time")]
        out = {*chosen["exclude"], dataset["partition_by"], dataset["target"], *roles}
        return [name for name in self.frame if name not in out]

    @cached_property
    def ordered(self) -> list[str]:
        """The features in the order that Refeed lists them in, as far as it has them."""
        found = list(self.table_of("features")["feature"])
        return sorted(self.features, key=lambda name: found.index(name) if name in found else 0)

    @cached_property
    def categorical(self) -> set[str]:
        """Features without order: those that the spec names, by default all of text."""
        named = self.spec["dataset"].get("categorical")
        texts = (name for name in self.features if is_text(self.frame[name]))
        return set(texts if named is None else named)

    @cached_property
    def classes(self) -> list[Any]:
        """Classes of the target, none for a regression; of two, the positive one is the last."""
        target = self.frame[self.table.target].dropna()
        if not is_text(target) and target.nunique() != 2:
            return []
        positive = self.table_of("experiment")["positive_class"][0]
        return sorted(target.unique(), key=lambda label: (str(label) == positive, label))

    @cached_property
    def partitions(self) -> dict[Key, pd.DataFrame]:
        """All rows of each partition."""
        groups = self.frame.groupby(self.table.partition, dropna=False)
        return {self.key(value): rows for value, rows in groups}

    def key(self, value: Hashable) -> Key:
        """Return the key of a partition, from its value in the table or in Refeed's tables."""
        if value is None or value == "" or value != value:  # noqa: PLR0124 - NaN
            return None
        return str(value) if is_text(self.frame[self.table.partition]) else float(str(value))

    def expected_status(self, key: Key) -> tuple[str, str]:
        """Return the status and the reason that a partition must have."""
        target = self.partitions[key][self.table.target].dropna()
        if key is None:
            return "skipped", "null_key"
        if target.empty:
            return "skipped", "target_missing"
        if len(target) < self.spec["dataset"].get("min_rows", 200):
            return "skipped", "too_few_rows"
        if len(target.unique()) == 1:
            return "skipped", "one_class" if self.classes else "constant_target"
        return "trained", ""

    def rows(self, key: Key) -> Rows:
        """Return the rows of a partition that have a target, as a model gets them.

        The features are in Refeed's order: of two splits with equal gain LightGBM takes the one of
        the first feature.
        """
        if key not in self._rows:
            self._rows[key] = self._read_rows(key)
        return self._rows[key]

    def _read_rows(self, key: Key) -> Rows:
        frame = self.partitions[key].dropna(subset=[self.table.target])
        coded = [
            direct.codes_of(frame[name])
            if name in self.categorical
            else direct.numbers_of(frame[name])
            for name in self.ordered
        ]
        target = frame[self.table.target]
        classes = [label for label in self.classes if (target == label).any()]
        group, time = (self.evaluate.get(role) for role in ("group", "time"))
        return Rows(
            features=np.column_stack(coded),
            names=tuple(self.ordered),
            categorical=tuple(
                at for at, name in enumerate(self.ordered) if name in self.categorical
            ),
            target=(target.map(classes.index) if classes else target).to_numpy(np.float64),
            classes=tuple(classes),
            groups=pd.factorize(frame[group])[0] if group else None,
            times=direct.numbers_of(frame[time]) if time else None,
        )

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of LightGBM."""
        return dict(self.spec["trainer"]["params"])

    @cached_property
    def trained(self) -> list[Key]:
        """Partitions that must have a model, the largest first."""
        found = [key for key in self.partitions if self.expected_status(key)[0] == "trained"]
        return sorted(found, key=lambda key: -len(self.partitions[key]))

    @cached_property
    def shuffles(self) -> dict[Key, list[Losses]]:
        """Losses of LightGBM in cross-validation, for several shuffles of the folds."""
        return {key: self._shuffles(self.rows(key)) for key in self.trained}

    def _shuffles(self, rows: Rows) -> list[Losses]:
        """Return the losses of 4 to 12 shuffles: fewer if there are many partitions or rows."""
        count = min(2 + 20 // len(self.trained), 40_000 // len(self.frame))
        folds = self.evaluate["folds"]
        return [
            direct.losses(rows, splits, self.params)
            for splits in direct.shuffles(rows, folds, max(4, min(count, 12)))
        ]

    def blocks(self, key: Key, held_out: list[int]) -> list[Split]:
        """Return the folds of ``method: time``.

        Args:
            key: the partition.
            held_out: sizes of the predicted blocks; they end with the last row in time.
        """
        times = self.rows(key).times
        assert times is not None
        order = np.argsort(times, kind="stable")[: np.count_nonzero(~np.isnan(times))]
        ends = len(order) - sum(held_out) + np.cumsum([0, *held_out])
        for end in ends[:-1]:
            assert times[order[end - 1]] < times[order[end]], "rows of one time share a block"
        return [(order[:start], order[start:end]) for start, end in pairwise(ends)]

    # --- Refeed's answers --------------------------------------------------------------------

    def table_of(self, name: str) -> pd.DataFrame:
        """Return a result table, with the key of each row's partition as ``key``."""
        found = self.run.tables[name].to_pandas()
        if "partition" in found:
            found["key"] = pd.Series([self.key(text) for text in found["partition"]], dtype=object)
        return found

    @cached_property
    def found(self) -> dict[Key, Any]:
        """Refeed's row of each partition in the table ``partitions``."""
        return {row.key: row for row in self.table_of("partitions").itertuples()}

    @cached_property
    def metrics(self) -> pd.DataFrame:
        """Refeed's rows of the headline metric."""
        found = self.table_of("metrics")
        return found[found["metric"] == ("log_loss" if self.classes else "rmse")]

    def folds_of(self, key: Key) -> pd.DataFrame:
        """Return Refeed's rows of the headline metric per fold."""
        rows = self.metrics[(self.metrics["key"] == key) & (self.metrics["scope"] == "fold")]
        return rows.sort_values("fold")


def is_text(column: pd.Series) -> bool:
    """Return true for a column of texts; truth values, numbers and dates are numbers."""
    return bool(pd.api.types.is_string_dtype(column.dropna()))
