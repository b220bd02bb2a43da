"""Random tables: every format and order gives the dataset that pandas expects."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.cases import CASES, case_problems
from tests.fuzz.checks import table_problems

TABLES = 300
_SLICE = 25


@pytest.mark.parametrize("first", range(0, TABLES, _SLICE))
def test_random_tables_give_the_expected_datasets_and_folds(first: int) -> None:
    found = [each for seed in range(first, first + _SLICE) for each in table_problems(seed)]
    assert not found, "\n".join([*found, "Shrink: python -m tests.fuzz shrink TABLE"])


@pytest.mark.parametrize("folder", sorted(CASES.iterdir()), ids=lambda folder: folder.name)
def test_a_shrunk_failure_stays_right(folder: Path, tmp_path: Path) -> None:
    assert list(case_problems(folder, tmp_path)) == []
