"""Submit, retry and stop runs on a cluster."""

from __future__ import annotations

import hashlib
import itertools
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote

from steps.contract import ProjectLayout, RunAddress, join
from steps.errors import DataError, MissingInputError, TransientError
from steps.split.sources.locate import is_pattern, locate
from steps.storage.base import Storage, read_parsed, storage_for
from steps.storage.local import LocalStorage
from workflows.argo.compile import compile_spec
from workflows.argo.template import Manifest
from workflows.cluster.base import ENDED, Cluster
from workflows.cluster.errors import ConflictError
from workflows.cluster.git_owner import GitOwner, git_owner
from workflows.installation.model import Installation
from workflows.planning.run_files import reject_other_version
from workflows.pods.environment import run_id_of
from workflows.runs.find import FoundRun, workflows_of
from workflows.runs.unrecorded import cluster_runs
from workflows.spec.model import ExperimentSpec

_CHUNK_BYTES = 1 << 20
_NEW_TEMPLATE_SECONDS = 2.0
"""Pause between a new WorkflowTemplate and its CronWorkflow. Argo's controller keeps a copy of each
kind, and ignores a CronWorkflow that it sees first, for up to 20 minutes. Argo CD waits as long."""
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
        owner: owner of the experiment's WorkflowTemplate and CronWorkflow, which were left alone.
    """

    workflow: str
    namespace: str
    address: RunAddress
    scheduled: bool = False
    owner: GitOwner | None = None


def submit(
    spec: ExperimentSpec,
    installation: Installation,
    cluster: Cluster,
    *,
    sleep: Callable[[float], None] = time.sleep,
) -> Submitted:
    """Apply the spec's WorkflowTemplate (and CronWorkflow, if scheduled), and start a run.

    The run's Workflow contains its own templates, so that two variants of an experiment can be
    submitted at the same time. Objects that Git owns are left alone: Argo CD would revert them.

    Args:
        spec: the spec.
        installation: the installation that the cluster belongs to.
        cluster: the cluster.
        sleep: function that waits a number of seconds.

    Raises:
        SpecError: the spec does not fit the installation.
        RefeedError: the cluster is unavailable or denies permission.
    """
    workflow = compile_spec(spec, installation, "workflow")
    manifests = [compile_spec(spec, installation, "workflow-template")]
    manifests += [compile_spec(spec, installation, "cron-workflow")] if spec.schedule else []
    owner = _apply(manifests, cluster, sleep)
    submitted = _start(workflow, spec, cluster)
    scheduled = spec.schedule is not None and owner is None
    return replace(submitted, scheduled=scheduled, owner=owner)


def _apply(
    manifests: Sequence[Manifest], cluster: Cluster, sleep: Callable[[float], None]
) -> GitOwner | None:
    """Apply a WorkflowTemplate and the objects that refer to it, unless Git owns one of them.

    Returns:
        The owner, if nothing was applied.
    """
    existing = [_current(manifest, cluster) for manifest in manifests]
    owners = [owner for each in existing if each and (owner := git_owner(each))]
    if owners:
        return owners[0]
    for number, manifest in enumerate(manifests):
        if number == 1 and existing[0] is None:
            sleep(_NEW_TEMPLATE_SECONDS)
        cluster.apply(manifest)
    return None


def _current(manifest: Manifest, cluster: Cluster) -> Manifest | None:
    metadata = manifest["metadata"]
    current = cluster.find(manifest["kind"], metadata["namespace"], metadata["name"])
    return current and {**current, "kind": manifest["kind"]}  # the Argo server leaves it out


def _start(workflow: Manifest, spec: ExperimentSpec, cluster: Cluster, run: str = "") -> Submitted:
    _fill_in(workflow, {"run": run})
    metadata = cluster.create(workflow)["metadata"]
    run = run or run_id_of(metadata["name"], metadata["creationTimestamp"])
    address = RunAddress(spec.output, spec.project, spec.name, run)
    return Submitted(metadata["name"], metadata["namespace"], address)


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
    spec, form = _spec_of(found, installation, cluster)
    workflow = compile_spec(spec, installation, "workflow")
    _fill_in(workflow, form)
    del workflow["metadata"]["generateName"]
    workflow["metadata"]["name"] = name = _next_name(found, cluster)
    try:
        return _start(workflow, spec, cluster, found.record.run)
    except ConflictError:
        raise _still_running(found, name) from None


def _spec_of(
    found: FoundRun, installation: Installation, cluster: Cluster
) -> tuple[ExperimentSpec, dict[str, str]]:
    """Return the spec of a run, and values of the form that the spec does not have yet.

    The first pod writes the spec with the form's values to the run's folder. If it never started,
    both are in the Workflow.

    Raises:
        MissingInputError: neither the folder nor the cluster has them.
    """
    layout = found.address.run_layout
    with suppress(MissingInputError):
        return read_parsed(found.storage, layout.spec, ExperimentSpec.model_validate_json), {}
    for each in cluster_runs(installation, cluster, found.record.project):
        if each.run == found.record.run and (spec := each.spec) is not None:
            return spec, each.parameters
    raise MissingInputError(
        f"The run {found.record.run!r} ended before its first pod had started, and its Workflow is "
        "no longer in the cluster, so there is nothing to resume.",
        hint="Submit its spec again.",
    )


def _fill_in(workflow: Manifest, form: dict[str, str]) -> None:
    """Set parameters of a Workflow."""
    for parameter in workflow["spec"]["arguments"]["parameters"]:
        parameter["value"] = form.get(parameter["name"], parameter.get("value"))


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
        DataError: the source has no tables, or two files whose copies would have the same name.
    """
    project = installation.projects.get(spec.project)
    if project is None:
        return spec  # project_for raises, with the line in the spec
    changes: dict[str, object] = {}
    if "://" not in spec.output:
        changes["output"] = project.root
    if not spec.dataset.is_remote:
        layout = ProjectLayout(project.root, spec.project)
        source = _copy(spec.dataset.source, layout, storage_for(project.root))
        changes["dataset"] = spec.dataset.model_copy(update={"source": source})
    return spec.model_copy(update=changes)


