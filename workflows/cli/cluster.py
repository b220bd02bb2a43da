"""The commands for runs on a cluster: submit, status, logs, retry, stop."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from steps.errors import RefeedError, SpecError
from workflows.cli import console
from workflows.cli.options import AsJson, InstallationFile, Overrides, Spec, print_json

if TYPE_CHECKING:
    from workflows.cluster.base import Cluster
    from workflows.cluster.git_owner import GitOwner
    from workflows.installation.model import Installation
    from workflows.runs.find import FoundRun
    from workflows.runs.submit import Submitted

_LISTED = 20
Run = Annotated[
    str,
    typer.Argument(help="A run's id, such as 20260101T120000-ab12, or an unambiguous beginning."),
]
ProjectOption = Annotated[
    str | None, typer.Option("--project", help="Search this project only.", show_default=False)
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
        bool, typer.Option("--wait/--no-wait", help="Follow the run until it ends.")
    ] = True,
    label: Annotated[str, typer.Option(help="A note to store with the run.")] = "",
    force: Annotated[
        bool, typer.Option("--force", help="Compute everything again, ignoring the cache.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run an experiment on a cluster: apply its WorkflowTemplate, start a run and follow it."""
    from workflows.cluster.connect import connect
    from workflows.installation.model import load_installation
    from workflows.installation.projects import project_for
    from workflows.runs.submit import submit as start
    from workflows.runs.submit import upload as copy
    from workflows.spec.check import check_spec
    from workflows.spec.load import load_spec
    from workflows.spec.schedule.check import schedule_warnings

    changes = [*(overrides or ())]
    changes += [f"execution.label={json.dumps(label)}"] if label else []
    changes += ["execution.force=true"] if force else []
    loaded = load_spec(spec, changes)
    platform = load_installation(installation)
    try:
        # Report an invalid spec before anything is copied, and before connecting to a cluster.
        check_spec(loaded.spec, trainer_elsewhere=True)
        resolved = copy(loaded.spec, platform) if upload else loaded.spec
        project_for(platform, resolved)
        submitted = start(resolved, platform, connect(os.environ))
    except SpecError as error:
        raise loaded.locate(error) from None
    _print_started(submitted)
    if submitted.scheduled:
        console.print_warnings(schedule_warnings(resolved.schedule))
    _follow(submitted, wait=wait, as_json=as_json)


def _print_started(submitted: Submitted) -> None:
    workflow = f"workflow {submitted.workflow} in namespace {submitted.namespace}"
    console.err.print(f"Started run {submitted.address.run}: {workflow}", markup=False)
    if submitted.scheduled:
        console.err.print("Its schedule was applied as a CronWorkflow.", markup=False)
    if submitted.owner:
        console.err.print(_ownership(submitted.address.experiment, submitted.owner), markup=False)


def _ownership(experiment: str, owner: GitOwner) -> str:
    file = owner.spec_file or "its spec in experiments/"
    return (
        f"{experiment} is owned by Git (Argo CD application {owner.application}). This run uses "
        "your spec, but the WorkflowTemplate and the schedule in the cluster stay as Git has them. "
        f"To change them, change {file}, run `refeed project render` and push."
    )


def _follow(submitted: Submitted, *, wait: bool, as_json: bool) -> None:
    from workflows.cli.summary import print_outcome
    from workflows.cluster.connect import connect
    from workflows.runs.follow import follow

    summary = {
        "run": submitted.address.run,
        "workflow": submitted.workflow,
        "namespace": submitted.namespace,
        "folder": submitted.address.run_layout.base,
        "git_owner": submitted.owner.application if submitted.owner else None,
    }
    if not wait:
        if as_json:
            print_json(summary)
        else:
            typer.echo(submitted.address.run)
        return
    try:
        end = follow(submitted, connect(os.environ), console.live())
    except KeyboardInterrupt:
        console.clear_progress()
        run = submitted.address.run
        console.err.print(
            f"\nStopped following; the run continues. Check it with: refeed status {run}"
        )
        sys.exit(130)
    if as_json:
        outcome = json.loads(end.outcome.to_json()) if end.outcome else {}
        print_json({**summary, "status": end.status, "message": end.message, **outcome})
    elif end.outcome:
        print_outcome(end.outcome)
    end.raise_for_failure()


