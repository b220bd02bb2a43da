"""Tables come some rows at a time: the report is the same in whatever pieces."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from steps.charts.tables import Partition, read_importance
from steps.collect.report import build_report
from tests.report.pages import RUN
from tests.report.synthetic import Synthetic


@pytest.mark.parametrize("task", ["regression", "binary", "multiclass"])
def test_it_does_not_matter_in_which_pieces_the_tables_come(task: str) -> None:
    data = Synthetic(partitions=40, task=task)

    def at_once(name: str, columns: list[str]) -> Iterator[pa.Table]:
        yield data.tables[name].select(columns)

    def by_few(name: str, columns: list[str]) -> Iterator[pa.Table]:
        for start in range(0, max(1, len(data.tables[name])), 7):
            yield data.tables[name].select(columns).slice(start, 7)

    assert build_report(at_once, RUN) == build_report(by_few, RUN) == build_report(data.read, RUN)


def test_cells_are_laid_out_by_partition_and_feature_and_nan_where_no_row_is() -> None:
    rows = {
        "partition_id": ["b", "a", "gone", "b"],
        "feature": ["x", "y", "x", "y"],
        "method": ["gain"] * 4,
        "value": [1.0, 2.0, 3.0, 4.0],
        "scale": ["loss", "", "", ""],
    }
    table = pa.table(rows)
    trained = [_partition("a"), _partition("b")]
    found = read_importance(lambda *_: iter([table[:1], table[1:]]), trained)["gain"]
    assert found.features == ("x", "y")
    np.testing.assert_array_equal(found.values, [[np.nan, 2.0], [1.0, 4.0]])
    assert found.scale == "loss"


def _partition(identifier: str) -> Partition:
    return Partition(identifier, identifier, "trained", "", "", "rmse", *([np.nan] * 9))
