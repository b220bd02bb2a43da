"""The first pass over a source: partitions, sample, summaries and hashes, which merge."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from steps.errors import DataError
from steps.records import PartitionKey
from steps.split.dataset.plan import SplitPlan
from steps.table.hashing import ContentSums, Hashes, add_sums, content_sums, row_hashes
from steps.table.row_identity import sample_keys
from steps.table.sample import SAMPLE_ROWS, BottomSample
from steps.table.summaries import TableSummary
from steps.table.types import canonical_batch, canonical_text

Codes = NDArray[np.int32]

PreparedBatch = tuple[pa.RecordBatch, Hashes, TableSummary]
"""A canonical batch, the hashes of its rows, and its own summary."""


def no_rows_error() -> DataError:
    """Return the error for a source without rows."""
    return DataError(
        "The source has no rows, so there is nothing to train on.",
        hint="Check dataset.source and, if it is set, dataset.query.",
    )


class Partitions:
    """The values of the partition column, with a code in order of arrival, and their row counts."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._codes: dict[object, int] = {}
        self.rows: NDArray[np.int64] = np.zeros(0, np.int64)

    def add(self, column: pa.Array) -> Codes:
        """Add the rows of a column, and return the code of each; shape (rows,)."""
        values, value_positions = value_codes(column)
        codes = self._assign_codes(values)[value_positions]
        self.rows = _extend(self.rows, len(self._codes))
        self.rows += np.bincount(codes, minlength=len(self.rows))
        return codes

    def merge(self, other: Partitions) -> None:
        """Add the partitions of other rows."""
        codes = self._assign_codes(list(other._codes))
        self.rows = _extend(self.rows, len(self._codes))
        self.rows[codes] += other.rows

    def _assign_codes(self, values: list[object]) -> Codes:
        codes = [self._codes.setdefault(value, len(self._codes)) for value in values]
        return np.asarray(codes, np.int32)

    def sorted(self) -> list[tuple[PartitionKey, object, int]]:
        """Return key, value and code of each partition: numbers by value, other types by text."""
        numeric = self.kind in {"int64", "float64"}
        items = [
            (partition_key(value, self.kind), value, code) for value, code in self._codes.items()
        ]

        def sort_key(item: tuple[PartitionKey, object, int]) -> tuple[bool, object, str]:
            key, value, _ = item
            return value is None, value if numeric and value is not None else 0, key.text

        return sorted(items, key=sort_key)


def _extend(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    return np.append(rows, np.zeros(count - len(rows), np.int64))


def value_codes(column: pa.Array) -> tuple[list[object], NDArray[np.int32]]:
    """Return the distinct values of a column, including None, and each row's position in them."""
    encoded = column.dictionary_encode(null_encoding="encode")
    codes: NDArray[np.int32] = encoded.indices.to_numpy()
    return encoded.dictionary.to_pylist(), codes


def partition_key(value: object, kind: str) -> PartitionKey:
    """Return the key of a value of the partition column."""
    if value is None:
        return PartitionKey("null", "")
    return PartitionKey(kind, canonical_text(value))


class FirstPass:
    """A summary of the rows so far, independent of their order and batches."""

    def __init__(self, plan: SplitPlan) -> None:
        self.plan = plan
        self.types: Mapping[str, str] = {column.name: column.type for column in plan.columns}
        self.partitions = Partitions(self.types[plan.partition_by])
        self.sample = BottomSample(SAMPLE_ROWS)
        self.summary = TableSummary(self.types)
        self.sums: ContentSums = (0, 0, 0)

    def prepare(self, raw: pa.RecordBatch) -> PreparedBatch:
        """Convert, hash and summarize a batch of the source; safe in several threads.

        Raises:
            DataError: the batch contains values that no model can use.
        """
        batch, hashes = self.canonical(raw)
        return batch, hashes, self.summary.of_batch(batch)

    def canonical(self, raw: pa.RecordBatch) -> tuple[pa.RecordBatch, Hashes]:
        """Return a batch of the source in canonical types, and the hashes of its rows.

        Raises:
            DataError: the batch contains values that no model can use.
        """
        batch = canonical_batch(raw, dict(self.types))
        return batch, row_hashes(batch)

    def add(self, prepared: PreparedBatch) -> Codes:
        """Add a batch, and return the code of each row's partition; shape (rows,)."""
        batch, hashes, summary = prepared
        self.sums = add_sums([self.sums, content_sums(hashes)])
        self.summary.merge(summary)
        self.sample.add(batch, sample_keys(batch, self.plan.row_identity, hashes))
        return self.partitions.add(batch.column(self.plan.partition_by))

    def merge(self, other: FirstPass) -> None:
        """Add the first pass over other rows."""
        self.sums = add_sums([self.sums, other.sums])
        self.summary.merge(other.summary)
        self.sample.merge(other.sample)
        self.partitions.merge(other.partitions)

    def digests(self) -> tuple[str, str]:
        """Return the dataset's hash, and the digest of its content, which ignores the format.

        Raises:
            DataError: the source has no rows.
        """
        if not self.sums[0]:
            raise no_rows_error()
        return self.plan.digests(self.sums)
