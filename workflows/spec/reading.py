"""Open a table for a draft: find the settings without which it cannot be read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from steps.errors import DataError, SettingError
from steps.split.config import DatasetConfig
from steps.split.sources.base import Source, open_source
from steps.split.step import source_types
from steps.table.recognize import Recognized, recognize
from steps.table.text_conversion import parse_text
from steps.table.types import canonical_array
from workflows.spec.guess import ColumnFacts

_HEAD_ROWS = 50_000
_SERVED_ROWS = 20
_COMMON_NULLS = frozenset(
    (
        *("", "NA", "N/A", "n/a", "na", "#N/A", "NaN", "nan", "null", "NULL", "None", "none"),
        *("-", "--", "?", ".", "missing", "unknown", "Unknown", "\\N"),
        *("#DIV/0!", "#VALUE!", "#REF!", "#NAME?"),
    )
)
"""Texts that mean missing wherever they stand among numbers."""
_MOST_FIXES = 200


@dataclass
class Table:
    """A table that can be read, and the settings that it needs.

    Attributes:
        source: the source.
        settings: fields of ``dataset``, with ``types`` and ``null_values`` merged.
        examples: by column whose type had to be set, some of its cells.
        columns: facts about each column that a model can use.
        unusable: names and types of the other columns.
        recognized: text columns whose cells are numbers or dates in another notation.
    """

    source: Source
    settings: dict[str, Any]
    examples: dict[str, list[str]] = field(default_factory=dict)
    columns: list[ColumnFacts] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)
    recognized: dict[str, Recognized] = field(default_factory=dict)


def read_table(path: str) -> Table:
    """Open a table and look at its first rows.

    Raises:
        DataError: no setting makes it readable, or it has no rows.
        MissingInputError: it does not exist.
    """
    table = _open(path)
    kinds = source_types(table.source)
    schema = {each.name: each.type for each in table.source.schema()}
    table.unusable = {name: str(schema[name]) for name, kind in kinds.items() if kind == "?"}
    usable = {name: kind for name, kind in kinds.items() if kind != "?"}
    head = _head(table.source, list(usable))
    for position, name in enumerate(usable):
        kind = usable[name]
        column = canonical_array(name, head.column(name).combine_chunks())
        if name in table.settings.get("types", {}):
            table.examples[name] = [str(cell) for cell in column.unique().slice(0, 4).to_pylist()]
        elif kind == "string" and (found := recognize(column)) is not None:
            table.recognized[name] = found
            column, kind = parse_text(column, found.types[0]), found.types[0].canonical
        table.columns.append(_facts(name, kind, position, column))
    return table


def _open(path: str) -> Table:
    """Open a table; after each error that a setting mends, try again with the setting."""
    settings: dict[str, Any] = {}
    for _ in range(_MOST_FIXES):
        config = DatasetConfig(source=path, partition_by="?", target="!", **settings)
        source = open_source(config)
        try:
            source.schema()
        except SettingError as error:
            if not _apply(settings, error):
                raise
        else:
            return Table(source, settings)
    raise DataError(f"{path!r} cannot be read with any settings that were tried.")


def _apply(settings: dict[str, Any], error: SettingError) -> bool:
    """Add the setting that an error asks for; return False if it is set already."""
    if error.setting == "types":
        nulls: list[str] = settings.get("null_values", [])
        if error.cell in _COMMON_NULLS and error.cell not in nulls:
            settings["null_values"] = list(dict.fromkeys(["", *nulls, error.cell]))
            return True
        types: dict[str, str] = settings.setdefault("types", {})
        if error.column in types:
            return False
        types[error.column] = str(error.value)
        return True
    if error.setting in settings:
        return False
    settings[error.setting] = error.value
    return True


def _head(source: Source, names: list[str]) -> pa.Table:
    batches, rows = [], 0
    for batch in source.batches(names):
        batches.append(batch)
        rows += batch.num_rows
        if rows >= _HEAD_ROWS:
            break
    if not rows:
        raise DataError("The table has no rows, so its columns cannot be guessed.")
    return pa.Table.from_batches(batches).slice(0, _HEAD_ROWS)


def _facts(name: str, kind: str, position: int, column: pa.Array) -> ColumnFacts:
    known = column.drop_null()
    counts = known.value_counts().field("counts").to_numpy(zero_copy_only=False)
    rises = False
    if kind == "int64" and len(known) == len(column) > _SERVED_ROWS:
        rises = bool((np.diff(known.to_numpy(zero_copy_only=False)) == 1).all())
    return ColumnFacts(
        name=name,
        kind=kind,
        position=position,
        rows=len(column),
        missing=column.null_count,
        distinct=len(counts),
        largest=int(counts.max(initial=0)),
        served=float(counts[counts >= _SERVED_ROWS].sum() / len(column)),
        counts=rises,
    )
