"""Diagnose the problems of a running Workflow from its status.

Argo shows a pod that cannot start as pending, without a time limit. The reason is in the message of
its node, in the words of the kubelet or the scheduler, which have no codes. This module translates
it to a sentence with the step, the problem and what to do.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from steps.contract import LARGER_CLASS_EXITS, MAX_REFUSED
from steps.runtime.pod_end import DISK, cause_in
from workflows.cluster.base import Manifest
from workflows.cluster.errors import shortened

SCALE_UP_SECONDS = 300.0
"""Seconds in which a cluster that adds nodes on demand has added one."""
LATE_SECONDS = 30.0
"""Seconds after which a Workflow counts as ignored by Argo's controller, which takes about one."""

_CLASS = re.compile(r"train-(.+)")
_LARGER_CLASS_CODES = {str(code) for code in LARGER_CLASS_EXITS}
_ENDED = {"Succeeded", "Failed", "Error", "Skipped", "Omitted"}


@dataclass(frozen=True)
class _Pod:
    """A pod that may have a problem."""

    template: str
    """Name of its template."""
    message: str
    """Argo's message about the pod."""
    requests: str
    """Resource requests of its template; empty if unknown."""
    larger: bool
    """True if the previous attempt requested a larger class than its template's."""
    waited: float = 0.0
    """Seconds since Argo created it."""
    has_room: bool = False
    """True if another pod of the template has run in this Workflow: some node takes them."""

    @property
    def step(self) -> str:
        """Step and resource class, for messages."""
        match = _CLASS.fullmatch(self.template)
        if not match:
            return self.template
        return f"train (resource class {'above ' if self.larger else ''}{match[1]!r})"


def diagnose(workflow: Manifest, age_seconds: float = 0.0) -> list[str]:
    """Return the current problems of a workflow, one sentence each.

    Args:
        workflow: the Workflow as the cluster returns it.
        age_seconds: seconds since it was created, by the local clock.
    """
    status = workflow.get("status") or {}
    if not status.get("phase"):
        if age_seconds < LATE_SECONDS:
            return []
        return [
            f"Argo's controller has not started Workflow {workflow['metadata']['name']!r} after "
            f"{age_seconds:.0f} s. It is not running, or does not manage this namespace. Ask a "
            "platform engineer to check the deployment workflow-controller."
        ]
    created = workflow["metadata"].get("creationTimestamp")
    now = _seconds(created) + age_seconds if created else 0.0
    return [
        *_spec_problems(status),
        *_lock_problems(status),
        *_eviction_problems(status),
        *_pod_problems(workflow, status, now),
    ]


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _spec_problems(status: Manifest) -> list[str]:
    messages = [
        condition.get("message", "")
        for condition in status.get("conditions") or []
        if condition.get("type") == "SpecError" and condition.get("status") != "False"
    ]
    message = status.get("message") or ""
    if status["phase"] in {"Failed", "Error"} and _INVALID_SPEC.search(message):
        messages.append(message.removeprefix("invalid spec: "))
    return [
        f"Argo rejects the Workflow: {_plain(each)}. Submit it again with the installed version of "
        "Refeed."
        for each in dict.fromkeys(messages)
    ]


_INVALID_SPEC = re.compile(
    r'^invalid spec: |^[a-z]+\.argoproj\.io "[^"]+" not found|^Failed to acquire the synchroniz'
)


def _lock_problems(status: Manifest) -> list[str]:
    """Return the mutexes and semaphores that the run waits for, with their holders."""
    locks = status.get("synchronization") or {}
    problems = []
    for kind in ("mutex", "semaphore"):
        for waiting in (locks.get(kind) or {}).get("waiting") or []:
            holders = waiting.get("holders") or [waiting.get("holder")]
            names = ", ".join(repr(holder.split("/")[-1]) for holder in holders if holder)
            lock = waiting.get(kind, "").split("/", 2)[-1]
            problems.append(
                f"Waiting for the {kind} {lock!r}, held by {names or 'another Workflow'}. The run "
                "continues when it is released."
            )
    return problems


def _eviction_problems(status: Manifest) -> list[str]:
    """Return the steps whose pods were evicted while they have neither succeeded nor failed."""
    nodes = status.get("nodes") or {}
    counts, words = Counter[str](), dict[str, str]()
    for retry in nodes.values():
        if retry.get("type") != "Retry" or retry.get("phase") in _ENDED:
            continue
        for child in retry.get("children") or []:
            message = (nodes.get(child) or {}).get("message") or ""
            if cause_in(message) in DISK:
                step = _Pod(retry.get("templateName") or "", message, "", larger=False).step
                counts[step], words[step] = counts[step] + 1, message
    return [
        f"{count} {'pod' if count == 1 else 'pods'} of {step} ended for lack of disk: "
        f"{_plain(words[step])}. The step is tried again, in a larger resource class if there is "
        "one. Raise ephemeral_storage of its class in the installation file."
        for step, count in counts.items()
    ]


