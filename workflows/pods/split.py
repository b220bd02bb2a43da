"""The split step in a pod: the data set, then shards by resource class for the fan-out."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from steps.contract import OUTPUTS, RunAddress, output, shards_output
from steps.errors import DataError, UsageError
from steps.records import PartitionEntry, PartitionRecord, RunRequest
from steps.runtime.lost_artifacts import complete_index
from steps.split.step import SplitResult, split
from steps.storage.base import read_parsed, write_text
from workflows.planning.packing import Packing, needed_mib, pack_classes
from workflows.planning.run_files import write_request
from workflows.planning.run_request import TrainerInfo, run_request, split_engine, split_request
from workflows.pods.pod import Pod, find, pod
from workflows.pods.progress import PodProgress
from workflows.spec.model import ExperimentSpec


def split_in_pod(address: RunAddress) -> None:
    """Make the data set and the run's shards, or find them; leave the shards' numbers behind.

    Raises:
        RefeedError: see ``steps.split.step.split``.
    """
    with pod(address, "split") as here:
        layout = address.run_layout
        spec = read_parsed(here.storage, layout.spec, ExperimentSpec.model_validate_json)
        if not _is_built(here):
            _build(here, spec)
        plan = read_parsed(here.storage, layout.plan, json.loads)
        shards: dict[str, int] = plan["shards"]
        names = [resource_class.name for resource_class in here.platform.classes]
        _check_classes(shards, names, address.run)
        for name in names:
            _leave(name, shards.get(name, 0))


def _check_classes(shards: Mapping[str, int], names: Sequence[str], run: str) -> None:
    """A run that is gone on with finds the classes that it was packed for."""
    gone = [name for name, count in shards.items() if count and name not in names]
    if gone:
        raise UsageError(
            f"The run {run!r} was packed for the resource class {gone[0]!r}, which the "
            f"installation or the spec no longer has; there are {', '.join(names)}.",
            hint="Add the class again, or submit the spec anew: what is trained is in the cache.",
        )


def _leave(resource_class: str, shards: int) -> None:
    """Numbers only: the shards themselves are found in the run's folder."""
    Path(OUTPUTS).mkdir(parents=True, exist_ok=True)
    Path(output(shards_output(resource_class))).write_text(
        json.dumps([f"{n:05d}" for n in range(shards)])
    )


def _is_built(here: Pod) -> bool:
    """Return whether the run has begun and its dataset is complete."""
    if not here.storage.exists(here.context.run.request):
        return False
    dataset = here.context.dataset(here.context.request())
    return complete_index(dataset, here.storage) is not None


def _build(here: Pod, spec: ExperimentSpec) -> None:
    address, layout = here.address, here.address.run_layout
    trainer = read_parsed(here.storage, layout.trainer, TrainerInfo.from_json)
    engine = split_engine(spec, address.follower)
    request, progress = split_request(spec), PodProgress()
    made = split(request, address.layout, here.storage, progress, engine, layout.begun)
    run = run_request(spec, made, address.run, trainer)
    _check_rows(here, run)
    packing = _pack(here, spec, made)
    for entry in packing.too_large:
        _refuse(here, run, entry)
    write_request(layout, here.storage, run, len(made.index.entries), packing.shards)
    known = find(here.store, address)
    if known:
        here.store.put(replace(known, dataset=run.dataset, spec_hash=run.spec_hash))


def _check_rows(here: Pod, rebuilt: RunRequest) -> None:
    """Refuse to continue a run whose dataset was lost and can only be built with other rows."""
    if not here.storage.exists(here.context.run.request):
        return
    begun = here.context.request()
    if begun.dataset != rebuilt.dataset:
        raise DataError(
            f"The dataset {begun.dataset!r} of the run was deleted or damaged, and the source has "
            "changed since, so it cannot be built again.",
            hint="Submit the spec again: a new run reads the source as it is now.",
        )


def _pack(here: Pod, spec: ExperimentSpec, made: SplitResult) -> Packing:
    return pack_classes(
        made.index.entries,
        len(made.roles.features),
        here.platform.classes,
        spec.execution.max_pods,
    )


def _refuse(here: Pod, request: RunRequest, entry: PartitionEntry) -> None:
    """A partition that fits no class has failed; the message names the class to add."""
    largest = here.platform.classes[-1]
    needed = needed_mib(largest, entry.rows, len(request.roles.features))
    message = (
        f"{entry.rows:,} rows with {len(request.roles.features)} features need about "
        f"{needed / 1024:.1f} GiB of memory, more than the largest resource class, "
        f"{largest.name!r}, has ({largest.memory_mib / 1024:.1f} GiB). Add a class with at least "
        f"{-(-needed // 1024)} GiB to the installation."
    )
    record = PartitionRecord(entry.key, "failed", "too_large", message)
    uri = here.address.run_layout.record(entry.key.partition_id)
    write_text(here.storage, uri, record.to_json())
