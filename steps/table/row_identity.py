"""Row identity: which columns say that two rows, in two runs, are the same observation.

A row's identity is the hash of the identity columns (by default all columns of the dataset) and a
copy number. Two equal rows are two observations, so the second copy has a key of its own. Folds and
samples use these keys: a variant of a spec with the same identity columns keeps every row in its
fold, whatever features it adds or drops.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from steps.records import Roles
from steps.table.hashing import Hashes, mix, row_hashes


def identity_hashes(batch: pa.RecordBatch, identity: Sequence[str], hashes: Hashes) -> Hashes:
    """Return the hash of each row's identity columns; equal for copies.

    Args:
        batch: a canonical batch.
        identity: the identity columns; empty for all columns.
        hashes: the row hashes of the batch.
    """
    return row_hashes(batch.select(list(identity))) if identity else hashes


def sample_keys(batch: pa.RecordBatch, identity: Sequence[str], hashes: Hashes) -> Hashes:
    """Return keys whose smallest ones are a sample of the rows, chosen by identity.

    The high half is the identity's hash. The low half is the row's, so that different rows of one
    identity have different keys and the sample stays bounded.
    """
    if not identity:
        return hashes
    high = identity_hashes(batch, identity, hashes) & ~_LOW_HALF
    return high | (hashes & _LOW_HALF)


_LOW_HALF = np.uint64(0xFFFF_FFFF)


def row_keys(batch: pa.RecordBatch, roles: Roles, hashes: Hashes) -> Hashes:
    """Return a distinct key for each row of a partition: its identity and its copy number.

    Copies are numbered by the values of all columns that are not features, and then by the row
    hash. So rows that share their identity, but not their target, keep their keys when a feature is
    added or dropped.

    Args:
        batch: all rows of a partition that have a target, in any order.
        roles: roles of the columns.
        hashes: the row hashes of the batch.
    """
    identity = identity_hashes(batch, roles.identity, hashes)
    others = {roles.partition_by, roles.target, roles.weight, roles.group, roles.time}
    fixed_hashes = row_hashes(batch.select(sorted(filter(None, others))))
    order = np.lexsort((hashes, fixed_hashes, identity))
    ordered = identity[order]
    copy = np.empty(len(order), np.uint64)
    copy[order] = np.arange(len(order)) - np.searchsorted(ordered, ordered)
    return np.where(copy == 0, identity, mix(identity ^ mix(copy)))
