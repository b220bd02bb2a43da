"""Random tables: every format and order gives the dataset that pandas expects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.cases import CASES, case_problems
from tests.fuzz.checks import table_problems
from tests.fuzz.known import DEFECTS

TABLES = 300
_SLICE = 25


@pytest.mark.parametrize("first", range(0, TABLES, _SLICE))
def test_random_tables_give_the_expected_datasets_and_folds(first: int) -> None:
    found = [each for seed in range(first, first + _SLICE) for each in table_problems(seed)]
    assert not found, "\n".join([*found, "Shrink: python -m tests.fuzz shrink TABLE"])


def _cases() -> list[Any]:
    known = pytest.mark.xfail(strict=True, reason="a known defect")
    return [
        pytest.param(folder, id=folder.name, marks=[known] if folder.name in DEFECTS else [])
        for folder in sorted(CASES.iterdir())
    ]


@pytest.mark.parametrize("folder", _cases())
def test_a_shrunk_failure_stays_right(folder: Path, tmp_path: Path) -> None:
    assert list(case_problems(folder, tmp_path)) == []
