"""Write the statistics, the sample and, last, the index of a dataset."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from functools import partial
from types import TracebackType
from typing import Self

from steps.contract import DatasetLayout
from steps.records import PartitionEntry, PartitionIndex, canonical_json
from steps.results.schema import BUCKETS_TABLE, COLUMN_STATISTICS, DATASET_TABLES, TOP_VALUES_TABLE
from steps.results.writer import TableWriter, arrow_table, csv_of, escape_formulas
from steps.split.dataset.plan import SplitPlan
from steps.split.dataset.statistics_tables import rows_of
from steps.split.dataset.tfdv import ALL, encode
from steps.storage.base import Storage, write_text
from steps.table.merging import WholeTable
from steps.table.sample import Sample
from steps.table.statistics import GroupStatistics, Statistics
from steps.table.summaries import TableSummary

_BATCH_SIZE = 64
"""Number of partitions whose statistics are written at once."""


class DatasetWriter:
    """A writer that receives the partitions in the order of their keys and completes the dataset.

    Args:
        plan: plan of the dataset.
        layout: layout of the dataset.
        storage: storage of the dataset.
    """

    def __init__(self, plan: SplitPlan, layout: DatasetLayout, storage: Storage) -> None:
        self.plan, self.layout, self.storage = plan, layout, storage
        self._table = WholeTable(len(plan.columns))
        self._entries: list[PartitionEntry] = []
        self._pending: list[tuple[PartitionEntry | None, Statistics]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._writers = {
            table.name: self._stack.enter_context(
                TableWriter(
                    table,
                    partial(self.layout.statistics_table, table.name),
                    self.storage,
                    csv=table is COLUMN_STATISTICS,
                    keys=self.plan.keys,
                )
            )
            for table in DATASET_TABLES.values()
        }
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def add(self, entries: Sequence[PartitionEntry], statistics: GroupStatistics) -> None:
        """Add the next partitions and their statistics."""
        self._table.add_values(statistics.sketches)
        for entry, partition in zip(entries, statistics.groups, strict=True):
            self._entries.append(entry)
            self._table.add(partition)
            self._pending.append((entry, partition))
            if len(self._pending) >= _BATCH_SIZE:
                self._flush()

    def _flush(self) -> None:
        pending, self._pending = self._pending, []
        for name, columns in rows_of(pending, self.plan.columns).items():
            self._writers[name].add(columns)

    def finish(self, sample: Sample, summary: TableSummary) -> None:
        """Write the sample and the statistics of the whole table, after all partitions."""
        levels = {name: column.levels for name, column in summary.columns.items()}
        whole = self._table.statistics(sample, levels)
        self._pending.append((None, whole))
        self._flush()
        rows = rows_of([(None, whole)], self.plan.columns)
        tables = {name: arrow_table(table, rows[name]) for name, table in DATASET_TABLES.items()}
        for table in (TOP_VALUES_TABLE, BUCKETS_TABLE):  # as CSV for the whole table only
            content = csv_of(escape_formulas(tables[table.name]))
            self.storage.write(self.layout.statistics_table(table.name, "csv"), content)
        by_table = {name: table.to_pylist() for name, table in tables.items()}
        self.storage.write(self.layout.tfdv, encode([(ALL, by_table)]))
        self.storage.write(self.layout.sample, sample.to_ipc())
        columns = {}
        for (name, column), mean in zip(summary.columns.items(), whole.mean, strict=True):
            known = None if math.isnan(mean) else float(mean)  # JSON has no NaN
            columns[name] = asdict(column) | {"mean": known}
        write_text(self.storage, self.layout.statistics, canonical_json(columns))

    def commit(self, digests: tuple[str, str]) -> PartitionIndex:
        """Write the partition index, which completes the dataset, after the ``with`` block."""
        plan = self.plan
        index = PartitionIndex(
            *digests, plan.columns, plan.partition_by, plan.format, tuple(self._entries)
        )
        write_text(self.storage, self.layout.index, index.to_json())
        self.storage.delete(self.layout.rebuild)
        return index
