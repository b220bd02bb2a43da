"""Statistics in the format of TensorFlow Data Validation: ``DatasetFeatureStatisticsList``.

The fields match those of TFDV's own generators (``basic_stats_generator.py`` and
``top_k_uniques_stats_generator.py`` of tensorflow/data-validation): every column is a feature with
one value per row in which it is not missing. Numbers have the population standard deviation, ten
buckets of equal width and, as QUANTILES, four buckets with equally many values. Text has its most
frequent values. Booleans are INT, 0 and 1. Dates are INT as days, and timestamps as seconds since
1970, which a schema calls ``UNIX_DAYS`` and ``UNIX_SECONDS``. A column's name is a single path
step, unchanged.

tensorflow-metadata is imported on use, because it loads more slowly than all other imports of split
together.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any

from steps.results.schema import BUCKETS_TABLE, COLUMN_STATISTICS, TOP_VALUES_TABLE

if TYPE_CHECKING:
    from tensorflow_metadata.proto.v0 import statistics_pb2

ALL = "All Examples"
"""TFDV's name of the slice that contains all rows."""
SLICES_PER_FILE = 500
"""Maximum number of partitions in one file, so no reader or writer has to hold all of them."""

_TYPES = {"float64": "FLOAT", "string": "STRING"}
_QUARTILES = ("min", "q25", "q50", "q75", "max")

Rows = Sequence[Mapping[str, Any]]
"""Rows of a table; None for an empty cell."""
Slice = tuple[str, Mapping[str, Rows]]
"""The name of a slice, and its rows in the dataset's statistics tables, by table."""


def encode(slices: Iterable[Slice]) -> bytes:
    """Encode the statistics of slices as a file; equal input gives equal bytes."""
    from tensorflow_metadata.proto.v0 import statistics_pb2  # noqa: PLC0415 - see above

    statistics = statistics_pb2.DatasetFeatureStatisticsList()
    for name, tables in slices:
        rows = tables[COLUMN_STATISTICS.name]
        values = _by_column(tables[TOP_VALUES_TABLE.name])
        buckets = _by_column(tables[BUCKETS_TABLE.name])
        num_examples = rows[0]["rows"] if rows else 0
        dataset = statistics.datasets.add(name=_utf8(name), num_examples=num_examples)
        for row in rows:
            column, kind = row["column"], _TYPES.get(row["type"], "INT")
            feature = dataset.features.add()
            feature.path.step.append(_utf8(column))
            feature.type = feature.Type.Value(kind)
            if kind == "STRING":
                _fill_text(feature.string_stats, row, values.get(column, []))
            else:
                _fill_numbers(feature.num_stats, row, buckets.get(column, []))
    content: bytes = statistics.SerializeToString(deterministic=True)
    return content


def encode_many(slices: Iterable[Slice]) -> Iterable[bytes]:
    """Encode any number of slices as files of at most ``SLICES_PER_FILE`` slices."""
    remaining = iter(slices)
    while batch := list(islice(remaining, SLICES_PER_FILE)):
        yield encode(batch)


def _by_column(rows: Rows) -> dict[str, list[Mapping[str, Any]]]:
    by_column: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        by_column.setdefault(row["column"], []).append(row)
    return by_column


def _utf8(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _fill_common(common: statistics_pb2.CommonStatistics, row: Mapping[str, Any]) -> int:
    """Fill the fields of every type, and return the number of values that are not missing."""
    known = int(row["rows"] - row["missing"])
    common.num_non_missing, common.num_missing = known, row["missing"]
    common.tot_num_values = known
    if known:
        common.min_num_values = common.max_num_values = 1
        common.avg_num_values = 1.0
    return known


def _fill_text(stats: statistics_pb2.StringStatistics, row: Mapping[str, Any], top: Rows) -> None:
    known = _fill_common(stats.common_stats, row)
    stats.unique = row["distinct"]
    if known:
        stats.avg_length = row["mean_length"]
    for value in top:
        stats.top_values.add(value=_utf8(value["value"]), frequency=value["count"])
        rank = value["rank"] - 1
        stats.rank_histogram.buckets.add(
            low_rank=rank, high_rank=rank, label=_utf8(value["value"]), sample_count=value["count"]
        )


def _fill_numbers(
    stats: statistics_pb2.NumericStatistics, row: Mapping[str, Any], buckets: Rows
) -> None:
    known = _fill_common(stats.common_stats, row)
    if not known:
        return
    stats.mean = _or_nan(row["mean"])
    # TFDV's standard deviation divides by n, not by n - 1.
    stats.std_dev = 0.0 if known == 1 else _or_nan(row["sd"]) * math.sqrt((known - 1) / known)
    stats.num_zeros = row["zeros"]
    stats.min, stats.median, stats.max = row["min"], row["q50"], row["max"]
    standard = stats.histograms.add(type=0)  # STANDARD
    for bucket in buckets:
        standard.buckets.add(
            low_value=bucket["low"], high_value=bucket["high"], sample_count=bucket["count"]
        )
    quantiles = stats.histograms.add(type=1)  # QUANTILES
    for low, high in pairwise(_QUARTILES):
        quantiles.buckets.add(low_value=row[low], high_value=row[high], sample_count=known / 4)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
