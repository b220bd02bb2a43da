"""Texts that Argo itself evaluates: tags and expressions. None of them holds what a user typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

RETRIED = (
    "-1",
    "70",
    "75",
    "130",
    "137",
    "143",
    "255",
    *(str(100 + step) for step in range(1, 10)),
)
"""Exit codes after which a pod is started again: lost, a bug or a hiccup (the ledger counts both),
killed, told to stop, unknown, and asking for memory. Bad data (65) is not among them."""
MAY_RETRY = f"lastRetry.exitCode in [{', '.join(repr(code) for code in RETRIED)}]"

PARAMETERS = "{{=sprig.b64enc(workflow.parameters.json)}}"
"""All parameters as they were given, in base64: Argo expands nothing in that."""
FAILURES = "{{=sprig.b64enc(sprig.trunc(20000, workflow.failures))}}"
"""What failed, cut off: an environment variable holds 128 KiB, and 1,000 pods may have failed."""

_ENDED = ("Succeeded", "Failed", "Errored", "Skipped", "Omitted", "Daemoned")


def after_all(tasks: Iterable[str]) -> str:
    """``depends`` of a task that runs whatever became of the others, once split has succeeded."""
    whatever = ["(" + " || ".join(f"{task}.{end}" for end in _ENDED) + ")" for task in tasks]
    return " && ".join(["split.Succeeded", *whatever])


def worth_telling(late_seconds: float | None) -> str:
    """``when`` of the exit handler: the run did not succeed, or took long."""
    took_long = f" || {{{{workflow.duration}}}} > {late_seconds}" if late_seconds else ""
    return f"{{{{workflow.status}}}} != Succeeded{took_long}"


def chosen_image(images: Mapping[str, str], own: str) -> str:
    """The image of the trainer that the form's answer names.

    Args:
        images: by trainer.
        own: the spec's own trainer, whose image it is if the answer names none.
    """
    chosen = f"'{images[own]}'"
    for name, image in sorted(images.items()):
        if name != own:
            chosen = f"workflow.parameters.trainer == '{name}' ? '{image}' : {chosen}"
    return f"{{{{= {chosen} }}}}" if "?" in chosen else images[own]
