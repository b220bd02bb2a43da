"""The collect step in a pod: tables, report, counts for Argo's metrics, and the outcome."""

from __future__ import annotations

from pathlib import Path

from steps.collect.step import collect
from steps.contract import OUTPUTS, RunAddress, output
from steps.storage.base import read_parsed
from workflows.pods.environment import CAUSES, REPORT, STATUSES
from workflows.pods.pod import open_pod
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
        outcome = collect(pod.context, spec.dataset.title, PodProgress()).outcome
        pod.log.event("collected", counts=outcome.counts, reasons=outcome.reasons)
        Path(OUTPUTS).mkdir(parents=True, exist_ok=True)
        Path(output(REPORT)).write_bytes(pod.storage.read(pod.context.run.report))
        counts = {status: outcome.counts.get(status, 0) for status in STATUSES}
        counts |= {f"pods-{cause}": outcome.attempts.get(cause, 0) for cause in CAUSES}
        for name, count in counts.items():
            Path(output(name)).write_text(str(count))
        outcome.raise_for_failures()
