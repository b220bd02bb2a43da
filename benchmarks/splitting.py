"""The timed split step, which benchmarks of engines and sources call in a fresh process."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any
from unittest.mock import patch

import numpy as np
import pyarrow as pa


def split_seconds(out: str, engine: str, *, statistics: bool = True, **dataset: Any) -> float:  # noqa: ANN401 - as a spec
    """Seconds of the split step, without imports.

    Args:
        out: where the project's artifacts are to lie.
        engine: one of the names of ``split.engine``.
        statistics: whether statistics are computed.
        dataset: the spec's part, in addition to ``partition_by`` and ``target``.
    """
    from steps.contract import ProjectLayout
    from steps.runtime.progress import NoProgress
    from steps.split.config import DatasetConfig, SplitConfig
    from steps.split.engines.choose import choose_engine
    from steps.split.step import SplitRequest, split
    from steps.storage.base import storage_for

    if not statistics:
        _leave_out_statistics()
    config = DatasetConfig(partition_by="k", target="f00", **dataset)
    request = SplitRequest(config, None, None, "auto", 20)
    named = choose_engine(SplitConfig(engine=engine))  # type: ignore[arg-type]  # one of its names
    began = time.perf_counter()
    split(request, ProjectLayout(out, "bench"), storage_for(out), NoProgress(), named)
    return time.perf_counter() - began


def _leave_out_statistics() -> None:
    """Have the split of this process compute and write no statistics of partitions."""
    from steps.records import Column
    from steps.split.dataset import part_files, writer
    from steps.split.dataset.statistics_tables import Items, Rows, rows_of
    from steps.table.statistics import GroupStatistics, group_statistics

    def nothing(rows: pa.RecordBatch, starts: np.ndarray) -> GroupStatistics:
        one = group_statistics(rows.slice(0, 1), np.zeros(1, np.intp))
        return GroupStatistics(one.groups * len(starts), one.sketches)

    def only_of_whole_table(items: Items, columns: Sequence[Column]) -> dict[str, Rows]:
        return rows_of([each for each in items if each[0] is None], columns)

    # Unlike setattr, patch.object fails if the split renames one of these functions.
    patch.object(part_files, "group_statistics", nothing).start()
    patch.object(writer, "rows_of", only_of_whole_table).start()
