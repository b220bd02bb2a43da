"""Random tables through training: every partition has its row, whatever way it was written."""

from __future__ import annotations

import pytest

from tests.fuzz.training import training_problems

TABLES = 20


@pytest.mark.parametrize("seed", range(TABLES))
def test_random_tables_are_trained(seed: int) -> None:
    found = training_problems(seed)
    assert not found, "\n".join(found)
