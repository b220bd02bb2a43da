"""The collect step in a pod: tables, report, counts for Argo's metrics, and the outcome."""

from __future__ import annotations

import json
from pathlib import Path

from steps.collect.step import collect
from steps.contract import OUTPUTS, RunAddress, output
from steps.records import PodRecord
from steps.runtime.parallel import REQUESTS, map_ordered
from steps.storage.base import read_parsed
from workflows.pods.environment import CAUSES, REPORT, STATUSES
from workflows.pods.pod import Pod, open_pod
from workflows.pods.progress import PodProgress
from workflows.spec.model import ExperimentSpec


def collect_in_pod(address: RunAddress) -> None:
    """Write tables and report, and the report and counts as the pod's outputs.

    Raises:
        TooManyFailuresError: more partitions failed than the spec allows.
        NothingTrainedError: no partition has a model.
        RefeedError: see ``steps.collect.step.collect``.
    """
    with open_pod(address, "collect") as pod:
        spec_uri = pod.context.run.spec
        spec = read_parsed(pod.storage, spec_uri, ExperimentSpec.model_validate_json)
        expected = _recorded(pod)
        outcome = collect(pod.context, spec.dataset.title, PodProgress(), expected).outcome
        pod.log.event("collected", counts=outcome.counts, reasons=outcome.reasons)
        Path(OUTPUTS).mkdir(parents=True, exist_ok=True)
        Path(output(REPORT)).write_bytes(pod.storage.read(pod.context.run.report))
        counts = {status: outcome.counts.get(status, 0) for status in STATUSES}
        counts |= {f"pods-{cause}": outcome.attempts.get(cause, 0) for cause in CAUSES}
        for name, count in counts.items():
            Path(output(name)).write_text(str(count))
        outcome.raise_for_failures()


def _recorded(pod: Pod) -> set[str]:
    """Return the partitions of all shards whose last pod has ended without an error."""
    run, storage = pod.context.run, pod.storage
    uris = [f"{run.pods}/{name}" for name in storage.names(run.pods)]
    pods = map_ordered(lambda uri: read_parsed(storage, uri, PodRecord.from_json), uris, REQUESTS)
    done = {each.step.removeprefix("train-") for each in pods if each.cause == "done"}
    names = [name.removesuffix(".json") for name in storage.names(run.shards)]
    shards = [run.shard(name) for name in names if name in done]
    ids = map_ordered(lambda uri: read_parsed(storage, uri, json.loads), shards, REQUESTS)
    return {partition_id for shard in ids for partition_id in shard}
