"""One bad partition costs the others nothing; every partition always has a row, with a reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from steps.errors import TooManyFailuresError
from steps.results.schema import TABLES
from tests.workspace import Workspace, small_table
from workflows.local import run

ROWS = 60
CODES = {
    "raises": 101.0,
    "memory": 102.0,
    "killed": 103.0,
    "exits": 104.0,
    "shape": 105.0,
    "nan": 106.0,
    "transient": 107.0,
}
EXPECTED = {
    "raises": "trainer_error",
    "transient": "trainer_error",
    "memory": "out_of_memory",
    "killed": "worker_died",
    "exits": "worker_died",
    "shape": "trainer_error",
    "nan": "trainer_error",
}


def poisoned(names: list[str]) -> pa.Table:
    """Partitions named by their fault; all others are healthy."""
    table = small_table(len(names), rows=ROWS)
    code = np.repeat([CODES.get(name, 1.0) for name in names], ROWS)
    table = table.set_column(0, "key", pa.array(np.repeat(names, ROWS)))
    return table.set_column(1, "number", pa.array(code))


def rows_of(lab: Workspace, folder: str) -> dict[str, dict[str, Any]]:
    return {row["partition"]: row for row in lab.read(folder, "partitions").to_pylist()}


@pytest.mark.parametrize("workers", [1, 2])
def test_each_fault_has_its_type_and_the_others_are_trained(
    workers: int, lab: Workspace, faulty: Callable[[], dict[str, str]]
) -> None:
    faulty()
    healthy = [f"healthy {i}" for i in range(6)]
    names = [*healthy[:3], *CODES, *healthy[3:]]
    lab.write_table(poisoned(names))
    spec = lab.write_spec(trainer={"name": "faulty"}, execution__workers=workers)
    result = run(spec)
    rows = rows_of(lab, result.layout.base)
    assert {name: rows[name]["reason"] for name in CODES} == EXPECTED
    assert {rows[name]["message"] for name in healthy} == {""}
    assert "RuntimeError: no luck at <path> with <object object at <address>>" in str(
        rows["raises"]["message"]
    )
    assert "SIGKILL" in str(rows["killed"]["message"])
    assert "exit code 7" in str(rows["exits"]["message"])
    attempts = (lab.folder / result.layout.attempts_table).read_text()
    assert attempts.count('"lost"') == 4  # killed and exits: once among others, once alone
    assert attempts.count('"out_of_memory"') == 1
    assert attempts.count('"trainer_error"') == 1  # what may pass is tried again, the rest is not


def test_one_crashing_partition_does_not_affect_the_others(
    lab: Workspace, faulty: Callable[[], dict[str, str]]
) -> None:
    faulty()
    names = [f"healthy {i:02d}" for i in range(49)]
    lab.write_table(poisoned([*names[:20], "killed", *names[20:]]))
    result = run(lab.write_spec(trainer={"name": "faulty"}))
    assert result.outcome.counts == {"trained": 49, "skipped": 0, "failed": 1}
    assert result.outcome.reasons == {"worker_died": 1}


def test_too_many_failures_fail_the_run_with_its_tables_written(
    lab: Workspace, faulty: Callable[[], dict[str, str]]
) -> None:
    faulty()
    lab.write_table(poisoned(["raises", "healthy 1", "healthy 2"]))
    spec = lab.write_spec(trainer={"name": "faulty"}, execution__max_failed_fraction=0.3)
    result = run(spec)
    assert len(lab.tables(result.layout.base)) == 2 * len(TABLES)
    with pytest.raises(TooManyFailuresError, match="1 of 3 partitions failed"):
        result.raise_for_failures()


def test_every_reason_to_skip(lab: Workspace) -> None:
    names = ["few", "constant", "no target", "empty", "one day", "fine"]
    table = small_table(len(names), rows=ROWS).to_pydict()
    table["key"] = np.repeat(names, ROWS).tolist()
    rows = range(len(names) * ROWS)
    for i in rows:
        name = table["key"][i]
        if name == "few" and i % ROWS > 5:
            table["key"][i] = "fine"
        if name == "constant":
            table["target"][i] = 4.0
        if name == "no target":
            table["target"][i] = None
        if name == "one day":
            table["day"][i] = table["day"][0]
        if name == "empty":
            for feature in ("number", "level", "whole", "flag"):
                table[feature][i] = None
        if i % ROWS == 7 and name == "fine":
            table["key"][i] = None
    lab.write_table(pa.table(table))
    result = run(lab.write_spec(dataset__min_rows=7))
    found = {name: row["reason"] for name, row in rows_of(lab, result.layout.base).items()}
    assert found == {
        "few": "too_few_rows",
        "constant": "constant_target",
        "no target": "target_missing",
        "one day": "too_few_groups",
        "empty": "all_features_missing",
        "fine": "",
        "": "null_key",
    }
    rows_in_tables = sum(row["rows"] for row in rows_of(lab, result.layout.base).values())
    assert rows_in_tables == len(names) * ROWS  # no row is lost
    assert run(lab.folder / "spec.yaml").trained.cached["none"] == 3  # only what is not read


def test_one_class(lab: Workspace) -> None:
    table = small_table(3, rows=ROWS)
    label = ["yes" if i % 3 and i >= ROWS else "no" for i in range(3 * ROWS)]
    lab.write_table(table.append_column("label", pa.array(label)))
    result = run(lab.write_spec(dataset__target="label"))
    assert result.outcome.reasons == {"one_class": 1}
    assert result.outcome.metric == "log_loss"
