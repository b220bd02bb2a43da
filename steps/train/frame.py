"""A partition as a trainer sees it: canonical order, codes for levels, rows with a target."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from steps.records import Roles
from steps.table.grid import FeatureGrid, cells, level_texts, numbers_of
from steps.table.hashing import Hashes, row_hashes
from steps.table.part_codec import in_canonical_order
from steps.table.row_identity import row_keys
from steps.train.trainer import Features, Floats, Task, TrainingData

OTHER_LEVELS = "(other levels)"
"""Name of the rare levels of a category that are merged into one."""

Integers = NDArray[np.intp]


@dataclass(frozen=True)
class LevelCodes:
    """The codes of one category's levels in one partition.

    Attributes:
        names: the levels that have a code of their own, in order of their value; possibly
            ``OTHER_LEVELS`` as the last one.
        codes: code of each level that the partition has, merged ones included.
    """

    names: tuple[str, ...]
    codes: dict[str, int]

    def code(self, level: str) -> int:
        """Return the code of a level; ``len(names)`` for one that the partition does not have."""
        return self.codes.get(level, len(self.names))

    def encode(self, texts: pa.DictionaryArray) -> Floats:
        """Return the codes of ``level_texts``; NaN where the level is missing."""
        names = texts.dictionary.to_pylist()
        positions = texts.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
        table = np.array([*(self.code(level) for level in names), np.nan])
        codes: Floats = table[positions]
        return codes


@dataclass(frozen=True)
class Frame:
    """The rows of one partition that have a target, in canonical order.

    Attributes:
        features: features of all rows.
        codes: codes of the levels per feature; None if it is numeric.
        target: values, or positions in ``classes``; shape (rows,).
        weight: weight of each row, shape (rows,); None if all rows count the same.
        keys: a distinct key per row, see ``row_keys``. They assign rows to folds and samples.
        groups: a hash of each row's group; None without a group column.
        time: rank of each row's time among the distinct times, from 1; 0 if it is missing. None
            without a time column.
        classes: classes of the partition, in order of their value.
        offset: what is added to the raw score of each row, shape (rows,); None for no offset.
        exposure: size of each row, whose logarithm is the offset; None for no exposure.
    """

    features: Features
    codes: tuple[LevelCodes | None, ...]
    target: Floats
    weight: Floats | None
    keys: Hashes
    groups: Hashes | None
    time: Integers | None
    classes: tuple[str, ...]
    offset: Floats | None = None
    exposure: Floats | None = None

    def take(self, rows: Integers | slice) -> Frame:
        """Return some of the rows, with the codes and the ranks of times of all."""
        return replace(
            self,
            features=self.features.take(rows),
            target=self.target[rows],
            weight=None if self.weight is None else self.weight[rows],
            keys=self.keys[rows],
            groups=None if self.groups is None else self.groups[rows],
            time=None if self.time is None else self.time[rows],
            offset=None if self.offset is None else self.offset[rows],
            exposure=None if self.exposure is None else self.exposure[rows],
        )

    def training_data(self, task: Task, seed: int) -> TrainingData:
        """Return all rows as the input of a fit, without inner folds."""
        return TrainingData(
            features=self.features,
            target=self.target,
            weight=self.weight,
            task=task,
            classes=self.classes,
            seed=seed,
            offset=self.offset,
        )

    def with_offset(self, raw: Floats, rows: Integers | slice) -> Floats:
        """Return raw scores of these rows with their offset; ``raw`` has the rows first."""
        if self.offset is None:
            return raw
        added = self.offset[rows]
        total: Floats = raw + added.reshape(len(added), *[1] * (raw.ndim - 1))
        return total

    @property
    def weights(self) -> Floats:
        """The row weights, all 1 without a weight column; shape (rows,)."""
        return np.ones(len(self.target)) if self.weight is None else self.weight

    @property
    def clusters(self) -> Hashes:
        """A label per row, equal for rows that are not independent; shape (rows,)."""
        return self.keys if self.groups is None else self.groups

    def encode(self, batch: pa.RecordBatch) -> Features:
        """Encode the features of other rows as this partition encodes its own.

        Args:
            batch: has all features, with the dataset's types.
        """
        return encode_features(batch, self.features.names, self.codes)

    def points(self, column: int, grid: FeatureGrid) -> Floats:
        """Return the grid's cells as this partition codes them, NaN for missing; shape (cells,)."""
        codes = self.codes[column]
        known = grid.numbers if codes is None else tuple(map(codes.code, grid.values))
        return np.array([*known, *([np.nan] if grid.missing else [])], np.float64)

    def cells(self, column: int, grid: FeatureGrid) -> Integers:
        """Return the position of each row's grid cell; -1 if it is in none.

        A number is in the cell of the nearest grid value. A level is in its own cell; if the
        partition merged it with others, it is in none. A missing value is in the last cell, if the
        grid has one for it.
        """
        values = self.features.values[:, column]
        codes = self.codes[column]
        if codes is None:
            return cells(values, grid)
        table = np.full(len(codes.names) + 2, -1)
        table[-1] = len(grid.values) if grid.missing else -1
        levels = Counter(codes.codes.values())
        for position, level in enumerate(grid.values):
            code = codes.code(level)
            if levels[code] == 1:
                table[code] = position
        return table[np.where(np.isnan(values), len(codes.names) + 1, values).astype(np.intp)]


