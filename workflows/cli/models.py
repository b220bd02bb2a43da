"""The command ``refeed models``."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workflows.cli.options import AsJson, InstallationFile, Overrides, print_json

if TYPE_CHECKING:
    from workflows.models import WrittenModel


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        epilog="Examples: refeed models spec.yaml -o models    "
        "refeed models 20260101T120000-ab12 HOU LGA -o models"
    )(models)


def models(
    spec: Annotated[
        str, typer.Argument(help="The experiment spec, or the id of a run on a cluster.")
    ],
    partitions: Annotated[
        list[str] | None,
        typer.Argument(help="Partitions, by key or id; default: all.", show_default=False),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder to write to.")] = Path(
        "models"
    ),
    overrides: Overrides = None,
    run_id: Annotated[
        str | None, typer.Option("--run", help="Id of a run; default: the latest finished run.")
    ] = None,
    installation: InstallationFile = None,
    as_json: AsJson = False,
) -> None:
    """Write the models of a run as files of their library's own format, with model cards."""
    from workflows.models import write_models
    from workflows.runs.find import RUN_ID
    from workflows.runs.reports import context_of_run, find_run, local_context
    from workflows.spec.load import load_spec

    if RUN_ID.match(spec):
        context = context_of_run(installation, spec)
    else:
        loaded = load_spec(spec, overrides or ()).spec
        context = local_context(loaded, find_run(loaded, run_id))
    written = write_models(context, partitions or [], output)
    if as_json:
        print_json({"folder": str(output), "models": [asdict(each) for each in written]})
    else:
        typer.echo(_summary(written, output))


def _summary(written: list[WrittenModel], folder: Path) -> str:
    """Return how many models were written, and of how many partitions there is none."""
    counts = Counter(each.status for each in written)
    without = sum(counts.values()) - counts["trained"]
    more = f" {without:,} partitions have no model." if without else ""
    return f"Wrote {counts['trained']:,} models with their cards to {folder}.{more}"
