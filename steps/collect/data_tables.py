"""Tables of a run about its dataset, and the reader of the report."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

import pyarrow as pa

from steps.collect.report import Reader
from steps.contract import DatasetLayout, RunLayout
from steps.errors import DamagedError, MissingInputError
from steps.records import RunRequest
from steps.results.dataset_tables import documents, facts_of, local_file, slices, whole_table
from steps.results.schema import COLUMN_STATISTICS, DATA_WARNINGS, DATASET_TABLES
from steps.results.writer import TableWriter, arrow_schema_of
from steps.storage.base import Storage
from steps.stores.base import ExperimentStore
from steps.table.data_warnings import DataWarning, find_data_warnings


def write_data_tables(
    request: RunRequest, dataset: DatasetLayout, run: RunLayout, storage: Storage
) -> list[DataWarning]:
    """Write ``column_statistics``, a copy of the dataset's, and ``data_warnings``.

    Returns:
        The warnings, the gravest first.

    Raises:
        MissingInputError: the dataset has no statistics.
        DamagedError: they cannot be read.
        OutputError: the run's folder cannot be written.
    """
    name = COLUMN_STATISTICS.name
    for suffix in ("csv", "parquet"):
        with (
            local_file(dataset.statistics_table(name, suffix), storage) as path,
            path.open("rb") as source,
            storage.writer(run.table(name, suffix)) as copy,
        ):
            shutil.copyfileobj(source, copy)
    facts = facts_of(dataset, storage, request.roles.target)
    found = find_data_warnings(facts, request.roles, request.task)
    rows = [asdict(each) for each in found]
    columns = {column: [row[column] for row in rows] for column in DATA_WARNINGS.names}
    place = partial(run.table, DATA_WARNINGS.name)
    with TableWriter(DATA_WARNINGS, place, storage) as writer:
        writer.add(columns)
    return found


def put_statistics(
    store: ExperimentStore, dataset: DatasetLayout, dataset_hash: str, storage: Storage
) -> None:
    """Store the statistics of the dataset, unless an earlier run has done so.

    They never change, and those of the whole table are put last: if they exist, all do.

    Raises:
        OutputError: the store cannot be written.
    """
    try:
        first = next(iter(store.statistics(dataset_hash)), None)
    except (DamagedError, ValueError):  # an interrupted write
        first = None
    if first is None or first[0]:
        store.put_statistics(dataset_hash, documents(dataset, storage))


def reader_of(dataset: DatasetLayout, run: RunLayout, storage: Storage) -> Reader:
    """Return a reader of a run's tables; of the dataset's it reads the rows about the whole table.

    A run of an earlier version, or one whose dataset is gone, has no rows in these.
    """

    def read(name: str, columns: list[str]) -> Iterator[pa.Table]:
        of_data = DATASET_TABLES.get(name)
        own = of_data in {None, COLUMN_STATISTICS}
        place = run.table if own else dataset.statistics_table
        try:
            if of_data is None:
                yield from slices(place(name, "parquet"), storage, columns)
            else:
                yield whole_table(place(name, "parquet"), columns, storage)
        except MissingInputError:
            table = DATA_WARNINGS if name == DATA_WARNINGS.name else of_data
            if table is None:
                raise
            yield arrow_schema_of(table).empty_table().select(columns)

    return read
