"""``refeed project``: the folders of projects among the cluster's manifests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from steps.errors import Problem, SpecError
from workflows.cli.console import err
from workflows.cli.options import InstallationFile

app = typer.Typer(
    help="Write the folders of projects, from which Argo CD brings them to the cluster.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Overlay = Annotated[
    Path,
    typer.Option(
        metavar="FOLDER",
        envvar="REFEED_OVERLAY",
        help="Of the cluster, such as manifests/overlays/gke.",
        show_default=False,
    ),
]


@app.command(
    epilog="Example: refeed project add sales --overlay manifests/overlays/gke --installation "
    "installation.yaml"
)
def add(
    name: Annotated[str, typer.Argument(help="As the installation file has it.")],
    overlay: Overlay,
    installation: InstallationFile = None,
) -> None:
    """Write a project's folder: its manifests, and a place for its specs."""
    from workflows.argo.project_folder import ProjectFolder, folders
    from workflows.argo.project_folder import add as begin
    from workflows.installation.model import load_installation

    folders(overlay)  # there is such an overlay
    folder = ProjectFolder(overlay, name)
    for path in begin(folder, load_installation(installation)):
        err.print(f"Wrote {path}", markup=False)
    err.print(
        f"Put specs into {folder.path / 'experiments'}, run `refeed project render`, and commit.",
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
        bool, typer.Option("--check", help="Change nothing; exit code 65 where a file is stale.")
    ] = False,
) -> None:
    """Compile the specs of all projects, and write what the installation file says of all."""
    from workflows.argo.project_folder import folders, platform_files, rendered, stale, write
    from workflows.installation.model import load_installation

    platform = load_installation(installation)
    projects = folders(overlay)
    made = {folder.path: rendered(folder, platform) for folder in projects}
    made[overlay / "argo-workflows"] = platform_files(overlay, platform)
    if check:
        _refuse([path for folder, files in made.items() for path in stale(folder, files)], overlay)
        err.print(f"{overlay}: {len(projects)} projects, nothing is stale.", markup=False)
        return
    for path in (path for folder, files in made.items() for path in write(folder, files)):
        err.print(f"{'Wrote' if path.exists() else 'Removed'} {path}", markup=False)


def _refuse(paths: list[Path], overlay: Path) -> None:
    """Raise SpecError: these files are not what the specs and the installation file make."""
    if paths:
        hint = "Run `make compile-all`, look at the difference, and commit it."
        message = "it is not what the specs and the installation file make"
        problems = [Problem(str(path.relative_to(overlay)), message, hint) for path in paths]
        raise SpecError(str(overlay), problems)
