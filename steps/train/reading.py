"""Reading of a partition's rows from its part files."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from steps.errors import DamagedError
from steps.records import PartitionEntry
from steps.runtime.lost_artifacts import rebuild_if_lost
from steps.table.part_codec import decode_part
from steps.train.context import TrainContext
from steps.train.frame import Frame, TargetRows, make_frame, target_rows


def read_parts(context: TrainContext, entry: PartitionEntry) -> Iterator[bytes]:
    """Yield the contents of a partition's part files.

    Raises:
        LostArtifactError: a part file was deleted.
    """
    with rebuild_if_lost(context.dataset, context.storage):
        for part in entry.parts:
            yield context.storage.read(f"{context.dataset.base}/{part}")


def read_table(
    context: TrainContext, entry: PartitionEntry, parts: tuple[bytes, ...] | None = None
) -> pa.Table:
    """Return all rows of a partition.

    Args:
        context: inputs that all partitions share.
        entry: the partition.
        parts: contents of its part files; None to read them.

    Raises:
        LostArtifactError: a part file was deleted or damaged.
    """
    uris = [f"{context.dataset.base}/{part}" for part in entry.parts]
    contents = read_parts(context, entry) if parts is None else parts
    with rebuild_if_lost(context.dataset, context.storage):
        tables = [
            decode_part(content, context.index.format, context.schema, uri)
            for uri, content in zip(uris, contents, strict=True)
        ]
        table = pa.concat_tables(tables)
        if table.num_rows != entry.rows:  # a CSV file that ends early can be read without an error
            raise DamagedError(uris[-1], f"{table.num_rows:,} of {entry.rows:,} rows are left")
    return table


def read_rows(
    context: TrainContext, entry: PartitionEntry, parts: tuple[bytes, ...] | None = None
) -> TargetRows:
    """Return the rows of a partition that have a target; see ``read_table``."""
    return target_rows(read_table(context, entry, parts), context.request.roles)


def frame_of(context: TrainContext, rows: TargetRows) -> Frame:
    """Return rows as the trainer of a run gets them."""
    request = context.request
    return make_frame(rows, request.roles, request.classes, request.max_levels)
