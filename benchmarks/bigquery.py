"""From BigQuery to a dataset, compared with only reading the rows.

The limit is Google's own client of the Storage Read API, with as many streams at once as ours,
whose Arrow batches are decoded and dropped. Ours reads the same rows through the same server, and
builds the whole dataset: sorted, hashed, summarised, a Parquet file for each partition. The
server is the tests' emulator, on the same machine, so it takes its share of the processors from
both. Both are timed without imports.
"""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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
from tests.fakes.bigquery import PROJECT, BigQuery, bigquery_server

TARGET = 0.5
FEATURES, KEYS = 30, 1000


def ours(source: str, out: str) -> float:
    """Seconds of the split step."""
    return split_seconds(out, "embedded", source=source, billing=PROJECT)


def reading(source: str, _out: str) -> float:
    """Seconds of reading all rows and nothing else."""
    from google.cloud.bigquery_storage import types

    from steps.google.bigquery.clients import Clients
    from steps.google.bigquery.rows import STREAMS

    project, dataset, table = source.removeprefix("bigquery://").split(".")
    began = time.perf_counter()
    rows = Clients(PROJECT).rows
    session = rows.create_read_session(
        parent=f"projects/{PROJECT}",
        read_session=types.ReadSession(
            table=f"projects/{project}/datasets/{dataset}/tables/{table}",
            data_format=types.DataFormat.ARROW,
        ),
        max_stream_count=STREAMS,
    )
    schema = pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))

    def count(name: str) -> int:
        batches = (m.arrow_record_batch.serialized_record_batch for m in rows.read_rows(name))
        return sum(pa.ipc.read_record_batch(pa.py_buffer(b), schema).num_rows for b in batches)

    with ThreadPoolExecutor(STREAMS) as pool:
        assert sum(pool.map(count, [stream.name for stream in session.streams])) > 0
    return time.perf_counter() - began


def load(server: BigQuery, folder: Path, rows: int) -> str:
    """Return the table as in BigQuery."""
    server.client.create_dataset(f"{PROJECT}.bench")
    server.load(
        pq.read_table(write_table(folder / "t.parquet", rows, FEATURES, KEYS)), f"bench.t{rows}"
    )
    return f"bigquery://{PROJECT}.bench.t{rows}"


def run(*, quick: bool) -> list[Row]:
    rows, rounds = (20_000, 1) if quick else (1_000_000, 3)
    pairs = []
    with bigquery_server() as server, scratch() as folder:
        os.environ.update(server.environment)
        source = load(server, folder, rows)
        for number in range(rounds):
            alone = float(in_new_process(reading, source, ""))
            own = float(in_new_process(ours, source, str(folder / f"{number}")))
            show_progress(f"bigquery: ours {own:.2f} s, reading alone {alone:.2f} s")
            pairs.append((own, alone))
    ratio = median([alone / own for own, alone in pairs])
    return [
        Row(
            f"BigQuery to a dataset, {rows / 1e6:g} M rows x {FEATURES} columns",
            seconds(median([own for own, _ in pairs])),
            f"reading alone {seconds(median([alone for _, alone in pairs]))}",
            f"{ratio:.2f} of the limit",
            f"at least {TARGET:g}",
            ratio >= TARGET,
        )
    ]
