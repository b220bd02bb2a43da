"""What a look at the data tells before anything is trained: warnings, never errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from steps.errors import DataError
from steps.progress import Progress
from steps.records import Roles
from steps.split.embedded import Partitions
from steps.split.source import Source
from steps.table.grid import level_texts, numbers_of
from steps.table.hashing import row_hashes, seeded
from steps.table.sample import BottomSample
from steps.table.summaries import TableSummary
from steps.table.types import canonical_batch

Floats = NDArray[np.float64]

SAMPLE_ROWS = 50_000
LEAKAGE_R2 = 0.75
"""A feature that alone explains so much of the target's variance is probably the target itself."""
ID_LIKE = 0.5
"""A category with so many distinct levels per row is probably an identifier."""
_BINS = 50


@dataclass(frozen=True)
class Look:
    """What one pass over a source found.

    Attributes:
        rows: of the source.
        sample: distinct rows with the smallest hashes.
        summary: of each column.
        partition_rows: per partition key, rows that have a target; None for a missing key.
    """

    rows: int
    sample: pa.Table
    summary: TableSummary
    partition_rows: dict[str | None, int]


def look(source: Source, types: dict[str, str], roles: Roles, progress: Progress) -> Look:
    """Read the columns of ``types`` once, in bounded memory; writes nothing.

    Raises:
        DataError: the source cannot be used.
    """
    sample, summary = BottomSample(SAMPLE_ROWS), TableSummary(types)
    partitions, counts = Partitions(types[roles.partition_by]), Counter[int]()
    rows = 0
    progress.begin("read", "rows", source.rows())
    for raw in source.batches(list(types)):
        batch = canonical_batch(raw, types)
        summary.add(batch)
        sample.add(batch, row_hashes(batch))
        codes = partitions.codes_of(batch.column(roles.partition_by))
        known = batch.column(roles.target).is_valid().to_numpy(zero_copy_only=False)
        counts.update(dict(enumerate(np.bincount(codes, weights=known).astype(int).tolist())))
        rows += batch.num_rows
        progress.advance(batch.num_rows)
    progress.end()
    if not rows:
        raise DataError("The source has no rows, so there is nothing to train on.")
    by_key = {
        None if key.kind == "null" else key.text: counts[code] for key, code in partitions.sorted()
    }
    return Look(rows, sample.sample(batch.schema).rows, summary, by_key)


def warnings_of(found: Look, roles: Roles, task: str) -> Iterator[str]:
    """What a user should know of the features before training on them."""
    for name in roles.features:
        summary = found.summary.columns[name]
        if summary.missing == summary.rows:
            yield f"{name!r} is missing in every row: it tells nothing."
        elif summary.levels is not None and len(summary.levels) == 1:
            yield f"{name!r} is the same in every row: it tells nothing."
    yield from _id_like(found, roles)
    yield from _leaks(found, roles, task)


def _id_like(found: Look, roles: Roles) -> Iterator[str]:
    for name in roles.categorical:
        column = found.sample.column(name).drop_null()
        levels = len(column.unique())
        if len(column) > 100 and levels > ID_LIKE * len(column):  # noqa: PLR2004 - too few to tell
            yield (
                f"{name!r} has {levels:,} different values in {len(column):,} sampled rows, like "
                "an identifier: a model can only learn it by heart. Leave it out of features."
            )


def _leaks(found: Look, roles: Roles, task: str) -> Iterator[str]:
    sample = found.sample.filter(found.sample.column(roles.target).is_valid())
    if sample.num_rows < 100:  # noqa: PLR2004 - too few to tell
        return
    targets = _targets(sample.column(roles.target).combine_chunks(), task)
    half = seeded(row_hashes(sample.combine_chunks().to_batches()[0]), "half") % np.uint64(2) == 0
    for name in roles.features:
        cells = _cells(sample.column(name).combine_chunks(), name in roles.categorical)
        share = _explained(cells, targets, half)
        if share > LEAKAGE_R2:
            yield (
                f"{name!r} alone explains {share:.0%} of the variance of {roles.target!r}: is it "
                "known before the target is? If not, it is leakage; leave it out of features."
            )


def _targets(column: pa.Array, task: str) -> Floats:
    """Shape (rows, 1), or for classes an indicator of each: (rows, classes)."""
    if task == "regression":
        return np.asarray(numbers_of(column)[:, None])
    texts = level_texts(column)
    codes = texts.indices.to_numpy(zero_copy_only=False)
    return np.asarray(np.eye(len(texts.dictionary))[codes])


def _cells(column: pa.Array, categorical: bool) -> NDArray[np.intp]:
    """A coarse version of a feature: its level, or which 50th of the values it is in."""
    if categorical:
        texts = level_texts(column)
        found: NDArray[np.intp] = texts.indices.fill_null(len(texts.dictionary)).to_numpy(
            zero_copy_only=False
        )
        return found
    numbers = numbers_of(column)
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        return np.zeros(len(numbers), np.intp)
    edges = np.unique(np.quantile(known, np.linspace(0, 1, _BINS + 1)[1:-1], method="lower"))
    return np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers))


def _explained(cells: NDArray[np.intp], targets: Floats, half: NDArray[np.bool_]) -> float:
    """R2 on one half of the rows of predicting by the cell's mean on the other half.

    Of all columns of ``targets`` together: the share of their total variance.
    """
    learnt, told = targets[half], targets[~half]
    if not len(learnt) or not len(told):
        return 0.0
    count = np.bincount(cells[half], minlength=cells.max() + 1)[:, None]
    total = np.zeros((len(count), targets.shape[1]))
    np.add.at(total, cells[half], learnt)
    means = np.where(count > 0, total / np.maximum(count, 1), learnt.mean(axis=0))
    spread = float(((told - told.mean(axis=0)) ** 2).sum())
    return float(1 - ((told - means[cells[~half]]) ** 2).sum() / spread) if spread else 0.0
