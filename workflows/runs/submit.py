"""``refeed submit``: a spec becomes a WorkflowTemplate in the cluster, and a Workflow of it."""

from __future__ import annotations

import hashlib
import itertools
import re
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
from workflows.pods.environment import run_id_of
from workflows.runs.find import FoundRun, workflows_of
from workflows.spec.model import ExperimentSpec

ENDED = {"Succeeded", "Failed", "Error"}
"""Phases of a Workflow that has ended."""
_LONGEST_STEM = 30
"""Of the experiment's name in that of a workflow that goes on with a run: 63 are allowed in all."""


@dataclass(frozen=True)
class Submitted:
    """A run that was started.

    Attributes:
        workflow: name of the Workflow.
        namespace: where it runs.
        address: of the run.
        scheduled: a CronWorkflow was applied too.
    """

    workflow: str
    namespace: str
    address: RunAddress
    scheduled: bool = False


def submit(spec: ExperimentSpec, installation: Installation, cluster: Cluster) -> Submitted:
    """Apply the spec's WorkflowTemplate (and CronWorkflow, if it has a schedule), start a run.

    The run carries its own templates: two analysts who submit variants of one experiment at once
    do not get each other's.

    Raises:
        SpecError: the spec does not fit the installation.
        RefeedError: the cluster does not answer, or does not let us.
    """
    workflow = compile_spec(spec, installation, "workflow")
    cluster.apply(compile_spec(spec, installation, "workflow-template"))
    if spec.schedule:
        cluster.apply(compile_spec(spec, installation, "cron-workflow"))
    return _start(workflow, spec, cluster, scheduled=spec.schedule is not None)


def _start(
    workflow: Manifest, spec: ExperimentSpec, cluster: Cluster, run: str = "", *, scheduled: bool
) -> Submitted:
    _answer(workflow, "run", run)
    made = cluster.create(workflow)["metadata"]
    found = run or run_id_of(made["name"], made["creationTimestamp"])
    address = RunAddress(spec.output, spec.project, spec.name, found)
    return Submitted(made["name"], made["namespace"], address, scheduled)


def _answer(workflow: Manifest, name: str, value: str) -> None:
    for parameter in workflow["spec"]["arguments"]["parameters"]:
        if parameter["name"] == name:
            parameter["value"] = value


def retry(found: FoundRun, installation: Installation, cluster: Cluster) -> Submitted:
    """Submit a run again under its own id: it does what is missing, and what failed.

    Raises:
        TransientError: it is still running, or is being retried by somebody else.
        MissingInputError: its spec is gone.
        RefeedError: the cluster does not answer, or does not let us.
    """
    running = running_workflow(found, cluster)
    if running:
        raise _still_running(found, running)
    layout = found.address.run_layout
    spec = read_parsed(found.storage, layout.spec, ExperimentSpec.model_validate_json)
    workflow = compile_spec(spec, installation, "workflow")
    del workflow["metadata"]["generateName"]
    workflow["metadata"]["name"] = name = _next_name(found, cluster)
    try:
        return _start(workflow, spec, cluster, found.record.run, scheduled=False)
    except ConflictError:
        raise _still_running(found, name) from None


def _next_name(found: FoundRun, cluster: Cluster) -> str:
    """The same for all who retry a run now, so that the cluster takes only one of them.

    Raises:
        TransientError: a workflow that has not told the run's folder yet is running.
    """
    run = found.record
    for number in itertools.count(len(workflows_of(found))):
        name = f"{run.experiment[:_LONGEST_STEM].rstrip('-')}-{run.run.lower()}-{number}"
        known = cluster.workflow(found.namespace, name)
        if known is None:
            return name
        if not _ended(known):
            raise _still_running(found, name)
    raise AssertionError("unreachable")


def _still_running(found: FoundRun, workflow: str) -> TransientError:
    return TransientError(
        f"The run {found.record.run!r} is still running, as workflow {workflow!r}.",
        hint=f"Stop it first: refeed stop {found.record.run}",
    )


def _ended(workflow: Manifest) -> bool:
    return workflow.get("status", {}).get("phase") in ENDED


def running_workflow(found: FoundRun, cluster: Cluster) -> str | None:
    """The workflow that works on a run just now."""
    for name in workflows_of(found):
        workflow = cluster.workflow(found.namespace, name)
        if workflow and not _ended(workflow):
            return name
    return None


def stop(found: FoundRun, cluster: Cluster) -> str:
    """Stop a run in good order: what is finished is recorded, and its exit handler runs.

    Raises:
        MissingInputError: nothing of it is running.
    """
    name = running_workflow(found, cluster)
    if name is None:
        raise MissingInputError(
            f"The run {found.record.run!r} has no workflow that is running.",
            hint=f"refeed status {found.record.run} tells what became of it.",
        )
    cluster.stop(found.namespace, name)
    return name


def upload(spec: ExperimentSpec, installation: Installation) -> ExperimentSpec:
    """Copy a local source into the project's artifact root, by content; set the output to it.

    Raises:
        MissingInputError: the project or the source is not there.
        DataError: the source is a directory that holds something else than one table's files.
    """
    project = installation.projects.get(spec.project)
    if project is None:
        return spec  # place_of says it with the spec's line
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
    if not all(each.is_file() for each in files) or not files:
        if source.is_dir():
            raise DataError(f"{str(source)!r} holds no files, or folders: nothing to upload.")
        raise MissingInputError(f"There is no source {str(source)!r}.")
    names = [_safe(each.name) for each in files]
    if len(set(names)) < len(names):
        raise DataError(
            f"Two files in {str(source)!r} differ only in characters that are not safe."
        )
    digest = hashlib.sha256("/".join(names).encode())
    for each in files:
        with each.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    folder = layout.upload(digest.hexdigest()[:20], _safe(source.name))
    if not source.is_dir():
        _put(storage, folder, source)
        return folder
    for each in files:
        _put(storage, join(folder, _safe(each.name)), each)
    return folder


def _put(storage: Storage, uri: str, path: Path) -> None:
    if storage.exists(uri):
        return
    with path.open("rb") as source, storage.writer(uri) as target:
        while piece := source.read(1 << 20):
            target.write(piece)


def _safe(name: str) -> str:
    return re.sub(r"[^\w.-]", "_", name)
