"""The command line of each step, its outputs and its exit codes."""

from __future__ import annotations

from typing import Literal

from steps.contract.project import RunAddress

Step = Literal["check", "split", "base", "train", "collect", "finish"]
"""The steps that a container can run."""

OUTPUTS = "/tmp/refeed"  # noqa: S108 - in a pod, /tmp is a volume of its own
"""The folder in a pod where a step writes the outputs that Argo reads."""

LARGER_CLASS_EXIT_BASE = 100
"""A pod that exits with 100 + n needs the n-th larger resource class to continue."""


MAX_CLASSES = 10
"""Resource classes of an installation, at most: Argo retries the exit codes from 101 to 109."""

LARGER_CLASS_EXITS = range(LARGER_CLASS_EXIT_BASE + 1, LARGER_CLASS_EXIT_BASE + MAX_CLASSES)
"""Exit codes of pods that need a larger resource class."""

MAX_REFUSED = 10
"""Attempts of a step, of any kind, after which a pod that the cluster refuses ends the run: after 6
minutes if all were refused."""


def output(name: str) -> str:
    """Return the file in a pod that holds one of a step's outputs."""
    return f"{OUTPUTS}/{name}"


def shard_number(number: int) -> str:
    """Return the number of a shard as an argument of the train step, such as ``00003``."""
    return f"{number:05d}"


def shard_name(resource_class: str, number: str) -> str:
    """Return the name of a shard, such as ``small-00003``."""
    return f"{resource_class}-{number}"


def shards_output(resource_class: str) -> str:
    """Return the name of split's output that lists the shards of one resource class."""
    return f"shards-{resource_class}"


BASE_OUTPUT = "base"
"""Split's output that says whether base models have to be fitted: ``true`` or ``false``."""


def step_command(step: Step, address: RunAddress, **options: str | int) -> list[str]:
    """Return the command line of a step in a pod, of values or of placeholders.

    Args:
        step: the step to run.
        address: address of the run.
        options: further options of that step, such as ``shard=3``.
    """
    more = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    return ["refeed", "step", step, *address.arguments, *more]
