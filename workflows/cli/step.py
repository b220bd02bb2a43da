"""``refeed step``: the commands that a workflow's pods run. Not meant to be typed by hand."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from steps.contract import RunAddress
from steps.errors import PreemptedError

app = typer.Typer(
    help="Run one step of a run. Used by the pods of a workflow.",
    epilog="Example: refeed step check --root gs://bucket --project sales --experiment demand",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Root = Annotated[str, typer.Option(help="The artifact root.")]
Project = Annotated[str, typer.Option(help="The project.")]
Experiment = Annotated[str, typer.Option(help="The experiment.")]
Run = Annotated[str, typer.Option(help="The run's id.")]


@app.callback()
def _in_a_pod() -> None:
    """Exit as preempted on SIGTERM from the first moment, so that Argo starts the pod again."""
    signal.signal(signal.SIGTERM, _preempted)


def _preempted(_number: int, _frame: object) -> None:
    raise PreemptedError(
        "The pod was stopped before its step started. Argo starts another one. "
        "You need not do anything."
    )


@app.command()
def check(root: Root, project: Project, experiment: Experiment, run: Run = "") -> None:
    """Check the spec and the form's values, and start or resume a run."""
    from workflows.pods import check as step

    del root, project, experiment, run  # the step reads them from the spec that it checks
    step.check()


@app.command()
def split(root: Root, project: Project, experiment: Experiment, run: Run) -> None:
    """Build the dataset, and pack its partitions into shards."""
    from workflows.pods.split import split_in_pod

    split_in_pod(RunAddress(root, project, experiment, run))


@app.command()
def base(root: Root, project: Project, experiment: Experiment, run: Run) -> None:
    """Fit the models of all partitions together, with which their own models are compared."""
    from workflows.pods.base import base_in_pod

    base_in_pod(RunAddress(root, project, experiment, run))


@app.command()
def train(
    root: Root,
    project: Project,
    experiment: Experiment,
    run: Run,
    resource_class: Annotated[str, typer.Option(help="The shard's resource class.")],
    shard: Annotated[str, typer.Option(help="The shard's number.")],
) -> None:
    """Train the partitions of one shard."""
    from workflows.pods.train import train_in_pod

    train_in_pod(RunAddress(root, project, experiment, run), resource_class, shard)


@app.command()
def collect(root: Root, project: Project, experiment: Experiment, run: Run) -> None:
    """Write the tables and the report, and record the outcome."""
    from workflows.pods.collect import collect_in_pod

    collect_in_pod(RunAddress(root, project, experiment, run))


@app.command()
def finish(root: Root, project: Project, experiment: Experiment, run: Run = "") -> None:
    """Record the end of a run that failed, and send notifications."""
    from workflows.pods.finish import finish as step

    del run  # the exit handler gets no run id: it derives the same id as the check step
    step(root, project, experiment)
