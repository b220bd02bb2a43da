"""Write the models of a run as files, in their library's own format, with their cards."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path

import pyarrow as pa

from steps.errors import MissingInputError
from steps.records import PartitionIndex, PartitionKey
from steps.results.writer import csv_of, escape_formulas
from steps.run_context import RunContext
from steps.storage.base import read_parsed
from steps.storage.local import LocalStorage

_LONGEST = 40
"""Characters of the partition in a file's name."""
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class WrittenModel:
    """A partition and the files of its model.

    Attributes:
        partition: text of the partition's key.
        partition_id: its id.
        status: ``trained``, ``skipped`` or ``failed``.
        model: name of the model's file; empty without a model.
        card: name of the card's file; empty without a model.
    """

    partition: str
    partition_id: str
    status: str
    model: str = ""
    card: str = ""


def write_models(
    context: RunContext, partitions: Sequence[str], folder: Path
) -> list[WrittenModel]:
    """Write final models, their cards, and ``models.csv``, which lists them.

    Args:
        context: context of the run.
        partitions: keys or ids of partitions; none for all.
        folder: where to write; it is created.

    Raises:
        MissingInputError: the run has no such partition, or its models were deleted.
        DamagedError: a model was damaged.
        OutputError: the folder cannot be written.
    """
    request = context.request()
    uri = context.dataset(request).index
    index = read_parsed(context.storage, uri, PartitionIndex.from_json)
    keys = _selected([entry.key for entry in index.entries], partitions)
    written = list(_write(context, keys, folder))
    table = pa.Table.from_pylist([asdict(each) for each in written])
    LocalStorage().write(str(folder / "models.csv"), csv_of(escape_formulas(table)))
    return written


def _write(
    context: RunContext, keys: Sequence[PartitionKey], folder: Path
) -> Iterator[WrittenModel]:
    results, local = context.results(context.request()), LocalStorage()
    for key in keys:
        record = results.record(key.partition_id)
        if record.status != "trained":
            yield WrittenModel(key.text, key.partition_id, record.status)
            continue
        suffix = results.model_suffix(record.fit)
        stem = f"{_UNSAFE.sub('_', key.text)[:_LONGEST].lstrip('.')}-{key.partition_id}"
        model, card = f"{stem}{suffix}", f"{stem}.md"
        local.write(str(folder / model), results.final_model(record.fit, suffix))
        local.write(str(folder / card), results.model_card(record.fit))
        yield WrittenModel(key.text, key.partition_id, record.status, model, card)


def _selected(keys: Sequence[PartitionKey], wanted: Sequence[str]) -> Sequence[PartitionKey]:
    """Return the keys with these texts or ids, in the given order; all if there are none."""
    if not wanted:
        return keys
    by_name = {key.partition_id: key for key in keys} | {key.text: key for key in keys}
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        texts = [key.text for key in keys]
        near = get_close_matches(unknown[0], texts, n=3, cutoff=0.4) or texts[:5]
        raise MissingInputError(
            f"The run has no partition {unknown[0]!r}.",
            hint=f"Did you mean one of these? {', '.join(near)}",
        )
    return [by_name[name] for name in dict.fromkeys(wanted)]
