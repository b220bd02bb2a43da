"""The end of every split engine: statistics, sample and, when all else lies there, the index."""

from __future__ import annotations

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

_WAITING = 64
"""Partitions whose statistics are written at once."""


class DatasetWriter:
    """Takes the partitions in the order of their keys, and finishes the data set.

    Args:
        plan: of the data set.
        layout: where it lies.
        storage: of that place.
    """

    def __init__(self, plan: SplitPlan, layout: DatasetLayout, storage: Storage) -> None:
        self.plan, self.layout, self.storage = plan, layout, storage
        self._table = WholeTable(len(plan.columns))
        self._entries: list[PartitionEntry] = []
        self._waiting: list[tuple[PartitionEntry | None, Statistics]] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._writers = {
            table.name: self._stack.enter_context(
                TableWriter(
                    table,
                    partial(self.layout.statistics_table, table.name),
                    self.storage,
                    csv=table is COLUMN_STATISTICS,
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

    def add(self, entries: Sequence[PartitionEntry], seen: GroupStatistics) -> None:
        """Take in the next partitions, and what was seen of them."""
        self._table.add_values(seen.sketches)
        for entry, statistics in zip(entries, seen.groups, strict=True):
            self._entries.append(entry)
            self._table.add(statistics)
            self._tell(entry, statistics)

    def _tell(self, entry: PartitionEntry | None, statistics: Statistics) -> None:
        self._waiting.append((entry, statistics))
        if len(self._waiting) >= _WAITING:
            self._flush()

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        for name, columns in rows_of(waiting, self.plan.columns).items():
            self._writers[name].add(columns)

    def finish(self, sample: Sample, summary: TableSummary) -> None:
        """All partitions are in: write the sample and what is known of the whole table."""
        levels = {name: column.levels for name, column in summary.columns.items()}
        whole = self._table.statistics(sample, levels)
        self._tell(None, whole)
        self._flush()
        self._write_short(whole)
        self.storage.write(self.layout.sample, sample.to_ipc())
        facts = {
            name: asdict(column) | {"mean": _number(mean)}
            for (name, column), mean in zip(summary.columns.items(), whole.mean, strict=True)
        }
        write_text(self.storage, self.layout.statistics, canonical_json(facts))

    def _write_short(self, whole: Statistics) -> None:
        """Of the whole table only: as CSV what would be long, and all for TFDV."""
        rows = rows_of([(None, whole)], self.plan.columns)
        tables = {name: arrow_table(table, rows[name]) for name, table in DATASET_TABLES.items()}
        for table in (TOP_VALUES_TABLE, BUCKETS_TABLE):
            content = csv_of(escape_formulas(tables[table.name]))
            self.storage.write(self.layout.statistics_table(table.name, "csv"), content)
        told = {name: table.to_pylist() for name, table in tables.items()}
        self.storage.write(self.layout.tfdv, encode([(ALL, told)]))

    def commit(self, digests: tuple[str, str]) -> PartitionIndex:
        """Write the partition index, which completes the dataset. Call it after the block."""
        plan = self.plan
        index = PartitionIndex(
            *digests, plan.columns, plan.partition_by, plan.format, tuple(self._entries)
        )
        write_text(self.storage, self.layout.index, index.to_json())
        self.storage.delete(self.layout.rebuild)
        return index


def _number(value: float) -> float | None:
    return None if value != value else float(value)  # noqa: PLR0124 - NaN, which JSON lacks
