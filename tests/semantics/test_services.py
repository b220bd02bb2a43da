"""Services that break: a run on a bucket, with a share of all requests broken on their way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from steps.gcs import PATIENCE
from tests.lab import Lab, small_table
from tests.stand_ins import gcs_server, make_bucket
from tests.stand_ins.faults import FAULTS, Faults, faulty_proxy
from workflows.local import run

COMMAND = [sys.executable, "-c", "from workflows.cli.app import main; main()"]


@pytest.fixture(scope="module")
def gcs_endpoint() -> Iterator[str]:
    with gcs_server() as url:
        yield url


Made = tuple[Lab, dict[str, bytes]]


def make(lab: Lab, partitions: int) -> Made:
    """A spec, and its tables where nothing breaks."""
    lab.write_table(small_table(partitions, rows=24))
    spec = lab.write_spec(trainer={"name": "linear", "params": {}}, explain__shap=False)
    return lab, lab.tables(run(spec).layout.base)


def run_with(lab: Lab, endpoint: str, bucket: str) -> subprocess.CompletedProcess[str]:
    """A run in a process of its own, whose client meets nothing but the proxy."""
    output = f"output=gs://{bucket}/runs"
    command = [*COMMAND, "run", str(lab.folder / "spec.yaml"), "--json", "--set", output]
    return subprocess.run(
        command,
        env={**os.environ, "STORAGE_EMULATOR_HOST": endpoint},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )


def tables_in(endpoint: str, folder: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    from steps.storage import storage_for  # noqa: PLC0415 - after the environment is set

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", endpoint)
    storage = storage_for(folder)
    names = storage.names(f"{folder}/tables")
    return {name: storage.read(f"{folder}/tables/{name}") for name in names}


@pytest.mark.parametrize(("partitions", "share"), [(200, 0.05), (50, 0.2)])
def test_a_run_ends_right_whatever_breaks(
    partitions: int,
    share: float,
    gcs_endpoint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab, expected = make(Lab(tmp_path), partitions)
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    make_bucket(gcs_endpoint, bucket)
    faults = Faults(share, seed=11)
    with faulty_proxy(gcs_endpoint, faults) as url:
        done = run_with(lab, url, bucket)
    assert done.returncode == 0, done.stderr
    folder = json.loads(done.stdout)["folder"]
    assert tables_in(gcs_endpoint, folder, monkeypatch) == expected
    broken = sum(count for kind, count in faults.done.items() if kind)
    assert broken == pytest.approx(share * faults.done.total(), rel=0.25)
    assert set(FAULTS) <= set(faults.done)


def test_a_service_that_is_gone_for_good_and_comes_back(
    gcs_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with one clear error; the run after it finds what the first has finished."""
    lab, expected = make(Lab(tmp_path), 50)
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    make_bucket(gcs_endpoint, bucket)
    faults, output = Faults(), f"output=gs://{bucket}/runs"
    with faulty_proxy(gcs_endpoint, faults) as url:
        process = subprocess.Popen(
            [*COMMAND, "run", str(lab.folder / "spec.yaml"), "--json", "--set", output],
            env={**os.environ, "STORAGE_EMULATOR_HOST": url, PATIENCE: "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while faults.done.total() < 400:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
        faults.gone = True
        _, said = process.communicate(timeout=240)
        assert process.returncode == 75, said
        assert "Cannot reach 'gs://" in said
        assert "Run again to go on" in said
        assert "Traceback" not in said
        faults.gone = False
        done = run_with(lab, url, bucket)
    assert done.returncode == 0, done.stderr
    assert tables_in(gcs_endpoint, json.loads(done.stdout)["folder"], monkeypatch) == expected
    assert sum(json.loads(done.stdout)["cached"].values()) > 0


def test_the_proxy_itself_changes_nothing(gcs_endpoint: str, tmp_path: Path) -> None:
    """Without faults it passes everything on, or the tests above would test the proxy."""
    faults = Faults()
    lab = Lab(tmp_path)
    lab.write_table(small_table(3))
    lab.write_spec()
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    make_bucket(gcs_endpoint, bucket)
    with faulty_proxy(gcs_endpoint, faults) as url:
        done = run_with(lab, url, bucket)
    assert done.returncode == 0, done.stderr
    assert set(faults.done) == {""}
