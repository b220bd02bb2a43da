"""Documents of the experiment store in Firestore, and their sizes; see docs/platform/firestore.md.

No client is here, so that all of it can be measured without one. Nothing from the data becomes the
name of a document or of a field: keys and column names are values only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any

from steps.errors import DamagedError
from steps.records import RunRecord, canonical_json
from steps.results.partition_result import PartitionResult
from steps.results.schema import PARTITIONS, TABLES

TEXT_BYTES = 8 << 10
"""A longer text of the data is cut, in UTF-8: no page shows it, and a document has an end."""
PIECE_BYTES = 256 << 10
"""JSON text in one document: a quarter of what Firestore allows."""
BATCH_WRITES = 500
BATCH_BYTES = 2 << 20
"""Of one commit; with what comes around texts, a request may have 10 MiB, 4 for the emulator."""
SHOWN = 10
"""Features per method that a partition's own document names."""

EXEMPT: dict[str, tuple[str, ...]] = {
    "runs": ("message",),
    "results": ("importance", "message", "metrics", "tables"),
    "tables": ("columns", "number", "rows", "table"),
    "statistics": ("text",),
}
"""By collection, the fields that nobody can query: terraform/firestore.indexes.json says so too."""

_POOLED = ("metric", "value", "constant_value", "skill", "skill_low", "skill_high")
_ELLIPSIS = "\u2026"


@dataclass(frozen=True)
class Document:
    """A document to be written.

    Attributes:
        path: collections and ids in turn, below the project's document; empty for that itself.
        fields: what it holds.
        merge: keep fields that others have added.
    """

    path: tuple[str, ...]
    fields: dict[str, Any]
    merge: bool = False


def run_path(experiment: str, run: str) -> tuple[str, ...]:
    """Where a run's document lies."""
    return ("experiments", experiment, "runs", run)


def run_documents(record: RunRecord) -> Iterator[Document]:
    """A run, and the documents above it, so that a page finds it by walking down."""
    above = {"project": record.project}
    yield Document((), above, merge=True)
    experiment = {**above, "experiment": record.experiment}
    yield Document(("experiments", record.experiment), experiment, merge=True)
    told = {"message": clipped(record.message), "label": clipped(record.label)}
    yield Document(run_path(record.experiment, record.run), asdict(record) | told)


def run_record(raw: Mapping[str, Any], path: str) -> RunRecord:
    """What ``run_documents`` wrote.

    Raises:
        DamagedError: it is no run.
    """
    known = {each.name: raw[each.name] for each in fields(RunRecord) if each.name in raw}
    try:
        return RunRecord(**known)
    except TypeError as error:
        raise DamagedError(path, str(error)) from error


def result_documents(base: tuple[str, ...], result: PartitionResult) -> Iterator[Document]:
    """A partition's tables in pieces, then its own document, which says how many there are."""
    place = (*base, "results", result.partition_id)
    counts = {}
    for name, columns in result.tables.items():
        pieces = list(_pieces(_cut(name, columns)))
        counts[name] = len(pieces)
        for number, (rows, text) in enumerate(pieces):
            about = {"table": name, "number": number, "rows": rows, "columns": text}
            yield Document((*place, "tables", piece_id(name, number)), about)
    yield Document(place, _summary(result, counts))


def piece_id(name: str, number: int) -> str:
    """The id of a document that holds a part of something, in the order of the parts."""
    return f"{name}-{number:05d}"


def piece_ids(summary: Mapping[str, Any]) -> list[str]:
    """The documents under ``tables`` that a partition's own document names; no other counts."""
    return [piece_id(name, n) for name, count in summary["tables"].items() for n in range(count)]


def partition_result(
    summary: Mapping[str, Any], pieces: Iterable[Mapping[str, Any]]
) -> PartitionResult:
    """What ``result_documents`` wrote; ``pieces`` come in the order of ``piece_ids``."""
    tables: dict[str, dict[str, list[Any]]] = {}
    for piece in pieces:
        known = tables.setdefault(piece["table"], {})
        for column, values in json.loads(piece["columns"]).items():
            known.setdefault(column, []).extend(values)
    return PartitionResult({name: summary[name] for name in PARTITIONS.names}, tables)


def _summary(result: PartitionResult, counts: dict[str, int]) -> dict[str, Any]:
    """The partition's own document: what a list or a first look at the partition needs."""
    row = {name: _clipped(value) for name, value in result.row.items()}
    metrics = _rows(result, "metrics", _POOLED, lambda each: each["scope"] == "pooled")
    names = ("method", "feature", "value", "rank")
    importance = _rows(
        result, "importance", names, lambda each: (each["rank"] or SHOWN + 1) <= SHOWN
    )
    return {**row, "metrics": metrics, "importance": importance, "tables": counts}


