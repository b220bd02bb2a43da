"""The predicted cost of every table of the field suite is within a factor of two of the actual."""

from __future__ import annotations

import pytest

from tests.field.suite.case import Case
from tests.field.suite.tables import PARAMS, Table

FACTOR = 2.0
SLACK_SECONDS = 0.01
"""CPU time per partition that the clock and a busy machine add or hide."""


@pytest.mark.parametrize("table", PARAMS)
def test_prediction_is_within_a_factor_of_two(
    table: Table, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """No earlier run corrects it: the artifact root is new. CPU time, as the machine is shared."""
    costs = Case(table, tmp_path_factory.mktemp("costs")).run.outcome.costs
    predicted, actual = costs["predicted_seconds"], costs["cpu_seconds"]
    slack = SLACK_SECONDS * costs["partitions"]
    assert actual <= FACTOR * predicted + slack
    assert actual >= predicted / FACTOR - slack
    memory, peak = costs["predicted_memory_mib"], costs["memory_mib"]
    assert memory / FACTOR <= peak <= FACTOR * memory
