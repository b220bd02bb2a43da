"""Tags and expressions that Argo evaluates. None of them contains user input."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from steps.contract import BASE_OUTPUT, LARGER_CLASS_EXITS, MAX_REFUSED

RETRIED = (
    "-1",
    "70",
    "75",
    "130",
    "137",
    "143",
    "255",
    *(str(code) for code in LARGER_CLASS_EXITS),
)
"""Exit codes after which a pod is started again: lost, bug or transient error (the ledger counts
both), killed, preempted, unknown, and out of memory. Invalid data (65) is not among them."""
REFUSALS = "denied the request|is forbidden:|is invalid:"
"""Pattern of Argo's message about a pod that the cluster refuses to create. It leaves no record,
so the ledger cannot count it."""
LATE = "active on the node longer than the specified deadline"
"""The kubelet's message about a pod that exceeds its deadline; another would exceed it too."""
MAY_RETRY = (
    f"lastRetry.exitCode in [{', '.join(repr(code) for code in RETRIED)}] && "
    f"!(lastRetry.message contains '{LATE}') && "
    f"!(lastRetry.message matches '{REFUSALS}' && asInt(retries) + 1 >= {MAX_REFUSED})"
)

TRAINER = "workflow.parameters.trainer"
"""The trainer chosen in the form."""
PARAMETERS = "{{=sprig.b64enc(workflow.parameters.json)}}"
"""All parameters in base64, in which Argo expands nothing."""
FAILURES = "{{=sprig.b64enc(sprig.trunc(20000, workflow.failures))}}"
"""Failed nodes, truncated: an environment variable holds 128 KiB, and 1,000 pods may fail."""

_ENDED = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned")


def after_all(tasks: Iterable[str]) -> str:
    """Return ``depends`` of a task that runs when the others have ended and split has succeeded."""
    ended = ["(" + " || ".join(f"{task}.{end}" for end in _ENDED) + ")" for task in tasks]
    return " && ".join(["split.Succeeded", *ended])


def base_has_ended() -> str:
    """Return ``depends`` of the tasks that need the base models, if there are any to fit."""
    return "split.Succeeded && (base.Succeeded || base.Skipped)"


def needs_base() -> str:
    """Return ``when`` of the task that fits the base models."""
    return f"{{{{tasks.split.outputs.parameters.{BASE_OUTPUT}}}}} == true"


def failed_or_late(late_seconds: float | None) -> str:
    """Return ``when`` of the exit handler: the run did not succeed, or took too long."""
    late = f" || {{{{workflow.duration}}}} > {late_seconds}" if late_seconds else ""
    return f"{{{{workflow.status}}}} != Succeeded{late}"


def chosen_image(images: Mapping[str, str], own: str) -> str:
    """Return the image of the trainer chosen in the form.

    Args:
        images: trainer images by name.
        own: the spec's trainer, which is used unless the form names another.
    """
    chosen = f"'{images[own]}'"
    for name, image in sorted(images.items()):
        if name != own:
            chosen = f"{TRAINER} == '{name}' ? '{image}' : {chosen}"
    return f"{{{{= {chosen} }}}}" if "?" in chosen else images[own]
