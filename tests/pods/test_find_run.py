"""A run is found by its id without reading the other runs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from steps.errors import MissingInputError
from steps.storage.gcs import GcsStorage
from steps.stores.base import open_store
from tests.pods.fake_project import FakeProject, FakeWorkflow
from workflows.runs.find import find_run


@pytest.fixture
def begun(world: FakeProject) -> FakeWorkflow:
    workflow = world.workflow()
    workflow.run_check()
    return workflow


def test_find_run_reads_one_status_per_experiment(
    begun: FakeWorkflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = open_store(begun.address.layout)
    for number in range(20):
        store.put(replace(begun.stored(), run=f"20260101T000000-{number:04x}"))
    reads: list[str] = []
    read = GcsStorage.read

    def counted(storage: GcsStorage, uri: str) -> bytes:
        reads.append(uri)
        return read(storage, uri)

    monkeypatch.setattr(GcsStorage, "read", counted)
    run = find_run(begun.world.platform, begun.address.run)
    assert run.record.run == begun.address.run
    assert len([uri for uri in reads if uri.endswith("/status.json")]) == 1


def test_unknown_run_lists_recent_runs(begun: FakeWorkflow) -> None:
    with pytest.raises(MissingInputError, match=f"Recent runs: {begun.address.run}"):
        find_run(begun.world.platform, "20000101T000000-0000")
