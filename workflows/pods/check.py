"""The check step: a spec with the form's values, checked before anything costs something.

It runs in the image of the trainer, which alone knows the trainer's parameters and versions.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from steps.contract import OUTPUTS, RunAddress, output
from steps.errors import DamagedError, MissingInputError, Problem, SpecError
from steps.records import PartitionRecord, RunRecord, canonical_json
from steps.runtime.attempts import delete_attempts
from steps.split.config import DataflowConfig
from steps.storage.base import Storage, read_parsed
from workflows.installation.isolation import conflicting_bigquery, inside, with_project_defaults
from workflows.planning.run_files import now, write_start
from workflows.planning.run_request import trainer_info
from workflows.pods import environment as env
from workflows.pods.pod import Pod, find, pod
from workflows.spec.model import ExperimentSpec
from workflows.spec.validation_errors import problems_of

FORM: dict[str, tuple[str, ...]] = {
    "source": ("dataset", "source"),
    "trainer": ("trainer", "name"),
    "min-rows": ("dataset", "min_rows"),
    "folds": ("evaluate", "folds"),
    "max-pods": ("execution", "max_pods"),
    "label": ("execution", "label"),
    "force": ("execution", "force"),
}
"""Where in the spec a parameter of the form belongs."""

_RUN = re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}")


def run_id(environment: Mapping[str, str]) -> str:
    """The run's id: the one that is given, else made of the workflow's name and time.

    Every pod of a workflow, and whoever submitted it, finds the same one.

    Raises:
        SpecError: what is given is no run id.
    """
    given = env.parameters(environment).get("run", "")
    if not given:
        return env.run_id_of(environment[env.WORKFLOW], environment[env.CREATED])
    if not _RUN.fullmatch(given):
        message = f"{given!r} is no run id, such as 20260101T120000-ab12"
        raise SpecError("the form", [Problem("run", message, "Leave it empty.")])
    return given


def check() -> None:
    """Check the spec, begin or go on with the run, and leave run id and image behind.

    Raises:
        SpecError: the spec or a value of the form is wrong.
    """
    raw = json.loads(os.environ[env.SPEC])
    platform = env.Platform.read(os.environ)
    address = RunAddress(raw["output"], platform.project, raw["name"], run_id(os.environ))
    with pod(address, "check") as here:
        spec = _spec(raw, env.parameters(os.environ), platform)
        facts = trainer_info(spec)
        _begin(here, spec)
        layout = address.run_layout
        here.storage.write(layout.trainer, facts.to_json().encode())
        _leave("run", address.run)
        _leave("trainer-image", platform.trainers[spec.trainer.name])


def _leave(name: str, text: str) -> None:
    Path(OUTPUTS).mkdir(parents=True, exist_ok=True)
    Path(output(name)).write_text(text)


def _spec(raw: dict[str, Any], form: dict[str, str], platform: env.Platform) -> ExperimentSpec:
    """The spec with the form's values, checked like any other."""
    changed = _changed(raw, form)
    try:
        spec = ExperimentSpec.model_validate(changed)
    except ValidationError as error:
        problems = problems_of(ExperimentSpec, error)
        raise SpecError("the form", [_named(problem) for problem in problems]) from None
    problems = [*_strange_trainer(spec, platform), *_strange_source(spec)]
    if spec.project != platform.project or not inside(platform.root, spec.output):
        message = f"it was compiled for {platform.project!r}, whose root is {platform.root!r}"
        problems.append(Problem("project", message))
    place = platform.staging, platform.billing
    problems += conflicting_bigquery(spec.dataset, platform.project, *place)
    jobs = DataflowConfig.model_validate(platform.dataflow)
    problems += spec.split.conflicts(jobs, platform.project)
    if spec.store not in {None, platform.store}:
        message = f"{spec.store!r} is not the store that it was compiled for, {platform.store!r}"
        problems.append(Problem("store", message))
    if problems:
        raise SpecError("the form", problems)
    dataset, split = with_project_defaults(spec.dataset, *place), spec.split.with_defaults(jobs)
    return spec.model_copy(update={"dataset": dataset, "split": split})


