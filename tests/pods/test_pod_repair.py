"""A retry on a cluster computes artifacts again that were deleted or damaged."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from steps.errors import DataError, LostArtifactError
from tests.pods.fake_project import FakeProject, FakeWorkflow
from tests.segment_surgery import damage_member, delete_member
from tests.workspace import small_table


@pytest.fixture
def first(world: FakeProject) -> FakeWorkflow:
    """Return a workflow whose trainers have ended."""
    world.upload(small_table(3))
    workflow = world.workflow(trainer={"name": "linear", "params": {}})
    workflow.run_check()
    workflow.train(workflow.run_split())
    return workflow


def retry(first: FakeWorkflow) -> FakeWorkflow:
    """Run a second workflow that resumes the run of the first."""
    again = first.world.workflow(
        "trial-2", form={"run": first.outputs["run"]}, trainer={"name": "linear", "params": {}}
    )
    again.run_all()
    return again


def one(world: FakeProject, part: str) -> str:
    return next(f"{world.root}/{uri}" for uri in world.files() if part in f"/{uri}")


@pytest.mark.parametrize("lose", [delete_member, damage_member])
@pytest.mark.parametrize("kind", ["explanation", "fit"])
def test_retry_computes_a_lost_result_again(
    world: FakeProject, first: FakeWorkflow, kind: str, lose: Callable[[str, str], None]
) -> None:
    lose(world.root, f"{kind}/*")
    with pytest.raises(LostArtifactError, match="refeed retry"):
        first.run("collect", first.outputs)
    again = retry(first)
    assert {record.status for record in again.records().values()} == {"trained"}
    assert set(again.tables()) >= {"metrics.csv", "partitions.csv"}


@pytest.mark.parametrize("damage", [False, True])
@pytest.mark.parametrize("part", ["/index.json", "/statistics.json"])
def test_retry_computes_a_lost_artifact_again(
    world: FakeProject, first: FakeWorkflow, part: str, damage: bool
) -> None:
    uri = one(world, part)
    if damage:
        world.storage.write(uri, b"{")
    else:
        world.storage.delete(uri)
    with pytest.raises(LostArtifactError, match="refeed retry"):
        first.run("collect", first.outputs)
    again = retry(first)
    assert {record.status for record in again.records().values()} == {"trained"}
    assert set(again.tables()) >= {"metrics.csv", "partitions.csv"}


def test_retry_builds_a_lost_part_file_again(world: FakeProject) -> None:
    world.upload(small_table(3))
    workflow = world.workflow(trainer={"name": "linear", "params": {}})
    workflow.run_check()
    shards = workflow.run_split()
    world.storage.delete(one(world, "/parts/"))
    with pytest.raises(LostArtifactError, match="/parts/"):
        workflow.train(shards)
    again = retry(workflow)
    assert {record.status for record in again.records().values()} == {"trained"}


def test_retry_refuses_to_build_a_lost_dataset_from_other_rows(
    world: FakeProject, first: FakeWorkflow
) -> None:
    world.storage.delete(one(world, "/index.json"))
    world.upload(small_table(4))
    with pytest.raises(DataError, match="the source has changed since"):
        retry(first)


def test_retry_trains_a_partition_with_a_damaged_record(
    world: FakeProject, first: FakeWorkflow
) -> None:
    damage_member(world.root, "record/*")
    again = retry(first)
    assert {record.status for record in again.records().values()} == {"trained"}
