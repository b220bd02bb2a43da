"""What ``status`` and ``logs`` print."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from workflows.cli import summary
from workflows.cli.console import out, visible
from workflows.runs.find import Watch, outcome_of

if TYPE_CHECKING:
    from workflows.runs.find import FoundRun

_COLOURS = {"finished": "green", "failed": "red", "stopped": "yellow", "running": "cyan"}


def print_list(found: Sequence[FoundRun]) -> None:
    """The newest runs of all projects."""
    if not found:
        out.print("No run yet.")
        return
    table = Table(box=None, pad_edge=False)
    for name in ("run", "project", "experiment", "status", "trained", "failed", "label"):
        table.add_column(name, no_wrap=True, overflow="ignore")
    for each in found:
        record = each.record
        colour = _COLOURS.get(record.status, "white")
        counts = [str(record.counts.get(name, "")) for name in ("trained", "failed")]
        names = [record.run, record.project, record.experiment]
        label = escape(visible(record.label))
        table.add_row(*names, f"[{colour}]{record.status}[/]", *counts, label)
    out.print(table)


def facts_of(found: FoundRun, problems: list[str]) -> dict[str, Any]:
    """All there is to tell of a run, for people and scripts alike."""
    record, layout = found.record, found.address.run_layout
    advance = Watch(found.address).look()
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
        "partitions": advance.partitions,
        "done": advance.done,
        "counts": record.counts,
        "failed_so_far": advance.failed,
        "pods": advance.pods,
        "problems": problems,
        "folder": layout.base,
        "report": outcome.report if outcome else "",
    }


def print_status(found: FoundRun, facts: dict[str, Any]) -> None:
    """One run."""
    record = found.record
    colour = _COLOURS.get(record.status, "white")
    out.print(
        f"[bold]{record.run}[/] {record.project}/{record.experiment} [{colour}]{record.status}[/]"
    )
    for name in ("label", "started", "ended", "message"):
        if facts[name]:
            out.print(f"  {name:<10} {visible(str(facts[name]))}", markup=False)
    if facts["partitions"] is not None:
        done = f"{facts['done']:,} of {facts['partitions']:,} done"
        out.print(f"  partitions {done}", markup=False)
    if facts["pods"]:
        pods = ", ".join(f"{count:,} {cause}" for cause, count in facts["pods"].items())
        out.print(f"  pods       {pods}", markup=False)
    for problem in facts["problems"]:
        out.print(f"  [yellow]{escape(visible(problem))}[/]")
    outcome = outcome_of(found)
    if outcome and record.status in {"finished", "failed"}:
        summary.print_outcome(outcome)
    else:
        out.print(f"  folder     {facts['folder']}", markup=False)


_TOLD = ("time", "step", "event")


def print_log(lines: Sequence[dict[str, Any]]) -> None:
    """Log lines as people read them: when, which step, what, and the rest as name=value."""
    for line in lines:
        rest = {name: value for name, value in line.items() if name not in _TOLD and value != ""}
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
