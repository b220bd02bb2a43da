"""Local servers that tables are read from."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa
import pytest

from tests.fakes import gcs_server, make_bucket
from tests.fakes.bigquery import PROJECT, BigQuery, bigquery_server
from tests.sources.rows_proxy import RowsProxy, rows_proxy


@pytest.fixture(scope="session")
def bigquery_endpoint() -> Iterator[BigQuery]:
    """Run one server for all tests."""
    with bigquery_server() as server:
        yield server


@dataclass
class Warehouse:
    """A new BigQuery dataset for a test, and one for results, accessed through a proxy.

    Attributes:
        server: the BigQuery emulator.
        proxy: proxy in front of its Storage Read API.
        dataset: name of the test's BigQuery dataset.
    """

    server: BigQuery
    proxy: RowsProxy
    dataset: str

    @property
    def staging(self) -> str:
        return f"{PROJECT}.{self.dataset}_staging"

    def uri(self, table: str) -> str:
        return f"bigquery://{self.name(table)}"

    def name(self, table: str) -> str:
        return f"{PROJECT}.{self.dataset}.{table}"

    def load(self, table: pa.Table, name: str = "t") -> None:
        self.server.load(table, f"{self.dataset}.{name}")

    def run(self, sql: str) -> None:
        """Run a statement in which ``{d}`` stands for the dataset."""
        self.server.run(sql.replace("{d}", self.dataset))

    def jobs(self) -> list[str]:
        """Return ids of the jobs that wrote, or failed to write, into the staging dataset."""
        jobs = self.server.client.list_jobs(max_results=1000)
        return sorted(
            job.job_id
            for job in jobs
            if job.job_type == "query" and f"{self.staging}.refeed_" in (job.query or "")
        )

    def results(self) -> list[str]:
        """Return names of the tables in the staging dataset."""
        return sorted(t.table_id for t in self.server.client.list_tables(self.staging))


@pytest.fixture
def warehouse(bigquery_endpoint: BigQuery, monkeypatch: pytest.MonkeyPatch) -> Iterator[Warehouse]:
    """Create a new BigQuery dataset."""
    name = f"d{uuid.uuid4().hex[:12]}"
    with rows_proxy(bigquery_endpoint.rows) as proxy:
        house = Warehouse(bigquery_endpoint, proxy, name)
        for dataset in (f"{PROJECT}.{name}", house.staging):
            bigquery_endpoint.client.create_dataset(dataset)
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_endpoint.rest)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", proxy.address)
        yield house


@pytest.fixture(scope="session")
def bucket_endpoint() -> Iterator[str]:
    """Run one server for all tests."""
    with gcs_server() as url:
        yield url


@pytest.fixture
def bucket(bucket_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Create a new bucket, and return it as ``gs://name``."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", bucket_endpoint)
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    make_bucket(bucket_endpoint, name)
    return f"gs://{name}"


os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC logs each server that a test stops
