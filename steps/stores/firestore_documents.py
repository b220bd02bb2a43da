"""Documents of the experiment store in Firestore, and their sizes; see docs/platform/firestore.md.

This module uses no client, so sizes can be measured without one. No data becomes the name of a
document or field: keys and column names are only values.
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
from steps.results.schema import KEY_PREFIX, PARTITIONS, TABLES

TEXT_BYTES = 8 << 10
"""Maximum UTF-8 bytes of a text; longer texts are clipped, because documents are limited too."""
PIECE_BYTES = 256 << 10
"""Maximum JSON text in one document: a quarter of Firestore's limit."""
BATCH_WRITES = 500
BATCH_BYTES = 2 << 20
"""Maximum size of one commit. A request may have 10 MiB (4 in the emulator) with overhead."""
SHOWN = 10
"""Number of features per method in a partition's summary document."""

EXEMPT: dict[str, tuple[str, ...]] = {
    "runs": ("message",),
    "results": ("importance", "message", "metrics", "tables"),
    "tables": ("columns", "number", "rows", "table"),
    "statistics": ("text",),
}
"""Fields without an index, by collection, as in terraform/firestore.indexes.json."""

_POOLED = ("metric", "value", "constant_value", "skill", "skill_low", "skill_high")
_ELLIPSIS = "\u2026"


@dataclass(frozen=True)
class Document:
    """A document to be written.

    Attributes:
        path: alternating collections and ids below the project's document; empty for that document.
        fields: fields of the document.
        merge: keep other existing fields.
    """

    path: tuple[str, ...]
    fields: dict[str, Any]
    merge: bool = False


def run_path(experiment: str, run: str) -> tuple[str, ...]:
    """Return the path of a run's document."""
    return ("experiments", experiment, "runs", run)


def run_documents(record: RunRecord) -> Iterator[Document]:
    """Yield the documents of a run and of its ancestors, so a page can find it from the root."""
    project = {"project": record.project}
    yield Document((), project, merge=True)
    experiment = {**project, "experiment": record.experiment}
    yield Document(("experiments", record.experiment), experiment, merge=True)
    texts = {"message": clipped(record.message), "label": clipped(record.label)}
    yield Document(run_path(record.experiment, record.run), asdict(record) | texts)


def run_record(raw: Mapping[str, Any], path: str) -> RunRecord:
    """Parse a run's document.

    Raises:
        DamagedError: the document is not a run.
    """
    known = {each.name: raw[each.name] for each in fields(RunRecord) if each.name in raw}
    try:
        return RunRecord(**known)
    except TypeError as error:
        raise DamagedError(path, str(error)) from error


def result_documents(base: tuple[str, ...], result: PartitionResult) -> Iterator[Document]:
    """Yield a partition's tables in pieces, then its summary with the number of pieces."""
    path = (*base, "results", result.partition_id)
    counts = {}
    for name, columns in result.tables.items():
        cut = dict(columns)
        text_columns = {column.name for column in TABLES[name].columns if column.type == "text"}
        for column in text_columns & columns.keys():
            clipped_texts = {text: _clipped(text) for text in set(columns[column])}  # each once
            cut[column] = [clipped_texts[text] for text in columns[column]]
        pieces = list(_pieces(cut))
        counts[name] = len(pieces)
        for number, (rows, text) in enumerate(pieces):
            piece = {"table": name, "number": number, "rows": rows, "columns": text}
            yield Document((*path, "tables", piece_id(name, number)), piece)
    row = {name: _clipped(value) for name, value in result.row.items()}
    metrics = _rows(result, "metrics", _POOLED, lambda each: each["scope"] == "pooled")
    names = ("method", "feature", "value", "rank")
    importance = _rows(
        result, "importance", names, lambda each: (each["rank"] or SHOWN + 1) <= SHOWN
    )
    summary = {**row, "metrics": metrics, "importance": importance, "tables": counts}
    yield Document(path, summary)


def piece_id(name: str, number: int) -> str:
    """Return the id of a document with one piece; ids sort in the order of the pieces."""
    return f"{name}-{number:05d}"


def piece_ids(summary: Mapping[str, Any]) -> list[str]:
    """Return the ids of the valid documents under ``tables``, from a partition's summary."""
    return [piece_id(name, n) for name, count in summary["tables"].items() for n in range(count)]


def partition_result(
    summary: Mapping[str, Any], pieces: Iterable[Mapping[str, Any]]
) -> PartitionResult:
    """Parse the documents of ``result_documents``; ``pieces`` are in the order of ``piece_ids``."""
    tables: dict[str, dict[str, list[Any]]] = {}
    for piece in pieces:
        columns = tables.setdefault(piece["table"], {})
        for column, values in json.loads(piece["columns"]).items():
            columns.setdefault(column, []).extend(values)
    keys = [name for name in summary if name.startswith(KEY_PREFIX)]
    # A column that is newer than the document is empty.
    return PartitionResult({name: summary.get(name) for name in [*PARTITIONS.names, *keys]}, tables)


def _rows(
    result: PartitionResult,
    table: str,
    names: tuple[str, ...],
    is_included: Any,  # noqa: ANN401
) -> list[dict[str, Any]]:
    """Return the included rows of a table as maps of the named columns."""
    columns = result.tables.get(table, {})
    rows = [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]
    return [{name: _clipped(each[name]) for name in names} for each in rows if is_included(each)]


def _pieces(columns: dict[str, list[Any]]) -> Iterator[tuple[int, str]]:
    """Yield rows and JSON text of each piece of a table: few pieces of about equal size."""
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
    """Yield the statistics of a dataset: a JSON text in pieces per partition, and for all rows."""
    base = ("datasets", dataset)
    yield Document((), {"project": project}, merge=True)
    yield Document(base, {"project": project, "dataset": dataset}, merge=True)
    for partition_id, document in documents:
        texts = list(_texts(canonical_json(document)))
        for number, text in enumerate(texts):
            piece = {"partition_id": partition_id, "number": number, "pieces": len(texts)}
            name = piece_id(partition_id or "all", number)
            yield Document((*base, "statistics", name), {**piece, "text": text})


def statistics_of(pieces: list[dict[str, Any]]) -> dict[str, Any]:
    """Parse the statistics of one partition; pieces beyond their number are from an older write.

    Raises:
        ValueError: a piece is missing.
    """
    valid = pieces[: pieces[0]["pieces"]]
    document: dict[str, Any] = json.loads("".join(piece["text"] for piece in valid))
    return document


def _texts(text: str) -> Iterator[str]:
    """Yield a text in pieces of about equal size."""
    count = -(-len(text.encode()) // PIECE_BYTES)
    if count <= 1:
        yield text
        return
    edges = [len(text) * n // count for n in range(count + 1)]
    for start, end in pairwise(edges):
        yield from _texts(text[start:end])


def clipped(text: str) -> str:
    """Return a text that Firestore accepts: valid UTF-8 of at most ``TEXT_BYTES``."""
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
    """Yield documents in order, in groups as large as one commit can be."""
    group: list[Document] = []
    size = 0
    for document in documents:
        added = stored_bytes(document.fields) + stored_bytes("/".join(document.path))
        if group and (len(group) == most or size + added > BATCH_BYTES):
            yield group
            group, size = [], 0
        group.append(document)
        size += added
    if group:
        yield group


def stored_bytes(value: Any) -> int:  # noqa: ANN401 - any value of a document
    """Return the size of a value as Firestore counts it.

    See https://cloud.google.com/firestore/docs/storage-size. A map has an overhead of 32 bytes,
    like a document.
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
