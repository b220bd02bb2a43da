"""Mutated specs: a valid plan, or one clear error with file, line and column."""

from __future__ import annotations

import pytest

from tests.fuzz.specs import spec_problems

SPECS = 400
_SLICE = 100


@pytest.mark.parametrize("first", range(0, SPECS, _SLICE))
def test_a_mutated_spec_is_a_valid_plan_or_one_clear_error(first: int) -> None:
    found = [each for seed in range(first, first + _SLICE) for each in spec_problems(seed)]
    assert not found, "\n".join(found)
