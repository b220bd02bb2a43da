"""The manifest of the field suite is true of the tables."""

from __future__ import annotations

import pytest
import yaml

from tests.field.suite.case import is_text
from tests.field.suite.tables import PARAMS, TABLES, Table

WANTED = {"text key": 8, "missing": 8, "binary": 5, "time": 5}
"""Tables of each kind, at least."""


def test_the_suite_has_enough_tables_of_each_kind() -> None:
    assert len(TABLES) >= 28
    for kind, count in WANTED.items():
        assert sum(kind in table.has for table in TABLES) >= count, kind


def test_the_tables_of_make_test_cover_all_kinds() -> None:
    quick = [table for table in TABLES if table.quick]
    assert len(quick) == 5
    assert {kind for table in quick for kind in table.has} == set(WANTED)


@pytest.mark.parametrize("table", PARAMS)
def test_the_manifest_is_true_of_the_table(table: Table) -> None:
    frame = table.read()
    assert frame.shape == (table.rows, table.columns)
    has = {
        "text key": is_text(frame[table.partition]),
        "missing": bool(frame.isna().any(axis=None)),
        "binary": frame[table.target].nunique() == 2,
    }
    assert has == {kind: kind in table.has for kind in has}
    dataset = yaml.safe_load(table.spec.read_text())["dataset"]
    assert (dataset["partition_by"], dataset["target"]) == (table.partition, table.target)
    assert {*table.init["partition"], *table.init["target"]} <= set(frame)
    assert table.partition in table.init["partition"]
    assert table.target in table.init["target"]
