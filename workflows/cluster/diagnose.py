"""What is wrong with a run while it happens, read from its Workflow's status alone.

Argo shows a pod that cannot start as pending, for as long as one cares to wait. The reason is in
the message of its node, in the kubelet's or the scheduler's words; here it becomes a sentence that
says which step it is, what is missing and what to do.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from steps.contract import MEMORY_EXIT
from workflows.cluster.base import Manifest
from workflows.cluster.errors import shortened

LATE_SECONDS = 30.0
"""Argo's controller touches a new Workflow within a second; after so long it is not going to."""

_CLASS = re.compile(r"train-(.+)")
_MORE_MEMORY = {str(MEMORY_EXIT + step) for step in range(1, 10)}
_ENDED = {"Succeeded", "Failed", "Error", "Skipped", "Omitted"}


@dataclass(frozen=True)
class _Pod:
    """A pod that is not as it should be."""

    step: str
    """The template's name."""
    message: str
    """What Argo says about it."""
    asks: str
    """What its template asks for; empty where that is not known."""
    larger: bool
    """Whether the attempt before asked for more memory than its template's class has."""

    @property
    def who(self) -> str:
        """The step, for messages."""
        size = _CLASS.fullmatch(self.step)
        if not size:
            return self.step
        return f"train (resource class {'above ' if self.larger else ''}{size[1]!r})"


def diagnose(workflow: Manifest, age_seconds: float = 0.0) -> list[str]:
    """What is wrong now, one sentence each; an empty list if nothing is.

    Args:
        workflow: as the cluster returns it.
        age_seconds: since it was created, by the clock of whoever asks.
    """
    status = workflow.get("status") or {}
    if not status.get("phase"):
        return _untouched(workflow, age_seconds)
    return [*_of_spec(status), *_of_locks(status), *_of_pods(workflow, status)]


def _untouched(workflow: Manifest, age_seconds: float) -> list[str]:
    if age_seconds < LATE_SECONDS:
        return []
    return [
        f"Argo's controller has not touched Workflow {workflow['metadata']['name']!r} for "
        f"{age_seconds:.0f} s: it is not running, or it does not manage this namespace; ask a "
        "platform engineer to look at the deployment workflow-controller."
    ]


def _of_spec(status: Manifest) -> list[str]:
    told = [
        condition.get("message", "")
        for condition in status.get("conditions") or []
        if condition.get("type") == "SpecError" and condition.get("status") != "False"
    ]
    message = status.get("message") or ""
    if status["phase"] in {"Failed", "Error"} and _BAD_SPEC.search(message):
        told.append(message.removeprefix("invalid spec: "))
    return [
        f"Argo does not accept the Workflow: {_plain(each)}; compile and submit it again with the "
        "version of Refeed that is here."
        for each in dict.fromkeys(told)
    ]


_BAD_SPEC = re.compile(
    r'^invalid spec: |^[a-z]+\.argoproj\.io "[^"]+" not found|^Failed to acquire the synchroniz'
)


def _of_locks(status: Manifest) -> list[str]:
    """Mutexes and semaphores that something of the run waits for, and who holds them."""
    locks = status.get("synchronization") or {}
    found = []
    for kind, word in (("mutex", "mutex"), ("semaphore", "semaphore")):
        for waiting in (locks.get(kind) or {}).get("waiting") or []:
            holders = waiting.get("holders") or [waiting.get("holder")]
            held = ", ".join(repr(holder.split("/")[-1]) for holder in holders if holder)
            name = waiting.get(kind, "").split("/", 2)[-1]
            found.append(
                f"It waits for the {word} {name!r}, which {held or 'another Workflow'} holds; it "
                "goes on when that one ends."
            )
    return found


def _of_pods(workflow: Manifest, status: Manifest) -> list[str]:
    """One sentence per trouble, however many pods have it."""
    counts: dict[str, int] = {}
    for pod in _pods(workflow, status):
        sentence = _sentence(pod)
        if sentence:
            counts[sentence] = counts.get(sentence, 0) + 1
    return [
        f"{sentence} ({count} pods.)" if count > 1 else sentence
        for sentence, count in counts.items()
    ]


def _pods(workflow: Manifest, status: Manifest) -> Iterator[_Pod]:
    requests, nodes = _requests(workflow), status.get("nodes") or {}
    before = _attempts(nodes)
    superseded = set(before.values())
    for node_id, node in nodes.items():
        if node_id in superseded or not _may_be_stuck(node, status["phase"]):
            continue
        step = node.get("templateName") or node.get("displayName", "")
        larger = _exit_code(nodes.get(before.get(node_id, ""), {})) in _MORE_MEMORY
        yield _Pod(step, node["message"], "" if larger else requests.get(step, ""), larger)


def _attempts(nodes: Manifest) -> dict[str, str]:
    """The attempt before each attempt of a step: what went wrong with that is over."""
    found: dict[str, str] = {}
    for node in nodes.values():
        if node.get("type") == "Retry":
            children = node.get("children") or []
            found |= dict(itertools.pairwise(reversed(children)))
    return found


def _may_be_stuck(node: Manifest, phase: str) -> bool:
    # An attempt that has ended in an error is made again while the run goes on, so it counts too.
    waits = node.get("phase") == "Pending" and phase not in _ENDED
    refused = node.get("phase") == "Error"
    return node.get("type") == "Pod" and bool(node.get("message")) and (waits or refused)


def _exit_code(node: Manifest) -> str:
    return str((node.get("outputs") or {}).get("exitCode", ""))


