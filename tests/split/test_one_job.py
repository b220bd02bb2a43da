"""Never two jobs: what a data set that is made again, and whoever is late or killed, may meet."""

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
from tests.split.dataflow_helpers import CONFIG, engine, names, split_with, the_claims, upload
from tests.workspace import small_table

SUBMIT = "steps.split.engines.beam.job._submit_once"
FORGET = "steps.split.step.delete_job_output"


class KilledError(BaseException):
    """Nobody catches it, as with a process that is killed."""


def die(*_: object, **__: object) -> Any:
    """Stand for the end of the process."""
    raise KilledError


@pytest.fixture
def killed_at(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Split, and be killed where a name is called."""

    def kill(where: str, *args: Any, **more: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(where, die)
            with pytest.raises(KilledError):
                split_with(*args, **more)

    return kill


def different(jobs: Jobs) -> int:
    """Number of names that jobs have."""
    return len({job.about["name"] for job in jobs.jobs.values()})


def remove(folder: str) -> None:
    """Remove a folder, as somebody does who clears up."""
    storage = storage_for(folder)
    for name in storage.names(folder):
        remove(f"{folder}/{name}")
    storage.delete(folder)


# --- data sets that are made again


def test_the_job_of_an_earlier_data_set_is_not_taken_for_a_new_one(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """The claimer is killed before he submits, and whoever looks for his job finds none."""
    source = upload(root, tmp_path)
    first = split_with(engine(), source, root)
    killed_at(SUBMIT, engine(), source, root, force=True)
    again = split_with(engine(), source, root, force=True)
    assert not again.reused
    assert again.index == first.index
    assert names(jobs) == ["1", "1"]
    assert different(jobs) == 2


@pytest.mark.parametrize("left", [False, True])
def test_a_data_set_that_was_removed_is_made_again(
    left: bool, root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """Also where claims and the job's folder are left, which say that its parts are there."""
    source = upload(root, tmp_path)
    if left:
        killed_at(FORGET, engine(), source, root)
    first = split_with(engine(), source, root)
    folder = ProjectLayout(root, "p").dataset(first.index.dataset).base
    remove(folder)
    assert split_with(engine(), source, root).index == first.index
    assert storage_for(root).exists(f"{folder}/{first.index.entries[0].parts[0]}")
    assert split_with(engine(), source, root).reused
    assert names(jobs) == ["1", "1"]


@pytest.mark.parametrize("where", ["steps.split.engines.job_output.JobOutput.clear", FORGET])
def test_what_is_left_of_an_earlier_data_set_is_not_taken_for_a_new_one(
    where: str, root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """Whoever made it was killed before he had removed claims and parts."""
    source = upload(root, tmp_path)
    killed_at(where, engine(), source, root)
    again = split_with(engine(), source, root, force=True)
    assert not again.reused
    assert names(jobs) == ["1", "1"]
    assert split_with(engine(), source, root).reused


def test_a_job_whose_parts_were_removed_is_done_again(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    source = upload(root, tmp_path)
    killed_at("steps.split.engines.beam.dataflow.assemble_dataset", engine(), source, root)
    claims = the_claims(root)
    remove(claims.layout.outputs)
    made = split_with(engine(), source, root)
    assert made.index.rows == len(small_table())
    assert names(jobs) == ["1", "2"]


def test_a_job_of_a_name_that_was_cleared_away_is_not_taken_for_a_new_one(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """As a lifecycle rule does after a week, while Dataflow still knows the job."""
    source = upload(root, tmp_path)
    killed_at("steps.split.engines.beam.dataflow.assemble_dataset", engine(), source, root)
    remove(ProjectLayout(root, "p").works)
    killed_at(SUBMIT, engine(), source, root)
    assert split_with(engine(), source, root).index.rows == len(small_table())
    assert names(jobs) == ["1", "1"]


def test_an_error_of_the_rows_is_no_answer_to_who_wants_them_read_again(
    root: str, jobs: Jobs, tmp_path: Path
) -> None:
    table = small_table()
    bad = table.append_column("bad", pa.array([float("inf")] * len(table)))
    source = upload(root, tmp_path, bad)
    for force in (False, False, True):
        with pytest.raises(DataError, match="'bad' holds an infinite value"):
            split_with(engine(), source, root, force=force)
    assert names(jobs) == ["1", "2"]


def test_a_forced_run_reads_its_source_once_however_often_it_is_killed(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    source, begun = upload(root, tmp_path), f"{root}/begun.json"
    first = split_with(engine(), source, root)
    asked: dict[str, Any] = {"force": True, "begun": begun}
    killed_at(SUBMIT, engine(), source, root, **asked)
    killed_at("steps.split.engines.beam.dataflow.assemble_dataset", engine(), source, root, **asked)
    killed_at(
        "steps.split.coordination.dataset_pointer.DatasetPointer.put",
        engine(),
        source,
        root,
        **asked,
    )
    killed_at(FORGET, engine(), source, root, **asked)
    killed_at("steps.split.step._split_result", engine(), source, root, **asked)
    again = split_with(engine(), source, root, **asked)
    assert again.reused
    assert again.index == first.index
    assert names(jobs) == ["1", "1"]


def test_a_forced_run_that_was_killed_hears_what_its_own_job_found_out(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    table, begun = small_table(), f"{root}/begun.json"
    bad = table.append_column("bad", pa.array([float("inf")] * len(table)))
    source = upload(root, tmp_path, bad)
    asked: dict[str, Any] = {"force": True, "begun": begun}
    killed_at("steps.split.engines.beam.dataflow._follow", engine(), source, root, **asked)
    (job,) = jobs.jobs.values()
    while job.state != "JOB_STATE_FAILED":
        time.sleep(0.1)
    with pytest.raises(DataError, match="'bad' holds an infinite value"):
        split_with(engine(), source, root, **asked)
    assert names(jobs) == ["1"]


def test_a_forced_run_that_failed_reads_its_source_again(
    root: str, jobs: Jobs, tmp_path: Path
) -> None:
    """Else what was mended in between would not be seen."""
    table, begun = small_table(), f"{root}/begun.json"
    bad = table.append_column("bad", pa.array([float("inf")] * len(table)))
    source = upload(root, tmp_path, bad)
    for _ in range(2):
        with pytest.raises(DataError):
            split_with(engine(), source, root, force=True, begun=begun)
    assert not storage_for(root).exists(begun)
    assert names(jobs) == ["1", "2"]


def test_who_clears_up_late_takes_nothing_from_the_next(
    root: str,
    jobs: Jobs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed_at: Callable[..., None],
) -> None:
    """A forced run has begun meanwhile, and its pod is killed: its job is found again."""
    source, begun = upload(root, tmp_path), f"{root}/begun.json"
    asked: dict[str, Any] = {"force": True, "begun": begun}

    def late(*args: Any) -> None:
        monkeypatch.setattr(FORGET, delete_job_output)
        at = "steps.split.engines.beam.dataflow.assemble_dataset"
        killed_at(at, engine("forced"), source, root, **asked)
        delete_job_output(*args)

    monkeypatch.setattr(FORGET, late)
    split_with(engine(), source, root)
    assert names(jobs) == ["1", "1"]
    assert not split_with(engine("forced"), source, root, **asked).reused
    assert names(jobs) == ["1", "1"]


# --- who is late


@pytest.mark.parametrize("where", ["build", "_submit_once"])
def test_a_claimer_who_is_slower_than_anothers_whole_job(
    where: str, root: str, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dataflow takes the same request once, although the job of that name has ended."""
    source, at, real = upload(root, tmp_path), f"steps.split.engines.beam.job.{where}", job_module
    original = getattr(real, where)

    def late(*args: Any) -> Any:
        monkeypatch.setattr(at, original)
        split_with(engine("the other"), source, root)
        return original(*args)

    monkeypatch.setattr(at, late)
    made = split_with(engine(), source, root)
    assert names(jobs) == ["1"]
    assert made.index == split_with(engine(), source, root).index


def test_a_claimer_who_is_slower_than_another_who_claims_elsewhere(
    root: str,
    jobs: Jobs,
    tmp_path: Path,
    killed_at: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, original = upload(root, tmp_path), RemoteFiles.pieces
    elsewhere = CONFIG.model_copy(update={"region": "us-east1"})
    jobs.delay = 60.0

    def late(*args: Any) -> Any:
        monkeypatch.setattr(RemoteFiles, "pieces", original)
        other = engine("the other", elsewhere)
        killed_at("steps.split.engines.beam.dataflow._follow", other, source, root)
        jobs.hurry()
        return original(*args)

    monkeypatch.setattr(RemoteFiles, "pieces", late)
    assert split_with(engine(), source, root).index.rows == len(small_table())
    assert names(jobs) == ["2"]


@pytest.mark.parametrize("look", [1, 2, 3])
def test_who_looks_for_a_link_a_moment_before_it_is_written(
    look: int, root: str, jobs: Jobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He takes it for the one to find, not for the one to pass over."""
    source, original, looks = upload(root, tmp_path), DatasetPointer.find, count(1)

    def late(link: DatasetPointer) -> PartitionIndex | None:
        found = original(link)
        if next(looks) == look:
            monkeypatch.setattr(DatasetPointer, "find", original)
            split_with(engine("the other"), source, root)
        return found

    monkeypatch.setattr(DatasetPointer, "find", late)
    assert split_with(engine(), source, root).reused
    assert names(jobs) == ["1"]


def test_a_job_that_has_ended_before_dataflow_lists_it(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """It refuses the second request, and for a while tells nobody of the first."""
    source, jobs.lag = upload(root, tmp_path), 20.0
    killed_at("steps.google.dataflow.Dataflow.get", engine(), source, root)
    (job,) = jobs.jobs.values()
    while job.state != "JOB_STATE_DONE":
        time.sleep(0.1)
    assert split_with(engine(), source, root).index.rows == len(small_table())
    assert names(jobs) == ["1"]


def test_a_job_that_dataflow_does_not_list_yet(root: str, jobs: Jobs, tmp_path: Path) -> None:
    source, jobs.lag = upload(root, tmp_path), 3.0
    assert split_with(engine(), source, root).index.rows == len(small_table())
    assert names(jobs) == ["1"]


def test_a_job_that_dataflow_does_not_list_yet_and_whose_submitter_was_killed(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    source, jobs.lag = upload(root, tmp_path), 3.0
    killed_at("steps.google.dataflow.Dataflow.get", engine(), source, root)
    assert split_with(engine(), source, root).index.rows == len(small_table())
    assert names(jobs) == ["1"]


def test_a_job_is_found_where_it_runs(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """Another run may have its own jobs elsewhere."""
    running(root, jobs, tmp_path, killed_at)
    jobs.hurry()
    elsewhere = CONFIG.model_copy(update={"region": "us-east1"})
    made = split_with(engine(config=elsewhere), f"{root}/table.parquet", root)
    assert made.index.rows == len(small_table())
    assert names(jobs) == ["1"]
    assert [job.about["location"] for job in jobs.jobs.values()] == ["europe-west1"]


def test_what_was_claimed_elsewhere_and_not_submit_once(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    source = upload(root, tmp_path)
    killed_at(SUBMIT, engine(), source, root)
    elsewhere = CONFIG.model_copy(update={"region": "us-east1"})
    split_with(engine(config=elsewhere), source, root)
    assert names(jobs) == ["2"]
    assert [job.about["location"] for job in jobs.jobs.values()] == ["us-east1"]


def test_a_job_that_is_gone(
    root: str,
    jobs: Jobs,
    tmp_path: Path,
    killed_at: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It is not submitted again: it may be a fault of Dataflow's, and the job goes on."""
    source = upload(root, tmp_path)
    killed_at("steps.split.engines.beam.dataflow.assemble_dataset", engine(), source, root)
    jobs.lag = 3600.0
    monkeypatch.setattr(
        job_module,
        "Dataflow",
        lambda project, region: Dataflow(project, region, deadline=0.5, lag=0.5),
    )
    with pytest.raises(TransientError, match="Dataflow has no such job in europe-west1"):
        split_with(engine(), source, root)
    assert names(jobs) == ["1"]


# --- who leaves


def running(root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]) -> None:
    """A job that runs, whose follower was killed."""
    jobs.delay = 60.0
    killed_at("steps.split.engines.beam.dataflow._follow", engine(), upload(root, tmp_path), root)


def states(jobs: Jobs) -> list[str]:
    """Of all jobs."""
    return [job.state.removeprefix("JOB_STATE_") for job in jobs.jobs.values()]


@pytest.mark.parametrize("error", [KilledError, ForbiddenError("No role.", hint="Grant it.")])
def test_who_is_killed_or_refused_while_he_cancels_cancels_again(
    error: BaseException,
    root: str,
    jobs: Jobs,
    tmp_path: Path,
    killed_at: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running(root, jobs, tmp_path, killed_at)
    claims = the_claims(root)

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


def test_a_run_cancels_what_it_waited_for_and_nothing_else(
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


def test_two_who_leave_at_once_leave_no_job(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """Neither counts on the other, who has begun to leave."""
    running(root, jobs, tmp_path, killed_at)
    claims = the_claims(root)
    claims.follow("the other")
    assert not claims.leave("the other")
    assert cancel_unless_followed(claims, "run") is not None
    assert states(jobs) == ["CANCELLED"]


def test_who_comes_back_waits_again(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    running(root, jobs, tmp_path, killed_at)
    claims = the_claims(root)
    claims.follow("the other")
    claims.leave("the other")
    claims.follow("the other")
    assert cancel_unless_followed(claims, "run") is None
    assert states(jobs) == ["PENDING"]


def test_a_job_that_is_not_listed_yet_is_cancelled(
    root: str, jobs: Jobs, tmp_path: Path, killed_at: Callable[..., None]
) -> None:
    """Whoever submitted it was killed before he could say its id."""
    jobs.delay, jobs.lag = 60.0, 3.0
    killed_at("steps.google.dataflow.Dataflow.get", engine(), upload(root, tmp_path), root)
    assert cancel_unless_followed(the_claims(root), "run") is not None
    assert states(jobs) == ["CANCELLED"]
