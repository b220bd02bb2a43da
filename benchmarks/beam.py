"""Cost of the Beam pipeline compared with Beam row by row, and cost of statistics.

The peer reads the same Parquet file with Beam's own source, groups dictionaries by key and writes
one file for each: what a first pipeline looks like, and only the writing. Ours is all that the
split step does, statistics of every column included. Both write Parquet, which is the default, and
both write CSV, where turning numbers into text weighs most. Both run on the same portable runner in
one process; every measurement has a fresh one, is timed without imports, and they take turns.

Statistics of every column, for the whole table and for each partition, are held against the split
without them; ``column_statistics`` compares them with other libraries.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Literal

import pyarrow as pa
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
from benchmarks.splitting import split_seconds

Form = Literal["parquet", "csv"]
FORMS: tuple[Form, ...] = ("parquet", "csv")
BEAM_TARGET, STATISTICS_TARGET = 5.0, 0.3
FEATURES, KEYS = 30, 1000


def ours(source: str, out: str, engine: str, statistics: bool, form: Form = "csv") -> float:
    """Seconds of the split step by one of the engines."""
    return split_seconds(out, engine, statistics=statistics, source=source, format=form)


def row_by_row(source: str, out: str, form: Form = "csv") -> float:
    """Seconds of Beam with a dictionary for each row, which only writes."""
    import csv
    from collections.abc import Iterable

    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    def write_parquet(item: tuple[int, Iterable[dict[str, float]]]) -> None:
        key, rows = item
        pq.write_table(pa.Table.from_pylist(list(rows)), Path(out, f"{key}.parquet"))

    def write_csv(item: tuple[int, Iterable[dict[str, float]]]) -> None:
        key, rows = item
        with Path(out, f"{key}.csv").open("w", newline="") as stream:
            writer: csv.DictWriter[str] | None = None
            for row in rows:
                if writer is None:
                    writer = csv.DictWriter(stream, list(row))
                    writer.writeheader()
                writer.writerow(row)

    Path(out).mkdir()
    began = time.perf_counter()
    with beam.Pipeline(FnApiRunner(), PipelineOptions([])) as pipeline:
        (
            pipeline
            | beam.io.ReadFromParquet(source)
            | beam.Map(lambda row: (row["k"], row))
            | beam.GroupByKey()
            | beam.Map(write_csv if form == "csv" else write_parquet)
        )
    return time.perf_counter() - began


def _took(what: str, *call: object) -> float:
    with scratch() as folder:
        function, source, *more = call
        places = [str(folder / "out")] if function in {ours, row_by_row} else []
        took = float(in_new_process(function, source, *places, *more))  # type: ignore[arg-type]
    show_progress(f"beam: {what}: {took:.2f} s")
    return took


def _times(mine: list[float], theirs: list[float]) -> float:
    return median([b / a for a, b in zip(mine, theirs, strict=True)])


def against_rows(source: str, rows: int, form: Form, rounds: int) -> Row:
    mine, theirs = [], []
    for _ in range(rounds):
        mine.append(_took(f"ours, {form}", ours, source, "beam", True, form))
        theirs.append(_took(f"row by row, {form}", row_by_row, source, form))
    ratio = _times(mine, theirs)
    return Row(
        f"Beam pipeline, {rows / 1e6:g} M rows to {form}, with statistics",
        seconds(median(mine)),
        f"Beam row by row, writing only, {seconds(median(theirs))}",
        f"{ratio:.1f} times as fast",
        f"at least {BEAM_TARGET:g}",
        ratio >= BEAM_TARGET,
    )


def cost_of_statistics(source: str, rows: int, engine: str, rounds: int, *, judged: bool) -> Row:
    pairs = [
        (
            _took(f"{engine} with", ours, source, engine, True),
            _took(f"{engine} without", ours, source, engine, False),
        )
        for _ in range(rounds)
    ]
    share = median([1 - without / with_ for with_, without in pairs])
    return Row(
        f"statistics in the split of {rows / 1e6:g} M rows, engine {engine}",
        seconds(median([a for a, _ in pairs])),
        f"without them {seconds(median([b for _, b in pairs]))}",
        f"{share:.0%} of the split",
        f"at most {STATISTICS_TARGET:.0%}" if judged else "",
        share <= STATISTICS_TARGET if judged else None,
    )


def _sizes(folder: Path, source: str, rows: int, quick: bool) -> list[tuple[str, int]]:
    """Tables of growing size with the same partitions: what each partition costs weighs less."""
    if quick:
        return [(source, rows)]
    larger = folder / "larger.parquet"
    if not larger.exists():
        write_table(larger, 4 * rows, FEATURES, KEYS)
    return [(source, rows), (str(larger), 4 * rows)]


def run(*, quick: bool) -> list[Row]:
    rows, rounds = (50_000, 1) if quick else (500_000, 3)
    with scratch() as folder:
        source = str(write_table(folder / "table.parquet", rows, FEATURES, KEYS))
        return [
            *(
                against_rows(each, count, form, rounds)
                for form in FORMS
                for each, count in _sizes(folder, source, rows, quick)
            ),
            cost_of_statistics(source, rows, "beam", rounds, judged=True),
            cost_of_statistics(source, rows, "embedded", rounds, judged=False),
        ]
