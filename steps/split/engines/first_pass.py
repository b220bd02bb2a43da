"""What the first pass over a source finds out; facts of some rows and of others merge."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from steps.errors import DataError
from steps.records import PartitionKey
from steps.split.dataset.plan import SplitPlan
from steps.table.hashing import ContentSums, Hashes, added, content_sums, row_hashes
from steps.table.sample import SAMPLE_ROWS, BottomSample
from steps.table.summaries import TableSummary
from steps.table.types import canonical_batch, canonical_text

Codes = NDArray[np.int32]

Looked = tuple[pa.RecordBatch, Hashes, TableSummary]
"""A canonical batch, the hashes of its rows, and its own summary."""


class Partitions:
    """The values of the partition column, with a code in the order of arrival, and their rows."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._codes: dict[object, int] = {}
        self.rows: NDArray[np.int64] = np.zeros(0, np.int64)

    def add(self, column: pa.Array) -> Codes:
        """Take in some rows; the code of each, shape (rows,)."""
        values, places = value_codes(column)
        codes = self._codes_of(values)[places]
        self.rows = _longer(self.rows, len(self._codes))
        self.rows += np.bincount(codes, minlength=len(self.rows))
        return codes

    def merge(self, other: Partitions) -> None:
        """Take in the partitions of other rows."""
        codes = self._codes_of(list(other._codes))
        self.rows = _longer(self.rows, len(self._codes))
        self.rows[codes] += other.rows

    def _codes_of(self, values: list[object]) -> Codes:
        found = [self._codes.setdefault(value, len(self._codes)) for value in values]
        return np.asarray(found, np.int32)

    def sorted(self) -> list[tuple[PartitionKey, object, int]]:
        """Key, value and code of each, sorted by key: numbers by value, the rest by text."""
        numeric = self.kind in {"int64", "float64"}
        items = [
            (partition_key(value, self.kind), value, code) for value, code in self._codes.items()
        ]

        def position(item: tuple[PartitionKey, object, int]) -> tuple[bool, object, str]:
            key, value, _ = item
            return value is None, value if numeric and value is not None else 0, key.text

        return sorted(items, key=position)


def _longer(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.append(rows, np.zeros(count - len(rows), np.int64))


def value_codes(column: pa.Array) -> tuple[list[object], NDArray[np.int32]]:
    """The different values of a column, None among them, and for each row the place of its own."""
    encoded = column.dictionary_encode(null_encoding="encode")
    places: NDArray[np.int32] = encoded.indices.to_numpy()
    return encoded.dictionary.to_pylist(), places


def partition_key(value: object, kind: str) -> PartitionKey:
    """The key of a value of the partition column."""
    if value is None:
        return PartitionKey("null", "")
    return PartitionKey(kind, canonical_text(value))


class FirstPass:
    """Facts about the rows seen so far, the same in whatever order and portions they come."""

    def __init__(self, plan: SplitPlan) -> None:
        self.plan = plan
        self.types: Mapping[str, str] = {column.name: column.type for column in plan.columns}
        self.partitions = Partitions(self.types[plan.partition_by])
        self.sample = BottomSample(SAMPLE_ROWS)
        self.summary = TableSummary(self.types)
        self.sums: ContentSums = (0, 0, 0)

    def look(self, raw: pa.RecordBatch) -> Looked:
        """What a batch of the source needs by itself; may run beside other threads.

        Raises:
            DataError: it holds what no model can use.
        """
        batch, hashes = self.canonical(raw)
        return batch, hashes, self.summary.of_batch(batch)

    def canonical(self, raw: pa.RecordBatch) -> tuple[pa.RecordBatch, Hashes]:
        """A batch of the source in canonical types, and the hashes of its rows.

        Raises:
            DataError: it holds what no model can use.
        """
        batch = canonical_batch(raw, dict(self.types))
        return batch, row_hashes(batch)

    def add(self, looked: Looked) -> Codes:
        """Take in a batch; the code of each row's partition, shape (rows,)."""
        batch, hashes, summary = looked
        self.sums = added([self.sums, content_sums(hashes)])
        self.summary.merge(summary)
        self.sample.add(batch, hashes)
        return self.partitions.add(batch.column(self.plan.partition_by))

    def merge(self, other: FirstPass) -> None:
        """Take in the facts about other rows."""
        self.sums = added([self.sums, other.sums])
        self.summary.merge(other.summary)
        self.sample.merge(other.sample)
        self.partitions.merge(other.partitions)

    def digests(self) -> tuple[str, str]:
        """The data set's hash, and the digest of its content, which no format changes.

        Raises:
            DataError: there was no row.
        """
        if not self.sums[0]:
            raise DataError("The source has no rows, so there is nothing to train on.")
        return self.plan.digests(self.sums)
