"""A full disk, a damaged artifact, unusual data: clear errors, and no partition is blamed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from tests.segment_surgery import damage_member
from tests.workspace import Workspace, small_table
from workflows.local import run

MAIN = "from workflows.cli.app import main; main()"


def refeed(*arguments: str | Path, first: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", f"{first}{MAIN}", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def files_end_at(size: int) -> str:
    """As on a full disk: writing more than ``size`` bytes to one file fails.

    The command limits itself, once it runs. A ``preexec_fn`` would run between fork and exec of
    a process that other tests gave threads and gRPC: gRPC starts its own threads again after a
    fork, and aborts the child when their files are closed for exec.
    """
    return f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size})); "


@pytest.mark.parametrize("size", [2_000, 8_000, 20_000])
def test_a_full_disk_is_no_partitions_fault(size: int, lab: Workspace) -> None:
    lab.write_table(small_table())
    spec = lab.write_spec()
    full = refeed("run", spec, first=files_end_at(size))
    assert full.returncode == 73, full.stderr
    assert "Cannot write" in full.stderr
    assert "Traceback" not in full.stderr
    again = json.loads(refeed("run", spec, "--json").stdout)
    assert again["counts"] == {"trained": 5, "skipped": 0, "failed": 0}
    fresh = run(lab.write_spec(output="elsewhere"))
    assert lab.tables(again["folder"]) == lab.tables(fresh.layout.base)


def test_a_damaged_model_is_fitted_again(lab: Workspace) -> None:
    lab.write_table(small_table())
    run(lab.write_spec())
    damage_member(str(lab.folder / "runs"), "fold-models/*")
    again = run(lab.write_spec(explain__rows=50))
    assert again.trained.cached == {"fit": 4, "none": 1}
    fresh = run(lab.write_spec(explain__rows=50, output="elsewhere"))
    assert lab.tables(again.layout.base) == lab.tables(fresh.layout.base)


def test_excluded_features_are_left_out_and_the_rest_is_used(lab: Workspace) -> None:
    lab.write_table(small_table())
    spec = lab.write_spec(dataset__features={"exclude": ["weight", "flag"]})
    result = run(spec)
    features = lab.read(result.layout.base, "features")["feature"].to_pylist()
    assert features == ["level", "number", "whole"]  # day is the group
    assert run(spec).trained.cached == {"full": 5}


def test_dates_of_any_year_are_features(lab: Workspace) -> None:
    """9999-12-31 is a usual word for an open end."""
    table = small_table(2)
    ends = [datetime(9999, 12, 31, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC), None]
    column = pa.array([ends[i % 3] for i in range(table.num_rows)], pa.timestamp("us", "UTC"))
    lab.write_table(table.append_column("until", column))
    result = run(lab.write_spec(dataset__features=["number", "until"]))
    grid = lab.read(result.layout.base, "partial_dependence").to_pylist()
    values = {row["grid_value"] for row in grid if row["feature"] == "until"}
    assert values == {"0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z", None}  # None: missing


def test_gc_removes_a_link_and_not_what_it_points_to(lab: Workspace) -> None:
    lab.write_table(small_table(2))
    spec = lab.write_spec()
    run(spec)
    precious = lab.folder / "precious"
    precious.mkdir()
    (precious / "file").write_text("dear")
    link = lab.folder / "runs" / "lab" / "datasets" / "linked"
    link.symlink_to(precious)
    done = refeed("gc", spec)
    assert done.returncode == 0, done.stderr
    assert not link.is_symlink()
    assert (precious / "file").read_text() == "dear"


def test_init_learns_which_cells_mean_missing(lab: Workspace) -> None:
    rows = [f"{'ab'[i % 2]},{i % 9 if i % 7 else 'NA'},{i % 5}.5" for i in range(500)]
    table = lab.folder / "table.csv"
    table.write_text("\n".join(["group,price,target", *rows]) + "\n")
    spec = lab.folder / "made.yaml"
    made = refeed("init", table, "--target", "target", "-o", spec)
    assert made.returncode == 0, made.stderr
    assert "null_values: ['', NA]" in spec.read_text()
    assert refeed("validate", spec).returncode == 0
    assert refeed("init", table, "--name", "../x").returncode == 2


def test_codes_with_leading_zeros_are_text(lab: Workspace) -> None:
    rows = [f"{i % 3:03d},{i % 9},{i % 5}.5" for i in range(300)]
    (lab.folder / "table.csv").write_text("\n".join(["key,number,target", *rows]) + "\n")
    spec = lab.write_spec(
        dataset__source="table.csv", dataset__features=["number"], evaluate={"folds": 2}
    )
    result = run(spec)
    assert lab.read(result.layout.base, "partitions")["partition"].to_pylist() == [
        "000",
        "001",
        "002",
    ]


def test_csv_of_another_encoding(lab: Workspace) -> None:
    (lab.folder / "table.csv").write_bytes("kéy,number,target\na,1,2\n".encode("latin-1"))
    done = refeed("run", lab.write_spec(dataset__source="table.csv"))
    assert done.returncode == 65, done.stderr
    assert "not valid UTF-8" in " ".join(done.stderr.split())


def test_unexpected_error_has_exit_code_70_and_no_traceback(lab: Workspace) -> None:
    bug = "import workflows.spec.load as s; s.load_spec = lambda *a: 1 / 0\n"
    code = bug + "from workflows.cli.app import main; main()"
    arguments = [sys.executable, "-c", code, "run", str(lab.folder)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 70
    assert "Unexpected error: ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr
    environment = {**os.environ, "REFEED_DEBUG": "1"}
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment)
    assert "Traceback" in done.stderr
