"""Fixtures with fake Cloud Storage and Dataflow."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from steps.google.dataflow import ENDPOINT
from tests.fakes import gcs_server, make_bucket
from tests.fakes.dataflow import Jobs, dataflow_server


@pytest.fixture(scope="module")
def gcs_endpoint() -> Iterator[str]:
    with gcs_server() as url:
        yield url


@pytest.fixture
def root(gcs_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_endpoint)
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    make_bucket(gcs_endpoint, name)
    return f"gs://{name}/root"


@pytest.fixture
def jobs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Jobs]:
    with dataflow_server() as (url, jobs):
        monkeypatch.setenv(ENDPOINT, url)
        yield jobs
