"""Artifacts that were deleted or damaged although they can be computed again.

A lifecycle rule, a full disk or a person may remove part of a dataset while a run needs it. The
step that notices writes a marker, and the next split builds the dataset again, with the same files.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from steps.contract import DatasetLayout
from steps.errors import DamagedError, LostArtifactError, MissingInputError
from steps.records import PartitionIndex, canonical_json
from steps.storage.base import Storage, read_parsed, write_text

RUN_AGAIN = "Run again to compute what is missing; on a cluster use `refeed retry RUN`."


def complete_index(dataset: DatasetLayout, storage: Storage) -> PartitionIndex | None:
    """Return the partition index of a dataset; None if it has to be built, or built again."""
    if storage.exists(dataset.rebuild):
        return None
    try:
        return read_parsed(storage, dataset.index, PartitionIndex.from_json)
    except (MissingInputError, DamagedError):
        return None


def mark_for_rebuild(dataset: DatasetLayout, storage: Storage, uri: str) -> None:
    """Have the next split build a dataset again, since the artifact at ``uri`` was lost."""
    write_text(storage, dataset.rebuild, canonical_json({"lost": uri}))


@contextmanager
def rebuild_if_lost(dataset: DatasetLayout, storage: Storage) -> Iterator[None]:
    """Mark a dataset for rebuilding if the block finds one of its artifacts missing or damaged.

    Raises:
        LostArtifactError: an artifact of the dataset is missing or damaged.
    """
    try:
        yield
    except (MissingInputError, DamagedError) as error:
        if not error.uri.startswith(f"{dataset.base}/"):
            raise
        mark_for_rebuild(dataset, storage, error.uri)
        raise LostArtifactError(
            f"{error.uri!r}, which the split step wrote, was deleted or damaged.", hint=RUN_AGAIN
        ) from error