def _changed(raw: dict[str, Any], form: dict[str, str]) -> dict[str, Any]:
    changed = json.loads(json.dumps(raw))
    if form.get("trainer", raw["trainer"]["name"]) != raw["trainer"]["name"]:
        changed["trainer"]["params"] = {}  # another trainer has other parameters
    for name, (part, field) in FORM.items():
        if name in form:
            changed[part][field] = _value(form[name], raw[part][field])
    return changed  # type: ignore[no-any-return]


def _value(text: str, like: Any) -> Any:  # noqa: ANN401 - a value of the spec
    """A form's text as a value of the type that the spec has there; as it is if it is none."""
    if isinstance(like, bool):
        return {"true": True, "false": False}.get(text.lower(), text)
    if isinstance(like, int) and re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    return text


def _named(problem: Problem) -> Problem:
    """The same problem under the parameter's name, as the form shows it."""
    names = {".".join(path): name for name, path in FORM.items()}
    return replace(problem, where=names.get(problem.where, problem.where))


def _strange_trainer(spec: ExperimentSpec, platform: env.Platform) -> list[Problem]:
    if spec.trainer.name in platform.trainers:
        return []
    known = ", ".join(platform.trainers)
    message = f"the installation has no image of a trainer {spec.trainer.name!r}"
    return [Problem("trainer", message, f"It has {known}.")]


def _strange_source(spec: ExperimentSpec) -> list[Problem]:
    if spec.dataset.is_remote:
        return []
    message = f"{spec.dataset.source!r} is a local path, which a pod cannot reach"
    return [Problem("source", message, "Name a gs:// or bigquery:// URI.")]


def _begin(here: Pod, spec: ExperimentSpec) -> None:
    address, layout = here.address, here.address.run_layout
    known = here.storage.exists(layout.spec)
    if known:
        _go_on(here, spec)
    elif env.parameters(os.environ).get("run"):
        raise MissingInputError(f"There is no run {address.run!r} to go on with.")
    else:
        write_start(layout, here.storage, spec, now())
    name = os.environ[env.WORKFLOW]
    about = {"workflow": name, "created": os.environ[env.CREATED]}
    here.storage.write(layout.workflow(name), canonical_json(about).encode())
    before = find(here.store, address)
    here.store.put(
        RunRecord(
            project=address.project,
            experiment=address.experiment,
            run=address.run,
            spec_hash=spec.digest(),
            dataset=before.dataset if before else "",
            status="running",
            started=before.started if before else now(),
            label=spec.execution.label,
        )
    )


def _go_on(here: Pod, spec: ExperimentSpec) -> None:
    """A run is gone on with only by the spec that it was begun with; failed partitions again."""
    layout = here.address.run_layout
    saved = read_parsed(here.storage, layout.spec, ExperimentSpec.model_validate_json)
    if saved.identity() != spec.identity():
        message = f"the run {here.address.run!r} was begun with another spec"
        raise SpecError("the form", [Problem("run", message, "Leave it empty.")])
    if not here.storage.exists(layout.workflow(os.environ[env.WORKFLOW])):  # written after this
        here.storage.delete(layout.done)
        here.storage.delete(layout.outcome)  # of the workflow before
        forget_failures(here.storage, here.address)


def forget_failures(storage: Storage, address: RunAddress) -> None:
    """Remove what is known of failed partitions, so that they are tried again; records last.

    Killed in between and called again, it goes on. A partition that is too large for every class
    keeps its record: it is in no shard.
    """
    layout = address.run_layout
    ids = {
        name.removesuffix(".json")
        for name in storage.names(layout.records)
        if _is_retried(storage, f"{layout.records}/{name}")
    }
    delete_attempts(storage, layout, ids)
    for partition_id in sorted(ids):
        storage.delete(layout.record(partition_id))


def _is_retried(storage: Storage, uri: str) -> bool:
    try:
        record = read_parsed(storage, uri, PartitionRecord.from_json)
    except DamagedError:
        return True
    return record.status == "failed" and record.reason != "too_large"
