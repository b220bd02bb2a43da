"""Services that break: runs with a share of all requests to Google's services broken on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from steps.storage.gcs import PATIENCE
from tests.fakes import gcs_server, make_bucket
from tests.fakes.bigquery import PROJECT, BigQuery, bigquery_server
from tests.fakes.faults import FAULTS, Faults, faulty_proxy
from tests.fakes.firestore import all_documents, firestore_emulator
from tests.fakes.grpc_faults import faulty_grpc_proxy
from tests.segment_surgery import member_names
from tests.tables import Tables
from tests.workspace import Workspace, small_table
from workflows.local import run

COMMAND = [sys.executable, "-c", "from workflows.cli.app import main; main()"]
COMMAND_THAT_FLUSHES = [
    sys.executable,
    "-c",
    "from steps.segments.writer import SegmentWriter\n"
    "SegmentWriter.__init__.__defaults__ = (0.0,)\n"
    "from workflows.cli.app import main; main()",
]


@pytest.fixture(scope="module")
def gcs_endpoint() -> Iterator[str]:
    with gcs_server() as url:
        yield url


@pytest.fixture(scope="module")
def bigquery() -> Iterator[BigQuery]:
    with bigquery_server() as server:
        yield server


@pytest.fixture(scope="module")
def firestore() -> Iterator[str]:
    with firestore_emulator() as address:
        yield address


@dataclass(frozen=True)
class Service:
    """One of Google's, behind a proxy.

    Attributes:
        name: for messages.
        variable: names where it is in the environment.
        target: where it is; a URL for REST.
        faults: of its proxy.
    """

    name: str
    variable: str
    target: str
    faults: Faults

    @contextmanager
    def behind_proxy(self) -> Iterator[tuple[str, str]]:
        """The variable, and the proxy's address."""
        proxy = faulty_proxy if self.target.startswith("http") else faulty_grpc_proxy
        with proxy(self.target, self.faults) as address:
            yield self.variable, address


Made = tuple[Workspace, Tables]


def make(lab: Workspace, partitions: int) -> Made:
    """A spec, and its tables where nothing breaks."""
    lab.write_table(small_table(partitions, rows=24))
    spec = lab.write_spec(trainer={"name": "linear", "params": {}}, explain__shap=False)
    return lab, lab.tables(run(spec).layout.base)


def run_with(
    lab: Workspace, variables: dict[str, str], *changes: str
) -> subprocess.CompletedProcess[str]:
    """A run in a process of its own, whose clients meet nothing but the proxies."""
    sets = [word for change in changes for word in ("--set", change)]
    return subprocess.run(
        [*COMMAND, "run", str(lab.folder / "spec.yaml"), "--json", *sets],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=550,
        check=False,
    )


