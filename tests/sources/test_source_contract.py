"""The contract of a source: files, objects, and BigQuery tables, views and queries."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from steps.contract import ProjectLayout
from steps.runtime.progress import NoProgress
from steps.split.config import DatasetConfig
from steps.split.sources.base import LiveSource, Source, open_source
from steps.split.step import SplitRequest, source_types, split
from steps.storage.base import storage_for
from steps.storage.local import LocalStorage
from steps.table.types import canonical_batch
from tests.workspace import small_table
from tests.writers import WRITERS

TABLE = small_table(3, rows=50)
COLUMNS = sorted(TABLE.column_names)
Fetch = Callable[[str], Any]
CreateSource = Callable[[Path, Fetch], dict[str, Any]]
How = Callable[[Path, str], dict[str, Any]]


def _halves(folder: Path, suffix: str) -> dict[str, Any]:
    (folder / "halves").mkdir(parents=True)
    write = pq.write_table if suffix == "parquet" else pa_csv.write_csv
    for number in range(2):
        write(TABLE.slice(75 * number, 75), folder / "halves" / f"{number}.{suffix}")
    return {"source": str(folder / "halves")}


def _uploaded(folder: Path, bucket: str, suffix: str) -> dict[str, Any]:
    local = Path(_halves(folder, suffix)["source"])
    for path in local.iterdir():
        storage_for(bucket).write(f"{bucket}/t/{path.name}", path.read_bytes())
    return {"source": f"{bucket}/t"}


def _folders(folder: Path, suffix: str) -> dict[str, Any]:
    """Write the table as folders that name the key, such as ``key=part%200``."""
    for number in range(3):
        inside = folder / "t" / f"key=part%20{number}"
        inside.mkdir(parents=True)
        WRITERS[suffix](TABLE.slice(50 * number, 50).drop_columns("key"), inside / f"0.{suffix}")
    return {"source": str(folder / "t")}


def _files_of(folder: Path, suffix: str) -> dict[str, Any]:
    (folder / "t").mkdir()
    for number in range(2):
        WRITERS[suffix](TABLE.slice(75 * number, 75), folder / "t" / f"{number}.{suffix}")
    return {"source": f"{folder}/t/*.{suffix}"}


def _moved(bucket: str, local: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Upload the files of a source, and return the source in the bucket."""
    for path in (folder / "t").rglob("*.*"):
        storage_for(bucket).write(f"{bucket}/{path.relative_to(folder)}", path.read_bytes())
    return {"source": local["source"].replace(str(folder), bucket)}


def _local(how: How, suffix: str, folder: Path, _fetch: Fetch) -> dict[str, Any]:
    return how(folder, suffix)


def _remote(how: How, suffix: str, folder: Path, fetch: Fetch) -> dict[str, Any]:
    return _moved(fetch("bucket"), how(folder, suffix), folder)


def _table(fetch: Fetch) -> dict[str, Any]:
    house = fetch("warehouse")
    house.load(TABLE)
    return {"source": house.uri("t")}


def _view(fetch: Fetch) -> dict[str, Any]:
    house = fetch("warehouse")
    house.load(TABLE)
    house.run("CREATE VIEW {d}.v AS SELECT * FROM {d}.t")
    return {"source": house.uri("v"), "staging": house.staging}


def _query(fetch: Fetch) -> dict[str, Any]:
    house = fetch("warehouse")
    house.load(TABLE)
    sql = f"SELECT * FROM `{house.name('t')}`"
    return {"query": sql, "staging": house.staging}


SOURCES: dict[str, CreateSource] = {
    "parquet": lambda folder, _fetch: _halves(folder, "parquet"),
    "csv": lambda folder, _fetch: _halves(folder, "csv"),
    **{
        f"{suffix} by {how.__name__.strip('_')}": partial(_local, how, suffix)
        for how in (_files_of, _folders)
        for suffix in WRITERS
    },
    **{
        f"objects, {suffix} by {how.__name__.strip('_')}": partial(_remote, how, suffix)
        for how, suffix in ((_files_of, "csv.gz"), (_files_of, "xlsx"), (_folders, "arrow"))
    },
    "objects, parquet": lambda folder, fetch: _uploaded(folder, fetch("bucket"), "parquet"),
    "objects, csv": lambda folder, fetch: _uploaded(folder, fetch("bucket"), "csv"),
    "bigquery table": lambda _folder, fetch: _table(fetch),
    "bigquery view": lambda _folder, fetch: _view(fetch),
    "bigquery query": lambda _folder, fetch: _query(fetch),
}


