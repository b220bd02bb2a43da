"""Shared grids: for each feature the values at which all partitions are compared.

Made from the data set's sample (the rows with the smallest row hashes), so they depend on content
alone. A grid names values and levels, never codes.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from steps.records import canonical_json, digest
from steps.table.types import canonical_text

SAMPLE_ROWS = 100_000
"""Rows in the sample of a data set. The rank of a quantile is off by less than 0.5 % (three
standard errors of the median: 3 * sqrt(0.25 / 100,000))."""


@dataclass(frozen=True)
class FeatureGrid:
    """The grid of one feature.

    Attributes:
        name: of the feature.
        categorical: whether the values are levels.
        values: as text, canonical; ascending for numbers, by falling frequency for levels.
        numbers: the same as numbers (days or seconds since 1970 for dates and timestamps); empty
            for levels.
    """

    name: str
    categorical: bool
    values: tuple[str, ...]
    numbers: tuple[float, ...]


@dataclass(frozen=True)
class Grid:
    """The grids of all features of a data set."""

    features: tuple[FeatureGrid, ...]

    def __getitem__(self, name: str) -> FeatureGrid:
        """The grid of one feature.

        Raises:
            KeyError: there is none.
        """
        for feature in self.features:
            if feature.name == name:
                return feature
        raise KeyError(name)

    def digest_of(self, names: Iterable[str]) -> str:
        """Digest of some features' grids: part of the key of an explanation."""
        return digest([asdict(self[name]) for name in names])

    def to_json(self) -> str:
        """The text that is stored."""
        return canonical_json(asdict(self))

    @classmethod
    def from_json(cls, text: str | bytes) -> Grid:
        """Read what ``to_json`` wrote."""
        return cls(tuple(_feature_grid(raw) for raw in json.loads(text)["features"]))


def _feature_grid(raw: dict[str, object]) -> FeatureGrid:
    raw["values"] = tuple(raw["values"])  # type: ignore[arg-type]
    raw["numbers"] = tuple(raw["numbers"])  # type: ignore[arg-type]
    return FeatureGrid(**raw)  # type: ignore[arg-type]


def numbers_of(column: pa.Array) -> NDArray[np.float64]:
    """A column that is no string as float64, NaN where null; shape (rows,).

    Booleans are 0 and 1, dates days and timestamps seconds since 1970.
    """
    if column.type == pa.float64() and not column.null_count:
        return np.asarray(column)
    if pa.types.is_timestamp(column.type):
        column = pc.divide(column.cast(pa.int64()).cast(pa.float64()), 1e6)
    elif pa.types.is_date(column.type):
        column = column.cast(pa.int32())
    elif pa.types.is_boolean(column.type):
        column = column.cast(pa.uint8())
    numbers: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(
        zero_copy_only=False
    )
    return numbers


def level_texts(column: pa.Array) -> pa.Array:
    """A column as the canonical texts of its values: a dictionary array, nulls kept."""
    encoded = column.dictionary_encode()
    texts = pa.array(
        [canonical_text(value) for value in encoded.dictionary.to_pylist()], pa.string()
    )
    return pa.DictionaryArray.from_arrays(encoded.indices, texts)


def make_grid(
    sample: pa.Table, features: Iterable[str], categorical: set[str], points: int
) -> Grid:
    """Grids of at most ``points`` values per feature."""
    return Grid(
        tuple(
            _levels_grid(name, sample.column(name).combine_chunks(), points)
            if name in categorical
            else _numbers_grid(name, sample.column(name).combine_chunks(), points)
            for name in features
        )
    )


def _levels_grid(name: str, column: pa.ChunkedArray | pa.Array, points: int) -> FeatureGrid:
    texts = level_texts(_flat(column))
    codes = texts.indices.drop_null().to_numpy(zero_copy_only=False)
    names = texts.dictionary.to_pylist()
    counts = Counter({names[code]: int(n) for code, n in enumerate(np.bincount(codes)) if n})
    ranked = sorted(counts, key=lambda level: (-counts[level], level))
    return FeatureGrid(name, True, tuple(ranked[:points]), ())


def _numbers_grid(name: str, column: pa.ChunkedArray | pa.Array, points: int) -> FeatureGrid:
    """Lower quantiles at the middles of ``points`` equal shares, without repeats.

    Where the sample has no more than ``points`` distinct values, the grid is all of them.
    """
    flat = _flat(column).drop_null()
    numbers = numbers_of(flat)
    ascending = np.sort(numbers)
    wanted = ascending[np.append(True, ascending[1:] != ascending[:-1])[: len(ascending)]]
    if len(wanted) > points:
        shares = (np.arange(points) + 0.5) / points
        wanted = np.unique(np.quantile(ascending, shares, method="lower"))
    first = np.array([np.argmax(numbers == number) for number in wanted], np.intp)
    values = [canonical_text(value) for value in flat.take(pa.array(first)).to_pylist()]
    return FeatureGrid(name, False, tuple(values), tuple(map(float, numbers[first])))


def _flat(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        return column.combine_chunks()
    return column


def cells(numbers: NDArray[np.float64], grid: FeatureGrid) -> NDArray[np.intp]:
    """For each number the position of the nearest grid value, the lower one of two equally near.

    Returns:
        Shape (rows,); -1 where the number is NaN.
    """
    points = np.asarray(grid.numbers)
    if not len(points):
        return np.full(len(numbers), -1)
    middles = points[:-1] + (points[1:] - points[:-1]) / 2
    found = np.searchsorted(middles, numbers, side="left")
    return np.where(np.isnan(numbers), -1, found)
