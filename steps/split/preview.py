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
    COUNTER_LIKE,
    ID_LIKE,
    REPEATED,
    few_events,
    leakage_text,
    repeated_share,
    repeated_text,
)
from steps.table.hashing import row_hashes, seeded
from steps.table.leakage import FEWEST, LEAKAGE, Target
from steps.table.recognize import key_warnings, text_warning
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
        yield from _feature_warnings(preview, name, categorical=name in roles.categorical)
    yield from _key_warnings(preview, roles.partition_by)
    if task != "regression":
        found = few_events({str(key): count for key, count in preview.others.items()})
        if found is not None:
            yield found[1]
    share = repeated_share(preview.sample)
    if share >= REPEATED:
        yield repeated_text(share)
    yield from _leaks(preview, roles, task)


def _feature_warnings(preview: SourcePreview, name: str, *, categorical: bool) -> Iterator[str]:
    """Yield the warning about a feature, the most specific one if there are several."""
    summary = preview.summary.columns[name]
    column = preview.sample.rows.column(name).combine_chunks()
    text = text_warning(name, column)
    if summary.missing == summary.rows:
        yield f"{name!r} is missing in every row, so it has no predictive value."
    elif summary.levels is not None and len(summary.levels) == 1 and not summary.missing:
        yield f"{name!r} has the same value in every row, so it has no predictive value."
    elif text is not None:
        yield text[2]
    else:
        yield from _identifiers(name, column.drop_null(), categorical=categorical)


def _identifiers(name: str, known: pa.Array, *, categorical: bool) -> Iterator[str]:
    whole = pa.types.is_integer(known.type)
    if len(known) <= FEWEST or not (categorical or whole):
        return
    distinct = len(known.unique())
    if distinct > (ID_LIKE if categorical else COUNTER_LIKE) * len(known):
        like = "an identifier" if categorical else "a row number or an identifier"
        yield (
            f"{name!r} has {distinct:,} distinct values in {len(known):,} sampled rows, like "
            f"{like}. A model can only memorize it. Remove it from features."
        )


def _key_warnings(preview: SourcePreview, partition_by: str) -> Iterator[str]:
    kind = preview.sample.rows.schema.field(partition_by).type
    if pa.types.is_string(kind):
        keys = [key for key in preview.partition_rows if key is not None]
        for _, _, message in key_warnings(partition_by, keys):
            yield message


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
