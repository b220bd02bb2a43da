"""Submit, retry and stop runs on a cluster."""

from __future__ import annotations

import hashlib
import itertools
import re
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from steps.contract import ProjectLayout, RunAddress, join
from steps.errors import DataError, MissingInputError, TransientError
from steps.storage.base import Storage, read_parsed, storage_for
from workflows.argo.compile import compile_spec
from workflows.argo.template import Manifest
from workflows.cluster.base import Cluster
from workflows.cluster.errors import ConflictError
from workflows.installation.model import Installation
from workflows.planning.run_files import reject_other_version
from workflows.pods.environment import run_id_of
from workflows.runs.find import FoundRun, workflows_of
from workflows.spec.model import ExperimentSpec

ENDED = {"Succeeded", "Failed", "Error"}
"""Phases of a Workflow that has ended."""
_CHUNK_BYTES = 1 << 20
_MAX_PREFIX = 30
"""Characters of the experiment's name in the name of a retry's workflow; 63 in total."""


@dataclass(frozen=True)
class Submitted:
    """A run that was started.

    Attributes:
        workflow: name of the Workflow.
        namespace: namespace of the Workflow.
        address: address of the run.
        scheduled: true if a CronWorkflow was applied too.
    """

    workflow: str
    namespace: str
    address: RunAddress
    scheduled: bool = False


def submit(spec: ExperimentSpec, installation: Installation, cluster: Cluster) -> Submitted:
    """Apply the spec's WorkflowTemplate (and CronWorkflow, if scheduled), and start a run.

    The run's Workflow contains its own templates, so that two variants of an experiment can be
    submitted at the same time.

    Raises:
        SpecError: the spec does not fit the installation.
        RefeedError: the cluster is unavailable or denies permission.
    """
    workflow = compile_spec(spec, installation, "workflow")
    cluster.apply(compile_spec(spec, installation, "workflow-template"))
    if spec.schedule:
        cluster.apply(compile_spec(spec, installation, "cron-workflow"))
    return _start(workflow, spec, cluster, scheduled=spec.schedule is not None)


def _start(
    workflow: Manifest, spec: ExperimentSpec, cluster: Cluster, run: str = "", *, scheduled: bool
) -> Submitted:
    for parameter in workflow["spec"]["arguments"]["parameters"]:
        if parameter["name"] == "run":
            parameter["value"] = run
    metadata = cluster.create(workflow)["metadata"]
    run = run or run_id_of(metadata["name"], metadata["creationTimestamp"])
    address = RunAddress(spec.output, spec.project, spec.name, run)
    return Submitted(metadata["name"], metadata["namespace"], address, scheduled)


def retry(found: FoundRun, installation: Installation, cluster: Cluster) -> Submitted:
    """Submit a run again under its own id, to run what is missing or failed.

    Raises:
        TransientError: the run is still running, or is already being retried.
        MissingInputError: the run's spec no longer exists.
        DataError: another version of Refeed has started the run.
        RefeedError: the cluster is unavailable or denies permission.
    """
    layout = found.address.run_layout
    reject_other_version(layout, found.storage)
    running = running_workflow(found, cluster)
    if running:
        raise _still_running(found, running)
    spec = read_parsed(found.storage, layout.spec, ExperimentSpec.model_validate_json)
    workflow = compile_spec(spec, installation, "workflow")
    del workflow["metadata"]["generateName"]
    workflow["metadata"]["name"] = name = _next_name(found, cluster)
    try:
        return _start(workflow, spec, cluster, found.record.run, scheduled=False)
    except ConflictError:
        raise _still_running(found, name) from None


def _next_name(found: FoundRun, cluster: Cluster) -> str:
    """Return the name of the next workflow, equal for concurrent retries so that one succeeds.

    Raises:
        TransientError: a workflow that is not yet recorded in the run's folder is running.
    """
    run = found.record
    for number in itertools.count(len(workflows_of(found))):
        name = f"{run.experiment[:_MAX_PREFIX].rstrip('-')}-{run.run.lower()}-{number}"
        workflow = cluster.workflow(found.namespace, name)
        if workflow is None:
            return name
        if not _has_ended(workflow):
            raise _still_running(found, name)
    raise AssertionError("unreachable")


def _still_running(found: FoundRun, workflow: str) -> TransientError:
    return TransientError(
        f"The run {found.record.run!r} is still running, as workflow {workflow!r}.",
        hint=f"Stop it first with `refeed stop {found.record.run}`.",
    )


def _has_ended(workflow: Manifest) -> bool:
    return workflow.get("status", {}).get("phase") in ENDED


def running_workflow(found: FoundRun, cluster: Cluster) -> str | None:
    """Return the name of the workflow that is running a run, or None."""
    for name in workflows_of(found):
        workflow = cluster.workflow(found.namespace, name)
        if workflow and not _has_ended(workflow):
            return name
    return None


def stop(found: FoundRun, cluster: Cluster) -> str:
    """Stop a run gracefully: finished work is recorded and the exit handler runs.

    Raises:
        MissingInputError: the run has no running workflow.
    """
    name = running_workflow(found, cluster)
    if name is None:
        raise MissingInputError(
            f"The run {found.record.run!r} is not running, so there is nothing to stop.",
            hint=f"Show the run with `refeed status {found.record.run}`.",
        )
    cluster.stop(found.namespace, name)
    return name


def upload(spec: ExperimentSpec, installation: Installation) -> ExperimentSpec:
    """Copy a local source to the project's artifact root, under its hash, and set the output.

    Raises:
        MissingInputError: the source does not exist.
        DataError: the source is a directory with anything but files.
    """
    project = installation.projects.get(spec.project)
    if project is None:
        return spec  # project_for raises, with the line in the spec
    changes: dict[str, object] = {}
    if "://" not in spec.output:
        changes["output"] = project.root
    if not spec.dataset.is_remote:
        layout = ProjectLayout(project.root, spec.project)
        source = _copy(Path(spec.dataset.source), layout, storage_for(project.root))
        changes["dataset"] = spec.dataset.model_copy(update={"source": source})
    return spec.model_copy(update=changes)


def _copy(source: Path, layout: ProjectLayout, storage: Storage) -> str:
    files = sorted(source.iterdir()) if source.is_dir() else [source]
    if not all(file.is_file() for file in files) or not files:
        if source.is_dir():
            raise DataError(
                f"The folder {str(source)!r} has no files, or has subfolders. "
                "A folder can be uploaded if it has only files."
            )
        raise MissingInputError(
            f"There is no source {str(source)!r}.",
            hint="dataset.source is relative to the spec file.",
        )
    names = [_safe(file.name) for file in files]
    [(name, count)] = Counter(names).most_common(1)
    if count > 1:
        raise DataError(
            f"{count} files of {str(source)!r} would all be uploaded as {name!r}, since "
            "special characters in a file name are replaced by underscores. Rename them."
        )
    digest = hashlib.sha256("/".join(names).encode())
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    uri = layout.uploaded_source(digest.hexdigest()[:20], _safe(source.name))
    for file in files:
        target = join(uri, _safe(file.name)) if source.is_dir() else uri
        if not storage.exists(target):
            with file.open("rb") as stream, storage.writer(target) as sink:
                shutil.copyfileobj(stream, sink, _CHUNK_BYTES)
    return uri


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)
