"""A BigQuery source whose columns are read as ``dataset.types`` and ``dataset.null_values`` say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from steps.split.sources.files import Settings, reject_unknown_types
from steps.split.sources.live import LiveDelegate
from steps.table.column_type import ColumnType
from steps.table.convert import convert_column, with_nulls
from steps.table.types import ARROW_TYPES

if TYPE_CHECKING:
    from steps.split.sources.base import LiveSource, SourcePiece


@dataclass(frozen=True)
class ConvertedPiece:
    """A piece whose columns are converted after they are read.

    Attributes:
        piece: the piece.
        types: type of each column to convert.
        null_values: texts that mean missing.
    """

    piece: SourcePiece
    types: Mapping[str, ColumnType]
    null_values: tuple[str, ...]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See ``SourcePiece.batches``."""
        for batch in self.piece.batches():
            yield converted(batch, self.types, self.null_values)


def converted(
    batch: pa.RecordBatch, types: Mapping[str, ColumnType], null_values: tuple[str, ...]
) -> pa.RecordBatch:
    """Return a batch with converted columns.

    Raises:
        DataError: a cell does not fit its type.
    """
    arrays = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        known = with_nulls(column, null_values)
        arrays.append(convert_column(name, known, types[name]) if name in types else known)
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)


class ConvertedSource(LiveDelegate):
    """See ``steps.split.sources.base.LiveSource``."""

    def __init__(self, source: LiveSource, settings: Settings) -> None:
        self.source, self.settings = source, settings

    def schema(self) -> pa.Schema:
        """See ``Source.schema``."""
        schema, types = self.source.schema(), self.settings.types
        reject_unknown_types(types, schema.names)
        return pa.schema(
            [
                (field.name, ARROW_TYPES[types[field.name].canonical])
                if field.name in types
                else field
                for field in schema
            ]
        )

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``."""
        for batch in self.source.batches(columns):
            yield converted(batch, self.settings.types, self.settings.null_values)

    def pieces(self, columns: list[str]) -> list[ConvertedPiece]:
        """See ``Source.pieces``."""
        types, nulls = dict(self.settings.types), self.settings.null_values
        return [ConvertedPiece(piece, types, nulls) for piece in self.source.pieces(columns)]

    def fingerprint(self) -> str:
        """See ``Source.fingerprint``."""
        return self.source.fingerprint()

    def rows(self) -> int | None:
        """See ``Source.rows``."""
        return self.source.rows()
