"""Reading the result tables of a run, partition by partition, for an experiment store.

It streams: of each table one row group is held at a time, whatever the number of partitions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steps.contract import RunLayout
from steps.errors import DamagedError, MissingInputError
from steps.results.partition_result import PartitionResult
from steps.results.schema import KEY_PREFIX
from steps.storage.base import Storage, scheme_of

STREAMED = ("metrics", "importance", "partial_dependence", "shap_summary", "shap_by_value")
"""The tables that collect writes as it reads the results of each partition."""
PER_PARTITION = (*STREAMED, "own_or_base")
"""The tables with any number of rows per partition; their partitions come in one order."""
_KEY = ["partition_id", "partition"]


def results_of(run: RunLayout, storage: Storage) -> Iterator[PartitionResult]:
    """Yield the results of all partitions of a run, in the order of its tables.

    Raises:
        MissingInputError: the run has no tables.
        DamagedError: a table cannot be read, or is not in the order of the others.
    """
    with tempfile.TemporaryDirectory(prefix="refeed-") as folder:
        places = {}
        for name in ("partitions", *PER_PARTITION):
            uri = run.table(name, "parquet")
            if scheme_of(uri):  # Parquet is read from its end, which needs a local file
                places[name] = Path(folder, f"{name}.parquet")
                storage.download(uri, places[name])
            elif storage.exists(uri):
                places[name] = Path(uri)
            else:
                raise MissingInputError(f"There is no file {uri!r}.", uri=uri)
        tables = {name: _Table(run.table(name, "parquet"), places[name]) for name in PER_PARTITION}
        for _, rows in _partitions(run.table("partitions", "parquet"), places["partitions"]):
            (row,) = rows.to_pylist()
            found = {name: table.take(row["partition_id"]) for name, table in tables.items()}
            columns = {
                name: rows.select(_own_columns(rows)).to_pydict()
                for name, rows in found.items()
                if rows
            }
            yield PartitionResult(row, columns)
        for table in tables.values():
            table.check_end()


def _own_columns(rows: pa.Table) -> list[str]:
    """Return the columns that do not name the partition."""
    names: list[str] = rows.column_names
    return [name for name in names if name not in _KEY and not name.startswith(KEY_PREFIX)]


class _Table:
    """A table from which the rows of each partition are taken in turn; some have none."""

    def __init__(self, uri: str, path: Path) -> None:
        self._uri, self._rest = uri, _partitions(uri, path)
        self._next = next(self._rest, None)

    def take(self, partition_id: str) -> pa.Table | None:
        """Return the rows of a partition, if it is the next one that has some."""
        if self._next is None or self._next[0] != partition_id:
            return None
        _, rows = self._next
        self._next = next(self._rest, None)
        return rows

    def check_end(self) -> None:
        """Check that all rows were taken.

        Raises:
            DamagedError: one was.
        """
        if self._next is not None:
            raise DamagedError(
                self._uri, f"its rows are not sorted by partition, at {self._next[0]!r}"
            )


def _partitions(uri: str, path: Path) -> Iterator[tuple[str, pa.Table]]:
    """Yield ID and rows of each partition of a table, in its order."""
    for partition_id, slices in groupby(_slices(uri, path), key=itemgetter(0)):
        yield partition_id, pa.concat_tables([rows for _, rows in slices])


def _slices(uri: str, path: Path) -> Iterator[tuple[str, pa.Table]]:
    """Yield the same, cut where a row group ends."""
    try:
        with closing(pq.ParquetFile(path)) as file:
            for number in range(file.num_row_groups):
                group, start = file.read_row_group(number), 0
                for partition_id, same in groupby(group.column("partition_id").to_pylist()):
                    count = len(list(same))
                    yield partition_id, group.slice(start, count)
                    start += count
    except (pa.ArrowException, OSError) as error:
        raise DamagedError(uri, " ".join(str(error).split())[:200]) from error
