"""Options shared by several commands, and JSON output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

Spec = Annotated[Path, typer.Argument(help="The experiment spec, a YAML file.", show_default=False)]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="FIELD=VALUE",
        help="Override a field of the spec, e.g. --set dataset.source=new.parquet. The value is "
        "YAML; a path is relative to the working directory. May be repeated.",
        show_default=False,
    ),
]
InstallationFile = Annotated[
    Path | None,
    typer.Option(
        "--installation",
        metavar="FILE",
        envvar="REFEED_INSTALLATION",
        help="The installation file: images, resource classes and projects.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for scripts.")]


def print_json(value: dict[str, Any]) -> None:
    """Print a result as JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))