def member_names_in(endpoint: str, root: str, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", endpoint)
    return member_names(root, "record/*")


def tables_in(endpoint: str, folder: str, monkeypatch: pytest.MonkeyPatch) -> Tables:
    from steps.storage.base import storage_for  # noqa: PLC0415 - after the environment is set

    monkeypatch.setenv("STORAGE_EMULATOR_HOST", endpoint)
    storage = storage_for(folder)
    names = storage.names(f"{folder}/tables")
    return Tables({name: storage.read(f"{folder}/tables/{name}") for name in names})


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_a_run_ends_right_whatever_breaks(
    share: float,
    gcs_endpoint: str,
    bigquery: BigQuery,
    firestore: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows by a query of BigQuery, artifacts in a bucket, results in Firestore: all break."""
    lab, expected = make(Workspace(tmp_path), 200)
    name = f"b{uuid.uuid4().hex[:12]}"
    make_bucket(gcs_endpoint, name)
    bigquery.client.create_dataset(f"{PROJECT}.{name}")
    bigquery.load(pq.read_table(lab.folder / "table.parquet"), f"{name}.t")
    services = [
        Service("storage", "STORAGE_EMULATOR_HOST", gcs_endpoint, Faults(share, seed=11)),
        Service("jobs", "BIGQUERY_EMULATOR_HOST", bigquery.rest, Faults(share, seed=12)),
        Service("rows", "BIGQUERY_STORAGE_EMULATOR_HOST", bigquery.rows, Faults(share, seed=13)),
        Service("store", "FIRESTORE_EMULATOR_HOST", firestore, Faults(share, seed=14)),
    ]
    with ExitStack() as stack:
        done = run_with(
            lab,
            dict(stack.enter_context(each.behind_proxy()) for each in services),
            f"output=gs://{name}/runs",
            f"store=firestore://{name}",
            "dataset.source=''",
            f"dataset.query=SELECT * FROM `{PROJECT}.{name}.t`",
            f"dataset.staging={PROJECT}.{name}",
            f"dataset.billing={PROJECT}",
        )
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert tables_in(gcs_endpoint, summary["folder"], monkeypatch) == expected
    check_store(firestore, f"firestore://{name}", summary, monkeypatch)
    for each in services:
        assert each.faults.done.total() > 0, each.name
    storage = services[0].faults.done
    broken = sum(count for kind, count in storage.items() if kind)
    assert broken == pytest.approx(share * storage.total(), rel=0.25)
    # A run makes some 500 requests, so that of 5 % broken ones a kind may be missing.
    assert len(set(FAULTS) & set(storage)) >= (9 if share == 0.2 else 6)


def check_store(
    address: str, store: str, summary: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Firestore has each partition once."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", address)
    found = Counter(path.split("/")[-2] for path in all_documents(store))
    assert (found["runs"], found["results"]) == (1, 200)


def test_a_service_that_is_gone_for_good_and_comes_back(
    gcs_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends with one clear error; the run after it finds what the first has finished."""
    lab, expected = make(Workspace(tmp_path), 50)
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    make_bucket(gcs_endpoint, bucket)
    faults, output = Faults(), f"output=gs://{bucket}/runs"
    with faulty_proxy(gcs_endpoint, faults) as url:
        # Segments are written at once, so that some are stored when the service disappears.
        process = subprocess.Popen(
            [
                *COMMAND_THAT_FLUSHES,
                "run",
                str(lab.folder / "spec.yaml"),
                "--json",
                "--set",
                output,
            ],
            env={**os.environ, "STORAGE_EMULATOR_HOST": url, PATIENCE: "3"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while len(member_names_in(gcs_endpoint, f"gs://{bucket}/runs", monkeypatch)) < 3:
            assert process.poll() is None, process.stderr.read() if process.stderr else ""
        faults.gone = True
        _, printed = process.communicate(timeout=240)
        assert process.returncode == 75, printed
        assert "Cloud Storage cannot be reached for 'gs://" in printed
        assert "Run again to resume" in printed
        assert "Traceback" not in printed
        faults.gone = False
        done = run_with(lab, {"STORAGE_EMULATOR_HOST": url}, output)
    assert done.returncode == 0, done.stderr
    assert tables_in(gcs_endpoint, json.loads(done.stdout)["folder"], monkeypatch) == expected
    assert sum(json.loads(done.stdout)["cached"].values()) > 0


def test_the_proxy_itself_changes_nothing(gcs_endpoint: str, tmp_path: Path) -> None:
    """Without faults it passes everything on, or the tests above would test the proxy."""
    faults = Faults()
    lab = Workspace(tmp_path)
    lab.write_table(small_table(3))
    lab.write_spec()
    bucket = f"bucket-{uuid.uuid4().hex[:12]}"
    make_bucket(gcs_endpoint, bucket)
    output = f"output=gs://{bucket}/runs"
    with faulty_proxy(gcs_endpoint, faults) as url:
        done = run_with(lab, {"STORAGE_EMULATOR_HOST": url}, output)
    assert done.returncode == 0, done.stderr
    assert set(faults.done) == {""}
