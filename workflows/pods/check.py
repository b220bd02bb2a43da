"""The check step: validate the spec with the form's values before any expensive step runs.

It runs in the trainer's image, since only that contains the trainer's parameters and versions.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from steps.contract import OUTPUTS, RunAddress, output
from steps.errors import MissingInputError, Problem, SpecError, UsageError
from steps.records import RunRecord, canonical_json
from steps.segments.run_results import write_generation
from steps.split.config import DataflowConfig
from steps.split.sources.checks import source_problems
from steps.storage.base import read_parsed
from steps.train.registry import load_class
from workflows.installation.isolation import conflicting_bigquery, inside, with_project_defaults
from workflows.installation.trainer_rules import limit_problems
from workflows.planning.cost import History, with_measured_cost
from workflows.planning.run_files import now, reject_other_version, write_start
from workflows.planning.trainer_info import TrainerInfo, trainer_info, with_trainer_defaults
from workflows.pods import environment as env
from workflows.pods.pod import Pod, find, open_pod
from workflows.spec.check import check_spec
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
"""Field of the spec that each parameter of the form sets."""

_RUN_ID = re.compile(r"\d{8}T\d{6}-[0-9a-f]{4}")


def run_id(environment: Mapping[str, str]) -> str:
    """Return the run's id: the given one, or one derived from the workflow's name and time.

    Every pod of a workflow, and the command that submitted it, derive the same id.

    Raises:
        SpecError: the given value is not a run id.
    """
    given = env.parameters(environment).get("run", "")
    if not given:
        return env.run_id_of(environment[env.WORKFLOW], environment[env.CREATED])
    if not _RUN_ID.fullmatch(given):
        message = f"{given!r} is not a run id such as 20260101T120000-ab12"
        hint = "Leave the field `run` empty to start a new run."
        raise SpecError("the form", [Problem("run", message, hint)])
    return given


def check() -> None:
    """Validate the spec, start or resume the run, and write run id and image as outputs.

    Raises:
        SpecError: the spec or a value of the form is not valid.
    """
    raw = json.loads(os.environ[env.SPEC])
    platform = env.Platform.read(os.environ)
    address = RunAddress(raw["output"], platform.project, raw["name"], run_id(os.environ))
    with open_pod(address, "check") as pod:
        spec = _spec(raw, env.parameters(os.environ), platform)
        check_spec(spec)
        trainer = _trainer_within_limits(spec, platform)
        _import_trainer(spec.trainer.name, platform.trainers[spec.trainer.name])
        _start_or_resume(pod, spec)
        _warn_of_lifecycle_rule(pod)
        trainer = _with_cost(pod, spec, trainer)
        pod.storage.write(address.run_layout.trainer, trainer.to_json().encode())
        Path(OUTPUTS).mkdir(parents=True, exist_ok=True)
        Path(output("run")).write_text(address.run)
        Path(output("trainer-image")).write_text(platform.trainers[spec.trainer.name])


def _warn_of_lifecycle_rule(pod: Pod) -> None:
    """Warn if the bucket deletes segments by age, whether runs need them or not."""
    days = pod.storage.deletion_age(pod.context.project.cache.segments)
    if days is None:
        return
    message = (
        f"The bucket of {pod.address.root!r} deletes models and results of runs {days} days after "
        "they were written, also those that newer runs share. Remove the lifecycle rule, and "
        "delete what no run needs with `refeed gc`."
    )
    pod.log.event("warning", message=message)
    sys.stderr.write(f"check: {message}\n")


def _trainer_within_limits(spec: ExperimentSpec, platform: env.Platform) -> TrainerInfo:
    """Return the trainer, whose parameters are complete and within the platform's limits.

    Raises:
        SpecError: a parameter is not valid, or beyond a limit.
    """
    trainer = trainer_info(spec)
    limits = platform.settings.get(spec.trainer.name, {}).get("limits", {})
    problems = list(limit_problems(trainer.config["params"], limits))
    if problems:
        raise SpecError("the form", problems)
    return trainer


def _with_cost(pod: Pod, spec: ExperimentSpec, trainer: TrainerInfo) -> TrainerInfo:
    """Return the trainer with its costs; a retry uses those that the run was planned with."""
    layout = pod.address.run_layout
    if not trainer.cost and pod.storage.exists(layout.trainer):  # by an earlier workflow of the run
        earlier = read_parsed(pod.storage, layout.trainer, TrainerInfo.from_json)
        return replace(trainer, cost=earlier.cost)
    return with_measured_cost(spec, trainer, History(pod.address.layout, pod.storage, pod.store))


def _import_trainer(name: str, image: str) -> None:
    """Import the modules that fit models, which the training pods' workers import before forking.

    Raises:
        UsageError: the image lacks one of them, or a library that it needs.
    """
    for module in load_class(name).preload:
        try:
            importlib.import_module(module)
        except (ImportError, OSError) as error:
            raise UsageError(
                f"The image {image!r} cannot import {module!r} of the trainer {name!r}, so no "
                f"partition can be trained: {error}.",
                hint="Build the image again, and try it with `docker run IMAGE python -c 'import "
                f"{module}'`.",
            ) from error


def _spec(raw: dict[str, Any], form: dict[str, str], platform: env.Platform) -> ExperimentSpec:
    """Return the validated spec with the form's values."""
    try:
        spec = ExperimentSpec.model_validate(_with_form(raw, form))
    except ValidationError as error:
        parameters = {".".join(path): name for name, path in FORM.items()}
        problems = [
            replace(problem, where=parameters.get(problem.where, problem.where))
            for problem in problems_of(ExperimentSpec, error)
        ]
        raise SpecError("the form", problems) from None
    jobs = DataflowConfig.model_validate(platform.dataflow)
    problems = [*_platform_problems(spec, platform), *spec.split.conflicts(jobs, platform.project)]
    if problems:
        raise SpecError("the form", problems)
    spec = with_trainer_defaults(spec, platform.settings.get(spec.trainer.name, {}))
    dataset = with_project_defaults(spec.dataset, platform.staging, platform.billing)
    return spec.model_copy(update={"dataset": dataset, "split": spec.split.with_defaults(jobs)})


