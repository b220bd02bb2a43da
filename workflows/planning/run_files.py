"""Files written at the start of a run, which train and collect read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from steps.contract import RESULTS_VERSION, RunLayout, shard_name, shard_number
from steps.errors import DataError
from steps.records import RunRecord, RunRequest, canonical_json
from steps.storage.base import Storage, read_parsed, write_text
from steps.stores.base import ExperimentStore
from workflows.planning.predicted import Predicted
from workflows.spec.model import ExperimentSpec

Shards = Mapping[str, Sequence[Sequence[str]]]
"""Partition ids of each shard, by resource class."""


def write_start(layout: RunLayout, storage: Storage, spec: ExperimentSpec, started: str) -> None:
    """Write the run's start time and its spec."""
    storage.write(layout.started, canonical_json({"started": started}).encode())
    write_text(storage, layout.spec, spec.model_dump_json(indent=2))


def write_request(
    layout: RunLayout, storage: Storage, request: RunRequest, shards: Shards, predicted: Predicted
) -> None:
    """Write the shards, then the request, whose existence means that the run can be resumed."""
    storage.write(layout.predictions, predicted.to_csv().encode())
    for resource_class, ids_of in shards.items():
        for number, ids in enumerate(ids_of):
            name = shard_name(resource_class, shard_number(number))
            storage.write(layout.shard(name), canonical_json(ids).encode())
    counts = {resource_class: len(ids_of) for resource_class, ids_of in shards.items()}
    partitions = len(predicted.works)
    plan = canonical_json(
        {"partitions": partitions, "shards": counts, "predicted": predicted.to_raw()}
    )
    storage.write(layout.plan, plan.encode())
    write_text(storage, layout.request, request.to_json())


def put_running(store: ExperimentStore, request: RunRequest, started: str) -> None:
    """Record in the store that the run has started."""
    store.put(
        RunRecord(
            project=request.project,
            experiment=request.experiment,
            run=request.run,
            spec_hash=request.spec_hash,
            dataset=request.dataset,
            status="running",
            started=started,
            label=request.label,
        )
    )


def now() -> str:
    """Return the current time in ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def reject_other_version(layout: RunLayout, storage: Storage) -> None:
    """Reject a run that a version of Refeed with other results has started.

    Its partitions would come from two versions that read tables and deal folds differently.

    Raises:
        DataError: it has.
    """
    if not storage.exists(layout.request):
        return
    request = read_parsed(storage, layout.request, RunRequest.from_json)
    if request.results_version != RESULTS_VERSION:
        raise DataError(
            f"The run {request.run!r} was started by another version of Refeed, which reads tables "
            "or deals folds differently. Its results stay readable, but it cannot be resumed.",
            hint="Start a new run: refeed submit SPEC.",
        )
