"""Statistics of every column of each partition, against Polars, DuckDB and pandas.

Ours are all statistics of the split step: count, missing, zeros, minimum, maximum, mean, standard
deviation, nine exact quantiles, exact distinct values, ten buckets, the most frequent values, and
a sketch that merges distinct counts. Polars and DuckDB compute the part of the list that they have
as plain aggregates: count, missing, minimum, maximum, mean, standard deviation, the same nine
quantiles and distinct values, all exact. pandas is its own ``describe``: count, mean, standard
deviation, minimum, maximum and three quantiles.

The rows are in memory, sorted by partition, in the format of each library; every measurement has a
fresh process, is timed without imports after one run to warm up, and engines take turns. All use
all cores as they see fit: ours two threads or more, as the split does. The values of all engines
are compared before anything is timed. Processor time of all threads is shown next to wall time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from benchmarks.common import (
    Row,
    in_new_process,
    median,
    scratch,
    seconds,
    show_progress,
    write_table,
)
from steps.table.group_stats import QUANTILES

TARGET = 1.0
FEATURES, KEYS = 30, 1000

Values = dict[str, Any]
"""Values of the column f01 by partition, by the name of the statistic."""


def ours(source: str) -> Callable[[], Callable[[], Values]]:
    from steps.runtime.parallel import map_ordered
    from steps.split.dataset.part_files import group_partitions
    from steps.table.part_codec import one_batch
    from steps.table.statistics import group_statistics

    batch = one_batch(pq.read_table(source).sort_by("k"))
    sizes = np.bincount(batch.column("k").to_numpy())
    sizes = sizes[sizes > 0]
    ends = np.cumsum(sizes)

    def compute(group: range) -> Any:  # noqa: ANN401 - GroupStatistics
        start, end = ends[group.start] - sizes[group.start], ends[group.stop - 1]
        starts = ends[group.start : group.stop] - sizes[group.start : group.stop] - start
        return group_statistics(batch.slice(start, end - start), starts)

    def run() -> Callable[[], Values]:
        found = list(map_ordered(compute, group_partitions(sizes.tolist())))
        column = batch.schema.get_field_index("f01")

        def values() -> Values:
            groups = [each for group in found for each in group.groups]
            arrays = {
                name: np.array([getattr(group, attribute)[column] for group in groups])
                for name, attribute in [
                    *(("min", "low"), ("max", "high"), ("mean", "mean"), ("sd", "deviation")),
                    *(("distinct", "distinct"), ("missing", "missing"), ("quantiles", "quantiles")),
                ]
            }
            arrays["count"] = np.array([group.rows for group in groups]) - arrays["missing"]
            return arrays

        return values

    return run


def polars(source: str) -> Callable[[], Callable[[], Values]]:
    import polars as pl

    table = pl.read_parquet(source).sort("k").with_columns(pl.col("k").alias("group"))
    wanted = []
    for name in table.columns[:-1]:
        column = pl.col(name)
        wanted += [
            column.count().alias(f"{name} count"),
            column.null_count().alias(f"{name} missing"),
            column.min().alias(f"{name} min"),
            column.max().alias(f"{name} max"),
            column.mean().alias(f"{name} mean"),
            column.std().alias(f"{name} sd"),
            column.n_unique().alias(f"{name} distinct"),
            *(column.quantile(q, "lower").alias(f"{name} quantile {q}") for q in QUANTILES),
        ]

    def run() -> Callable[[], Values]:
        found = table.group_by("group").agg(wanted)
        return lambda: _named(found.sort("group").to_dict(as_series=False))

    return run


def duckdb(source: str) -> Callable[[], Callable[[], Values]]:
    import duckdb as db

    connection = db.connect()
    connection.execute("SET enable_progress_bar = false")
    connection.execute(f"CREATE TABLE t AS FROM '{source}' ORDER BY k")
    names = [row[0] for row in connection.execute("DESCRIBE t").fetchall()]
    levels = ", ".join(map(str, QUANTILES))
    parts = [
        f'count({name}) AS "{name} count", count(*) - count({name}) AS "{name} missing", '
        f'min({name}) AS "{name} min", max({name}) AS "{name} max", avg({name}) AS "{name} mean", '
        f'stddev_samp({name}) AS "{name} sd", count(DISTINCT {name}) AS "{name} distinct", '
        f'quantile_disc({name}, [{levels}]) AS "{name} quantiles"'
        for name in names
    ]
    query = f'SELECT k AS "group", {", ".join(parts)} FROM t GROUP BY k'

    def run() -> Callable[[], Values]:
        found = connection.sql(query).to_arrow_table()
        return lambda: _named(found.sort_by("group").to_pydict())

    return run


def pandas(source: str) -> Callable[[], Callable[[], Values]]:
    import pandas as pd

    groups = pd.read_parquet(source).groupby("k")

    def run() -> Callable[[], Values]:
        found = groups.describe()["f01"]
        names = {"count": "count", "min": "min", "max": "max", "mean": "mean", "sd": "std"}
        return lambda: {name: found[theirs].to_numpy() for name, theirs in names.items()}

    return run


def _named(found: dict[str, list[Any]]) -> Values:
    """Return the statistics of f01 by name."""
    names = ("count", "missing", "min", "max", "mean", "sd", "distinct")
    values: Values = {name: np.array(found[f"f01 {name}"]) for name in names}
    if "f01 quantiles" not in found:
        columns = [found[f"f01 quantile {q}"] for q in QUANTILES]
        values["quantiles"] = np.column_stack(columns)
    return values


ENGINES = {"ours": ours, "Polars": polars, "DuckDB": duckdb, "pandas describe": pandas}


def times(engine: str, source: str) -> tuple[float, float]:
    """Return the seconds of one engine, and its processor seconds."""
    run = ENGINES[engine](source)
    if engine != "pandas describe":  # which takes many seconds
        run()
    began, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - began, time.process_time() - processor


def check(source: str) -> int:
    """Compare all engines' values of one column, and return how many were compared.

    DuckDB's quantiles have another definition: the one with rank ceil(s * n), from 1.
    """
    expected, compared = ours(source)()(), 0
    for engine in (polars, duckdb, pandas):
        for name, values in engine(source)()().items():
            if (engine, name) != (duckdb, "quantiles"):
                np.testing.assert_allclose(values, expected[name], rtol=1e-9)
                compared += values.size
    return compared


def run(*, quick: bool) -> list[Row]:
    rows, keys, rounds = (50_000, 100, 1) if quick else (500_000, KEYS, 5)
    found: dict[str, list[tuple[float, float]]] = {engine: [] for engine in ENGINES}
    with scratch() as folder:
        source = str(write_table(Path(folder) / "table.parquet", rows, FEATURES, keys))
        compared = in_new_process(check, source)
        show_progress(f"column_statistics: {compared:,} values are equal")
        for number in range(rounds):
            for engine, done in found.items():
                if engine == "pandas describe" and number:
                    continue
                done.append(tuple(in_new_process(times, engine, source)))
                took, processor = done[-1]
                show_progress(
                    f"column_statistics: {engine} {took:.3f} s, processor {processor:.3f} s"
                )
    what = f"statistics of {rows / 1e6:g} M rows x {FEATURES} columns by {keys:,} partitions"
    return [
        row
        for peer in ("Polars", "DuckDB", "pandas describe")
        for row in _compare(what, peer, found["ours"], found[peer])
    ]


def _compare(
    what: str, peer: str, mine: list[tuple[float, float]], theirs: list[tuple[float, float]]
) -> list[Row]:
    rows = []
    for at, kind in enumerate(("", ", processor time")):
        ours_, peers = [each[at] for each in mine], [each[at] for each in theirs]
        ratio = median([b / a for a, b in zip(ours_, peers, strict=False)])
        judged = peer == "Polars" and not kind
        rows.append(
            Row(
                what + kind,
                seconds(median(ours_)),
                f"{peer} {seconds(median(peers))}",
                f"{ratio:.2f} times as fast",
                f"at least {TARGET:g}" if judged else "",
                ratio >= TARGET if judged else None,
            )
        )
    return rows
