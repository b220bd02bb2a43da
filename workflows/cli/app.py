"""The command ``refeed``: one function per command, errors and exit codes in one place.

Heavy libraries are imported inside the commands that need them, so that ``--help`` and
``validate --spec-only`` start fast.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from steps.errors import (
    DEBUG,
    MissingInputError,
    OutputError,
    RefeedError,
    SpecError,
    internal_error,
)
from workflows.cli import cluster, console, models, profile, project, step
from workflows.cli.options import AsJson, InstallationFile, Overrides, Spec, print_json

app = typer.Typer(
    name="refeed",
    help="Train and compare one model per partition of a table, hundreds at a time.",
    epilog="Exit codes: 0 success, 2 wrong command line, 3 too many partitions failed, 4 a run on "
    "a cluster failed, 65 invalid spec or data, 66 missing input, 69 cluster unavailable, 70 a "
    "bug, 73 the output cannot be written, 75 temporary failure, 77 permission denied, 130 Ctrl-C."
    "\n\nExample: refeed run examples/flights/spec.yaml",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """Run the command line, and exit with the code of the error raised, if any."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except RefeedError as error:
        if DEBUG in os.environ and type(error) is RefeedError:
            raise  # an internal error, of no subclass: show its traceback
        console.print_error(error)
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(0)
    except OSError as error:
        console.print_error(from_os_error(error))
        sys.exit(from_os_error(error).exit_code)
    except Exception as error:
        if DEBUG in os.environ:
            raise
        console.print_error(internal_error(error))
        sys.exit(RefeedError.exit_code)


