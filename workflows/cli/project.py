"""``refeed project``: project folders among a cluster's manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steps.errors import Problem, SpecError
from workflows.cli.console import err, print_warnings
from workflows.cli.options import InstallationFile

app = typer.Typer(
    help="Write project folders, which Argo CD deploys to the cluster.",
    epilog="Example: refeed project add sales --overlay manifests/overlays/gke",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Overlay = Annotated[
    Path,
    typer.Option(
        metavar="FOLDER",
        envvar="REFEED_OVERLAY",
        help="The cluster's overlay, such as manifests/overlays/gke.",
        show_default=False,
    ),
]


@app.command(
    epilog="Example: refeed project add sales --overlay manifests/overlays/gke --installation "
    "installation.yaml"
)
def add(
    name: Annotated[str, typer.Argument(help="The project's name in the installation file.")],
    overlay: Overlay,
    installation: InstallationFile = None,
) -> None:
    """Write a project's folder: its manifests, and a subfolder for its specs."""
    from workflows.argo.project_folder import ProjectFolder, folders
    from workflows.argo.project_folder import add as add_folder
    from workflows.installation.model import load_installation

    folders(overlay)  # raises if the overlay does not exist
    folder = ProjectFolder(overlay, name)
    for path in add_folder(folder, load_installation(installation)):
        err.print(f"Wrote {path}", markup=False)
    err.print(
        f"Next: put specs into {folder.path / 'experiments'}, run `refeed project render`, and "
        "commit the specs and the rendered files.",
        markup=False,
    )


@app.command(
    epilog="Example: refeed project render --overlay manifests/overlays/gke --installation "
    "installation.yaml --check"
)
def render(
    overlay: Overlay,
    installation: InstallationFile = None,
    check: Annotated[
        bool,
        typer.Option("--check", help="Write nothing; exit with code 65 if a file is out of date."),
    ] = False,
) -> None:
    """Compile the specs of all projects, and write their manifests from the installation file."""
    from workflows.argo.project_folder import (
        folders,
        platform_files,
        rendered,
        stale,
        warnings,
        write,
    )
    from workflows.installation.model import load_installation

    platform = load_installation(installation)
    projects = folders(overlay)
    expected = {folder.path: rendered(folder, platform) for folder in projects}
    expected[overlay / "argo-workflows"] = platform_files(overlay, platform)
    if check:
        outdated = [path for folder, files in expected.items() for path in stale(folder, files)]
        if outdated:
            hint = "Run `make compile-all`, review the difference and commit it."
            message = (
                "out of date: differs from what the specs and the installation file compile to"
            )
            names = [str(path.relative_to(overlay)) for path in outdated]
            raise SpecError(str(overlay), [Problem(name, message, hint) for name in names])
        count = f"{len(projects)} project{'s' if len(projects) != 1 else ''}"
        err.print(f"{overlay}: {count} up to date.", markup=False)
        return
    for path in (path for folder, files in expected.items() for path in write(folder, files)):
        err.print(f"{'Wrote' if path.exists() else 'Removed'} {path}", markup=False)
    for folder in projects:
        print_warnings(warnings(folder))