@pytest.fixture(params=SOURCES)
def config(request: pytest.FixtureRequest, tmp_path: Path) -> DatasetConfig:
    """Return the config of one table in each kind of source."""
    where = SOURCES[request.param](tmp_path, request.getfixturevalue)
    return DatasetConfig(partition_by="key", target="target", **where)


@pytest.fixture
def source(config: DatasetConfig) -> Iterator[Source]:
    """Return the opened source."""
    opened = open_source(config)
    yield opened
    if isinstance(opened, LiveSource):
        opened.close()


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[ProcessPoolExecutor]:
    """Start another process, which shares no memory with this one."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        yield pool


def rows(batches: Iterator[pa.RecordBatch], source: Source, columns: list[str]) -> pa.Table:
    types = {name: kind for name, kind in source_types(source).items() if name in columns}
    canonical = [canonical_batch(batch, types) for batch in batches]
    table = pa.Table.from_batches(canonical).select(columns)
    return table.sort_by([(name, "ascending") for name in columns])


def expected(columns: list[str]) -> pa.Table:
    types = {name: kind for name, kind in KINDS.items() if name in columns}
    batch = canonical_batch(TABLE.combine_chunks().to_batches()[0], types)
    table = pa.Table.from_batches([batch]).select(columns)
    return table.sort_by([(name, "ascending") for name in columns])


KINDS = {
    "key": "string",
    "number": "float64",
    "level": "string",
    "whole": "int64",
    "flag": "bool",
    "day": "date",
    "weight": "float64",
    "target": "float64",
}


class TestSource:
    """The contract of every source."""

    def test_schema_lists_columns(self, source: Source) -> None:
        assert source_types(source) == KINDS

    def test_rows_can_be_read_repeatedly(self, source: Source) -> None:
        for columns in (COLUMNS, ["flag", "key"]):
            for _ in range(2):
                found = rows(source.batches(columns), source, columns)
                assert found.equals(expected(columns))

    def test_known_row_count_is_correct(self, source: Source) -> None:
        assert source.rows() in {TABLE.num_rows, None}

    def test_fingerprint_is_stable(self, source: Source, config: DatasetConfig) -> None:
        assert source.fingerprint() == source.fingerprint() == open_source(config).fingerprint()

    def test_pieces_are_readable_in_another_process(
        self, source: Source, elsewhere: ProcessPoolExecutor
    ) -> None:
        pieces = [pickle.dumps(piece) for piece in source.pieces(COLUMNS)]
        variables = [dict(os.environ)] * len(pieces)
        parts = list(elsewhere.map(read_piece, pieces, variables))
        assert len(parts) > 1 or isinstance(source, LiveSource)
        batches = [batch for part in parts for batch in part]
        assert rows(iter(batches), source, COLUMNS).equals(expected(COLUMNS))

    def test_every_source_gives_the_same_dataset(
        self, config: DatasetConfig, tmp_path: Path
    ) -> None:
        pq.write_table(TABLE, tmp_path / "same.parquet")
        file = DatasetConfig(source=f"{tmp_path}/same.parquet", partition_by="key", target="target")
        made = [
            split(
                SplitRequest(each, "day", None, "auto", 5),
                ProjectLayout(str(tmp_path / str(number)), "p"),
                LocalStorage(),
                NoProgress(),
            )
            for number, each in enumerate([file, config])
        ]
        assert made[0] == made[1]
        folders = [tmp_path / str(n) / "p" / "datasets" / made[n].index.dataset for n in range(2)]
        assert _files(folders[0]) == _files(folders[1])


def read_piece(content: bytes, variables: dict[str, str]) -> list[pa.RecordBatch]:
    """Read a piece like a worker on another machine."""
    os.environ.update(variables)
    return list(pickle.loads(content).batches())


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
