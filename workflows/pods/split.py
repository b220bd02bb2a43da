"""The split step in a pod: build the dataset, then pack shards by resource class."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from steps.contract import (
    BASE_OUTPUT,
    OUTPUTS,
    RunAddress,
    RunMembers,
    output,
    shard_number,
    shards_output,
)
from steps.errors import DataError, UsageError
from steps.records import PartitionRecord, RunRequest
from steps.runtime.lost_artifacts import complete_index
from steps.segments.run_results import cache_of
from steps.segments.writer import write_segment
from steps.split.step import split
from steps.storage.base import read_parsed
from workflows.planning.cost import History, cost_model
from workflows.planning.packing import Work, needed_mib, pack_classes
from workflows.planning.predicted import Predicted
from workflows.planning.run_files import write_request
from workflows.planning.run_request import run_request, split_engine, split_request
from workflows.planning.trainer_info import TrainerInfo
from workflows.pods.pod import Pod, find, open_pod
from workflows.pods.progress import PodProgress
from workflows.spec.model import ExperimentSpec


def split_in_pod(address: RunAddress) -> None:
    """Build the dataset and the run's shards unless they exist, and output the shard numbers.

    Raises:
        RefeedError: see ``steps.split.step.split``.
    """
    with open_pod(address, "split") as pod:
        layout = address.run_layout
        spec = read_parsed(pod.storage, layout.spec, ExperimentSpec.model_validate_json)
        has_begun = pod.storage.exists(layout.request)
        dataset = pod.context.dataset(pod.context.request()) if has_begun else None
        if dataset is None or complete_index(dataset, pod.storage) is None:
            _build(pod, spec)
        shards: dict[str, int] = read_parsed(pod.storage, layout.plan, json.loads)["shards"]
        names = [resource_class.name for resource_class in pod.platform.classes]
        missing = [name for name, count in shards.items() if count and name not in names]
        if missing:
            raise UsageError(
                f"The run {address.run!r} was planned for the resource class {missing[0]!r}, "
                f"which no longer exists. Available: {', '.join(names)}.",
                hint="Submit the spec again as a new run: finished fits are reused. To resume this "
                "run instead, a platform engineer must add the class again.",
            )
        Path(OUTPUTS).mkdir(parents=True, exist_ok=True)
        for name in names:
            # Argo gets numbers only; the training pods read the shards from the run's folder.
            numbers = [shard_number(number) for number in range(shards.get(name, 0))]
            Path(output(shards_output(name))).write_text(json.dumps(numbers))
        Path(output(BASE_OUTPUT)).write_text("true" if _needs_base(pod) else "false")


def _needs_base(pod: Pod) -> bool:
    """Return whether the run needs base models that no earlier run has stored."""
    request = pod.context.request()
    if not request.base:
        return False
    return not pod.storage.exists(cache_of(pod.address, request).base_models(request.base_key))


def _build(pod: Pod, spec: ExperimentSpec) -> None:
    address, layout = pod.address, pod.address.run_layout
    trainer = read_parsed(pod.storage, layout.trainer, TrainerInfo.from_json)
    engine = split_engine(spec, address.follower)
    request, progress = split_request(spec), PodProgress()
    result = split(request, address.layout, pod.storage, progress, engine, layout.split_checkpoint)
    run = run_request(spec, result, address.run, trainer)
    begun = pod.context.request() if pod.storage.exists(layout.request) else None
    if begun and begun.dataset != run.dataset:
        raise DataError(
            f"The dataset {begun.dataset!r} of the run was deleted or damaged, and the source has "
            "changed since, so it cannot be built again.",
            hint="Submit the spec again: a new run reads the current source.",
        )
    costs = cost_model(spec, run, trainer.cost, History(address.layout, pod.storage, pod.store))
    works = costs.works(result.index, result.roles.target, spec.dataset.min_rows)
    packing = pack_classes(works, pod.platform.classes, spec.execution, trainer.threads)
    records = dict(_too_large(pod, run, packing.too_large, trainer.threads))
    if records:
        folder = cache_of(address, run).segment_folder(run.fit_context)
        write_segment(pod.storage, folder, records)
    write_request(layout, pod.storage, run, packing.shards, Predicted(works, costs.basis))
    record = find(pod.store, address)
    if record:
        pod.store.put(replace(record, dataset=run.dataset, spec_hash=run.spec_hash))


def _too_large(
    pod: Pod, run: RunRequest, works: Sequence[Work], threads: int
) -> Iterator[tuple[str, bytes]]:
    """Yield a record for each partition that fits no resource class; it outlives retries."""
    members = RunMembers(run.experiment, run.run)
    largest, features = pod.platform.classes[-1], len(run.roles.features)
    for work in works:
        entry, needed = work.entry, needed_mib(largest, work.memory_mib, threads)
        message = (
            f"{entry.rows:,} rows with {features} features need about {needed / 1024:.1f} GiB of "
            f"memory, more than the largest resource class, {largest.name!r}, has "
            f"({largest.memory_mib / 1024:.1f} GiB). Add a class with at least "
            f"{-(-needed // 1024)} GiB to the installation."
        )
        record = PartitionRecord(entry.key, "failed", "too_large", message)
        text = record.to_json().encode("utf-8", "surrogatepass")
        yield members.record(entry.key.partition_id, final=True), text
