"""Fixtures with fake Cloud Storage and the Firestore emulator."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.fakes import gcs_server, make_bucket
from tests.fakes.firestore import firestore_emulator


@pytest.fixture(scope="session")
def gcs_endpoint() -> Iterator[str]:
    """Run one server for all tests."""
    with gcs_server() as url:
        yield url


@pytest.fixture
def gcs(gcs_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Create a new bucket, and return it as ``gs://name``."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs_endpoint)
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    make_bucket(gcs_endpoint, name)
    return f"gs://{name}"


@pytest.fixture(scope="session")
def firestore_address() -> Iterator[str]:
    """Run one emulator for all tests."""
    with firestore_emulator() as address:
        yield address


@pytest.fixture
def firestore(firestore_address: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return an empty database as ``firestore://project``."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_address)
    return f"firestore://refeed-{uuid.uuid4().hex[:12]}"