def _copy(source: str, layout: ProjectLayout, storage: Storage) -> str:
    """Copy the files of a source, and return its URI: a file, a folder or a pattern.

    Names of folders such as ``region=eu`` give a column, so they keep their meaning.
    """
    files = [Path(file.uri) for file in locate(source, LocalStorage())]
    path = Path(source).expanduser()
    base = _base(path)
    parts = path.relative_to(base).parts
    names = ["/".join(map(_safe, file.relative_to(base).parts)) for file in files]
    [(name, count)] = Counter(names).most_common(1)
    if count > 1:
        raise DataError(
            f"{count} files of {source!r} would all be uploaded as {name!r}, since "
            "special characters in a file name are replaced by underscores. Rename them."
        )
    digest = hashlib.sha256("//".join(names).encode())
    for file in files:
        with file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    folder = layout.uploaded_source(digest.hexdigest()[:20])
    for file, name in zip(files, names, strict=True):
        target = join(folder, name)
        if not storage.exists(target):
            with file.open("rb") as stream, storage.writer(target) as sink:
                shutil.copyfileobj(stream, sink, _CHUNK_BYTES)
    if path.is_file():
        return join(folder, names[0])
    return join(folder, _safe(path.name) if path.is_dir() else "/".join("*" for _ in parts))


def _base(source: Path) -> Path:
    """Return the folder that the copies' names start from: above each folder that has a meaning."""
    for folder in reversed(source.parents):
        if is_pattern(folder.name) or (is_pattern(str(source)) and "=" in folder.name):
            return folder.parent
    return source.parent


def _safe(name: str) -> str:
    """Return a name of a file or folder without characters that a URI or a pattern treats apart."""
    column, equals, value = name.partition("=")
    if equals and column:
        return f"{quote(unquote(column), safe='')}={quote(unquote(value), safe='')}"
    return re.sub(r"[^\w.-]", "_", name)
