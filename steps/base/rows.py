"""The rows that the base models are fitted on: those of all partitions, or a sample of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from steps.records import PartitionEntry
from steps.runtime.parallel import map_ordered
from steps.runtime.progress import Progress
from steps.table.hashing import seeded
from steps.table.row_identity import identity_hashes
from steps.train.context import TrainContext
from steps.train.frame import TargetRows, target_rows
from steps.train.reading import read_rows

_THREADS = 4
"""Partitions that are read at once: each is in memory as a whole."""
_ALL = 2**64


def sample_rows(context: TrainContext, most: int, progress: Progress) -> tuple[TargetRows, int]:
    """Return rows of all partitions that have a target, in canonical order, and how many there are.

    If there are more than ``most``, those whose hashed identity is below a threshold are kept:
    about as many as ``most``, whatever the order of rows and partitions. All copies of a row are
    kept, or none.

    Raises:
        LostArtifactError: a part file was deleted or damaged.
    """
    roles = context.request.roles
    entries = [each for each in context.index.entries if each.key.kind != "null"]
    total = sum(context.index.rows_with_target(each, roles.target) for each in entries)
    threshold = np.uint64(min(_ALL - 1, _ALL * most // max(total, 1)))

    def read(entry: PartitionEntry) -> pa.RecordBatch:
        rows = read_rows(context, entry)
        if total <= most:
            return rows.batch
        identity = identity_hashes(rows.batch, roles.identity, rows.hashes)
        return rows.batch.take(pa.array(np.flatnonzero(seeded(identity, "base") < threshold)))

    progress.begin("base", "partitions", len(entries))
    batches = []
    for batch in map_ordered(read, entries, _THREADS, ahead=_THREADS):
        batches.append(batch)
        progress.advance(1)
    progress.end()
    table = pa.Table.from_batches(batches, context.schema)
    del batches
    return target_rows(table, roles), total
