"""What the commands print for people, and the same as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel
from rich.markup import escape
from rich.table import Table

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
    "target_missing": "no row has a target",
    "null_key": "no partition key",
    "all_features_missing": "all features missing",
    "too_few_groups": "fewer groups than folds",
    "trainer_error": "the trainer raised an error",
    "out_of_memory": "out of memory",
    "too_large": "too large for every resource class",
    "worker_died": "the training process died",
    "no_record": "no record",
}


def print_summary(summary: RunSummary) -> None:
    """The end of ``refeed run``."""
    print_outcome(summary.outcome, _work(summary))


def print_outcome(outcome: Outcome, note: str = "") -> None:
    """What came of a run, wherever it ran."""
    out.print()
    trained = f"{outcome.counts['trained']:,} of {outcome.partitions:,} partitions trained"
    out.print(f"[bold]{trained}[/]{note}")
    for reason, count in outcome.reasons.items():
        out.print(f"  {count:,} without a model: {REASONS.get(reason, reason)}")
    if outcome.rows_without_target:
        share = f"{outcome.rows_without_target:,} of {outcome.rows:,}"
        out.print(f"  {share} rows have no target: left out")
    if outcome.best:
        title = "Best, by the lower bound of the 90 % interval of skill"
        _print_lines(title, outcome.best, outcome.metric)
        _print_lines("Worst, by the upper bound", outcome.worst, outcome.metric)
    out.print(f"\nTables  {short_path(outcome.tables)}", markup=False)
    out.print(f"Report  {short_path(outcome.report)}", markup=False, style="bold")


def _work(summary: RunSummary) -> str:
    cached = summary.trained.cached
    parts = []
    if summary.resumed:
        parts.append(f"{summary.trained.finished:,} finished before")
    if cached["full"]:
        parts.append(f"{cached['full']:,} found in the cache")
    if cached["fit"]:
        parts.append(f"{cached['fit']:,} explained anew")
    return f" [dim]({', '.join(parts)})[/]" if parts else ""


def short_path(path: str) -> str:
    """A path as one would type it: relative to the working directory if it is below it."""
    absolute = Path(path)
    return str(absolute.relative_to(Path.cwd())) if absolute.is_relative_to(Path.cwd()) else path


def _print_lines(title: str, lines: Sequence[PartitionRow], metric: str) -> None:
    table = Table(title=title, title_justify="left", title_style="", box=None, pad_edge=False)
    table.add_column("  partition")
    for name in ("skill", "90 % interval", metric, "best constant", "rows"):
        table.add_column(name, justify="right")
    for line in lines:
        bounds = f"{_number(line.skill_low)} to {_number(line.skill_high)}"
        cells = (_number(line.skill), bounds, _short(line.value), _short(line.constant_value))
        table.add_row(f"  {escape(elided(line.partition))}", *cells, f"{line.rows:,}")
    out.print()
    out.print(table)


def elided(text: str, width: int = 30) -> str:
    """Printable text of at most ``width`` characters, cut in the middle."""
    shown = visible(text) if text else "(empty)"
    if len(shown) <= width:
        return shown
    half = (width - 1) // 2
    return f"{shown[:half]}…{shown[-half:]}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:+.3f}"


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:#.4g}"


def as_json(summary: RunSummary) -> dict[str, Any]:
    """The same for scripts."""
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
    }


def print_runs(runs: list[RunRecord]) -> None:
    """The runs of an experiment, the newest first."""
    if not runs:
        out.print("No run yet.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("run", "status", "started", "trained", "skipped", "failed"):
        table.add_column(name, no_wrap=True, overflow="ignore")
    for run in runs:
        counts = [str(run.counts.get(status, "")) for status in ("trained", "skipped", "failed")]
        table.add_row(run.run, run.status, run.started, *counts)
    out.print(table)


def print_trainers(found: dict[str, str]) -> None:
    """Installed trainers and where they come from."""
    table = Table(box=None, pad_edge=False)
    table.add_column("trainer")
    table.add_column("from")
    for name, value in found.items():
        table.add_row(escape(name), escape(value))
    out.print(table)


def print_params(name: str, model: type[BaseModel]) -> None:
    """The parameters of a trainer: name, default, meaning."""
    table = Table(box=None, pad_edge=False)
    table.add_column(f"trainer.params of {escape(name)}", style="cyan", no_wrap=True)
    table.add_column("default", no_wrap=True)
    table.add_column("meaning", overflow="fold")
    for key, field in model.model_fields.items():
        default = "required" if field.is_required() else repr(field.get_default())
        table.add_row(key, escape(default), escape(" ".join((field.description or "").split())))
    out.print(table, soft_wrap=False)


def print_garbage(found: Garbage, dry_run: bool) -> None:
    """What was or would be removed."""
    verb = "Would remove" if dry_run else "Removed"
    for path in found.paths:
        out.print(f"{verb} {path}", markup=False)
    size = f"{found.bytes / 1e6:,.1f} MB"
    out.print(f"{verb} {len(found.paths):,} files and folders of {size}.")
