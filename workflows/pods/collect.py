"""The collect step in a pod: tables and report, numbers for Argo's metrics, and the outcome."""

from __future__ import annotations

from pathlib import Path

from steps.collect.outcome import Outcome
from steps.collect.step import CollectResult, collect
from steps.contract import OUTPUTS, RunAddress, output
from steps.errors import TooManyFailuresError
from steps.storage.base import read_parsed
from workflows.pods.environment import CAUSES, REPORT, STATUSES
from workflows.pods.pod import pod
from workflows.pods.progress import PodProgress
from workflows.spec.model import ExperimentSpec


def collect_in_pod(address: RunAddress) -> None:
    """Write tables and report, leave report and numbers behind.

    Raises:
        TooManyFailuresError: more partitions failed than the spec allows.
        RefeedError: see ``steps.collect.step.collect``.
    """
    with pod(address, "collect") as here:
        layout = address.run_layout
        spec = read_parsed(here.storage, layout.spec, ExperimentSpec.model_validate_json)
        source = spec.dataset.title
        result = collect(address.layout, layout, here.storage, here.store, PodProgress(), source)
        here.log.event("collected", counts=result.counts, reasons=result.reasons)
        Path(OUTPUTS).mkdir(parents=True, exist_ok=True)
        Path(output(REPORT)).write_bytes(here.storage.read(layout.report))
        _leave_numbers(result.outcome)
        _raise_for_failures(result)


def _leave_numbers(outcome: Outcome) -> None:
    numbers = {status: outcome.counts.get(status, 0) for status in STATUSES}
    numbers |= {f"pods-{cause}": outcome.attempts.get(cause, 0) for cause in CAUSES}
    for name, number in numbers.items():
        Path(output(name)).write_text(str(number))


def _raise_for_failures(result: CollectResult) -> None:
    if result.too_many_failed:
        raise TooManyFailuresError(
            f"{result.counts['failed']} of {result.outcome.partitions} partitions failed, more "
            "than execution.max_failed_fraction allows. The tables are written all the same.",
            hint=f"The reasons are in {result.outcome.tables}/partitions.csv.",
        )
