"""Summaries of runs, trainers and garbage, as terminal output and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from rich.markup import escape
from rich.table import Table

from steps.charts.text import plural
from workflows.cli.console import out, visible

if TYPE_CHECKING:
    from steps.collect.outcome import Outcome
    from steps.collect.ranking import PartitionRow
    from steps.records import RunRecord
    from workflows.gc import Garbage
    from workflows.local import RunSummary

REASONS = {
    "too_few_rows": "too few rows",
    "constant_target": "constant target",
    "one_class": "one class only",
    "target_out_of_range": "targets that the loss cannot take",
    "target_missing": "no row has a target",
    "null_key": "no partition key",
    "all_features_missing": "all features missing",
    "too_few_groups": "too few rows, groups or times to hold some out",
    "trainer_error": "the trainer raised an error",
    "out_of_memory": "out of memory",
    "out_of_disk": "out of disk",
    "too_large": "too large for every resource class",
    "worker_died": "the training process died",
    "no_record": "no record",
}


_WARNINGS = 3
"""Warnings about the data in a summary, at most."""


def print_summary(summary: RunSummary) -> None:
    """Print the outcome of ``refeed run``."""
    cached = summary.trained.cached
    reused = []
    if summary.resumed:
        reused.append(f"{summary.trained.finished:,} finished before")
    if cached["full"]:
        reused.append(f"{cached['full']:,} found in the cache")
    if cached["fit"]:
        reused.append(f"{cached['fit']:,} explained again")
    print_outcome(summary.outcome, f" [dim]({', '.join(reused)})[/]" if reused else "")


def print_outcome(outcome: Outcome, note: str = "") -> None:
    """Print the outcome of a run, local or on a cluster."""
    out.print()
    trained = f"{outcome.counts['trained']:,} of {outcome.partitions:,} partitions trained"
    out.print(f"[bold]{trained}[/]{note}")
    for reason, count in outcome.reasons.items():
        out.print(f"  {count:,} without a model: {REASONS.get(reason, reason)}")
    if outcome.constant_models:
        out.print(
            f"  {outcome.constant_models:,} models predict a constant: nothing could be split"
        )
    if outcome.rows_without_target:
        share = f"{outcome.rows_without_target:,} of {outcome.rows:,}"
        out.print(f"  {share} rows have no target and are left out")
    if outcome.advice and not outcome.nothing_trained:  # else the error says it
        out.print(f"[yellow]warning:[/] {escape(outcome.advice)}")
    for warning in outcome.warnings[:_WARNINGS]:
        out.print(f"[yellow]warning:[/] {escape(visible(warning))}")
    if len(outcome.warnings) > _WARNINGS:
        more = plural(len(outcome.warnings) - _WARNINGS, "more warning")
        out.print(f"  and {more} in the report")
    if outcome.best:
        title = "Best, by the lower bound of the 90 % interval of skill"
        _print_ranking(title, outcome.best, outcome.metric)
    if outcome.worst:
        _print_ranking("Worst, by the upper bound", outcome.worst, outcome.metric)
    out.print(f"\nTables  {short_path(outcome.tables)}", markup=False)
    out.print(f"Report  {short_path(outcome.report)}", markup=False, style="bold")


def short_path(path: str) -> str:
    """Return a path relative to the working directory if it is below it, else unchanged."""
    absolute = Path(path)
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else path


def _print_ranking(title: str, rows: Sequence[PartitionRow], metric: str) -> None:
    table = Table(title=title, title_justify="left", title_style="", box=None, pad_edge=False)
    table.add_column("  partition", no_wrap=True, overflow="ignore")
    for name in ("skill", "90 % interval", metric, "constant prediction", "rows"):
        table.add_column(name, justify="right")
    for row in rows:
        bounds = f"{_signed(row.skill_low)} to {_signed(row.skill_high)}"
        cells = (_signed(row.skill), bounds, _short(row.value), _short(row.constant_value))
        table.add_row(f"  {escape(elided(row.partition))}", *cells, f"{row.rows_with_target:,}")
    out.print()
    out.print(table)


def duration_text(seconds: float) -> str:
    """Return a duration in the unit that is easiest to read."""
    if seconds < 90:  # noqa: PLR2004 - seconds are easier to read below this
        return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds:.1f} s"
    if seconds < 5400:  # noqa: PLR2004
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:,.1f} h"


def elided(text: str, width: int = 200) -> str:
    """Return printable text of at most ``width`` characters, cut in the middle."""
    shown = visible(text) if text else "(empty)"
    if len(shown) <= width:
        return shown
    half = (width - 1) // 2
    return f"{shown[:half]}…{shown[-half:]}"


def _signed(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:#.4g}"


def as_json(summary: RunSummary) -> dict[str, Any]:
    """Return the summary of ``refeed run`` as JSON values."""
    outcome = summary.outcome
    return {
        "run": summary.run,
        "folder": summary.layout.base,
        "report": summary.layout.report,
        "resumed": summary.resumed,
        "dataset_reused": summary.reused,
        "partitions": summary.partitions,
        "rows": summary.rows,
        "rows_without_target": outcome.rows_without_target,
        "counts": outcome.counts,
        "reasons": outcome.reasons,
        "cached": dict(summary.trained.cached),
        "finished_before": summary.trained.finished,
        "metric": outcome.metric,
        "ranking": [row.partition for row in summary.ranking],
        "too_many_failed": outcome.too_many_failed,
        "constant_models": outcome.constant_models,
        "advice": outcome.advice,
        "warnings": outcome.warnings,
    }


def print_runs(runs: list[RunRecord]) -> None:
    """Print the runs of an experiment, newest first."""
    if not runs:
        out.print("No runs yet.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("run", "status", "started", "trained", "skipped", "failed", "label"):
        table.add_column(name, no_wrap=True, overflow="ignore")
    for run in runs:
        counts = [str(run.counts.get(status, "")) for status in ("trained", "skipped", "failed")]
        table.add_row(run.run, run.status, run.started, *counts, escape(visible(run.label)))
    out.print(table)


def print_trainers(trainers: dict[str, str]) -> None:
    """Print installed trainers and the classes that implement them."""
    table = Table(box=None, pad_edge=False)
    table.add_column("trainer")
    table.add_column("from")
    for name, value in trainers.items():
        table.add_row(escape(name), escape(value))
    out.print(table)


def print_params(name: str, model: type[BaseModel]) -> None:
    """Print the parameters of a trainer: name, default and meaning."""
    table = Table(box=None, pad_edge=False)
    table.add_column(f"trainer.params of {escape(name)}", style="cyan", no_wrap=True)
    table.add_column("default", no_wrap=True)
    table.add_column("meaning", overflow="fold")
    for key, field in model.model_fields.items():
        default = "required" if field.is_required() else repr(field.get_default())
        table.add_row(key, escape(default), escape(" ".join((field.description or "").split())))
    out.print(table, soft_wrap=False)


def print_garbage(garbage: Garbage, dry_run: bool) -> None:
    """Print the paths that were or would be removed."""
    verb = "Would remove" if dry_run else "Removed"
    for path in garbage.paths:
        out.print(f"{verb} {path}", markup=False)
    size = f"{garbage.bytes / 1e6:,.1f} MB"
    out.print(f"{verb} {len(garbage.paths):,} files and folders ({size}).")
