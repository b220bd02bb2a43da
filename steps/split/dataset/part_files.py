"""Part files: divide a partition into parts, and write them.

A partition of at most ``PART_ROWS`` rows is one part. A larger one is divided by the first bits of
the row hashes into 2, 4, 8, ... parts of about equal size, so no engine ever holds more than one
part, and every engine divides partitions identically. Canonical order starts with the row hash, so
parts in order, each in canonical order, are the partition in canonical order.
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
from steps.table.merging import merge_parts
from steps.table.part_codec import canonical_order, encode_part
from steps.table.statistics import GroupStatistics, group_statistics

PART_ROWS = 1 << 20
"""Maximum number of rows in a part, except by chance and for very similar rows."""

GROUP_ROWS = 1 << 15
"""Maximum number of rows in a group of several partitions."""

_LOCAL_WRITERS, _REMOTE_WRITERS = 2, 8
"""Part files of a group that are written at once; in remote storage, each is a request."""

_HASH_BITS = 64


def part_bits(rows: int) -> int:
    """Return the number of bits of the row hash that select the part of a partition."""
    return max(0, rows - 1).bit_length() - PART_ROWS.bit_length() + 1 if rows > PART_ROWS else 0


def hash_ranges(bits: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last row hash of each part, in order."""
    width = 1 << (_HASH_BITS - bits)
    for number in range(1 << bits):
        yield number * width, (number + 1) * width - 1


@dataclass(frozen=True)
class Part:
    """The rows of one part, in canonical order.

    Attributes:
        key: key of the partition.
        number: number of the part in the partition.
        rows: one or more rows.
        hashes: hashes of the rows.
    """

    key: PartitionKey
    number: int
    rows: pa.RecordBatch
    hashes: Hashes

    @classmethod
    def of(cls, key: PartitionKey, number: int, rows: pa.RecordBatch, hashes: Hashes) -> Part:
        """Return a part of rows that are in any order."""
        order = canonical_order(rows, hashes)
        if (order[1:] < order[:-1]).any():  # a run in memory is already in order
            rows, hashes = rows.take(pa.array(order)), hashes[order]
        return cls(key, number, rows, hashes)


@dataclass(frozen=True)
class WrittenPart:
    """A part in the dataset's folder.

    Attributes:
        path: path relative to that folder.
        bytes: size of the file.
        rows: number of rows.
        missing: nulls per column.
        sums: sums of the row hashes.
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
    """The parts of a group of partitions that have the same part number, in the order of keys.

    Attributes:
        keys: keys of the partitions.
        parts: one part per partition.
        statistics: statistics of each part.
    """

    keys: tuple[PartitionKey, ...]
    parts: tuple[WrittenPart, ...]
    statistics: GroupStatistics


def write_group(
    parts: Sequence[Part],
    file_format: str,
    layout: DatasetLayout,
    storage: Storage,
    *,
    alone: bool = True,
) -> WrittenGroup:
    """Write the parts of a group, several at once, and compute their statistics meanwhile.

    Args:
        parts: parts in the order of their keys.
        file_format: format of the files.
        layout: layout of the dataset.
        storage: storage of the dataset.
        alone: this process writes no other group at the same time.
    """

    def write(part: Part) -> WrittenPart:
        return write_part(part, file_format, layout, storage)

    local_writers = _LOCAL_WRITERS if alone else 1
    writers = _REMOTE_WRITERS if scheme_of(layout.base) else local_writers
    with ThreadPoolExecutor(writers) as pool:
        written = pool.map(write, parts)
        sizes = [part.rows.num_rows for part in parts]
        rows = pa.concat_batches([part.rows for part in parts])
        statistics = group_statistics(rows, np.cumsum([0, *sizes[:-1]]))
        return WrittenGroup(tuple(part.key for part in parts), tuple(written), statistics)


def group_partitions(sizes: Sequence[int]) -> Iterator[range]:
    """Yield the positions of neighboring partitions that form a group.

    Args:
        sizes: rows of the partitions, in the order of their keys. A partition of several parts is
            a group by itself.
    """
    start = rows = 0
    for position, size in enumerate(sizes):
        if position > start and rows + size > GROUP_ROWS:
            yield range(start, position)
            start, rows = position, 0
        rows += size
    yield range(start, len(sizes))


def partition_entries(
    group: Sequence[WrittenGroup], schema: pa.Schema
) -> tuple[list[PartitionEntry], GroupStatistics]:
    """Return index entries and statistics of a group's partitions, from its parts in order."""
    by_partition = zip(*(each.parts for each in group), strict=True)
    entries = []
    for key, parts in zip(group[0].keys, by_partition, strict=True):
        nulls = zip(*(part.missing for part in parts), strict=True)
        entry = PartitionEntry(
            key=key,
            rows=sum(part.rows for part in parts),
            missing=tuple(map(sum, nulls)),
            content=digest_of_sums(schema, [part.sums for part in parts]),
            parts=tuple(part.path for part in parts),
            bytes=sum(part.bytes for part in parts),
        )
        entries.append(entry)
    return entries, merge_parts([each.statistics for each in group])


def check_collisions(keys: Sequence[PartitionKey]) -> None:
    """Check that partition ids are unique; with 80 bits, a collision is very unlikely.

    Raises:
        DataError: two keys have the same id, so their files would overwrite each other.
    """
    by_id: dict[str, PartitionKey] = {}
    for key in keys:
        other = by_id.setdefault(key.partition_id, key)
        if other is not key:
            raise DataError(
                f"The partitions {other.text!r} and {key.text!r} have the same hash, so their "
                "files would overwrite each other. Change one of the two values in the data."
            )
