"""Reading the tables of a dataset, a few partitions at a time."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from steps.contract import DatasetLayout
from steps.errors import DamagedError
from steps.records import PartitionIndex
from steps.results.schema import (
    BUCKETS_TABLE,
    COLUMN_STATISTICS,
    DATASET_TABLES,
    KEY_PREFIX,
    TOP_VALUES_TABLE,
)
from steps.results.writer import arrow_schema_of
from steps.storage.base import Storage, read_parsed, scheme_of
from steps.table.data_warnings import WarningInputs, rows_by_column
from steps.table.drift import PartitionVariance
from steps.table.sample import Sample

PartitionRows = tuple[str, dict[str, pa.Table]]
"""ID of a partition, empty for the whole table, and its rows by table."""

_EMPTY = {name: arrow_schema_of(table).empty_table() for name, table in DATASET_TABLES.items()}


@contextmanager
def local_file(uri: str, storage: Storage) -> Iterator[Path]:
    """Yield an object as a local file, since Parquet is read from its end.

    Raises:
        MissingInputError: there is no such object.
    """
    if not scheme_of(uri) and storage.exists(uri):
        yield Path(uri)
        return
    with tempfile.TemporaryDirectory(prefix="refeed-") as folder:
        path = Path(folder, "table.parquet")
        storage.download(uri, path)
        yield path


def slices(uri: str, storage: Storage, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
    """Yield the rows of a table, some at a time; at least one piece, which may have none.

    Args:
        uri: URI of the table.
        storage: storage of the table.
        columns: names of the columns to read; None for all. One that the table does not have, as
            an earlier version wrote it, is null in every row.

    Raises:
        MissingInputError: there is no such table.
        DamagedError: it cannot be read.
    """
    with local_file(uri, storage) as path:
        try:
            with closing(pq.ParquetFile(path)) as file:
                schema = file.schema_arrow
                names = schema.names if columns is None else list(columns)
                known = [name for name in names if name in schema.names]
                yield _with_columns(schema.empty_table(), names)
                for batch in file.iter_batches(columns=known):
                    yield _with_columns(pa.Table.from_batches([batch]), names)
        except (pa.ArrowException, OSError) as error:
            raise DamagedError(uri, " ".join(str(error).split())[:200]) from error


def _with_columns(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """Return these columns; null where the table does not have them."""
    for name in names:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(table.num_rows))
    return table.select(list(names))


def whole_table(uri: str, columns: Sequence[str], storage: Storage) -> pa.Table:
    """Return the rows about the whole table, which come last: of all others nothing is read.

    Raises:
        MissingInputError: there is no such table.
        DamagedError: it cannot be read.
    """
    with local_file(uri, storage) as path:
        try:
            return pq.read_table(path, columns=list(columns), filters=[("scope", "==", "table")])
        except (pa.ArrowException, OSError) as error:
            raise DamagedError(uri, " ".join(str(error).split())[:200]) from error


def partitions(dataset: DatasetLayout, storage: Storage) -> Iterator[PartitionRows]:
    """Yield the rows of each partition in all tables, in the order of the index; then of all rows.

    Raises:
        MissingInputError: a table is not there.
        DamagedError: one cannot be read, or is not in the order of the others.
    """
    streams = {
        name: _by_partition(slices(dataset.statistics_table(name, "parquet"), storage))
        for name in DATASET_TABLES
    }
    waiting = {name: next(stream, None) for name, stream in streams.items()}
    while (first := waiting[COLUMN_STATISTICS.name]) is not None:
        rows = {}
        for name, stream in streams.items():
            found = waiting[name]
            if found is None or found[0] != first[0]:  # nothing frequent, no number
                rows[name] = _EMPTY[name]
                continue
            rows[name] = found[1]
            waiting[name] = next(stream, None)
        yield first[0], rows
    left = [name for name, found in waiting.items() if found is not None]
    if left:
        raise DamagedError(dataset.statistics_table(left[0], "parquet"), "it is out of order")


def _by_partition(tables: Iterator[pa.Table]) -> Iterator[tuple[str, pa.Table]]:
    """Yield the rows of each partition: tables are cut and joined where the partition changes."""
    held: tuple[str, pa.Table] | None = None
    for table in tables:
        keys = table["partition_id"].combine_chunks()
        if not len(keys):
            continue
        changes = pc.not_equal(keys[1:], keys[:-1]).to_numpy(zero_copy_only=False)
        starts = [0, *(np.flatnonzero(changes) + 1).tolist()]
        for start, end in zip(starts, [*starts[1:], len(keys)], strict=True):
            key, rows = keys[start].as_py(), table.slice(start, end - start)
            if held is None:
                held = key, rows
            elif held[0] == key:
                held = key, pa.concat_tables([held[1], rows])
            else:
                yield held
                held = key, rows
    if held is not None:
        yield held


def facts_of(dataset: DatasetLayout, storage: Storage, target: str) -> WarningInputs:
    """Return the inputs of the data warnings about models of a target.

    Raises:
        MissingInputError: a table is not there.
        DamagedError: one cannot be read.
    """
    index = read_parsed(storage, dataset.index, PartitionIndex.from_json)
    statistics = dataset.statistics_table(COLUMN_STATISTICS.name, "parquet")
    values = dataset.statistics_table(TOP_VALUES_TABLE.name, "parquet")
    names = [column.name for column in index.columns]
    spread = PartitionVariance(names)
    for rows in slices(statistics, storage):
        spread.add(rows)
    others: dict[str, int] = {}
    known = _known_rows(index, target)
    for rows in slices(values, storage):
        spread.add_values(rows)
        for row in _most_frequent(rows, target):
            others[row["partition"]] = known[row["partition_id"]] - int(row["count"])
    about = rows_by_column(whole_table(statistics, COLUMN_STATISTICS.names, storage))
    top = whole_table(values, TOP_VALUES_TABLE.names, storage).to_pylist()
    return WarningInputs(
        columns={name: about[name] for name in names},
        largest={row["column"]: row["count"] for row in top if row["rank"] == 1},
        spread=spread,
        partition_rows=[entry.rows for entry in index.entries],
        sample=read_parsed(storage, dataset.sample, Sample.from_ipc),
        others=others,
        keys=[entry.key.text for entry in index.entries if entry.key.kind == "string"],
    )


def _known_rows(index: PartitionIndex, column: str) -> dict[str, int]:
    """Return per partition the rows in which a column has a value."""
    position = index.column_position(column)
    return {entry.key.partition_id: entry.rows - entry.missing[position] for entry in index.entries}


def _most_frequent(top_values: pa.Table, column: str) -> list[dict[str, Any]]:
    """Return the most frequent value of a column in each partition."""
    first = pc.and_(pc.equal(top_values["scope"], "partition"), pc.equal(top_values["rank"], 1))
    chosen = pc.and_(first, pc.equal(top_values["column"], column))
    rows: list[dict[str, Any]] = top_values.filter(chosen).to_pylist()
    return rows


_IDENTITY = ("scope", "partition_id", "partition", "column")


def documents(dataset: DatasetLayout, storage: Storage) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the statistics as documents: of each partition, and last of the whole table.

    Raises:
        MissingInputError: a table is not there.
        DamagedError: one cannot be read.
    """
    for partition_id, tables in partitions(dataset, storage):
        yield partition_id, document_of(tables)


def document_of(tables: dict[str, pa.Table]) -> dict[str, Any]:
    """Return one partition's statistics as JSON values; undefined ones are null."""
    rows = tables[COLUMN_STATISTICS.name].to_pylist()
    columns: dict[str, dict[str, Any]] = {
        row["column"]: {
            "column": row["column"],
            **{
                name: value
                for name, value in row.items()
                if name not in _IDENTITY and not name.startswith(KEY_PREFIX)
            },
            "top_values": [],
            "histogram": [],
        }
        for row in rows
    }
    for name, key, wanted in (
        (TOP_VALUES_TABLE.name, "top_values", ("value", "count", "share")),
        (BUCKETS_TABLE.name, "histogram", ("low", "high", "count")),
    ):
        for row in tables[name].to_pylist():
            columns[row["column"]][key].append({each: row[each] for each in wanted})
    return {"partition": rows[0]["partition"], "columns": list(columns.values())}
