"""The environment variables of a pod: written by the compiler, read by the steps."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime

from steps.errors import Problem, SpecError
from steps.records import canonical_json
from workflows.installation.isolation import inside
from workflows.installation.resource_classes import ResourceClass
from workflows.pods.pod_ledger import PodInfo

SPEC = "REFEED_SPEC"
"""The spec as JSON; no two braces follow each other in its texts."""
PARAMETERS = "REFEED_PARAMETERS"
"""The workflow's parameters: Argo's JSON list, in base64, so that Argo expands nothing in it."""
PLATFORM = "REFEED_PLATFORM"
"""What a run needs of the installation, as JSON: see ``Platform``."""
WORKFLOW, CREATED = "REFEED_WORKFLOW", "REFEED_CREATED"
"""Name of the workflow; when it was created, RFC 3339."""
POD, RESOURCE_CLASS = "REFEED_POD", "REFEED_CLASS"
CLASS_OFFSET, LARGEST_CLASS_OFFSET = "REFEED_CLASS_OFFSET", "REFEED_LARGEST_CLASS_OFFSET"
"""By how many classes this pod is larger than the step's own; the largest such number there is."""
LAST_MESSAGE, LAST_STATUS = "REFEED_LAST_MESSAGE", "REFEED_LAST_STATUS"
PROJECT, ROOT = "REFEED_PROJECT", "REFEED_ROOT"
"""What the namespace's ConfigMap says: which project this is, and where it may write."""
STATUS, FAILURES, DURATION = "REFEED_STATUS", "REFEED_FAILURES", "REFEED_DURATION"
"""For the finish step: how the workflow ended, which nodes failed (base64), after how long."""
WEBHOOK, LATE = "REFEED_WEBHOOK", "REFEED_LATE_SECONDS"

STATUSES = ("trained", "skipped", "failed")
CAUSES = ("transient", "memory", "lost", "preempted")
"""What the collect step counts for Argo's metrics: partitions by status, pods by cause."""
REPORT = "report.html"


@dataclass(frozen=True)
class Platform:
    """What a run needs of the installation.

    Attributes:
        project: that the template was compiled for.
        root: the project's artifact root.
        store: URI of the project's experiment store; None for the one that lies at its root.
        trainers: image by name.
        classes: that training pods may use, the smallest first.
        retries: of a pod, for passing reasons.
        staging: the BigQuery dataset for results of queries and views; None if there is none.
        billing: the Google Cloud project that pays for BigQuery; None for the pods' own.
        dataflow: where its jobs of Dataflow run, by field; what is None the spec says.
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

    def to_json(self) -> str:
        """The text of the environment variable."""
        raw = {each.name: getattr(self, each.name) for each in fields(self)}
        return canonical_json(raw | {"classes": [each.to_raw() for each in self.classes]})

    @classmethod
    def read(cls, environment: Mapping[str, str]) -> Platform:
        """Read what the compiler wrote."""
        raw = json.loads(environment[PLATFORM])
        raw["classes"] = tuple(ResourceClass.from_raw(each) for each in raw["classes"])
        return cls(**raw)


def plain(text: str) -> str:
    """JSON in which Argo and Kubernetes find nothing to expand: ``{{`` and ``$`` are escaped.

    Only within a JSON text do two opening braces follow each other, since compact JSON has a quote
    or a bracket between those of its own.
    """
    return text.replace("{{", "\\u007b\\u007b").replace("$", "\\u0024")


def pod_info(environment: Mapping[str, str], step: str) -> PodInfo:
    """What the workflow engine tells this pod."""
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
    """The workflow's parameters by name, as they were given."""
    raw = json.loads(base64.b64decode(environment[PARAMETERS]))
    return {each["name"]: each.get("value", "") for each in raw}


def check_isolation(environment: Mapping[str, str], project: str, root: str) -> None:
    """Refuse to work for another project than the namespace's own, or outside its root.

    Raises:
        SpecError: with what the namespace's ConfigMap says.
    """
    own, home = environment.get(PROJECT, project), environment.get(ROOT, root)
    problems = []
    if own != project:
        message = f"{project!r} is not the project of this namespace, which is {own!r}"
        problems.append(Problem("project", message, "Submit it in its own namespace."))
    if not inside(home, root):
        message = f"{root!r} is not under {home!r}, the artifact root of the project {own!r}"
        hint = "A project is the unit of isolation: nothing is written outside it."
        problems.append(Problem("output", message, hint))
    if problems:
        raise SpecError("the spec", problems)


def run_id_of(workflow: str, created: str) -> str:
    """The id of the run that a workflow makes; ``created`` is RFC 3339."""
    moment = datetime.fromisoformat(created).astimezone(UTC)
    tail = hashlib.sha256(workflow.encode()).hexdigest()[:4]
    return f"{moment:%Y%m%dT%H%M%S}-{tail}"
