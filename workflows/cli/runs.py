"""Terminal output of ``status`` and ``logs``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len, set_cell_size
from rich.markup import escape

from workflows.cli import summary
from workflows.cli.console import out, visible
from workflows.cli.summary import duration_text
from workflows.runs.find import ProgressReader, outcome_of

if TYPE_CHECKING:
    from steps.records import RunRecord
    from workflows.runs.find import FoundRun

_COLOURS = {
    "finished": "green",
    "failed": "red",
    "stopped": "yellow",
    "running": "cyan",
    "waiting": "yellow",
}

_SHORTEST_LABEL = 8


def print_list(runs: Sequence[FoundRun]) -> None:
    """Print runs as a table."""
    if not runs:
        out.print("No runs yet.")
        return
    rows = [_cells(run.record) for run in runs]
    widths = [max(map(cell_len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    # Not a table of rich, which cuts the id of a run to make room for its label.
    out.print(f"[bold]{_line(_COLUMNS, widths)}[/]")
    at = sum(widths[:3]) + 6  # ids and names are ASCII
    for run, row in zip(runs, rows, strict=True):
        status, line = run.record.status, _line(row, widths)
        colour, rest = _COLOURS.get(status, "white"), escape(line[at + len(status) :])
        out.print(f"{line[:at]}[{colour}]{status}[/]{rest}")


_COLUMNS = ("run", "project", "experiment", "status", "trained", "failed", "label")


def _cells(record: RunRecord) -> tuple[str, ...]:
    counts = [str(record.counts.get(name, "")) for name in ("trained", "failed")]
    names = (record.run, record.project, record.experiment, record.status)
    return (*names, *counts, visible(record.label))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Return a line of columns; only the label gives way to the width of a terminal."""
    *fixed, label = (
        cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)
    )
    start = "  ".join(fixed)
    room = out.width - cell_len(start) - 2
    if out.is_terminal and cell_len(label.rstrip()) > room:
        label = set_cell_size(label, room - 1) + "…" if room >= _SHORTEST_LABEL else ""
    return f"{start}  {label}".rstrip()


def status_of(found: FoundRun, problems: list[str]) -> dict[str, Any]:
    """Return the status of a run, as printed and as JSON."""
    record, layout = found.record, found.address.run_layout
    progress = ProgressReader(found.address).read()
    outcome = outcome_of(found)
    return {
        "run": record.run,
        "project": record.project,
        "experiment": record.experiment,
        "status": record.status,
        "label": record.label,
        "started": record.started,
        "ended": record.ended,
        "message": record.message,
        "partitions": progress.partitions,
        "done": progress.done,
        "counts": record.counts,
        "failed_so_far": progress.failed,
        "pods": progress.pods,
        "predicted": progress.predicted,
        "costs": outcome.costs if outcome else {},
        "problems": problems,
        "folder": layout.base,
        "report": outcome.report if outcome else "",
    }


def print_status(found: FoundRun, status: dict[str, Any]) -> None:
    """Print the status of one run."""
    record = found.record
    colour = _COLOURS.get(record.status, "white")
    out.print(
        f"[bold]{record.run}[/] {record.project}/{record.experiment} [{colour}]{record.status}[/]"
    )
    for name in ("label", "started", "ended", "message"):
        if status[name]:
            out.print(f"  {name:<10} {visible(str(status[name]))}", markup=False)
    if status["partitions"] is not None:
        done = f"{status['done']:,} of {status['partitions']:,} done"
        out.print(f"  partitions {done}", markup=False)
    if status["pods"]:
        pods = ", ".join(f"{count:,} {cause}" for cause, count in status["pods"].items())
        out.print(f"  pods       {pods}", markup=False)
    for line in cost_lines(status["predicted"], status["costs"]):
        out.print(f"  {line}", markup=False)
    for problem in status["problems"]:
        out.print(f"  [yellow]{escape(visible(problem))}[/]")
    outcome = outcome_of(found)
    if outcome and record.status in {"finished", "failed"}:
        summary.print_outcome(outcome)
    else:
        out.print(f"  folder     {status['folder']}", markup=False)


def cost_lines(predicted: Mapping[str, Any], costs: Mapping[str, float]) -> list[str]:
    """Return lines about the predicted cost of a run, and the actual one once it has ended.

    The ratio is actual over predicted, over the partitions that were trained without the cache.
    """
    if costs:
        stated, found = costs["predicted_seconds"], costs["seconds"]
        memory, peak = costs["predicted_memory_mib"], costs["memory_mib"]
        return [
            f"time       {costs['partitions']:,.0f} partitions predicted to take "
            f"{duration_text(stated)}, took {duration_text(found)} "
            f"({duration_text(costs['cpu_seconds'])} of CPU): ratio {_ratio(found, stated)}",
            f"memory     {memory:,.0f} MiB predicted for a worker, {peak:,.0f} MiB used at most: "
            f"ratio {_ratio(peak, memory)}",
        ]
    if predicted:
        return [
            f"time       predicted to take {duration_text(predicted['seconds'])} on one CPU, "
            f"{predicted['basis']}"
        ]
    return []


def _ratio(actual: float, predicted: float) -> str:
    return f"{actual / predicted:.2f}" if predicted else "-"


_LEADING_FIELDS = ("time", "step", "event")


def print_log(lines: Sequence[dict[str, Any]]) -> None:
    """Print log lines: time, step and event, then the other fields as name=value."""
    for line in lines:
        rest = {
            name: value
            for name, value in line.items()
            if name not in _LEADING_FIELDS and value != ""
        }
        detail = rest.pop("detail", "")
        fields = " ".join(f"{name}={visible(str(value))}" for name, value in rest.items())
        moment = str(line["time"])[:19]
        failed = rest.get("status") == "failed" or line["event"] == "error"
        style = "red" if failed else ""
        out.print(
            f"{moment} {line['step']:<16} {line['event']} {fields}", markup=False, style=style
        )
        for text in str(detail).splitlines():
            out.print(f"    {visible(text)}", markup=False, style="dim")
