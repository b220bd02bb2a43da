"""A run as a notebook sees it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from markupsafe import Markup

from steps.charts.tables import read_partitions
from steps.collect.data_tables import reader_of
from steps.collect.outcome import Outcome
from steps.collect.report import headline
from steps.contract import ProjectLayout, RunAddress
from steps.errors import MissingInputError
from steps.records import RunRecord
from steps.run_context import RunContext
from steps.runtime.progress import Progress
from steps.storage.base import read_parsed, scheme_of
from steps.stores.base import open_store
from workflows import local
from workflows.api.partition import PartitionResult, find_partition, partitions_of
from workflows.api.tables import Tables
from workflows.spec.load import LoadedSpec
from workflows.spec.model import ExperimentSpec


class Run:
    """A run: tables, partitions and report. A notebook shows its headline and best partitions.

    Args:
        context: context of the run.
        summary: summary of the run, if this process made it.
    """

    def __init__(self, context: RunContext, summary: local.RunSummary | None = None) -> None:
        self._context = context
        self.summary = summary

    @property
    def id(self) -> str:
        """The run's id."""
        return self._context.address.run

    @property
    def experiment(self) -> str:
        """Name of the experiment."""
        return self._context.address.experiment

    @property
    def project(self) -> str:
        """Name of the project."""
        return self._context.address.project

    @property
    def folder(self) -> str:
        """Path or URI of the run's folder."""
        return self._context.run.base

    @property
    def report(self) -> str:
        """Path or URI of the report."""
        return self._context.run.report

    @cached_property
    def spec(self) -> ExperimentSpec:
        """The spec that was run, with all defaults."""
        uri = self._context.run.spec
        return read_parsed(self._context.storage, uri, ExperimentSpec.model_validate_json)

    @cached_property
    def outcome(self) -> Outcome:
        """Counts, reasons, and the best and worst partitions.

        Raises:
            MissingInputError: the run has not finished.
        """
        return read_parsed(self._context.storage, self._context.run.outcome, Outcome.from_json)

    @cached_property
    def tables(self) -> Tables:
        """The result tables by name, as pyarrow tables: ``run.tables["metrics"]``."""
        return Tables(self._context.run, self._context.storage)

    @cached_property
    def partitions(self) -> list[PartitionResult]:
        """All partitions, the best first, those without a model last."""
        return partitions_of(self._context, self.tables)

    def partition(self, key: str) -> PartitionResult:
        """Return the partition with a key, such as ``run.partition("HOU")``.

        Raises:
            MissingInputError: there is none.
        """
        return find_partition(self.partitions, key)

    def __repr__(self) -> str:
        return f"Run({self.folder!r})"

    def _repr_html_(self) -> str:
        dataset = self._context.dataset(self._context.request())
        read = reader_of(dataset, self._context.run, self._context.storage)
        partitions = read_partitions(read)
        rows = Markup("").join(
            Markup("<tr><th>{}</th><td>{:+.3f}</td><td>{:,.0f}</td></tr>").format(
                each.name, each.skill, each.rows
            )
            for each in sorted(partitions, key=lambda each: each.rank)[:5]
            if each.scored
        )
        return str(
            Markup(
                "<p><b>{}</b><br>{}</p><table><thead><tr><th>partition</th><th>skill</th>"
                "<th>rows</th></tr></thead><tbody>{}</tbody></table><p>Report: <code>{}</code></p>"
            ).format(self.experiment, headline.skill_sentence(partitions), rows, self.report)
        )


def run(
    spec: LoadedSpec | str | Path,
    *,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> Run:
    """Run an experiment on this machine, or resume a run of it that was stopped.

    Args:
        spec: path of a spec file, or a spec from ``load_spec``.
        overrides: such as ``dataset.source=other.parquet``; only with a path.
        progress: receives the progress of each step.

    Raises:
        RefeedError: finished work is kept.
    """
    summary = local.run(spec, overrides=overrides, progress=progress)
    return Run(_context_of(summary.layout.base), summary)


def open_run(run: str | Path, root: str | Path = "runs") -> Run:
    """Open a run that exists.

    Args:
        run: its id, or the path or ``gs://`` URI of its folder.
        root: artifact root in which an id is searched.

    Raises:
        MissingInputError: there is no such run.
    """
    if "/" in str(run) or Path(str(run)).is_dir():
        context = _context_of(str(run).rstrip("/"))
    else:
        context = _find(str(run), Path(root))
    if not context.storage.exists(context.run.request):
        raise MissingInputError(
            f"There is no run in {context.run.base!r}.",
            hint="A run's folder is <output>/<project>/runs/<experiment>/<run id>, for example "
            "runs/demo/runs/flights/20260101T120000-ab12.",
        )
    return Run(context)


def runs(project: str | Path, experiment: str | None = None) -> list[RunRecord]:
    """Return the runs of a project, the newest first.

    Args:
        project: path or ``gs://`` URI of the project's folder, ``<root>/<project>``.
        experiment: name of one experiment; None for all.

    Raises:
        MissingInputError: there is no such folder.
    """
    folder = str(project).rstrip("/")
    root, _, name = folder.rpartition("/")
    if not scheme_of(folder) and not Path(folder).is_dir():
        raise MissingInputError(
            f"There is no folder {folder!r}.",
            hint="Pass the folder of a project, such as 'runs/demo' for specs with `output: runs` "
            "and `project: demo`.",
        )
    return open_store(ProjectLayout(root or ".", name)).runs(experiment)


def _context_of(folder: str) -> RunContext:
    parts = folder.split("/")
    if len(parts) < 5 or parts[-3] != "runs":  # noqa: PLR2004 - root, project, runs, experiment, run
        folder = str(Path(folder).resolve()) if not scheme_of(folder) else folder
        parts = folder.split("/")
    return RunContext.open(RunAddress("/".join(parts[:-4]), parts[-4], parts[-2], parts[-1]))


def _find(run: str, root: Path) -> RunContext:
    for project in sorted(root.iterdir()) if root.is_dir() else []:
        record = open_store(ProjectLayout(str(root), project.name)).find(run)
        if record is not None:
            return RunContext.open(RunAddress(str(root), project.name, record.experiment, run))
    raise MissingInputError(
        f"There is no run {run!r} in {str(root)!r}.",
        hint="Pass the run's folder, or the artifact root as root=...",
    )
