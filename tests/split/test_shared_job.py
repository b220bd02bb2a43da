"""One job per dataset build: rebuilds, slow processes and killed processes start no second job."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from steps.contract import ProjectLayout, RunAddress
from steps.errors import DataError, ForbiddenError, TransientError
from steps.google.dataflow import Dataflow
from steps.records import PartitionIndex
from steps.split.coordination.cancel import cancel_jobs, cancel_unless_followed
from steps.split.coordination.dataset_pointer import DatasetPointer
from steps.split.engines.beam import job as job_module
from steps.split.engines.job_output import delete_job_output
from steps.split.sources.remote import RemoteFiles
from steps.storage.base import storage_for
from tests.fakes.dataflow import Jobs
from tests.split.dataflow_helpers import (
    CONFIG,
    claims_of,
    engine,
    split_with,
    submitted_numbers,
    upload,
)
from tests.workspace import small_table

SUBMIT = "steps.split.engines.beam.job._submit_once"
DELETE_OUTPUT = "steps.split.step.delete_job_output"


class KilledError(BaseException):
    """A kill of the process, which no code catches."""


def die(*_: object, **__: object) -> Any:
    """Simulate the death of the process."""
    raise KilledError


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that splits, and dies when a named function is called."""

    def kill(function: str, *args: Any, **options: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(function, die)
            with pytest.raises(KilledError):
                split_with(*args, **options)

    return kill


def distinct_names(jobs: Jobs) -> int:
    """Return the number of distinct job names."""
    return len({job.about["name"] for job in jobs.jobs.values()})


def remove(folder: str) -> None:
    """Delete a folder, like a cleanup by hand or by a lifecycle rule."""
    storage = storage_for(folder)
    for name in storage.names(folder):
        remove(f"{folder}/{name}")
    storage.delete(folder)


# --- rebuilt datasets


def test_forced_run_does_not_reuse_job_of_earlier_dataset(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """The claim's owner dies before submitting; no job exists."""
    source = upload(root, tmp_path)
    first = split_with(engine(), source, root)
    killed_at(SUBMIT, engine(), source, root, force=True)
    again = split_with(engine(), source, root, force=True)
    assert not again.reused
    assert again.index == first.index
    assert submitted_numbers(jobs) == ["1", "1"]
    assert distinct_names(jobs) == 2


@pytest.mark.parametrize("left", [False, True])
def test_deleted_dataset_is_rebuilt(
    left: bool, root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """Leftover claims and job output, which refer to deleted parts, do not matter."""
    source = upload(root, tmp_path)
    if left:
        killed_at(DELETE_OUTPUT, engine(), source, root)
    first = split_with(engine(), source, root)
    folder = ProjectLayout(root, "p").dataset(first.index.dataset).base
    remove(folder)
    assert split_with(engine(), source, root).index == first.index
    assert storage_for(root).exists(f"{folder}/{first.index.entries[0].parts[0]}")
    assert split_with(engine(), source, root).reused
    assert submitted_numbers(jobs) == ["1", "1"]


@pytest.mark.parametrize("where", ["steps.split.engines.job_output.JobOutput.clear", DELETE_OUTPUT])
def test_forced_run_ignores_leftover_claims_and_parts(
    where: str, root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """The process that built the dataset dies before it deletes claims and job output."""
    source = upload(root, tmp_path)
    killed_at(where, engine(), source, root)
    again = split_with(engine(), source, root, force=True)
    assert not again.reused
    assert submitted_numbers(jobs) == ["1", "1"]
    assert split_with(engine(), source, root).reused


def test_job_with_deleted_parts_is_repeated(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    source = upload(root, tmp_path)
    killed_at("steps.split.engines.beam.dataflow.assemble_dataset", engine(), source, root)
    claims = claims_of(root)
    remove(claims.layout.outputs)
    made = split_with(engine(), source, root)
    assert made.index.rows == len(small_table())
    assert submitted_numbers(jobs) == ["1", "2"]


def test_reused_job_name_after_cleanup_starts_new_job(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """A lifecycle rule deletes claims after a week, while Dataflow still lists the job."""
    source = upload(root, tmp_path)
    killed_at("steps.split.engines.beam.dataflow.assemble_dataset", engine(), source, root)
    remove(ProjectLayout(root, "p").builds)
    killed_at(SUBMIT, engine(), source, root)
    assert split_with(engine(), source, root).index.rows == len(small_table())
    assert submitted_numbers(jobs) == ["1", "1"]


def test_forced_run_ignores_earlier_row_error(root: str, jobs: Jobs, tmp_path: Path) -> None:
    table = small_table()
    bad = table.append_column("bad", pa.array([float("inf")] * len(table)))
    source = upload(root, tmp_path, bad)
    for force in (False, False, True):
        with pytest.raises(DataError, match="'bad' contains an infinite value"):
            split_with(engine(), source, root, force=force)
    assert submitted_numbers(jobs) == ["1", "2"]


def test_killed_forced_run_reads_its_source_once(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    source, checkpoint = upload(root, tmp_path), f"{root}/checkpoint.json"
    first = split_with(engine(), source, root)
    options: dict[str, Any] = {"force": True, "checkpoint": checkpoint}
    killed_at(SUBMIT, engine(), source, root, **options)
    killed_at(
        "steps.split.engines.beam.dataflow.assemble_dataset", engine(), source, root, **options
    )
    killed_at(
        "steps.split.coordination.dataset_pointer.DatasetPointer.put",
        engine(),
        source,
        root,
        **options,
    )
    killed_at(DELETE_OUTPUT, engine(), source, root, **options)
    killed_at("steps.split.step._split_result", engine(), source, root, **options)
    again = split_with(engine(), source, root, **options)
    assert again.reused
    assert again.index == first.index
    assert submitted_numbers(jobs) == ["1", "1"]


def test_killed_forced_run_reports_error_of_its_own_job(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    table, checkpoint = small_table(), f"{root}/checkpoint.json"
    bad = table.append_column("bad", pa.array([float("inf")] * len(table)))
    source = upload(root, tmp_path, bad)
    options: dict[str, Any] = {"force": True, "checkpoint": checkpoint}
    killed_at("steps.split.engines.beam.dataflow._follow", engine(), source, root, **options)
    (job,) = jobs.jobs.values()
    while job.state != "JOB_STATE_FAILED":
        time.sleep(0.1)
    with pytest.raises(DataError, match="'bad' contains an infinite value"):
        split_with(engine(), source, root, **options)
    assert submitted_numbers(jobs) == ["1"]


def test_failed_forced_run_reads_its_source_again(root: str, jobs: Jobs, tmp_path: Path) -> None:
    """A source that was fixed in the meantime is read again."""
    table, checkpoint = small_table(), f"{root}/checkpoint.json"
    bad = table.append_column("bad", pa.array([float("inf")] * len(table)))
    source = upload(root, tmp_path, bad)
    for _ in range(2):
        with pytest.raises(DataError):
            split_with(engine(), source, root, force=True, checkpoint=checkpoint)
    assert not storage_for(root).exists(checkpoint)
    assert submitted_numbers(jobs) == ["1", "2"]


def test_late_cleanup_keeps_output_of_next_build(
    root: str,
    jobs: Jobs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed_at: Callable[..., None],
) -> None:
    """A forced run starts in the meantime, its pod is killed, and its job is found again."""
    source, checkpoint = upload(root, tmp_path), f"{root}/checkpoint.json"
    options: dict[str, Any] = {"force": True, "checkpoint": checkpoint}

    def delayed(*args: Any) -> None:
        monkeypatch.setattr(DELETE_OUTPUT, delete_job_output)
        at = "steps.split.engines.beam.dataflow.assemble_dataset"
        killed_at(at, engine("forced"), source, root, **options)
        delete_job_output(*args)

    monkeypatch.setattr(DELETE_OUTPUT, delayed)
    split_with(engine(), source, root)
    assert submitted_numbers(jobs) == ["1", "1"]
    assert not split_with(engine("forced"), source, root, **options).reused
    assert submitted_numbers(jobs) == ["1", "1"]


# --- slow processes


@pytest.mark.parametrize("where", ["build", "_submit_once"])
def test_slow_claimer_submits_no_second_job(
    where: str, root: str, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dataflow accepts a request once, even after the job with that name has ended."""
    source, at, real = upload(root, tmp_path), f"steps.split.engines.beam.job.{where}", job_module
    original = getattr(real, where)

    def delayed(*args: Any) -> Any:
        monkeypatch.setattr(at, original)
        split_with(engine("the other"), source, root)
        return original(*args)

    monkeypatch.setattr(at, delayed)
    made = split_with(engine(), source, root)
    assert submitted_numbers(jobs) == ["1"]
    assert made.index == split_with(engine(), source, root).index


def test_slow_claimer_follows_newer_claim_in_other_region(
    root: str,
    jobs: Jobs,
    tmp_path: Path,
    killed_at: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, original = upload(root, tmp_path), RemoteFiles.pieces
    elsewhere = CONFIG.model_copy(update={"region": "us-east1"})
    jobs.delay = 60.0

    def delayed(*args: Any) -> Any:
        monkeypatch.setattr(RemoteFiles, "pieces", original)
        other = engine("the other", elsewhere)
        killed_at("steps.split.engines.beam.dataflow._follow", other, source, root)
        jobs.hurry()
        return original(*args)

    monkeypatch.setattr(RemoteFiles, "pieces", delayed)
    assert split_with(engine(), source, root).index.rows == len(small_table())
    assert submitted_numbers(jobs) == ["2"]


@pytest.mark.parametrize("look", [1, 2, 3])
def test_pointer_written_during_lookup_is_used(
    look: int, root: str, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The new pointer is used, not taken for the ignored version."""
    source, original, looks = upload(root, tmp_path), DatasetPointer.find, count(1)

    def delayed(link: DatasetPointer) -> PartitionIndex | None:
        found = original(link)
        if next(looks) == look:
            monkeypatch.setattr(DatasetPointer, "find", original)
            split_with(engine("the other"), source, root)
        return found

    monkeypatch.setattr(DatasetPointer, "find", delayed)
    assert split_with(engine(), source, root).reused
    assert submitted_numbers(jobs) == ["1"]


def test_job_that_ends_before_it_is_listed_is_found(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """Dataflow rejects the second request, and does not list the first job for a while."""
    source, jobs.lag = upload(root, tmp_path), 20.0
    killed_at("steps.google.dataflow.Dataflow.get", engine(), source, root)
    (job,) = jobs.jobs.values()
    while job.state != "JOB_STATE_DONE":
        time.sleep(0.1)
    assert split_with(engine(), source, root).index.rows == len(small_table())
    assert submitted_numbers(jobs) == ["1"]


def test_unlisted_job_is_found_later(root: str, jobs: Jobs, tmp_path: Path) -> None:
    source, jobs.lag = upload(root, tmp_path), 3.0
    assert split_with(engine(), source, root).index.rows == len(small_table())
    assert submitted_numbers(jobs) == ["1"]


def test_unlisted_job_of_killed_submitter_is_found(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    source, jobs.lag = upload(root, tmp_path), 3.0
    killed_at("steps.google.dataflow.Dataflow.get", engine(), source, root)
    assert split_with(engine(), source, root).index.rows == len(small_table())
    assert submitted_numbers(jobs) == ["1"]


def test_job_is_found_in_its_region(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """Another run can use another region."""
    running(root, jobs, tmp_path, killed_at)
    jobs.hurry()
    elsewhere = CONFIG.model_copy(update={"region": "us-east1"})
    made = split_with(engine(config=elsewhere), f"{root}/table.parquet", root)
    assert made.index.rows == len(small_table())
    assert submitted_numbers(jobs) == ["1"]
    assert [job.about["location"] for job in jobs.jobs.values()] == ["europe-west1"]


def test_unsubmitted_claim_in_other_region_is_replaced(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    source = upload(root, tmp_path)
    killed_at(SUBMIT, engine(), source, root)
    elsewhere = CONFIG.model_copy(update={"region": "us-east1"})
    split_with(engine(config=elsewhere), source, root)
    assert submitted_numbers(jobs) == ["2"]
    assert [job.about["location"] for job in jobs.jobs.values()] == ["us-east1"]


def test_vanished_job_is_not_submitted_again(
    root: str,
    jobs: Jobs,
    tmp_path: Path,
    killed_at: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Dataflow may have lost it only temporarily, while the job continues."""
    source = upload(root, tmp_path)
    killed_at("steps.split.engines.beam.dataflow.assemble_dataset", engine(), source, root)
    jobs.lag = 3600.0
    monkeypatch.setattr(
        job_module,
        "Dataflow",
        lambda project, region: Dataflow(project, region, deadline=0.5, lag=0.5),
    )
    with pytest.raises(
        TransientError, match="Dataflow does not have the job in the region europe-west1"
    ):
        split_with(engine(), source, root)
    assert submitted_numbers(jobs) == ["1"]


# --- followers that leave


def running(root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]) -> None:
    """Start a job whose follower is killed."""
    jobs.delay = 60.0
    killed_at("steps.split.engines.beam.dataflow._follow", engine(), upload(root, tmp_path), root)


def states(jobs: Jobs) -> list[str]:
    """Return the states of all jobs."""
    return [job.state.removeprefix("JOB_STATE_") for job in jobs.jobs.values()]


@pytest.mark.parametrize("error", [KilledError, ForbiddenError("No role.", hint="Grant it.")])
def test_interrupted_cancel_is_repeated(
    error: BaseException,
    root: str,
    jobs: Jobs,
    tmp_path: Path,
    killed_at: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running(root, jobs, tmp_path, killed_at)
    claims = claims_of(root)

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(Dataflow, "cancel", fail)
        with suppress(KilledError, ForbiddenError):
            cancel_unless_followed(claims, "run")
    assert states(jobs) == ["PENDING"]
    assert claims.is_followed_by("run")
    cancelled = cancel_unless_followed(claims, "run")
    assert cancelled is not None
    assert states(jobs) == ["CANCELLED"]
    assert not claims.is_followed_by("run")


def test_run_cancels_only_its_own_job(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    address = RunAddress(root, "p", "experiment", "run")
    jobs.delay = 60.0
    followed = "steps.split.engines.beam.dataflow._follow"
    killed_at(followed, engine("another run"), upload(root, tmp_path), root)
    rows = small_table(3)
    killed_at(followed, engine(address.follower), upload(root, tmp_path, rows), root)
    (cancelled,) = cancel_jobs(address, storage_for(root))
    assert states(jobs) == ["PENDING", "CANCELLED"]
    assert cancelled == list(jobs.jobs.values())[1].about["name"]
    assert not list(cancel_jobs(address, storage_for(root)))


def test_two_followers_leaving_at_once_cancel_the_job(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """A follower that is leaving does not keep the job running."""
    running(root, jobs, tmp_path, killed_at)
    claims = claims_of(root)
    claims.follow("the other")
    assert not claims.leave("the other")
    assert cancel_unless_followed(claims, "run") is not None
    assert states(jobs) == ["CANCELLED"]


def test_returning_follower_keeps_the_job(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    running(root, jobs, tmp_path, killed_at)
    claims = claims_of(root)
    claims.follow("the other")
    claims.leave("the other")
    claims.follow("the other")
    assert cancel_unless_followed(claims, "run") is None
    assert states(jobs) == ["PENDING"]


def test_unlisted_job_is_cancelled(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """The process that submitted the job dies before it records the id."""
    jobs.delay, jobs.lag = 60.0, 3.0
    killed_at("steps.google.dataflow.Dataflow.get", engine(), upload(root, tmp_path), root)
    assert cancel_unless_followed(claims_of(root), "run") is not None
    assert states(jobs) == ["CANCELLED"]