def _with_form(raw: dict[str, Any], form: dict[str, str]) -> dict[str, Any]:
    """Return the spec with the form's values, converted to the types of the spec's values.

    Text that cannot be converted is unchanged, so that the validation reports it.
    """
    changed: dict[str, Any] = json.loads(json.dumps(raw))
    if form.get("trainer", raw["trainer"]["name"]) != raw["trainer"]["name"]:
        changed["trainer"]["params"] = {}  # another trainer has other parameters
    for name, (part, field) in FORM.items():
        if name not in form:
            continue
        value: Any = form[name]
        like = raw[part][field]
        if isinstance(like, bool):
            value = {"true": True, "false": False}.get(value.lower(), value)
        elif isinstance(like, int) and re.fullmatch(r"-?\d{1,18}", value):
            value = int(value)
        changed[part][field] = value
    return changed


def _platform_problems(spec: ExperimentSpec, platform: env.Platform) -> Iterator[Problem]:
    """Yield a problem for each part of the spec that this project does not allow."""
    if spec.trainer.name not in platform.trainers:
        known = ", ".join(platform.trainers)
        message = f"the installation has no image for the trainer {spec.trainer.name!r}"
        yield Problem("trainer", message, f"Its trainers are {known}.")
    for problem in source_problems(spec.dataset):
        yield replace(problem, where=problem.where.removeprefix("dataset."))
    if not spec.dataset.is_remote:
        message = f"{spec.dataset.source!r} is a local path, which a pod cannot read"
        yield Problem("source", message, "Use a gs:// or bigquery:// URI instead.")
    if spec.project != platform.project or not inside(platform.root, spec.output):
        message = (
            f"the template was compiled for the project {platform.project!r} and the artifact "
            f"root {platform.root!r}"
        )
        yield Problem("project", message, "Leave `output` and `project` as in the template.")
    yield from conflicting_bigquery(
        spec.dataset, platform.project, platform.staging, platform.billing
    )
    if spec.store not in {None, platform.store}:
        message = f"{spec.store!r} is set, but the store of the project is {platform.store!r}"
        yield Problem("store", message, "Leave `store` out of the spec.")


def _start_or_resume(pod: Pod, spec: ExperimentSpec) -> None:
    address, layout = pod.address, pod.address.run_layout
    if pod.storage.exists(layout.spec):
        _resume(pod, spec)
    elif env.parameters(os.environ).get("run") and not _is_retry(address.run):
        raise MissingInputError(
            f"There is no run {address.run!r} to resume.",
            hint="Leave the field `run` empty to start a new run.",
        )
    else:
        write_start(layout, pod.storage, spec, now())
    name = os.environ[env.WORKFLOW]
    workflow = {"workflow": name, "created": os.environ[env.CREATED]}
    pod.storage.write(layout.workflow(name), canonical_json(workflow).encode())
    before = find(pod.store, address)
    pod.store.put(
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


def _is_retry(run: str) -> bool:
    """Return whether `refeed retry` created this workflow: its name contains the run's id.

    Then the run exists, even if no earlier workflow of it had a pod that could record it.
    """
    return f"-{run.lower()}-" in os.environ[env.WORKFLOW]


def _resume(pod: Pod, spec: ExperimentSpec) -> None:
    """Prepare a run that was started with the same spec to train its failed partitions again."""
    layout = pod.address.run_layout
    saved = read_parsed(pod.storage, layout.spec, ExperimentSpec.model_validate_json)
    if saved.identity() != spec.identity():
        message = f"the run {pod.address.run!r} was started with another spec, so it cannot resume"
        hint = "Leave the field `run` empty to start a new run."
        raise SpecError("the form", [Problem("run", message, hint)])
    reject_other_version(layout, pod.storage)
    if not pod.storage.exists(layout.workflow(os.environ[env.WORKFLOW])):  # written after this
        pod.storage.delete(layout.done)
        pod.storage.delete(layout.outcome)  # of the previous workflow
        write_generation(pod.storage, layout, len(pod.storage.names(layout.workflows)))
        if pod.storage.exists(layout.request):
            results = pod.context.results(pod.context.request())
            results.records()  # finds damaged segments
            results.salvage_damaged()
