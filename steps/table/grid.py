"""Shared grids: for each feature, the values at which all partitions are compared.

They come from the dataset's sample (the rows with the smallest row hashes), so they depend only on
content. A grid contains values and levels, never codes.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from steps.records import canonical_json, digest
from steps.runtime.parallel import map_ordered
from steps.table.sample import Counts, Sample
from steps.table.types import canonical_text


@dataclass(frozen=True)
class FeatureGrid:
    """The grid of one feature.

    Attributes:
        name: name of the feature.
        categorical: True if the values are levels.
        values: canonical texts; ascending for numbers, by falling frequency for levels.
        numbers: the values as numbers (days or seconds since 1970 for dates and timestamps); empty
            for levels.
        missing: True if some row of the table lacks the feature; the last cell is then for it.
    """

    name: str
    categorical: bool
    values: tuple[str, ...]
    numbers: tuple[float, ...]
    missing: bool = False

    @property
    def size(self) -> int:
        """Number of cells."""
        return len(self.values) + self.missing

    def cell(self, index: int) -> dict[str, object]:
        """Return the columns of a result table that say which cell a row is about."""
        known = index < len(self.values)
        return {
            "grid_index": index,
            "grid_value": self.values[index] if known else None,
            "grid_number": self.numbers[index] if known and not self.categorical else None,
            "grid_missing": not known,
        }


@dataclass(frozen=True)
class Grid:
    """The grids of all features of a dataset."""

    features: tuple[FeatureGrid, ...]

    def __getitem__(self, name: str) -> FeatureGrid:
        """Return the grid of one feature.

        Raises:
            KeyError: the feature has no grid.
        """
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    def digest_of(self, names: Iterable[str]) -> str:
        """Return the digest of the named features' grids, a part of an explanation's key."""
        return digest([asdict(self[name]) for name in names])

    def to_json(self) -> str:
        """Return the stored text."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Grid:
        """Parse the text that ``to_json`` returned."""
        features = []
        for raw in json.loads(text)["features"]:
            raw["values"] = tuple(raw["values"])
            raw["numbers"] = tuple(raw["numbers"])
            features.append(FeatureGrid(**raw))
        return cls(tuple(features))


def numbers_of(column: pa.Array) -> NDArray[np.float64]:
    """Convert a column that is not text to float64, with NaN for null; shape (rows,).

    Booleans become 0 and 1, dates days, and timestamps seconds since 1970.
    """
    if column.type == pa.float64() and not column.null_count:
        return np.asarray(column)
    if pa.types.is_timestamp(column.type):
        column = pc.divide(column.cast(pa.int64()).cast(pa.float64(), safe=False), 1e6)
    elif pa.types.is_date(column.type):
        column = column.cast(pa.int32())
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    numbers: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(
        zero_copy_only=False
    )
    return numbers


def level_texts(column: pa.Array) -> pa.Array:
    """Convert a column to the canonical texts of its values: a dictionary array with nulls."""
    encoded = column.dictionary_encode()
    texts = pa.array(
        [canonical_text(value) for value in encoded.dictionary.to_pylist()], pa.string()
    )
    return pa.DictionaryArray.from_arrays(encoded.indices, texts)


def build_grid(
    sample: Sample,
    features: Iterable[str],
    categorical: set[str],
    points: int,
    missing: Collection[str] = (),
) -> Grid:
    """Build grids of at most ``points`` values per feature.

    Args:
        sample: sample of the table.
        features: the features.
        categorical: features whose values are levels.
        points: values per feature, at most.
        missing: features that some row of the table lacks.
    """

    def feature_grid(name: str) -> FeatureGrid:
        build = _levels_grid if name in categorical else _numbers_grid
        return replace(build(name, sample, points), missing=name in missing)

    return Grid(tuple(map_ordered(feature_grid, features)))


def _known(name: str, sample: Sample) -> tuple[pa.Array, Counts]:
    """Return the values of a feature that are not missing, and their counts."""
    column = sample.rows.column(name).combine_chunks()
    flat = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    known = flat.is_valid().to_numpy(zero_copy_only=False)
    return flat.drop_null(), sample.counts[known]


def _levels_grid(name: str, sample: Sample, points: int) -> FeatureGrid:
    values, weights = _known(name, sample)
    texts = level_texts(values)
    names = texts.dictionary.to_pylist()
    codes = texts.indices.to_numpy(zero_copy_only=False)
    level_counts = np.bincount(codes, weights=weights, minlength=len(names))
    counts = dict(zip(names, level_counts, strict=True))
    ranked = sorted(names, key=lambda level: (-counts[level], level))
    return FeatureGrid(name, True, tuple(ranked[:points]), ())


def _numbers_grid(name: str, sample: Sample, points: int) -> FeatureGrid:
    """Return the distinct lower quantiles at the middles of ``points`` equal shares.

    The quantile s of n rows is the value of rank floor(s * (n - 1)), from 0, a value that occurs,
    like that of ``numpy.quantile(method="lower")``. If the sample has at most ``points`` distinct
    values, the grid contains all of them.
    """
    values, weights = _known(name, sample)
    numbers = numbers_of(values)
    if (weights == 1).all():  # the usual case, in which a plain sort is many times faster
        ascending, cumulative = np.sort(numbers), np.arange(1, len(numbers) + 1)
    else:
        order = np.argsort(numbers, kind="stable")
        ascending, cumulative = numbers[order], np.cumsum(weights[order])
    last = np.append(ascending[1:] != ascending[:-1], True)[: len(ascending)]
    chosen, cumulative = ascending[last], cumulative[last]  # each distinct number once
    if len(chosen) > points:
        ranks = np.floor((np.arange(points) + 0.5) / points * (cumulative[-1] - 1))
        chosen = chosen[np.unique(np.searchsorted(cumulative, ranks, side="right"))]
    first = np.array([np.argmax(numbers == number) for number in chosen], np.intp)
    texts = [canonical_text(value) for value in values.take(pa.array(first)).to_pylist()]
    return FeatureGrid(name, False, tuple(texts), tuple(map(float, numbers[first])))


def cells(numbers: NDArray[np.float64], grid: FeatureGrid) -> NDArray[np.intp]:
    """Return the position of each number's nearest grid value, the lower one in a tie.

    Returns:
        Positions; shape (rows,). NaN has the last cell, or -1 if the grid has none for it.
    """
    points = np.asarray(grid.numbers)
    absent = len(points) if grid.missing else -1
    if not len(points):
        return np.where(np.isnan(numbers), absent, -1)
    middles = points[:-1] + (points[1:] - points[:-1]) / 2
    nearest = np.searchsorted(middles, numbers, side="left")
    return np.where(np.isnan(numbers), absent, nearest)