def _requests(workflow: Manifest) -> dict[str, str]:
    """What the pods of each template ask for: ``cpu 2, memory 4Gi``."""
    stored = (workflow.get("status") or {}).get("storedWorkflowTemplateSpec") or {}
    templates = stored.get("templates") or workflow.get("spec", {}).get("templates") or []
    return {template["name"]: _asked(template) for template in templates}


def _asked(template: dict[str, Any]) -> str:
    resources = (template.get("container") or {}).get("resources") or {}
    amounts = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return ", ".join(f"{name} {amount}" for name, amount in sorted(amounts.items()))


def _sentence(pod: _Pod) -> str:
    for pattern, say in _SAYINGS:
        found = pattern.search(pod.message)
        if found:
            return say(pod, found)
    return ""


def _image(pod: _Pod, found: re.Match[str]) -> str:
    named = _IMAGE.search(pod.message)
    image = f"The image {named[1]!r}" if named else "The image"
    cause = _plain(pod.message.rsplit(": ", 1)[-1])
    return (
        f"{image} of {pod.who} cannot be had ({found[1]}: {cause}); make it with `make images`, or "
        "name one that the cluster can pull in the installation file."
    )


_IMAGE = re.compile(r'image(?: name)? "([^"]+)"')


def _unschedulable(pod: _Pod, found: re.Match[str]) -> str:
    reasons = [_reason(each) for each in _split(found[1])]
    asks = f", which asks for {pod.asks}" if pod.asks else ""
    return (
        f"No node takes a pod of {pod.who}{asks}: {'; '.join(dict.fromkeys(reasons))}. It waits "
        "until one does: change the resource class in the installation file, or the nodes."
    )


def _split(reasons: str) -> list[str]:
    """The scheduler's reasons: up to the end of its first sentence, one per comma."""
    first = reasons.split(". ", 1)[0].rstrip(".")
    return [each.strip() for each in re.split(r", (?=\d+ )", first)]


def _reason(text: str) -> str:
    """One of the scheduler's reasons in plain words: ``1 Insufficient memory``."""
    for pattern, words in _REASONS.items():
        found = re.search(pattern, text)
        if found:
            count, *rest = [*re.findall(r"^\d+", text), ""]
            where = f"{count} {'node' if count == '1' else 'nodes'}: " if rest else ""
            filled = words.format(*(group or "" for group in found.groups()))
            return where + " ".join(filled.split())
    return _plain(text)


_REASONS = {
    r"Insufficient (\S+)": "not enough {} free",
    r"untolerated taint(?:\(s\))?(?: (\{.*\}))?": (
        "a taint {} that the resource class does not tolerate"
    ),
    r"didn't match Pod's node affinity/selector": "not of the node selector's kind",
    r"were unschedulable": "closed for new pods",
    r"Too many pods": "no room for one more pod",
}


def _unconfigured(pod: _Pod, found: re.Match[str]) -> str:
    missing = re.search(r'(secret|configmap) "([^"]+)" not found', found[2])
    if missing:
        kind = {"secret": "Secret", "configmap": "ConfigMap"}[missing[1]]
        return (
            f"The {kind} {missing[2]!r} that {pod.who} needs is not in the namespace; ask a "
            "platform engineer to make it: the pod starts as soon as it is there."
        )
    # It names the pod, which would make as many sentences as there are pods.
    cause = _plain(re.sub(r' \(pod: "[^"]*", container: [^)]*\)', "", found[2]))
    return f"The container of {pod.who} cannot be made ({found[1]}): {cause}."


def _no_account(pod: _Pod, found: re.Match[str]) -> str:
    return (
        f"The service account {found[1]!r} that {pod.who} runs as is not in the namespace; ask a "
        "platform engineer to make it: `kubectl apply -k manifests/overlays/...`."
    )


def _quota(pod: _Pod, found: re.Match[str]) -> str:
    return (
        f"The quota {found[1]!r} of the namespace has no room for a pod of {pod.who}: "
        f"{_plain(found[2])}; it starts when others have ended, unless it asks for more than the "
        "whole quota."
    )


def _forbidden(pod: _Pod, found: re.Match[str]) -> str:
    return (
        f"The namespace does not let the pod of {pod.who} in: {_plain(found[1])}; change the "
        "installation file, or ask a platform engineer to change the rule."
    )


def _plain(text: str) -> str:
    return shortened(text).rstrip(".")


_SAYINGS: list[tuple[re.Pattern[str], Callable[[_Pod, re.Match[str]], str]]] = [
    (re.compile(r"^(ImagePullBackOff|ErrImagePull|InvalidImageName|ErrImageNeverPull)\b"), _image),
    (re.compile(r"^(ImageInspectError|RegistryUnavailable)\b"), _image),
    (re.compile(r"failed to (look-up) entrypoint/cmd for image"), _image),
    (re.compile(r"^Unschedulable: \d+/\d+ nodes are available: (.+)", re.DOTALL), _unschedulable),
    (re.compile(r"^Unschedulable: (.+)", re.DOTALL), _unschedulable),
    (
        re.compile(r"^(CreateContainer(?:Config)?Error|RunContainerError): (.+)", re.DOTALL),
        _unconfigured,
    ),
    (re.compile(r"error looking up service account [^/]+/(\S+):"), _no_account),
    (re.compile(r"is forbidden: exceeded quota: ([^,]+), (.+)", re.DOTALL), _quota),
    (re.compile(r'[Pp]ods? "[^"]+" is (?:forbidden|invalid): (.+)', re.DOTALL), _forbidden),
]
"""How each kind of message is said, by the first that fits."""
