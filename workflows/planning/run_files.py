"""The beginning of a run: what train and collect will read, written down once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from steps.contract import RunLayout
from steps.records import RunRecord, RunRequest, canonical_json
from steps.storage.base import Storage, write_text
from steps.stores.base import ExperimentStore
from workflows.spec.model import ExperimentSpec

Shards = Mapping[str, Sequence[Sequence[str]]]
"""By resource class, the partition ids of each shard."""


def write_start(layout: RunLayout, storage: Storage, spec: ExperimentSpec, started: str) -> None:
    """Write when the run began, and the spec as it is run."""
    begun = canonical_json({"started": started}).encode()
    storage.write(layout.started, begun)
    text = spec.model_dump_json(indent=2)
    write_text(storage, layout.spec, text)


def write_request(
    layout: RunLayout, storage: Storage, request: RunRequest, partitions: int, shards: Shards
) -> None:
    """Write shards and request; the request last, for with it the run can be gone on with."""
    for resource_class, ids_of in shards.items():
        for number, ids in enumerate(ids_of):
            storage.write(layout.shard(resource_class, number), canonical_json(ids).encode())
    counts = {resource_class: len(ids_of) for resource_class, ids_of in shards.items()}
    plan = canonical_json({"partitions": partitions, "shards": counts})
    storage.write(layout.plan, plan.encode())
    write_text(storage, layout.request, request.to_json())


def put_running(store: ExperimentStore, request: RunRequest, started: str) -> None:
    """Tell the store that the run has begun."""
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
    """ISO 8601, UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
