"""Time of the split step compared with public tools that write the same partitions.

Ours is all that `refeed run` does in the step: digest of the source, canonical types, row hashes,
summaries, sample, part files in canonical order, partition index, shared grid, and statistics of
every column for each partition and the table. The peers only write the rows out, so the comparison
is in their favour; it is judged without the statistics (``beam`` shows their cost). All read the
same Parquet file from the system's cache and use all cores as they see fit; every
measurement has a fresh process, is timed without imports, and peers take turns within a round.
"""

from __future__ import annotations

import time
from pathlib import Path

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

TARGET = 2.0
FEATURES, KEYS = 30, 1000
FORMATS = ("parquet", "csv")


def ours(source: str, out: str, file_format: str, *, statistics: bool = True) -> float:
    """Seconds of the split step."""
    return split_seconds(out, "embedded", statistics=statistics, source=source, format=file_format)


def bare(source: str, out: str, file_format: str) -> float:
    """Split without statistics."""
    return ours(source, out, file_format, statistics=False)


def duckdb(source: str, out: str, file_format: str) -> float:
    """Seconds of DuckDB's partitioned COPY."""
    import duckdb as db

    began = time.perf_counter()
    connection = db.connect()
    connection.execute("SET enable_progress_bar = false")
    connection.execute(
        f"COPY (FROM '{source}') TO '{out}' (FORMAT {file_format}, PARTITION_BY (k))"
    )
    return time.perf_counter() - began


def pyarrow(source: str, out: str, file_format: str) -> float:
    """Return seconds of Arrow's dataset writer."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    began = time.perf_counter()
    ds.write_dataset(
        ds.dataset(source),
        out,
        format=file_format,
        partitioning=ds.partitioning(pa.schema([("k", pa.int64())])),
        max_partitions=KEYS,
        max_open_files=KEYS,
    )
    return time.perf_counter() - began


def pandas(source: str, out: str, file_format: str) -> float:
    """Seconds of a loop over pandas groups; reading is not counted."""
    import pandas as pd

    table = pd.read_parquet(source)
    Path(out).mkdir()
    began = time.perf_counter()
    for key, rows in table.groupby("k"):
        if file_format == "csv":
            rows.to_csv(f"{out}/{key}.csv", index=False)
        else:
            rows.to_parquet(f"{out}/{key}.parquet", index=False)
    return time.perf_counter() - began


ENGINES = {
    "ours": ours,
    "without statistics": bare,
    "DuckDB": duckdb,
    "pyarrow": pyarrow,
    "pandas": pandas,
}


def measure(engine: str, source: Path, file_format: str) -> float:
    with scratch() as folder:
        took = float(in_new_process(ENGINES[engine], str(source), str(folder / "out"), file_format))
    show_progress(f"split: {source.stem} rows to {file_format}, {engine}: {took:.2f} s")
    return took


def compare(source: Path, rows: int, file_format: str, rounds: int, *, judged: bool) -> Row:
    """Compare with DuckDB, by the median of some rounds, without statistics."""
    engine = "without statistics" if judged else "ours"
    pairs = [
        (measure(engine, source, file_format), measure("DuckDB", source, file_format))
        for _ in range(rounds)
    ]
    mine, theirs = median([a for a, _ in pairs]), median([b for _, b in pairs])
    ratio = median([a / b for a, b in pairs])
    return Row(
        f"split {rows / 1e6:g} M rows to {file_format}" + (f", {engine}" if judged else ""),
        seconds(mine),
        f"DuckDB {seconds(theirs)}",
        f"{ratio:.2f} times the time",
        f"at most {TARGET:g}" if judged else "",
        ratio <= TARGET if judged else None,
    )


def others(source: Path, rows: int, file_format: str, engines: list[str], mine: str) -> list[Row]:
    """Peers that are no target."""
    return [
        Row(
            f"split {rows / 1e6:g} M rows to {file_format}",
            mine,
            f"{engine} {seconds(measure(engine, source, file_format))}",
        )
        for engine in engines
    ]


def run(*, quick: bool) -> list[Row]:
    rows = 100_000 if quick else 1_000_000
    found = []
    with scratch() as folder:
        source = write_table(folder / f"{rows}.parquet", rows, FEATURES, KEYS)
        for file_format in FORMATS:
            rounds = 1 if quick else 3
            found.append(compare(source, rows, file_format, rounds, judged=True))
            row = compare(source, rows, file_format, rounds, judged=False)
            engines = ["pyarrow"] if quick else ["pyarrow", "pandas"]
            found += [row, *others(source, rows, file_format, engines, row.ours)]
        source.unlink()
        for size in () if quick else (2_000_000, 5_000_000):
            source = write_table(folder / f"{size}.parquet", size, FEATURES, KEYS)
            for file_format in FORMATS:
                found.append(compare(source, size, file_format, 1, judged=False))
            source.unlink()
    return found
