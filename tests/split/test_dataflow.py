"""The Dataflow engine: a job is submitted once, even if the process that follows it fails."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from apache_beam import Pipeline
from apache_beam.portability import common_urns
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from steps.contract import ProjectLayout
from steps.errors import DataError, ForbiddenError, RefeedError, SpecError, TransientError
from steps.google.dataflow import ENDPOINT, Dataflow
from steps.records import Column, PartitionIndex
from steps.split.config import SplitConfig
from steps.split.coordination.cancel import cancel_unless_followed
from steps.split.coordination.claims import Claim, Claims
from steps.split.dataset.plan import SplitPlan
from steps.split.engines.assemble import assemble_dataset
from steps.split.engines.beam.pipeline import JobContext, build
from steps.split.engines.choose import choose_engine
from steps.split.engines.embedded import build_dataset
from steps.split.engines.job_output import JobOutput
from steps.storage.base import storage_for
from tests.fakes import SOAK, answering
from tests.fakes.dataflow import Jobs
from tests.fakes.faults import Faults, faulty_proxy
from tests.split.dataflow_helpers import (
    build_id,
    child,
    claims_of,
    engine,
    split_with,
    submitted_numbers,
    upload,
)
from tests.workspace import small_table


def test_job_builds_the_same_dataset_as_embedded_engine(
    root: str, jobs: Jobs, tmp_path: Path
) -> None:
    source = upload(root, tmp_path)
    made = split_with(engine(), source, root)
    assert len(jobs.jobs) == 1
    local = ProjectLayout(str(tmp_path), "p")
    here = split_with(build_dataset, source, str(tmp_path))
    assert made == here
    storage = storage_for(root)
    there = ProjectLayout(root, "p").dataset(made.index.dataset)
    mine = local.dataset(made.index.dataset)
    for path in ("index.json", "statistics.json", "sample.arrow", *made.index.entries[0].parts):
        assert storage.read(f"{there.base}/{path}") == Path(mine.base, path).read_bytes()
    (job,) = jobs.jobs
    counters = Dataflow("refeed-test", "europe-west1").counters(job)
    assert counters["rows-read"] == counters["rows-written"] == made.index.rows
    again = split_with(engine(), source, root)
    assert again.reused
    assert len(jobs.jobs) == 1


def test_two_concurrent_runs_share_one_job(root: str, jobs: Jobs, tmp_path: Path) -> None:
    """Both try to claim; the one that fails finds the job of the other."""
    source = upload(root, tmp_path)
    jobs.delay = 1.0
    processes = [child(source, root) for _ in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    assert submitted_numbers(jobs) == ["1"]


def test_second_finisher_returns_published_dataset(
    root: str, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run publishes the dataset and deletes the job's output while this run reads it."""
    source, ending = upload(root, tmp_path), "steps.split.engines.beam.dataflow.assemble_dataset"

    def delayed(*args: Any) -> PartitionIndex:
        monkeypatch.setattr(ending, assemble_dataset)
        split_with(engine("the other"), source, root)
        return assemble_dataset(*args)

    monkeypatch.setattr(ending, delayed)
    made = split_with(engine(), source, root)
    assert submitted_numbers(jobs) == ["1"]
    assert made.index == split_with(engine(), source, root).index


