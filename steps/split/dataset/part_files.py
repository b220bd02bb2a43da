"""Part files: which rows lie in which part of a partition, and writing one part.

A partition of at most ``PART_ROWS`` rows is one part. A larger one is cut by the first bits of the
row hashes into 2, 4, 8, ... parts of about equal size, so no engine ever has to hold more than a
part, and every engine cuts alike. Parts in order, each in canonical order, are the partition in
canonical order, since that begins with the row hash.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from steps.contract import DatasetLayout
from steps.errors import DataError
from steps.records import PartitionEntry, PartitionKey
from steps.storage.base import Storage, scheme_of
from steps.table.hashing import ContentSums, Hashes, content_sums, digest_of_sums
from steps.table.merging import merged
from steps.table.part_codec import canonical_order, encode_part
from steps.table.statistics import GroupStatistics, group_statistics

PART_ROWS = 1 << 20
"""Rows of a part at the most, but for chance and for rows that are alike."""

GROUP_ROWS = 1 << 15
"""Rows of several partitions that are looked at together, at the most."""

_NEAR, _FAR = 2, 8
"""Part files of a group that are written at once; far away, each of them is a request."""

_HASH_BITS = 64


def part_bits(rows: int) -> int:
    """Bits of the row hash that name the part, of a partition with so many rows."""
    return max(0, rows - 1).bit_length() - PART_ROWS.bit_length() + 1 if rows > PART_ROWS else 0


def hash_ranges(bits: int) -> Iterator[tuple[int, int]]:
    """The first and the last row hash of each part, in order."""
    width = 1 << (_HASH_BITS - bits)
    for number in range(1 << bits):
        yield number * width, (number + 1) * width - 1


@dataclass(frozen=True)
class Part:
    """The rows of one part, in canonical order.

    Attributes:
        key: of the partition.
        number: of the part in it.
        rows: at least one.
        hashes: of the rows.
    """

    key: PartitionKey
    number: int
    rows: pa.RecordBatch
    hashes: Hashes

    @classmethod
    def of(cls, key: PartitionKey, number: int, rows: pa.RecordBatch, hashes: Hashes) -> Part:
        """A part of rows in any order."""
        order = canonical_order(rows, hashes)
        if (order[1:] < order[:-1]).any():  # a run in memory is in order already
            rows, hashes = rows.take(pa.array(order)), hashes[order]
        return cls(key, number, rows, hashes)


@dataclass(frozen=True)
class WrittenPart:
    """A part that lies in the data set's folder.

    Attributes:
        path: relative to that folder.
        bytes: its size.
        rows: in it.
        missing: nulls per column.
        sums: of the row hashes.
    """

    path: str
    bytes: int
    rows: int
    missing: tuple[int, ...]
    sums: ContentSums


def write_part(
    part: Part, file_format: str, layout: DatasetLayout, storage: Storage
) -> WrittenPart:
    """Write one part."""
    content = encode_part(pa.Table.from_batches([part.rows]), file_format)
    path = layout.part(part.key.partition_id, part.number, file_format)
    storage.write(f"{layout.base}/{path}", content)
    return WrittenPart(
        path=path,
        bytes=len(content),
        rows=part.rows.num_rows,
        missing=tuple(column.null_count for column in part.rows.columns),
        sums=content_sums(part.hashes),
    )


@dataclass(frozen=True)
class WrittenGroup:
    """The parts of one number of a group of partitions, in the order of their keys.

    Attributes:
        keys: of the partitions.
        parts: one of each.
        seen: statistics of each.
    """

    keys: tuple[PartitionKey, ...]
    parts: tuple[WrittenPart, ...]
    seen: GroupStatistics


def write_group(
    parts: Sequence[Part],
    file_format: str,
    layout: DatasetLayout,
    storage: Storage,
    *,
    alone: bool = True,
) -> WrittenGroup:
    """Write the parts of a group, some at once, and look at their rows meanwhile.

    Args:
        parts: in the order of their keys.
        file_format: of the files.
        layout: of the data set.
        storage: where it lies.
        alone: no other group is written by this process meanwhile.
    """

    def write(part: Part) -> WrittenPart:
        return write_part(part, file_format, layout, storage)

    writers = _FAR if scheme_of(layout.base) else _NEAR if alone else 1
    with ThreadPoolExecutor(writers) as pool:
        written = pool.map(write, parts)
        sizes = [part.rows.num_rows for part in parts]
        rows = pa.concat_batches([part.rows for part in parts])
        seen = group_statistics(rows, np.cumsum([0, *sizes[:-1]]))
        return WrittenGroup(tuple(part.key for part in parts), tuple(written), seen)


def group_partitions(sizes: Sequence[int]) -> Iterator[range]:
    """Positions of neighbours that are small enough to be looked at together.

    Args:
        sizes: rows of the partitions, in the order of their keys. One of several parts is alone.
    """
    start = rows = 0
    for position, more in enumerate(sizes):
        if position > start and rows + more > GROUP_ROWS:
            yield range(start, position)
            start, rows = position, 0
        rows += more
    yield range(start, len(sizes))


def partition_entries(
    group: Sequence[WrittenGroup], schema: pa.Schema
) -> tuple[list[PartitionEntry], GroupStatistics]:
    """The partitions of a group, from its parts in the order of their numbers."""
    by_partition = zip(*(each.parts for each in group), strict=True)
    entries = [
        entry_of(key, parts, schema) for key, parts in zip(group[0].keys, by_partition, strict=True)
    ]
    return entries, merged([each.seen for each in group])


def entry_of(key: PartitionKey, parts: Sequence[WrittenPart], schema: pa.Schema) -> PartitionEntry:
    """A partition, from its parts in order."""
    nulls = zip(*(part.missing for part in parts), strict=True)
    return PartitionEntry(
        key=key,
        rows=sum(part.rows for part in parts),
        missing=tuple(map(sum, nulls)),
        content=digest_of_sums(schema, [part.sums for part in parts]),
        parts=tuple(part.path for part in parts),
        bytes=sum(part.bytes for part in parts),
    )


def check_collisions(keys: Sequence[PartitionKey]) -> None:
    """Two keys with one id would overwrite each other; with 80 bits it will not happen.

    Raises:
        DataError: it has happened.
    """
    if len({key.partition_id for key in keys}) != len(keys):
        raise DataError("Two partition keys have the same identifier: rename one of them.")
