"""Past runs, found through the experiment store."""

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
    """The runs of the spec's experiment, the newest first."""
    return open_store(ProjectLayout(spec.output, spec.project), spec.store).runs(spec.name)


def find_run(spec: ExperimentSpec, run: str | None) -> RunRecord:
    """A run by its id, or the newest that ended.

    Raises:
        MissingInputError: there is none.
    """
    runs = past_runs(spec)
    for record in runs:
        if record.run == run or (run is None and record.status != "running"):
            return record
    known = ", ".join(record.run for record in runs[:5]) or "none yet"
    what = f"no run {run!r}" if run else "no run that has ended"
    raise MissingInputError(
        f"There is {what} of {spec.name!r} in {spec.output!r}; the newest are: {known}.",
        hint="`refeed report SPEC --list` lists them all, `refeed run SPEC` makes one.",
    )


def make_report(spec: ExperimentSpec, record: RunRecord) -> str:
    """Make the report of a run anew from its tables; returns where it is.

    Raises:
        MissingInputError: the run's tables are gone.
    """
    address = RunAddress(spec.output, spec.project, record.experiment, record.run)
    context = RunContext.open(address, spec.store)
    write_report(context, read_run_info(context))
    return context.run.report


def report_of_run(installation: Path | None, run: str) -> str:
    """Write the report of a run on a cluster again from its tables, and return its URI.

    Raises:
        MissingInputError: there is no such run, or it has no tables yet.
    """
    context = find_on_cluster(load_installation(installation), run).context
    write_report(context, read_run_info(context))
    return context.run.report


def copy_report(uri: str, path: Path) -> str:
    """Copy a report to a local file.

    Raises:
        OutputError: the file cannot be written.
    """
    LocalStorage().write(str(path), storage_for(uri).read(uri))
    return str(path)