def status(
    run: Annotated[
        str | None,
        typer.Argument(help="A run's id; default: list recent runs.", show_default=False),
    ] = None,
    project: ProjectOption = None,
    installation: InstallationFile = None,
    as_json: AsJson = False,
) -> None:
    """Show a run on a cluster, or list recent runs."""
    from workflows.cli import runs as view
    from workflows.installation.model import load_installation
    from workflows.runs.find import find_run

    platform = load_installation(installation)
    if run is None:
        recent = _recent(platform, project)
        if as_json:
            print_json({"runs": [json.loads(each.record.to_json()) for each in recent]})
        else:
            view.print_list(recent)
        return
    found = find_run(platform, run, project, _connect)
    status = view.status_of(found, _problems(found))
    if as_json:
        print_json(status)
    else:
        view.print_status(found, status)


def _connect() -> Cluster:
    from workflows.cluster.connect import connect

    return connect(os.environ)


def _recent(installation: Installation, project: str | None) -> list[FoundRun]:
    """Return the newest runs; those without a pod only if the cluster can be reached."""
    from workflows.runs.find import all_runs, with_unrecorded

    runs = all_runs(installation, project)
    try:
        runs, refusals = with_unrecorded(runs, installation, _connect(), project)
    except RefeedError as error:
        refusals = [error.message]
    for refusal in refusals:
        console.err.print(
            f"Runs whose first pod has not started are not listed: {refusal}", markup=False
        )
    return runs[:_LISTED]


def _problems(run: FoundRun) -> list[str]:
    """Return the cluster's current problems with a run; an unreachable cluster is one of them."""
    from workflows.cluster.diagnose import diagnose
    from workflows.runs.submit import running_workflow
    from workflows.runs.unrecorded import age_seconds

    if run.record.status not in {"running", "waiting"}:
        return []
    try:
        cluster = _connect()
        name = running_workflow(run, cluster)
        workflow = cluster.workflow(run.namespace, name) if name else None
    except RefeedError as error:
        return [f"The cluster cannot be reached: {error.message}"]
    if workflow is None:
        return ["No workflow is working on this run. Resume it with `refeed retry`."]
    return diagnose(workflow, age_seconds(workflow))


def logs(
    run: Run,
    partition: Annotated[
        str | None,
        typer.Option("--partition", help="Show this partition only, by its key or id."),
    ] = None,
    project: ProjectOption = None,
    installation: InstallationFile = None,
    as_json: AsJson = False,
) -> None:
    """Print the logs of a run on a cluster, from the run's folder; they outlive the pods."""
    from workflows.cli import runs as view
    from workflows.installation.model import load_installation
    from workflows.runs.find import find_run, log_lines

    found = find_run(load_installation(installation), run, project, _connect)
    lines = log_lines(found, partition)
    if not lines and not partition:
        console.err.print("No step of the run has logged anything yet.", markup=False)
        for problem in _problems(found):
            console.err.print(problem, markup=False)
    if as_json:
        for line in lines:
            typer.echo(json.dumps(line, ensure_ascii=False))
        return
    view.print_log(lines)


def retry(
    run: Run,
    project: ProjectOption = None,
    installation: InstallationFile = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Follow the run until it ends.")
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Resume a run on a cluster that was stopped or failed: run only what is missing or failed."""
    from workflows.installation.model import load_installation
    from workflows.runs.find import find_run
    from workflows.runs.submit import retry as resubmit

    platform = load_installation(installation)
    found = find_run(platform, run, project, _connect)
    submitted = resubmit(found, platform, _connect())
    _print_started(submitted)
    _follow(submitted, wait=wait, as_json=as_json)


def stop(
    run: Run,
    project: ProjectOption = None,
    installation: InstallationFile = None,
    as_json: AsJson = False,
) -> None:
    """Stop a run on a cluster gracefully: finished work is kept, and `retry` resumes it."""
    from workflows.installation.model import load_installation
    from workflows.runs.find import find_run
    from workflows.runs.submit import stop as stop_workflow

    found = find_run(load_installation(installation), run, project, _connect)
    name, run = stop_workflow(found, _connect()), found.record.run
    if as_json:
        print_json({"run": run, "workflow": name})
        return
    console.err.print(f"Stopping {name}. To resume: refeed retry {run}", markup=False)