def test_run_after_published_dataset_submits_no_job(
    root: str, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run builds the dataset and cleans up between this run's two lookups."""
    source = upload(root, tmp_path)
    latest = Claims.latest

    def delayed(claims: Claims) -> Claim | None:
        monkeypatch.setattr(Claims, "latest", latest)
        split_with(engine("the other"), source, root)
        return latest(claims)

    monkeypatch.setattr(Claims, "latest", delayed)
    made = split_with(engine(), source, root)
    assert submitted_numbers(jobs) == ["1"]
    assert made.index == split_with(engine(), source, root).index
    assert claims_of(root).latest() is None


def test_rebuild_keeps_existing_dataset_visible(
    root: str, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a forced run reads the source again, other runs still find the existing dataset."""
    source, ending = upload(root, tmp_path), "steps.split.engines.beam.dataflow.assemble_dataset"
    first, found = split_with(engine(), source, root), []

    def delayed(*args: Any) -> PartitionIndex:
        monkeypatch.setattr(ending, assemble_dataset)
        found.append(split_with(engine("the other"), source, root).reused)
        return assemble_dataset(*args)

    monkeypatch.setattr(ending, delayed)
    again = split_with(engine(), source, root, force=True)
    assert found == [True]
    assert not again.reused
    assert again.index == first.index
    assert submitted_numbers(jobs) == ["1", "1"]


@pytest.mark.soak
def test_kills_at_random_times_leave_one_job(root: str, jobs: Jobs, tmp_path: Path) -> None:
    """After twenty kills of the following process, the last one finishes with the same job."""
    source, random = upload(root, tmp_path), Random(5)
    kills = 20 * SOAK
    jobs.delay = 3600.0
    expected = split_with(build_dataset, source, f"{root}/expected")
    for number in range(kills):
        process = child(source, root)
        with suppress(subprocess.TimeoutExpired):
            process.wait(random.uniform(1.0, 6.0))
        process.kill()
        process.wait()
        if number == 3 * kills // 4:  # from now on the job itself works, ends, and is finished
            jobs.hurry()
    made = split_with(engine(), source, root)
    assert made.index == expected.index
    assert submitted_numbers(jobs) == ["1"]


def test_claim_of_killed_process_is_submitted(
    root: str, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = upload(root, tmp_path)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("steps.split.engines.beam.job.build", die)
        with pytest.raises(KeyboardInterrupt):
            split_with(engine(), source, root)
    assert not jobs.jobs
    split_with(engine(), source, root)
    assert submitted_numbers(jobs) == ["1"]


@pytest.mark.parametrize("share", [0.05, 0.2])
def test_network_faults_submit_one_job(
    share: float,
    root: str,
    jobs: Jobs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Responses are lost, and requests are duplicated."""
    source = upload(root, tmp_path)
    expected = split_with(build_dataset, source, f"{root}/expected")
    faults = Faults(share, seed=3)
    jobs.delay = 1.0
    with faulty_proxy(os.environ[ENDPOINT], faults) as url:
        monkeypatch.setenv(ENDPOINT, url.replace("127.0.0.1", "localhost"))
        for number in range(2):
            project = f"{root}/{number}"
            assert split_with(engine(), source, project).index == expected.index
    assert submitted_numbers(jobs) == ["1"] * len(jobs.jobs)
    assert len(jobs.jobs) == 2
    assert sum(count for kind, count in faults.done.items() if kind) > 0


def test_throttled_submission_is_retried(
    root: str, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beam itself does not retry after status 429."""
    source = upload(root, tmp_path)
    faults = Faults(1.0, kinds=("429",))

    def relent() -> None:
        while faults.done["429"] < 2:
            time.sleep(0.05)
        faults.share = 0.0

    thread = threading.Thread(target=relent)
    thread.start()
    with faulty_proxy(os.environ[ENDPOINT], faults) as url:
        monkeypatch.setenv(ENDPOINT, url.replace("127.0.0.1", "localhost"))
        made = split_with(engine(), source, root)
    thread.join()
    assert made.index.rows == len(small_table())
    assert submitted_numbers(jobs) == ["1"]


def test_cancelled_job_is_replaced_by_next_number(root: str, jobs: Jobs, tmp_path: Path) -> None:
    source = upload(root, tmp_path)
    jobs.delay = 60.0

    def cancel() -> None:
        while not jobs.jobs:
            time.sleep(0.05)
        next(iter(jobs.jobs.values())).cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    with pytest.raises(
        TransientError, match=r"The Dataflow job 'refeed-\w{24}-\w{8}-1' was cancelled"
    ):
        split_with(engine(), source, root)
    thread.join()
    jobs.delay = 0.0
    made = split_with(engine(), source, root)
    assert submitted_numbers(jobs) == ["1", "2"]
    assert made.index.rows == len(small_table())


def test_row_error_is_reported_without_second_job(root: str, jobs: Jobs, tmp_path: Path) -> None:
    table = small_table()
    bad = table.append_column("bad", pa.array([float("inf")] * len(table)))
    source = upload(root, tmp_path, bad)
    for _ in range(2):
        with pytest.raises(DataError, match="'bad' contains an infinite value"):
            split_with(engine(), source, root)
    assert submitted_numbers(jobs) == ["1"]


def test_failed_job_reports_dataflow_message(
    root: str, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = upload(root, tmp_path)
    monkeypatch.setenv("PYTHONHASHSEED", "no number")  # the worker's Python does not start
    with pytest.raises(TransientError, match="-1' failed: Python runtime state: preinitialized"):
        split_with(engine(), source, root)


def test_denied_job_is_retried_after_role_is_granted(
    root: str, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing role, unlike a bad row, can be fixed; then the next job succeeds."""
    source = upload(root, tmp_path)
    with monkeypatch.context() as patch:
        patch.setenv("PYTHONHASHSEED", "no number")  # the worker's Python does not start
        with pytest.raises(TransientError):
            split_with(engine(), source, root)
    project, storage = ProjectLayout(root, "p"), storage_for(root)
    claim = claims_of(root).latest()
    assert claim is not None
    output = JobOutput(project, build_id(root), claim.nonce, storage)
    output.write_error(ForbiddenError("No role.", hint="Grant it."))
    error = output.error()
    assert isinstance(error, ForbiddenError)
    assert str(error) == "No role.\nGrant it."
    assert split_with(engine(), source, root).index.rows == len(small_table())
    assert submitted_numbers(jobs) == ["1", "2"]


def test_job_without_followers_is_cancelled(root: str, jobs: Jobs, tmp_path: Path) -> None:
    source = upload(root, tmp_path)
    jobs.delay = 60.0
    first, second = child(source, root), child(source, root)
    while not jobs.jobs:
        time.sleep(0.1)
    for process in (first, second):
        process.kill()
        process.wait()
    claims = claims_of(root)
    claims.follow("another run")
    assert cancel_unless_followed(claims, "run") is None
    cancelled = cancel_unless_followed(claims, "another run")
    assert cancelled is not None
    assert [job.state for job in jobs.jobs.values()] == ["JOB_STATE_CANCELLED"]
    assert cancel_unless_followed(claims, "another run") is None


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (403, ForbiddenError, "roles/dataflow.developer"),
        (401, ForbiddenError, "gcloud auth application-default login"),
        (429, TransientError, "the job itself continues"),
        (503, TransientError, "the job itself continues"),
    ],
)
def test_error_responses(
    status: int, kind: type[RefeedError], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with answering(status) as url:
        monkeypatch.setenv(ENDPOINT, url.replace("127.0.0.1", "localhost"))
        with pytest.raises(kind) as caught:
            Dataflow("refeed-test", "europe-west1", deadline=0.5).find("refeed-1")
    assert words in str(caught.value)


def test_missing_gcp_project_is_a_spec_error() -> None:
    with pytest.raises(SpecError, match=r"split\.gcp_project: Dataflow requires this setting"):
        choose_engine(SplitConfig(engine="dataflow"))


def test_pipeline_shuffles_between_read_route_and_write(tmp_path: Path) -> None:
    """Reading, routing and writing are separate steps with a shuffle between them.

    Pieces are distributed to workers before they are read, and rows are shuffled by group before
    they are written. Only merging the first pass runs in one place.
    """
    plan = SplitPlan((Column("key", "string"),), "key", "parquet", identity="x")
    pipeline = Pipeline(FnApiRunner())
    build(pipeline, [], JobContext(plan, ProjectLayout(str(tmp_path), "p"), "1"))
    graph = pipeline.to_runner_api().components
    steps = {t.unique_name: t for t in graph.transforms.values()}
    urns = common_urns.primitives

    def makers(collection: str) -> set[str]:
        return {n for n, t in steps.items() if collection in t.outputs.values()}

    def inputs(name: str) -> set[str]:
        return {maker for c in steps[name].inputs.values() for maker in makers(c)}

    assert {steps[n].spec.urn for n in ("summarize", "route", "write")} == {urns.PAR_DO.urn}
    assert "group" in inputs("write")
    assert steps["group"].spec.urn == urns.GROUP_BY_KEY.urn
    assert inputs("group") == {"route"}
    assert any(name.startswith("pieces") for name in inputs("summarize"))
    assert any("Reshuffle" in name for name in steps if name.startswith("pieces"))