def _pod_problems(workflow: Manifest, status: Manifest, now: float) -> list[str]:
    """Return one sentence per problem, with the number of pods that have it."""
    counts = Counter[str]()
    for pod in _candidates(workflow, status, now):
        for pattern, describe in _PATTERNS:
            match = pattern.search(pod.message)
            if match:
                counts[describe(pod, match)] += 1
                break
    return [
        f"{sentence} ({count} pods.)" if count > 1 else sentence
        for sentence, count in counts.items()
    ]


def _candidates(workflow: Manifest, status: Manifest, now: float) -> Iterator[_Pod]:
    """Yield the latest attempt of each step whose pod is pending, failed or in error."""
    requests, nodes = _requests(workflow), status.get("nodes") or {}
    placed = {
        node.get("templateName")
        for node in nodes.values()
        if node.get("type") == "Pod" and node.get("phase") in {"Running", "Succeeded"}
    }
    # The attempt before each attempt of a step; its problems no longer matter.
    previous: dict[str, str] = {}
    for node in nodes.values():
        if node.get("type") == "Retry":
            previous |= dict(itertools.pairwise(reversed(node.get("children") or [])))
    superseded = set(previous.values())
    # An attempt in error is retried while the run continues, so it counts too.
    stuck_phases = {"Error", "Failed", *(() if status["phase"] in _ENDED else ("Pending",))}
    for node_id, node in nodes.items():
        is_stuck = node.get("phase") in stuck_phases and node_id not in superseded
        if node.get("type") != "Pod" or not node.get("message") or not is_stuck:
            continue
        template = node.get("templateName") or node.get("displayName", "")
        outputs = nodes.get(previous.get(node_id, ""), {}).get("outputs") or {}
        larger = str(outputs.get("exitCode", "")) in _LARGER_CLASS_CODES
        yield _Pod(
            template,
            node["message"],
            "" if larger else requests.get(template, ""),
            larger,
            waited=max(0.0, now - _seconds(node["startedAt"])) if node.get("startedAt") else 0.0,
            has_room=template in placed and not larger,
        )


def _requests(workflow: Manifest) -> dict[str, str]:
    """Return the resource requests of each template, such as ``cpu 2, memory 4Gi``."""
    stored = (workflow.get("status") or {}).get("storedWorkflowTemplateSpec") or {}
    templates = stored.get("templates") or workflow.get("spec", {}).get("templates") or []
    requests = {}
    for template in templates:
        resources = (template.get("container") or {}).get("resources") or {}
        amounts = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
        texts = (f"{name} {amount}" for name, amount in sorted(amounts.items()))
        requests[template["name"]] = ", ".join(texts)
    return requests


def _image(pod: _Pod, match: re.Match[str]) -> str:
    name = _IMAGE.search(pod.message)
    image = f"The image {name[1]!r}" if name else "The image"
    cause = _plain(pod.message.rsplit(": ", 1)[-1])
    return (
        f"{image} of {pod.step} cannot be pulled ({match[1]}: {cause}). Build it with `make "
        "images`, or set an image in the installation file that the cluster can pull."
    )


_IMAGE = re.compile(r'image(?: name)? "([^"]+)"')


def _unschedulable(pod: _Pod, match: re.Match[str]) -> str:
    first_sentence = match[1].split(". ", 1)[0].rstrip(".")
    reasons = [_reason(each.strip()) for each in re.split(r", (?=\d+ )", first_sentence)]
    requests = f", which requests {pod.requests}," if pod.requests else ""
    why = "; ".join(dict.fromkeys(reasons))
    if pod.has_room:
        return (
            f"A pod of {pod.step} waits for room on a node: {why}. It starts when other pods have "
            "ended, or when a node is added."
        )
    if pod.waited < SCALE_UP_SECONDS:
        return (
            f"A pod of {pod.step}{requests} waits for a node: {why}. If the cluster adds nodes on "
            "demand, one is ready within minutes."
        )
    return (
        f"No node has taken a pod of {pod.step}{requests} for {pod.waited / 60:.0f} minutes: "
        f"{why}. It stays pending. Change the resource class in the installation file, or add "
        "nodes."
    )


def _reason(text: str) -> str:
    """Return one of the scheduler's reasons, such as ``1 Insufficient memory``, in plain words."""
    for pattern, words in _REASONS.items():
        match = re.search(pattern, text)
        if match:
            count, *rest = [*re.findall(r"^\d+", text), ""]
            nodes = f"{count} {'node' if count == '1' else 'nodes'}: " if rest else ""
            reason = words.format(*(group or "" for group in match.groups()))
            return nodes + " ".join(reason.split())
    return _plain(text)


