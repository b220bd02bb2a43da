"""The commands about runs on a cluster: submit, status, logs, retry, stop."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from steps.errors import RefeedError, SpecError
from workflows.cli import console
from workflows.cli.options import AsJson, InstallationFile, Overrides, Spec, print_json

if TYPE_CHECKING:
    from workflows.installation.model import Installation
    from workflows.runs.find import FoundRun
    from workflows.runs.submit import Submitted

Run = Annotated[str, typer.Argument(help="A run's id, such as 20260101T120000-ab12.")]
ProjectOption = Annotated[
    str | None, typer.Option("--project", help="Look in this project only.", show_default=False)
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(
        epilog="Examples: refeed submit spec.yaml --upload    refeed submit spec.yaml --no-wait"
    )(submit)
    app.command(epilog="Examples: refeed status    refeed status 20260101T120000-ab12")(status)
    app.command(epilog="Example: refeed logs 20260101T120000-ab12 --partition HOU")(logs)
    app.command(epilog="Example: refeed retry 20260101T120000-ab12")(retry)
    app.command(epilog="Example: refeed stop 20260101T120000-ab12")(stop)


def submit(
    spec: Spec,
    overrides: Overrides = None,
    installation: InstallationFile = None,
    upload: Annotated[
        bool,
        typer.Option("--upload", help="Copy a local source into the project's artifact root."),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Follow the run to its end.")
    ] = True,
    label: Annotated[str, typer.Option(help="A note of your own on the run.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Compute everything anew, whatever the cache holds.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run an experiment on a cluster: apply its WorkflowTemplate, start a run, follow it."""
    from workflows.cluster.connect import connect
    from workflows.installation.model import load_installation
    from workflows.installation.projects import project_for
    from workflows.runs.submit import submit as start
    from workflows.runs.submit import upload as copy
    from workflows.spec.load import load_spec

    changes = [*(overrides or ())]
    changes += [f"execution.label={json.dumps(label)}"] if label else []
    changes += ["execution.force=true"] if force else []
    loaded = load_spec(spec, changes)
    platform = load_installation(installation)
    try:
        wanted = copy(loaded.spec, platform) if upload else loaded.spec
        project_for(
            platform, wanted
        )  # what is wrong with the spec is told before any cluster is asked
        submitted = start(wanted, platform, connect(os.environ))
    except SpecError as error:
        raise loaded.locate(error) from None
    _tell(submitted)
    _follow(submitted, wait=wait, as_json=as_json)


def _tell(submitted: Submitted) -> None:
    where = f"workflow {submitted.workflow} in {submitted.namespace}"
    console.err.print(f"Run {submitted.address.run} has started: {where}", markup=False)
    if submitted.scheduled:
        console.err.print("Its schedule is in the cluster too, as a CronWorkflow.", markup=False)


def _follow(submitted: Submitted, *, wait: bool, as_json: bool) -> None:
    from workflows.cluster.connect import connect
    from workflows.runs.follow import follow

    facts = {
        "run": submitted.address.run,
        "workflow": submitted.workflow,
        "namespace": submitted.namespace,
        "folder": submitted.address.run_layout.base,
    }
    if not wait:
        if as_json:
            print_json(facts)
        else:
            typer.echo(submitted.address.run)
        return
    try:
        ended = follow(submitted, connect(os.environ), console.live())
    except KeyboardInterrupt:
        console.clear_progress()
        run = submitted.address.run
        console.err.print(f"\nNo longer following; the run goes on. refeed status {run}")
        sys.exit(130)
    _end(ended, facts, as_json=as_json)


def _end(ended: Any, facts: dict[str, Any], *, as_json: bool) -> None:  # noqa: ANN401
    from workflows.cli import summary

    outcome = ended.outcome
    if as_json:
        told = json.loads(outcome.to_json()) if outcome else {}
        print_json({**facts, "status": ended.status, "message": ended.message, **told})
    elif outcome:
        summary.print_outcome(outcome)
    ended.raise_for_failure()


def status(
    run: Annotated[
        str | None, typer.Argument(help="A run's id; default: list the newest.", show_default=False)
    ] = None,
    project: ProjectOption = None,
    installation: InstallationFile = None,
    as_json: AsJson = False,
) -> None:
    """Tell what became of a run, or list the newest: from their folders, pods or no pods."""
    from workflows.cli import runs as shown
    from workflows.installation.model import load_installation
    from workflows.runs.find import all_runs, find_run

    platform = load_installation(installation)
    if run is None:
        found = all_runs(platform, project)[:20]
        if as_json:
            print_json({"runs": [json.loads(each.record.to_json()) for each in found]})
        else:
            shown.print_list(found)
        return
    one = find_run(platform, run, project)
    facts = shown.facts_of(one, _problems(one))
    if as_json:
        print_json(facts)
    else:
        shown.print_status(one, facts)


def _problems(found: FoundRun) -> list[str]:
    """What the cluster says is wrong just now; that it cannot be asked is no problem."""
    from workflows.cluster.connect import connect
    from workflows.cluster.diagnose import diagnose
    from workflows.runs.submit import running_workflow

    if found.record.status != "running":
        return []
    try:
        cluster = connect(os.environ)
        name = running_workflow(found, cluster)
        workflow = cluster.workflow(found.namespace, name) if name else None
    except RefeedError as error:
        return [f"The cluster cannot be asked: {error.message}"]
    if workflow is None:
        return ["No workflow works on it any more: `refeed retry` goes on with it."]
    return diagnose(workflow)


def logs(
    run: Run,
    partition: Annotated[
        str | None,
        typer.Option("--partition", help="Only of this partition: its key or id."),
    ] = None,
    project: ProjectOption = None,
    installation: InstallationFile = None,
    as_json: AsJson = False,
) -> None:
    """Print what the steps of a run logged; it lies in the run's folder and outlives the pods."""
    from workflows.cli import runs as shown
    from workflows.installation.model import load_installation
    from workflows.runs.find import find_run, log_lines

    found = find_run(load_installation(installation), run, project)
    lines = log_lines(found, partition)
    if as_json:
        for line in lines:
            typer.echo(json.dumps(line, ensure_ascii=False))
        return
    shown.print_log(lines)


def retry(
    run: Run,
    project: ProjectOption = None,
    installation: InstallationFile = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Follow the run to its end.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Go on with a run that was stopped or failed: only what is missing, and what failed."""
    from workflows.cluster.connect import connect
    from workflows.runs.submit import retry as again

    platform, found = _found(installation, run, project)
    submitted = again(found, platform, connect(os.environ))
    _tell(submitted)
    _follow(submitted, wait=wait, as_json=as_json)


def stop(
    run: Run,
    project: ProjectOption = None,
    installation: InstallationFile = None,
    as_json: AsJson = False,
) -> None:
    """Stop a run in good order: what is finished is recorded, and `retry` goes on from there."""
    from workflows.cluster.connect import connect
    from workflows.runs.submit import stop as halt

    _, found = _found(installation, run, project)
    name = halt(found, connect(os.environ))
    if as_json:
        print_json({"run": run, "workflow": name})
        return
    console.err.print(f"Stopping {name}. To go on: refeed retry {run}", markup=False)


def _found(
    installation: Path | None, run: str, project: str | None
) -> tuple[Installation, FoundRun]:
    from workflows.installation.model import load_installation
    from workflows.runs.find import find_run

    platform = load_installation(installation)
    return platform, find_run(platform, run, project)
