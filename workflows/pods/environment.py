"""The environment variables of a pod: written by the compiler, read by the steps."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from steps.errors import Problem, SpecError
from steps.records import canonical_json
from steps.runtime.log import POD_VARIABLE
from workflows.installation.isolation import inside
from workflows.installation.resource_classes import ResourceClass
from workflows.pods.pod_ledger import PodInfo

SPEC = "REFEED_SPEC"
"""The spec as JSON, with ``{{`` escaped."""
PARAMETERS = "REFEED_PARAMETERS"
"""The workflow's parameters: Argo's JSON list, in base64 so that Argo expands nothing in it."""
PLATFORM = "REFEED_PLATFORM"
"""The part of the installation that a run needs, as JSON: see ``Platform``."""
WORKFLOW, CREATED = "REFEED_WORKFLOW", "REFEED_CREATED"
"""Name of the workflow, and its creation time (RFC 3339)."""
POD, RESOURCE_CLASS = POD_VARIABLE, "REFEED_CLASS"
CLASS_OFFSET, LARGEST_CLASS_OFFSET = "REFEED_CLASS_OFFSET", "REFEED_LARGEST_CLASS_OFFSET"
"""Number of classes by which this pod is larger than the step's own class, and its maximum."""
LAST_MESSAGE, LAST_STATUS = "REFEED_LAST_MESSAGE", "REFEED_LAST_STATUS"
PROJECT, ROOT = "REFEED_PROJECT", "REFEED_ROOT"
"""The project of the namespace and its artifact root, from the namespace's ConfigMap."""
STATUS, FAILURES, DURATION = "REFEED_STATUS", "REFEED_FAILURES", "REFEED_DURATION"
"""For the finish step: status of the workflow, failed nodes (base64) and duration in seconds."""
WEBHOOK = "REFEED_WEBHOOK"

STATUSES = ("trained", "skipped", "failed")
CAUSES = ("transient", "memory", "disk", "evicted", "lost", "preempted")
"""Counts of the collect step for Argo's metrics: partitions by status, pods by cause."""
REPORT = "report.html"


@dataclass(frozen=True)
class Platform:
    """The part of the installation that a run needs.

    Attributes:
        project: project that the template was compiled for.
        root: artifact root of the project.
        store: URI of the project's experiment store; None if it is in the artifact root.
        trainers: trainer images by name.
        classes: resource classes that training pods may use, smallest first.
        retries: maximum number of retries of a pod after transient errors.
        staging: BigQuery dataset for results of queries and views; None if there is none.
        billing: Google Cloud project that pays for BigQuery; None for the pods' own.
        dataflow: settings of Dataflow jobs by field; None where the spec decides.
        settings: defaults and limits of trainers' parameters, by trainer, as far as there are any.
    """

    project: str
    root: str
    store: str | None
    trainers: dict[str, str]
    classes: tuple[ResourceClass, ...]
    retries: int
    staging: str | None = None
    billing: str | None = None
    dataflow: dict[str, str | None] = field(default_factory=dict)
    settings: dict[str, dict[str, Any]] = field(default_factory=dict)

    def to_json(self) -> str:
        """Return the value of the environment variable."""
        raw = {each.name: getattr(self, each.name) for each in fields(self)}
        if not self.settings:
            raw.pop("settings")
        return canonical_json(raw | {"classes": [each.to_raw() for each in self.classes]})

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Platform:
        """Read the environment variable that the compiler wrote."""
        raw = json.loads(environment[PLATFORM])
        raw["classes"] = tuple(ResourceClass.from_raw(each) for each in raw["classes"])
        return cls(**raw)


def plain(text: str) -> str:
    """Escape ``{{`` and ``$`` in JSON, so that Argo and Kubernetes expand nothing in it.

    In compact JSON, two opening braces follow each other only inside a string.
    """
    return text.replace("{{", "\\u007b\\u007b").replace("$", "\\u0024")


def pod_info(environment: Mapping[str, str], step: str) -> PodInfo:
    """Return the information that Argo passes to this pod."""
    return PodInfo(
        name=environment.get(POD, "unknown"),
        workflow=environment.get(WORKFLOW, "unknown"),
        step=step,
        resource_class=environment.get(RESOURCE_CLASS, ""),
        class_offset=int(environment.get(CLASS_OFFSET) or 0),
        last_message=environment.get(LAST_MESSAGE, ""),
        last_status=environment.get(LAST_STATUS, ""),
    )


def parameters(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the workflow's parameters by name."""
    raw = json.loads(base64.b64decode(environment[PARAMETERS]))
    return {each["name"]: each.get("value", "") for each in raw}


def check_isolation(environment: Mapping[str, str], project: str, root: str) -> None:
    """Check that a run belongs to the namespace's project and its artifact root.

    Raises:
        SpecError: the namespace's ConfigMap names another project or root.
    """
    allowed_project, allowed_root = environment.get(PROJECT, project), environment.get(ROOT, root)
    problems = []
    if allowed_project != project:
        message = f"{project!r} is not the project of this namespace, which is {allowed_project!r}"
        problems.append(Problem("project", message, "Submit it in the project's own namespace."))
    if not inside(allowed_root, root):
        message = (
            f"{root!r} is not under {allowed_root!r}, the artifact root of the project "
            f"{allowed_project!r}"
        )
        hint = "A run writes only to its own project. Leave `output` out of the spec."
        problems.append(Problem("output", message, hint))
    if problems:
        raise SpecError("the spec", problems)


def run_id_of(workflow: str, created: str) -> str:
    """Return the id of a workflow's run; ``created`` is RFC 3339."""
    moment = datetime.fromisoformat(created).astimezone(UTC)
    tail = hashlib.sha256(workflow.encode()).hexdigest()[:4]
    return f"{moment:%Y%m%dT%H%M%S}-{tail}"
