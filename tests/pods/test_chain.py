"""All steps as pods, compared with a local run of the same spec."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pytest

from steps.errors import SpecError, TooManyFailuresError
from tests.objectives import SPECS, claims_table
from tests.pods.fake_project import FakeProject
from tests.segment_surgery import member_names
from tests.workspace import Workspace, small_table
from workflows.local import run
from workflows.planning import packing


def uneven_table() -> pa.Table:
    """Five partitions for the small class, and one for the next."""
    large = small_table(1, rows=4500, seed=3)
    keys = pa.array(["large"] * 4500)
    return pa.concat_tables([small_table(5), large.set_column(0, "key", keys)])


@pytest.mark.slow
def test_pods_write_the_same_bytes_as_a_laptop(
    world: FakeProject, lab: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        packing, "WORTH_SECONDS", {"time": 1e-3}
    )  # so that there are several shards
    table = uneven_table()
    world.upload(table)
    workflow = world.workflow()
    workflow.run_check()
    shards = workflow.run_split()
    assert {template for template, _ in shards} == {"train-small", "train-medium"}
    assert len(shards) >= 4
    workflow.train(shards)
    left = workflow.run("collect", workflow.outputs)
    lab.write_table(table)
    reference = run(lab.write_spec())
    local = lab.tables(reference.layout.base)
    assert workflow.tables() == local
    assert len(local) >= 6
    assert left["trained"] == "6"
    assert left["failed"] == left["skipped"] == left["pods-lost"] == "0"
    assert {cause for _, _, cause in workflow.pods()} == {"done"}
    assert workflow.stored().status == "finished"
    assert workflow.stored().counts == {"trained": 6, "skipped": 0, "failed": 0}
    assert b"<html" in (world.folder / "outputs" / "report.html").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_pods_write_the_same_bytes_for_any_objective(
    name: str, world: FakeProject, lab: Workspace
) -> None:
    table = claims_table()
    world.upload(table)
    workflow = world.workflow(**SPECS[name])
    workflow.run_check()
    workflow.train(workflow.run_split())
    workflow.run("collect", workflow.outputs)
    lab.write_table(table)
    reference = run(lab.write_spec(**SPECS[name]))
    assert reference.outcome.counts == {"trained": 3, "skipped": 0, "failed": 0}
    assert workflow.tables() == lab.tables(reference.layout.base)


def test_an_offset_that_the_trainer_cannot_use_fails_in_split(world: FakeProject) -> None:
    world.upload(claims_table())
    offset: dict[str, Any] = {"dataset__target": "late", "dataset__offset": "score"}
    workflow = world.workflow(trainer={"name": "linear", "params": {}}, **offset)
    workflow.run_check()
    with pytest.raises(SpecError, match="cannot add it to the score of a binary task"):
        workflow.run_split()


def test_repeated_split_writes_no_shard_again(world: FakeProject) -> None:
    world.upload(small_table(3))
    workflow = world.workflow()
    workflow.run_check()
    first = workflow.run_split()
    layout = workflow.address.run_layout
    uris = [layout.request, layout.plan, layout.shard("small-00000")]
    before = [world.storage.version(uri) for uri in uris]
    assert workflow.run_split() == first == [("train-small", "00000")]
    assert [world.storage.version(uri) for uri in uris] == before


def test_trained_shard_is_not_fitted_again(world: FakeProject) -> None:
    world.upload(small_table(3))
    workflow = world.workflow()
    workflow.run_check()
    shards = workflow.run_split()
    workflow.train(shards)
    layout = workflow.address.run_layout
    assert not world.storage.names(layout.marks)
    before = world.storage.objects(workflow.address.layout.cache.base)
    workflow.train(shards)
    assert len(workflow.records()) == 3
    assert world.storage.objects(workflow.address.layout.cache.base) == before


def test_second_workflow_reuses_dataset_and_fits(world: FakeProject) -> None:
    world.upload(small_table(3))
    first, second = world.workflow("trial-1"), world.workflow("trial-2")
    first.run_all()
    before = [name for name in world.files() if "/datasets/" in name]
    fits = member_names(world.root, "fit/*")
    second.run_all()
    assert [name for name in world.files() if "/datasets/" in name] == before
    assert member_names(world.root, "fit/*") == fits
    assert len(member_names(world.root, "record/*")) == 6
    assert second.outputs["run"] != first.outputs["run"]
    assert second.tables() == first.tables()


def test_too_large_partition_fails_and_names_class_to_add(
    world: FakeProject,
) -> None:
    world.upload(uneven_table())
    workflow = world.workflow(execution__classes=["small"])
    left = workflow.run_all()
    record = workflow.records()["large"]
    assert (record.status, record.reason) == ("failed", "too_large")
    assert "4,500 rows with 4 features need about 0.4 GiB" in record.message
    assert "'small', has (0.4 GiB). Add a class with at least 1 GiB" in record.message
    assert (left["trained"], left["failed"]) == ("5", "1")


def test_too_many_failures_have_own_exit_code_and_keep_tables(
    world: FakeProject,
) -> None:
    world.upload(uneven_table())
    workflow = world.workflow(execution__classes=["small"], execution__max_failed_fraction=0.1)
    with pytest.raises(TooManyFailuresError) as caught:
        workflow.run_all()
    assert caught.value.exit_code == 3
    assert str(caught.value).startswith("1 of 6 partitions failed")
    assert workflow.stored().status == "failed"
    assert workflow.stored().message == "1 of 6 partitions failed."
    assert (world.folder / "outputs" / "failed").read_text() == "1"
    assert workflow.tables()


def test_a_forced_run_has_a_cache_of_its_own(world: FakeProject) -> None:
    world.upload(small_table(2))
    workflow = world.workflow(form={"force": "true"})
    workflow.run_all()
    files = world.files()
    assert any(f"runs/trial/{workflow.outputs['run']}/cache/" in name for name in files)
    assert not any(name.startswith("lab/cache/") for name in files)


def test_killed_forced_split_reads_no_row_again(world: FakeProject) -> None:
    world.upload(small_table(2))
    workflow = world.workflow(form={"force": "true"})

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workflows.pods.split.write_request", killed)
        workflow.run_check()
        with pytest.raises(KeyboardInterrupt):
            workflow.run_split()
    (link,) = (f"{world.root}/{n}" for n in world.files() if "/datasets/sources/" in n)
    version = world.storage.version(link)  # it is written whenever the source has been read
    workflow.run_all()
    assert world.storage.version(link) == version


def events(world: FakeProject, base: str) -> list[dict[str, Any]]:
    lines = [
        line
        for name in world.storage.names(f"{base}/logs")
        for line in world.storage.read(f"{base}/logs/{name}").splitlines()
    ]
    return [json.loads(line) for line in lines]


def test_each_step_leaves_a_log_that_outlives_its_pod(world: FakeProject) -> None:
    world.upload(small_table(2))
    workflow = world.workflow()
    workflow.run_all()
    lines = events(world, workflow.address.run_layout.base)
    ended = {line["step"] for line in lines if line["event"] == "end" and line["ok"]}
    assert ended == {"check", "split", "train-small-00000", "collect"}
    assert sum(line["event"] == "partition" for line in lines) == 2
