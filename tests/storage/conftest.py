"""A Google Cloud Storage of the tests' own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.stand_ins import gcs_server, make_bucket


@pytest.fixture(scope="session")
def gcs_endpoint() -> Iterator[str]:
    """One server for all tests."""
    with gcs_server() as url:
        yield url


@pytest.fixture
def gcs(gcs_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A fresh bucket, as ``gs://name``."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_endpoint)
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    make_bucket(gcs_endpoint, name)
    return f"gs://{name}"
