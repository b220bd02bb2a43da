"""Find runs in the cluster, where they exist before their first pod records them in the store.

A pod may never start: its image may not exist, or the cluster may refuse it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from pydantic import ValidationError

from steps.contract import RunAddress
from steps.records import RunRecord
from workflows.cluster.base import ENDED, Cluster, Manifest
from workflows.installation.model import Installation, Project
from workflows.pods.environment import SPEC, run_id_of
from workflows.spec.model import ExperimentSpec

_NOT_SUCCEEDED = "workflows.argoproj.io/phase!=Succeeded"
"""Argo adds the phase as a label. A Workflow that succeeded has recorded its run."""
_EXPERIMENT_LABELS = (
    "refeed/experiment",
    "workflows.argoproj.io/workflow-template",
    "workflows.argoproj.io/cron-workflow",
)
"""Labels with the name of the experiment: Refeed's, which Argo adds only when a run leaves its
queue, and those of Argo's form and of a schedule."""


@dataclass(frozen=True)
class ClusterRun:
    """A Workflow of a run.

    Attributes:
        workflow: the Workflow.
        project: name of the run's project.
        root: artifact root of the project.
    """

    workflow: Manifest
    project: str
    root: str

    @property
    def name(self) -> str:
        """Name of the Workflow."""
        return str(self.workflow["metadata"]["name"])

    @property
    def run(self) -> str:
        """Id of the run, as every pod of the Workflow derives it."""
        created = self.workflow["metadata"]["creationTimestamp"]
        return self.parameters.get("run") or run_id_of(self.name, created)

    @property
    def experiment(self) -> str:
        """Name of the experiment; empty for a Workflow that Refeed did not compile."""
        labels = self.workflow["metadata"].get("labels") or {}
        return next((str(labels[name]) for name in _EXPERIMENT_LABELS if name in labels), "")

    @property
    def address(self) -> RunAddress:
        """Address of the run."""
        return RunAddress(self.root, self.project, self.experiment, self.run)

    @property
    def has_ended(self) -> bool:
        """True if the Workflow has ended."""
        return (self.workflow.get("status") or {}).get("phase") in ENDED

    @property
    def parameters(self) -> dict[str, str]:
        """Values of the form, by name."""
        arguments = self.workflow["spec"].get("arguments") or {}
        given = arguments.get("parameters") or []
        return {each["name"]: str(each["value"]) for each in given if each.get("value") is not None}

    @property
    def spec(self) -> ExperimentSpec | None:
        """The spec that the Workflow was compiled from; None if it cannot be read from it."""
        stored = (self.workflow.get("status") or {}).get("storedWorkflowTemplateSpec") or {}
        for template in self.workflow["spec"].get("templates") or stored.get("templates") or []:
            for variable in (template.get("container") or {}).get("env") or []:
                if variable["name"] == SPEC:
                    with suppress(ValidationError):  # of another version of Refeed
                        return ExperimentSpec.model_validate_json(variable["value"])
        return None

    @property
    def record(self) -> RunRecord:
        """What the cluster knows of the run."""
        status = self.workflow.get("status") or {}
        end: Literal["stopped", "failed"] = (
            "stopped" if self.workflow["spec"].get("shutdown") else "failed"
        )
        return RunRecord(
            project=self.project,
            experiment=self.experiment,
            run=self.run,
            spec_hash="",
            dataset="",
            status=end if self.has_ended else "waiting",
            started=_utc(self.workflow["metadata"]["creationTimestamp"]),
            ended=_utc(status["finishedAt"]) if status.get("finishedAt") else "",
            message=str(status.get("message") or "") if self.has_ended else "",
        )


def cluster_runs(installation: Installation, cluster: Cluster, project: str) -> list[ClusterRun]:
    """Return the Workflows of a project that have not succeeded, the newest first.

    Raises:
        RefeedError: the cluster is unavailable or denies permission.
    """
    found = _runs(installation.projects[project], cluster, project)
    return sorted(found, key=lambda run: str(run.workflow["metadata"]["creationTimestamp"]))[::-1]


def _runs(config: Project, cluster: Cluster, project: str) -> Iterator[ClusterRun]:
    for workflow in cluster.workflows(config.namespace, _NOT_SUCCEEDED):
        found = ClusterRun(workflow, project, config.root)
        labels = workflow["metadata"].get("labels") or {}
        if labels.get("refeed/project", project) == project and found.experiment:
            yield found


def age_seconds(workflow: Manifest) -> float:
    """Return the seconds since a Workflow was created, by the local clock."""
    created = datetime.fromisoformat(workflow["metadata"]["creationTimestamp"])
    return (datetime.now(UTC) - created).total_seconds()


def _utc(moment: str) -> str:
    utc = datetime.fromisoformat(moment).astimezone(UTC)
    return utc.isoformat(timespec="seconds").replace("+00:00", "Z")
