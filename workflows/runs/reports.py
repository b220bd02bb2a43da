"""Past runs of an experiment, and their reports."""

from __future__ import annotations

from pathlib import Path

from steps.collect.step import read_run_info, write_report
from steps.contract import ProjectLayout, RunAddress
from steps.errors import MissingInputError
from steps.records import RunRecord
from steps.run_context import RunContext
from steps.storage.base import storage_for
from steps.storage.local import LocalStorage
from steps.stores.base import open_store
from workflows.installation.model import load_installation
from workflows.runs.find import find_run as find_on_cluster
from workflows.spec.model import ExperimentSpec


def past_runs(spec: ExperimentSpec) -> list[RunRecord]:
    """Return the runs of the spec's experiment, newest first."""
    return open_store(ProjectLayout(spec.output, spec.project), spec.store).runs(spec.name)


def find_run(spec: ExperimentSpec, run: str | None) -> RunRecord:
    """Return a run by its id, or the latest run that ended.

    Raises:
        MissingInputError: there is no such run.
    """
    runs = past_runs(spec)
    for record in runs:
        if record.run == run or (run is None and record.status != "running"):
            return record
    recent = ", ".join(record.run for record in runs[:5]) or "none yet"
    missing = f"run {run!r}" if run else "finished run"
    raise MissingInputError(
        f"The experiment {spec.name!r} in {spec.output!r} has no {missing}. Recent runs: {recent}.",
        hint="List runs with `refeed report SPEC --list`, or start one with `refeed run SPEC`.",
    )


def local_context(spec: ExperimentSpec, record: RunRecord) -> RunContext:
    """Return a run of the spec's experiment with its storage and store."""
    address = RunAddress(spec.output, spec.project, record.experiment, record.run)
    return RunContext.open(address, spec.store)


def context_of_run(installation: Path | None, run: str) -> RunContext:
    """Return a run on a cluster with its storage and store.

    Raises:
        MissingInputError: the run does not exist.
    """
    return find_on_cluster(load_installation(installation), run).context


def make_report(spec: ExperimentSpec, record: RunRecord) -> str:
    """Write the report of a run again from its tables, and return its URI.

    Raises:
        MissingInputError: the run's tables no longer exist.
    """
    context = local_context(spec, record)
    write_report(context, read_run_info(context))
    return context.run.report


def report_of_run(installation: Path | None, run: str) -> str:
    """Write the report of a run on a cluster again from its tables, and return its URI.

    Raises:
        MissingInputError: the run does not exist or has no tables yet.
    """
    context = context_of_run(installation, run)
    write_report(context, read_run_info(context))
    return context.run.report


def copy_report(uri: str, path: Path) -> str:
    """Copy a report to a local file.

    Raises:
        OutputError: the file cannot be written.
    """
    LocalStorage().write(str(path), storage_for(uri).read(uri))
    return str(path)
