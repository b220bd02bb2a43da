"""Partitions of several columns: one text for the key, and a column per part in result tables.

The text of store 1 and brand "a/b" is ``1 / a//b``. A slash within a part is doubled, so the text
can be divided again.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from steps.results.schema import KEY_PREFIX

_SEPARATOR = " / "


def joined_keys(parts: Sequence[pa.Array]) -> pa.Array:
    """Return the text of each row's key; null if a part is missing.

    Args:
        parts: text columns.
    """
    doubled = [pc.replace_substring(part, "/", "//") for part in parts]
    return pc.binary_join_element_wise(*doubled, _SEPARATOR, null_handling="emit_null")


def key_parts(text: str) -> list[str]:
    """Return the parts of a key's text."""
    return [part.replace("//", "/") for part in text.split(_SEPARATOR)]


def key_column(name: str) -> str:
    """Return the name of the column that holds a part of the key."""
    return f"{KEY_PREFIX}{name}"


def with_key_columns(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    """Return a result table with a column per key after ``partition``; unchanged without keys.

    Args:
        table: rows of a result table.
        keys: names of the columns that the partition is made of; empty for a single one.
    """
    if not keys or "partition" not in table.column_names:
        return table
    encoded = table["partition"].combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):  # pragma: no cover - older pyarrow
        encoded = encoded.combine_chunks()
    parts = [key_parts(text) for text in encoded.dictionary.to_pylist()]
    position = table.column_names.index("partition") + 1
    for number, name in enumerate(keys):
        cells = [each[number] if len(each) == len(keys) else None for each in parts]
        column = pa.array(cells, pa.string()).take(encoded.indices)
        table = table.add_column(position + number, pa.field(key_column(name), pa.string()), column)
    return table
