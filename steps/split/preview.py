"""Warnings about the data before anything is trained. They never stop a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from steps.records import Roles
from steps.runtime.progress import Progress
from steps.split.engines.first_pass import Codes, Partitions, no_rows_error, value_codes
from steps.split.sources.base import Source
from steps.table.data_warnings import (
    ID_LIKE,
    REPEATED,
    few_events,
    leakage_text,
    repeated_share,
    repeated_text,
)
from steps.table.hashing import row_hashes, seeded
from steps.table.leakage import FEWEST, LEAKAGE, Target
from steps.table.row_identity import identity_hashes, sample_keys
from steps.table.sample import BottomSample, Sample
from steps.table.summaries import TableSummary
from steps.table.types import canonical_batch

SAMPLE_ROWS = 50_000


@dataclass(frozen=True)
class SourcePreview:
    """A summary of a source from a single pass.

    Attributes:
        rows: number of rows in the source.
        sample: distinct rows with the smallest keys, and how often each occurs.
        summary: summary of each column.
        partition_rows: per partition key, rows that have a target; None for a missing key.
        others: the same, rows whose target is not the most frequent one of the partition; empty if
            the target has too many values for classes.
    """

    rows: int
    sample: Sample
    summary: TableSummary
    partition_rows: dict[str | None, int]
    others: dict[str | None, int]


def preview_source(
    source: Source, types: dict[str, str], roles: Roles, progress: Progress
) -> SourcePreview:
    """Read the columns of ``types`` once, in bounded memory, without writing anything.

    Raises:
        DataError: the source cannot be used.
    """
    sample, summary = BottomSample(SAMPLE_ROWS), TableSummary(types)
    partitions, counts = Partitions(types[roles.partition_by]), Counter[int]()
    classes = Counter[tuple[int, object]]()
    rows = 0
    progress.begin("read", "rows", source.rows())
    for raw in source.batches(list(types)):
        batch = canonical_batch(raw, types)
        summary.add(batch)
        sample.add(batch, sample_keys(batch, roles.identity, row_hashes(batch)))
        codes = partitions.add(batch.column(roles.partition_by))
        known = batch.column(roles.target).is_valid().to_numpy(zero_copy_only=False)
        counts.update(dict(enumerate(np.bincount(codes, weights=known).astype(int).tolist())))
        if summary.columns[roles.target].levels is not None:
            classes.update(_class_counts(codes, batch.column(roles.target)))
        rows += batch.num_rows
        progress.advance(batch.num_rows)
    progress.end()
    if not rows:
        raise no_rows_error()
    by_key = {
        None if key.kind == "null" else key.text: counts[code]
        for key, _, code in partitions.sorted()
    }
    others: dict[str | None, int] = {}
    if summary.columns[roles.target].levels is not None:
        largest = Counter[int]()
        for (code, _), count in classes.items():
            largest[code] = max(largest[code], count)
        others = {
            None if key.kind == "null" else key.text: counts[code] - largest[code]
            for key, _, code in partitions.sorted()
        }
    return SourcePreview(rows, sample.sample(batch.schema), summary, by_key, others)


def _class_counts(codes: Codes, target: pa.Array) -> dict[tuple[int, object], int]:
    """Return the rows per partition and class."""
    values, positions = value_codes(target)
    pairs = codes.astype(np.int64) * len(values) + positions
    found, count = np.unique(pairs, return_counts=True)
    return {
        (int(pair) // len(values), values[int(pair) % len(values)]): int(rows)
        for pair, rows in zip(found, count, strict=True)
        if values[int(pair) % len(values)] is not None
    }


def preview_warnings(preview: SourcePreview, roles: Roles, task: str) -> Iterator[str]:
    """Yield warnings that a user should read before training on the features."""
    for name in roles.features:
        summary = preview.summary.columns[name]
        if summary.missing == summary.rows:
            yield f"{name!r} is missing in every row, so it has no predictive value."
        elif summary.levels is not None and len(summary.levels) == 1 and not summary.missing:
            yield f"{name!r} has the same value in every row, so it has no predictive value."
    for name in roles.categorical:
        column = preview.sample.rows.column(name).drop_null()
        levels = len(column.unique())
        if len(column) > 100 and levels > ID_LIKE * len(column):  # noqa: PLR2004 - fewer prove little
            yield (
                f"{name!r} has {levels:,} distinct values in {len(column):,} sampled rows, like "
                "an identifier. A model can only memorize it. Remove it from features."
            )
    if task != "regression":
        named = {str(key): count for key, count in preview.others.items()}
        found = few_events(named)
        if found is not None:
            yield found[1]
    share = repeated_share(preview.sample)
    if share >= REPEATED:
        yield repeated_text(share)
    yield from _leaks(preview, roles, task)


def _leaks(preview: SourcePreview, roles: Roles, task: str) -> Iterator[str]:
    rows = preview.sample.rows
    sample = rows.filter(rows.column(roles.target).is_valid())
    if sample.num_rows < FEWEST:
        return
    batch = sample.combine_chunks().to_batches()[0]
    keys = identity_hashes(batch, roles.identity, row_hashes(batch))
    half = seeded(keys, "half") % np.uint64(2) == 0
    column = sample.column(roles.target).combine_chunks()
    target = Target(column, task, np.ones(sample.num_rows), half)
    for name in roles.features:
        feature = sample.column(name).combine_chunks()
        share = target.explained_by(feature, categorical=name in roles.categorical)
        if share > LEAKAGE:
            yield leakage_text(name, share, roles.target)
