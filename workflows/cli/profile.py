"""``refeed profile``: a summary of the data and the estimated cost of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from steps.charts.text import plural
from steps.errors import SpecError
from workflows.cli import console
from workflows.cli.console import out, visible
from workflows.cli.options import AsJson, InstallationFile, Overrides, Spec, print_json
from workflows.cli.summary import REASONS, duration_text, elided, short_path

if TYPE_CHECKING:
    from workflows.planning.estimate import PreferencePlan, TrainingEstimate
    from workflows.profile import Profile

_MAX_FEATURES, _MAX_WARNINGS, _BAR_WIDTH = 20, 20, 24


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command(
        epilog="Examples: refeed profile spec.yaml    refeed profile spec.yaml --installation "
        "installation.yaml    refeed profile spec.yaml --tfdv statistics/ --json"
    )(profile)


def profile(
    spec: Spec,
    overrides: Overrides = None,
    installation: InstallationFile = None,
    tfdv: Annotated[
        str | None,
        typer.Option(
            "--tfdv",
            metavar="FOLDER",
            help="Write the statistics of the table and of each partition for TensorFlow Data "
            "Validation; a folder or a gs:// URI.",
            show_default=False,
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Profile the data and estimate the time and cost of a run, without training."""
    from workflows.installation.model import load_installation
    from workflows.profile import profile as build_profile
    from workflows.profile import write_tfdv
    from workflows.spec.load import load_spec

    loaded = load_spec(spec, overrides or ())
    platform = load_installation(installation) if installation else None
    try:
        result = build_profile(loaded, platform, console.progress())
    except SpecError as error:
        raise loaded.locate(error) from None
    files = write_tfdv(loaded, result.dataset, tfdv) if tfdv else []
    if as_json:
        print_json({**result.as_json(), "tfdv": files})
    else:
        print_profile(result, files)


def print_profile(found: Profile, files: Sequence[str]) -> None:
    """Print a profile and the TFDV files written."""
    verb = "Reused" if found.reused else "Built"
    out.print(f"{verb} the dataset {found.dataset}", markup=False)
    _print_partitions(found)
    _print_features(found)
    _print_warnings(found)
    _print_estimate(found.estimate)
    out.print()
    if files:
        more = f" and {len(files) - 1} for partitions" if len(files) > 1 else ""
        out.print(f"TFDV    {short_path(files[0])}{more}", markup=False)
    out.print(f"Page    {short_path(found.page)}", markup=False, style="bold")


def _print_partitions(found: Profile) -> None:
    trainable = found.partitions - sum(found.skipped.values())
    out.print()
    out.print(f"[bold]{trainable:,} of {found.partitions:,} partitions can be trained[/]")
    for reason, count in found.skipped.items():
        out.print(f"  {count:,} would be skipped: {REASONS.get(reason, reason)}")
    if found.rows_without_target:
        share = f"{found.rows_without_target:,} of {found.rows:,}"
        out.print(f"  {share} rows have no target and are left out")
    names = ("min", "lower quartile", "median", "upper quartile", "max")
    sizes = ", ".join(f"{name} {size:,}" for name, size in zip(names, found.sizes, strict=True))
    out.print(f"  rows per partition, only those with a target: {sizes}")
    ranges = [f"{low:,}" if low == high else f"{low:,} to {high:,}" for low, high, _ in found.bars]
    width, largest = max(map(len, ranges)), max(count for _, _, count in found.bars)
    for label, (_, _, count) in zip(ranges, found.bars, strict=True):
        bar = "█" * max(round(_BAR_WIDTH * count / largest), 1 if count else 0)
        out.print(f"  {label:>{width}} [cyan]{bar}[/] {count:,}")