def from_os_error(error: OSError) -> RefeedError:
    """Return the RefeedError for a file that cannot be read or written."""
    message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    missing = isinstance(error, FileNotFoundError)
    kind = MissingInputError if missing else OutputError
    return kind(
        f"The operating system reports: {message}.",
        hint="Check the path, its permissions and the free disk space.",
    )


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def _print_version(requested: bool) -> None:
    if requested:
        from refeed import __version__

        typer.echo(f"refeed {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    del version


@app.command(
    epilog="Example: refeed init flights.parquet --target arr_delay --partition-by dest > spec.yaml"
)
def init(
    table: Annotated[str, typer.Argument(help="A Parquet or CSV file, or a directory of them.")],
    partition_by: Annotated[
        str | None, typer.Option(help="Column that identifies the partition; default: guessed.")
    ] = None,
    target: Annotated[str | None, typer.Option(help="Column to predict; default: guessed.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the experiment.")] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; default: standard output.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a commented spec for a table, with its columns and types filled in."""
    from workflows.spec.draft import draft

    text = draft(table, partition_by, target, name, output.parent if output else Path())
    if output is None:
        typer.echo(text, nl=False)
        return
    if output.exists() and not force:
        raise OutputError(f"{output} already exists.", hint="Use --force to replace it.")
    output.write_text(text, encoding="utf-8")
    console.err.print(f"Wrote {output}. Next: refeed validate {output}", markup=False)


@app.command(epilog="Example: refeed validate examples/flights/spec.yaml")
def validate(
    spec: Spec,
    overrides: Overrides = None,
    spec_only: Annotated[
        bool, typer.Option("--spec-only", help="Check the spec only, without reading the data.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Check a spec and its data: leakage, identifiers, constants, small partitions."""
    from workflows.spec.check import check_spec
    from workflows.spec.load import load_spec
    from workflows.spec.schedule.check import schedule_note, schedule_warnings

    loaded = load_spec(spec, overrides or ())
    schedule = loaded.spec.schedule
    advice: dict[str, list[str]] = {"warnings": [], "notes": []}
    try:
        check_spec(loaded.spec)
        if not spec_only:
            from workflows.spec.validate import advise

            advice = advise(loaded.spec, console.progress())
    except SpecError as error:
        raise loaded.locate(error) from None
    if schedule:
        advice["warnings"] += schedule_warnings(schedule)
        advice["notes"].append(schedule_note(schedule))
    if as_json:
        print_json({"spec": str(spec), "valid": True, **advice})
        return
    for warning in advice["warnings"]:
        console.out.print(f"[yellow]warning:[/] {escape(console.visible(warning))}")
    for note in advice["notes"]:
        console.out.print(note, markup=False)
    console.out.print("[green]valid[/]", escape(str(spec)))


@app.command(epilog="Example: refeed split examples/flights/spec.yaml")
def split(spec: Spec, overrides: Overrides = None, as_json: AsJson = False) -> None:
    """Build the dataset only; later runs reuse it."""
    from steps.contract import ProjectLayout
    from workflows.local import split_only
    from workflows.spec.load import load_spec

    loaded = load_spec(spec, overrides or ())
    result = split_only(loaded, console.progress())
    index = result.index
    folder = ProjectLayout(loaded.spec.output, loaded.spec.project).dataset(index.dataset).base
    if as_json:
        print_json(
            {
                "dataset": index.dataset,
                "reused": result.reused,
                "partitions": len(index.entries),
                "rows": index.rows,
                "folder": folder,
            }
        )
        return
    console.out.print(
        f"{'Reused' if result.reused else 'Built'} the dataset {index.dataset}: "
        f"{index.rows:,} rows in {len(index.entries):,} partitions, in {folder}",
        markup=False,
    )


@app.command(
    epilog="Examples: refeed run spec.yaml    refeed run spec.yaml --set trainer.name=linear"
)
def run(
    spec: Spec,
    overrides: Overrides = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Number of training processes; default: all cores.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Split, train, explain and compare on this machine. Run again to resume."""
    from workflows.cli import summary
    from workflows.local import run as run_locally
    from workflows.spec.load import load_spec

    changes = [*(overrides or ()), *([f"execution.workers={workers}"] if workers else [])]
    try:
        result = run_locally(load_spec(spec, changes), progress=console.progress())
    except KeyboardInterrupt:
        console.clear_progress()
        console.err.print("\nStopped. Finished work is kept. Run the same command again to resume.")
        sys.exit(130)
    if as_json:
        print_json(summary.as_json(result))
    else:
        summary.print_summary(result)
    result.raise_for_failures()


class Kind(StrEnum):
    """Kinds of Argo object that a spec compiles to."""

    workflow_template = "workflow-template"
    workflow = "workflow"
    cron_workflow = "cron-workflow"


@app.command(
    name="compile",
    epilog="Example: refeed compile spec.yaml --installation installation.yaml -o template.yaml",
)
def compile_(
    spec: Spec,
    overrides: Overrides = None,
    installation: InstallationFile = None,
    kind: Annotated[
        Kind, typer.Option(help="Kind of Argo object to write.")
    ] = Kind.workflow_template,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="File to write; default: standard output.")
    ] = None,
) -> None:
    """Compile a spec to an Argo manifest, without a cluster or network."""
    from workflows.argo.compile import compile_spec, to_yaml
    from workflows.installation.model import load_installation
    from workflows.spec.load import load_spec
    from workflows.spec.schedule.check import schedule_warnings

    loaded = load_spec(spec, overrides or ())
    platform = load_installation(installation)
    try:
        manifest = compile_spec(loaded.spec, platform, kind.value)
    except SpecError as error:
        raise loaded.locate(error) from None
    if kind is Kind.cron_workflow:
        console.print_warnings(schedule_warnings(loaded.spec.schedule))
    text = to_yaml(manifest, spec.name)
    if output is None:
        typer.echo(text, nl=False)
        return
    output.write_text(text, encoding="utf-8")
    console.err.print(f"Wrote {output}", markup=False)


@app.command(
    epilog="Examples: refeed report spec.yaml --list    refeed report 20260101T120000-ab12"
)
def report(
    spec: Annotated[
        str, typer.Argument(help="The experiment spec, or the id of a run on a cluster.")
    ],
    overrides: Overrides = None,
    run_id: Annotated[
        str | None, typer.Option("--run", help="Id of a run; default: the latest finished run.")
    ] = None,
    list_runs: Annotated[bool, typer.Option("--list", help="List the runs instead.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="Copy the report to this file.", show_default=False),
    ] = None,
    installation: InstallationFile = None,
    as_json: AsJson = False,
) -> None:
    """Write the report of a past run again from its tables, or list past runs."""
    from workflows.cli import summary
    from workflows.runs.find import RUN_ID
    from workflows.runs.reports import copy_report, find_run, make_report, past_runs, report_of_run
    from workflows.spec.load import load_spec

    if RUN_ID.match(spec):
        path = report_of_run(installation, spec)
    else:
        loaded = load_spec(spec, overrides or ()).spec
        if list_runs:
            records = past_runs(loaded)
            if as_json:
                print_json({"runs": [json.loads(record.to_json()) for record in records]})
            else:
                summary.print_runs(records)
            return
        path = make_report(loaded, find_run(loaded, run_id))
    if output is not None:
        path = copy_report(path, output)
    if as_json:
        print_json({"report": path})
    else:
        typer.echo(path)


@app.command(epilog="Examples: refeed trainers    refeed trainers lightgbm")
def trainers(
    name: Annotated[
        str | None, typer.Argument(help="Show the parameters of this trainer.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the installed trainers, or show the parameters of one."""
    from steps.train.registry import installed, load_class
    from workflows.cli import summary

    if name is None:
        sources = {key: point.value for key, point in installed().items()}
        if as_json:
            print_json({"trainers": sources})
        else:
            summary.print_trainers(sources)
        return
    model = load_class(name).Params
    if as_json:
        print_json(model.model_json_schema())
    else:
        summary.print_params(name, model)


@app.command(epilog="Example: refeed gc spec.yaml --dry-run --keep 5")
def gc(
    spec: Spec,
    overrides: Overrides = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only print what would be removed.")
    ] = False,
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="Number of latest runs to keep per experiment; default: all."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Remove datasets, models and explanations that no kept run of the project uses."""
    from workflows.cli import summary
    from workflows.gc import exclusive, find_garbage, remove
    from workflows.spec.load import load_spec

    loaded = load_spec(spec, overrides or ()).spec
    with exclusive(loaded):
        garbage = find_garbage(loaded, keep)
        if not dry_run:
            remove(loaded, garbage)
    if as_json:
        print_json({"removed": not dry_run, "bytes": garbage.bytes, "folders": garbage.paths})
    else:
        summary.print_garbage(garbage, dry_run)


profile.register(app)
models.register(app)
cluster.register(app)
app.add_typer(project.app, name="project")
app.add_typer(step.app, name="step", hidden=True)
