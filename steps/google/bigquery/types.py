"""Convert BigQuery's column types to Arrow types; types that no model can use keep their name."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pyarrow as pa
from google.cloud.bigquery import SchemaField

_ARROW = {
    "INTEGER": pa.int64(),
    "INT64": pa.int64(),
    "FLOAT": pa.float64(),
    "FLOAT64": pa.float64(),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal256(76, 38),
    "BOOLEAN": pa.bool_(),
    "BOOL": pa.bool_(),
    "STRING": pa.string(),
    "DATE": pa.date32(),
    "DATETIME": pa.timestamp("us"),
    "TIMESTAMP": pa.timestamp("us", "UTC"),
}
_NAMES = {"RECORD": "STRUCT"}


class Unusable(pa.ExtensionType):  # type: ignore[misc]  # pyarrow has no types
    """A BigQuery type without a canonical type."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(pa.null(), "refeed.unusable")

    def __arrow_ext_serialize__(self) -> bytes:
        return self.name.encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, _storage: pa.DataType, serialized: bytes) -> Unusable:
        return cls(serialized.decode())

    def __str__(self) -> str:
        return self.name


def arrow_schema(fields: Iterable[SchemaField]) -> pa.Schema:
    """Return names and types of a table's columns."""
    columns = []
    for field in fields:
        name = _NAMES.get(field.field_type, field.field_type)
        if field.mode == "REPEATED":
            columns.append((field.name, Unusable(f"ARRAY<{name}>")))
        else:
            columns.append((field.name, _ARROW.get(field.field_type) or Unusable(name)))
    return pa.schema(columns)


def changed_types(expected: pa.Schema, found: pa.Schema) -> list[tuple[str, str, str]]:
    """Return name, expected type and found type of each column whose values are of another kind."""
    return [
        (field.name, str(expected.field(field.name).type), str(field.type))
        for field in found
        if _kind(expected.field(field.name).type) != _kind(field.type)
    ]


def _kind(kind: pa.DataType) -> str:
    """Return the name of the canonical type that values are converted to."""
    for name, is_kind in _KINDS.items():
        if is_kind(kind):
            return name
    return str(kind)


_KINDS: dict[str, Callable[[pa.DataType], bool]] = {
    "integer": pa.types.is_integer,
    "number": lambda kind: pa.types.is_floating(kind) or pa.types.is_decimal(kind),
    "string": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind),
    "timestamp": pa.types.is_timestamp,
}