def _rows(
    result: PartitionResult,
    table: str,
    names: tuple[str, ...],
    wanted: Any,  # noqa: ANN401
) -> list[dict[str, Any]]:
    """Some rows of a table as maps of some columns."""
    columns = result.tables.get(table, {})
    rows = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return [{name: _clipped(each[name]) for name in names} for each in rows if wanted(each)]


def _cut(table: str, columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    texts = {column.name for column in TABLES[table].columns if column.type == "text"}
    return {name: _short(each) if name in texts else each for name, each in columns.items()}


def _short(texts: list[Any]) -> list[Any]:
    """A column with its texts clipped; each distinct one is looked at once."""
    known = {text: _clipped(text) for text in set(texts)}
    return [known[text] for text in texts]


def _pieces(columns: dict[str, list[Any]]) -> Iterator[tuple[int, str]]:
    """Rows and JSON text of each piece of a table: as few as the limit allows, about alike."""
    text = canonical_json(columns)
    rows = len(next(iter(columns.values())))
    count = min(rows, -(-len(text.encode()) // PIECE_BYTES))
    if count <= 1:
        yield rows, text
        return
    edges = [rows * n // count for n in range(count + 1)]
    for start, end in pairwise(edges):
        yield from _pieces({name: values[start:end] for name, values in columns.items()})


def statistics_documents(
    project: str, dataset: str, documents: Iterable[tuple[str, dict[str, Any]]]
) -> Iterator[Document]:
    """The statistics of a data set: of each partition (or of all rows) a JSON text in pieces."""
    base = ("datasets", dataset)
    yield Document((), {"project": project}, merge=True)
    yield Document(base, {"project": project, "dataset": dataset}, merge=True)
    for partition_id, document in documents:
        texts = list(_texts(canonical_json(document)))
        for number, text in enumerate(texts):
            about = {"partition_id": partition_id, "number": number, "pieces": len(texts)}
            name = piece_id(partition_id or "all", number)
            yield Document((*base, "statistics", name), {**about, "text": text})


def statistics_of(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    """What ``statistics_documents`` wrote of one partition; pieces beyond their number are old.

    Raises:
        ValueError: a piece is missing.
    """
    wanted = pieces[: pieces[0]["pieces"]]
    document: dict[str, Any] = json.loads("".join(piece["text"] for piece in wanted))
    return document


def _texts(text: str) -> Iterator[str]:
    """A text in pieces that, one after the other, are the text."""
    count = -(-len(text.encode()) // PIECE_BYTES)
    if count <= 1:
        yield text
        return
    edges = [len(text) * n // count for n in range(count + 1)]
    for start, end in pairwise(edges):
        yield from _texts(text[start:end])


def clipped(text: str) -> str:
    """A text that Firestore takes: valid UTF-8 of at most ``TEXT_BYTES``."""
    if len(text) <= TEXT_BYTES and text.isascii():
        return text
    content = text.encode("utf-8", "replace")
    if len(content) <= TEXT_BYTES:
        return content.decode()
    room = TEXT_BYTES - len(_ELLIPSIS.encode())
    return content[:room].decode("utf-8", "ignore") + _ELLIPSIS


def _clipped(value: Any) -> Any:  # noqa: ANN401 - a cell
    return clipped(value) if isinstance(value, str) else value


# --- sizes ----------------------------------------------------------------------------------


def batches(documents: Iterable[Document], most: int = BATCH_WRITES) -> Iterator[list[Document]]:
    """Documents in the order in which they come, as many at once as one commit may have."""
    group: list[Document] = []
    size = 0
    for document in documents:
        more = stored_bytes(document.fields) + stored_bytes("/".join(document.path))
        if group and (len(group) == most or size + more > BATCH_BYTES):
            yield group
            group, size = [], 0
        group.append(document)
        size += more
    if group:
        yield group


def stored_bytes(value: Any) -> int:  # noqa: ANN401 - any value of a document
    """The size of a value as Firestore counts it.

    https://cloud.google.com/firestore/docs/storage-size; a map counts as a document does, which
    has 32 bytes of its own.
    """
    if isinstance(value, str):
        return len(value.encode()) + 1
    if isinstance(value, bool) or value is None:
        return 1
    if isinstance(value, int | float):
        return 8
    if isinstance(value, Mapping):
        return 32 + sum(stored_bytes(name) + stored_bytes(each) for name, each in value.items())
    return sum(map(stored_bytes, value))
