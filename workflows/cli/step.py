"""``refeed step``: what a pod runs. For workflows, not for people."""

from __future__ import annotations

import signal
from typing import Annotated

import typer

from steps.contract import RunAddress
from steps.errors import PreemptedError

app = typer.Typer(
    help="Run one step of a run; a workflow's pods do.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Root = Annotated[str, typer.Option(help="The artifact root.")]
Project = Annotated[str, typer.Option(help="The project.")]
Experiment = Annotated[str, typer.Option(help="The experiment.")]
Run = Annotated[str, typer.Option(help="The run's id.")]


@app.callback()
def _in_a_pod() -> None:
    """From its first moment a pod that is told to stop says so: it is started again."""
    signal.signal(signal.SIGTERM, _preempted)


def _preempted(_number: int, _frame: object) -> None:
    raise PreemptedError("The pod was told to stop before it had begun.")


@app.command()
def check(root: Root, project: Project, experiment: Experiment, run: Run = "") -> None:
    """Check the spec and the form's values, and begin a run or go on with one."""
    from workflows.pods import check as step

    del root, project, experiment, run  # they are in the spec, which is what is checked
    step.check()


@app.command()
def split(root: Root, project: Project, experiment: Experiment, run: Run) -> None:
    """Make the data set, and pack its partitions into shards."""
    from workflows.pods.split import split_in_pod

    split_in_pod(RunAddress(root, project, experiment, run))


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
    """Write tables and report, and decide the outcome."""
    from workflows.pods.collect import collect_in_pod

    collect_in_pod(RunAddress(root, project, experiment, run))


@app.command()
def finish(root: Root, project: Project, experiment: Experiment, run: Run = "") -> None:
    """Close the books of a run that did not end well, and tell somebody."""
    from workflows.pods.finish import finish as step

    del run  # the exit handler is not told: it finds the same id that the check step found
    step(root, project, experiment)