_REASONS = {
    r"Insufficient (\S+)": "not enough free {}",
    r"untolerated taint(?:\(s\))?(?: (\{.*\}))?": (
        "a taint {} that the resource class does not tolerate"
    ),
    r"didn't match Pod's node affinity/selector": "the node selector does not match",
    r"were unschedulable": "closed to new pods",
    r"Too many pods": "the maximum number of pods is reached",
}


def _container_error(pod: _Pod, match: re.Match[str]) -> str:
    missing = re.search(r'(secret|configmap) "([^"]+)" not found', match[2])
    if missing:
        kind = {"secret": "Secret", "configmap": "ConfigMap"}[missing[1]]
        return (
            f"The {kind} {missing[2]!r} that {pod.step} needs is not in the namespace. Ask a "
            "platform engineer to create it; the pod then starts."
        )
    # Remove the pod's name, so that pods with the same problem share a sentence.
    cause = _plain(re.sub(r' \(pod: "[^"]*", container: [^)]*\)', "", match[2]))
    return f"The container of {pod.step} cannot be created ({match[1]}): {cause}."


def _no_account(pod: _Pod, match: re.Match[str]) -> str:
    return (
        f"The service account {match[1]!r} of {pod.step} is not in the namespace. Ask a platform "
        "engineer to create it with `kubectl apply -k manifests/overlays/...`."
    )


def _quota(pod: _Pod, match: re.Match[str]) -> str:
    return (
        f"The quota {match[1]!r} of the namespace is too small for another pod of {pod.step}: "
        f"{_plain(match[2])}. It starts when other pods have ended, unless it requests more than "
        "the whole quota."
    )


def _denied(pod: _Pod, match: re.Match[str]) -> str:
    return (
        f"The admission webhook {match[1]!r} refuses the pods of {pod.step}: {_plain(match[2])}. "
        f"Argo tries again, and the run fails after {MAX_REFUSED} attempts. Ask a platform "
        "engineer to change the policy, or to exempt the namespace."
    )


def _webhook_fails(pod: _Pod, match: re.Match[str]) -> str:
    return (
        f"The admission webhook {match[1]!r} does not respond, so no pod of {pod.step} can be "
        f"created: {_plain(match[2])}. Argo tries again. Ask a platform engineer to repair it."
    )


def _forbidden(pod: _Pod, match: re.Match[str]) -> str:
    return (
        f"The namespace rejects the pod of {pod.step}: {_plain(match[1])}. Change the installation "
        "file, or ask a platform engineer to change the policy."
    )


def _wrong_image(pod: _Pod, match: re.Match[str]) -> str:
    kind = (
        "is for another processor"
        if "exec format error" in match[1]
        else "is none of Refeed's, so the command refeed cannot be started in it"
    )
    return (
        f"The image of {pod.step} {kind} ({_plain(match[1])}). Build it with `make images`, or set "
        "another in the installation file; see containers/README.md for a trainer's own image."
    )


def _plain(text: str) -> str:
    return shortened(text).rstrip(".")


_PATTERNS: list[tuple[re.Pattern[str], Callable[[_Pod, re.Match[str]], str]]] = [
    (re.compile(r"^(ImagePullBackOff|ErrImagePull|InvalidImageName|ErrImageNeverPull)\b"), _image),
    (re.compile(r"^(ImageInspectError|RegistryUnavailable)\b"), _image),
    (re.compile(r"failed to (look-up) entrypoint/cmd for image"), _image),
    (re.compile(r"^Unschedulable: \d+/\d+ nodes are available: (.+)", re.DOTALL), _unschedulable),
    (re.compile(r"^Unschedulable: (.+)", re.DOTALL), _unschedulable),
    (
        re.compile(r"^(CreateContainer(?:Config)?Error|RunContainerError): (.+)", re.DOTALL),
        _container_error,
    ),
    (
        # Argo's executor, which starts the command; a pod without it ends with StartError.
        re.compile(r"(?:failed to find name in PATH|failed to start command): (.+)", re.DOTALL),
        _wrong_image,
    ),
    (re.compile(r"error looking up service account [^/]+/(\S+):"), _no_account),
    (
        re.compile(r'admission webhook "([^"]+)" denied the request: (.+)', re.DOTALL),
        _denied,
    ),
    (re.compile(r'failed calling webhook "([^"]+)": (.+)', re.DOTALL), _webhook_fails),
    (re.compile(r"is forbidden: exceeded quota: ([^,]+), (.+)", re.DOTALL), _quota),
    (re.compile(r'[Pp]ods? "[^"]+" is (?:forbidden|invalid): (.+)', re.DOTALL), _forbidden),
]
"""Patterns of messages and the functions that describe them; the first match applies."""