def _print_features(found: Profile) -> None:
    from steps.charts.features import share_text, value_text

    title = f"{len(found.features):,} features"
    table = Table(title=title, title_justify="left", title_style="", box=None, pad_edge=False)
    for name in ("  feature", "type"):
        table.add_column(name)
    for name in ("missing", "distinct", "min", "median", "max"):
        table.add_column(name, justify="right")
    warned = {warning.column for warning in found.warnings}
    ordered = sorted(found.features, key=lambda row: row["column"] not in warned)
    shown = found.features if len(ordered) <= _MAX_FEATURES else ordered[:_MAX_FEATURES]
    for row in shown:
        name = escape(elided(row["column"]))
        shown_name = f"  [yellow]{name}[/]" if row["column"] in warned else f"  {name}"
        distinct = f"{'' if row['distinct_exact'] else '~'}{row['distinct']:,}"
        is_number = row["type"] not in {"string", "bool"}
        range_cells = [
            value_text(row["type"], row[key]) if is_number else "" for key in ("min", "q50", "max")
        ]
        missing = share_text(row["missing"], row["rows"])
        table.add_row(shown_name, row["type"], missing, distinct, *range_cells)
    out.print()
    out.print(table)
    if len(shown) < len(found.features):
        out.print(f"  and {len(found.features) - len(shown):,} more: see the page")


def _print_warnings(found: Profile) -> None:
    out.print()
    if not found.warnings:
        out.print("No warnings about the data.")
    for warning in found.warnings[:_MAX_WARNINGS]:
        kind = warning.kind.replace("_", " ")
        out.print(f"[yellow]warning:[/] {kind}: {escape(visible(warning.message))}")
    if len(found.warnings) > _MAX_WARNINGS:
        more = plural(len(found.warnings) - _MAX_WARNINGS, "more warning")
        out.print(f"and {more}: see --json")


def _print_estimate(plan: TrainingEstimate) -> None:
    where = "on a cluster" if plan.classes or not plan.workers else "on this machine"
    out.print()
    core_time = duration_text(plan.core_hours * 3600)
    out.print(f"[bold]A run {where} would take about {core_time} of core time[/]")
    out.print(f"  {escape(plan.basis)}")
    span = f"{duration_text(plan.seconds * plan.low)} to {duration_text(plan.seconds * plan.high)}"
    if plan.workers:
        out.print(f"  {span} with {plan.workers} parallel processes")
        _print_refits(plan)
        return
    for each in plan.classes:
        out.print(
            f"  {each.pods:,} pods of class {escape(each.name)} would train {each.partitions:,} "
            f"partitions, in {duration_text(each.pod_hours * 3600)} of pod time together"
        )
    out.print(f"  {span} if all pods run at once, plus one pod each for split and collect")
    if plan.too_large_total:
        keys = ", ".join(escape(elided(key)) for key in plan.too_large)
        out.print(f"  [red]{plan.too_large_total:,} too large for every resource class:[/] {keys}")
    if plan.money is not None:
        low, high = (_money(plan.money * factor) for factor in (plan.low, plan.high))
        out.print(f"  about {_money(plan.money)} {plan.currency}, {low} to {high}")
    for preference in plan.preferences:
        _print_preference(preference, plan)
    _print_refits(plan)


def _print_preference(each: PreferencePlan, plan: TrainingEstimate) -> None:
    money = "" if each.money is None else f", {_money(each.money)} {plan.currency}"
    chosen = " (chosen)" if each.prefer == plan.prefer else ""
    minutes = f"{each.seconds / 60:,.1f} minutes"
    out.print(
        f"  execution.prefer: {each.prefer}: {plural(each.pods, 'pod')}, {minutes}{money}{chosen}"
    )


def _print_refits(plan: TrainingEstimate) -> None:
    if plan.refits:
        out.print(
            "  execution.fold_models: drop keeps no models of the folds: a run that changes "
            "`explain` fits the models again"
        )


def _money(amount: float) -> str:
    return f"{amount:,.2f}" if amount >= 1 else f"{amount:.2g}"