def encode_features(
    batch: pa.RecordBatch, names: Sequence[str], codes: Sequence[LevelCodes | None]
) -> Features:
    """Encode features as other rows were encoded.

    Args:
        batch: has all features, with the dataset's types.
        names: names of the features.
        codes: codes of the levels per feature; None if it is numeric.
    """
    columns = [
        known.encode(level_texts(batch.column(name))) if known else numbers_of(batch.column(name))
        for name, known in zip(names, codes, strict=True)
    ]
    matrix = np.column_stack(columns) if columns else np.empty((batch.num_rows, 0))
    levels = tuple(known.names if known else None for known in codes)
    return Features(tuple(names), np.ascontiguousarray(matrix), levels)


@dataclass(frozen=True)
class TargetRows:
    """The rows of a table that have a target, in canonical order.

    Attributes:
        batch: the rows, with canonical types.
        hashes: their row hashes; shape (rows,).
    """

    batch: pa.RecordBatch
    hashes: Hashes


def target_rows(table: pa.Table, roles: Roles) -> TargetRows:
    """Return the rows of a table, in any order, that have a target."""
    batch, hashes = in_canonical_order(table)
    known = np.flatnonzero(batch.column(roles.target).is_valid().to_numpy(zero_copy_only=False))
    return TargetRows(batch.take(pa.array(known)), hashes[known])


def make_frame(rows: TargetRows, roles: Roles, classes: tuple[str, ...], max_levels: int) -> Frame:
    """Return the rows of a partition as a trainer gets them.

    Args:
        rows: the rows.
        roles: roles of the columns.
        classes: classes of the dataset; empty for a regression.
        max_levels: levels per category before the rarest are merged.
    """
    batch, hashes = rows.batch, rows.hashes
    known = len(hashes)
    coded = [_code(batch, name, roles, max_levels) for name in roles.features]
    matrix = np.column_stack([values for values, _ in coded]) if coded else np.empty((known, 0))
    codes = tuple(levels for _, levels in coded)
    names = tuple(levels.names if levels else None for levels in codes)
    target, present = _target(batch.column(roles.target), classes)
    keys = row_keys(batch, roles, hashes)
    groups = None
    if roles.group is not None:
        # A row whose group is unknown is a group of its own.
        unknown = batch.column(roles.group).is_null().to_numpy(zero_copy_only=False)
        groups = np.where(unknown, keys, row_hashes(batch.select([roles.group])))
    exposure = numbers_of(batch.column(roles.exposure)) if roles.exposure else None
    offset = numbers_of(batch.column(roles.offset)) if roles.offset else None
    return Frame(
        features=Features(roles.features, np.ascontiguousarray(matrix), names),
        codes=codes,
        target=target,
        weight=numbers_of(batch.column(roles.weight)) if roles.weight else None,
        keys=keys,
        groups=groups,
        time=_ranks(batch.column(roles.time)) if roles.time else None,
        classes=present,
        offset=offset if exposure is None else np.log(exposure),
        exposure=exposure,
    )


def _code(
    batch: pa.RecordBatch, name: str, roles: Roles, max_levels: int
) -> tuple[Floats, LevelCodes | None]:
    column = batch.column(name)
    if name not in roles.categorical:
        return numbers_of(column), None
    texts = level_texts(column)
    names = texts.dictionary.to_pylist()
    positions = texts.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    levels = level_codes(
        Counter(names[p] for p in positions if p < len(names)), column.type, max_levels
    )
    return levels.encode(texts), levels


def level_codes(counts: Counter[str], kind: pa.DataType, max_levels: int) -> LevelCodes:
    """Return codes in order of value; beyond ``max_levels`` the rarest levels share the last."""
    kept = sorted(counts, key=lambda level: (-counts[level], _value_order(kind, level)))
    if len(kept) > max_levels:
        kept = kept[: max_levels - 1]
    names = sorted(kept, key=lambda level: _value_order(kind, level))
    codes = {level: code for code, level in enumerate(names)}
    merged = [level for level in counts if level not in codes]
    if merged:
        codes |= dict.fromkeys(merged, len(names))
        names.append(OTHER_LEVELS)
    return LevelCodes(tuple(names), codes)


def _value_order(kind: pa.DataType, level: str) -> tuple[float, str]:
    if pa.types.is_integer(kind):
        return int(level), level
    if pa.types.is_timestamp(kind):  # without the Z, a whole second comes before its fractions
        return 0.0, level.removesuffix("Z")
    return (float(level) if pa.types.is_floating(kind) else 0.0, level)


def _target(column: pa.Array, classes: tuple[str, ...]) -> tuple[Floats, tuple[str, ...]]:
    """Return the target as numbers; for classes, positions among the partition's classes."""
    if not classes:
        return numbers_of(column), ()
    texts = level_texts(column)
    names = texts.dictionary.to_pylist()
    present = tuple(name for name in classes if name in names)
    positions = np.array([present.index(name) for name in names], np.float64)
    return positions[texts.indices.to_numpy(zero_copy_only=False)], present


def _ranks(column: pa.Array) -> Integers:
    """Return the rank of each value among the distinct ones, from 1; 0 for a missing time."""
    encoded = column.dictionary_encode()
    order = pa.compute.sort_indices(encoded.dictionary).to_numpy()
    rank = np.empty(len(order) + 1, np.intp)
    rank[order] = np.arange(1, len(order) + 1)
    rank[-1] = 0
    ranks: Integers = rank[encoded.indices.fill_null(len(order)).to_numpy(zero_copy_only=False)]
    return ranks
