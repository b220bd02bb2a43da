"""A source with one more column: the key of a partition that several columns make up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from steps.errors import DataError, Problem, SpecError, did_you_mean
from steps.results.key_columns import joined_keys
from steps.split.sources.live import LiveDelegate
from steps.table.grid import level_texts
from steps.table.types import canonical_array

if TYPE_CHECKING:
    from steps.split.sources.base import LiveSource, Source, SourcePiece


@dataclass(frozen=True)
class KeyColumn:
    """The column that is added.

    Attributes:
        name: its name.
        keys: the columns that it is made of.
    """

    name: str
    keys: tuple[str, ...]

    def needed(self, columns: Sequence[str]) -> list[str]:
        """Return the columns of the source from which ``columns`` can be made."""
        if self.name not in columns:
            return list(columns)
        return list(dict.fromkeys([*(c for c in columns if c != self.name), *self.keys]))

    def added(self, batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
        """Return the columns of a batch, with the key among them."""
        if self.name not in columns:
            return batch.select(list(columns))
        texts = [
            level_texts(canonical_array(key, batch.column(key))).dictionary_decode()
            for key in self.keys
        ]
        arrays = [
            joined_keys(texts) if name == self.name else batch.column(name) for name in columns
        ]
        return pa.RecordBatch.from_arrays(arrays, names=list(columns))


@dataclass(frozen=True)
class KeyedPiece:
    """See ``SourcePiece``."""

    piece: SourcePiece
    key: KeyColumn
    columns: tuple[str, ...]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See ``SourcePiece.batches``."""
        for batch in self.piece.batches():
            yield self.key.added(batch, self.columns)


class KeyedSource:
    """See ``steps.split.sources.base.Source``."""

    def __init__(self, source: Source, key: KeyColumn) -> None:
        self.source, self.key = source, key

    def schema(self) -> pa.Schema:
        """See ``Source.schema``."""
        schema = self.source.schema()
        problems = [
            Problem(
                f"dataset.partition_by.{i}",
                f"there is no column {name!r}",
                f"{did_you_mean(name, schema.names)}The source has {', '.join(schema.names[:12])}.",
            )
            for i, name in enumerate(self.key.keys)
            if name not in schema.names
        ]
        if problems:
            raise SpecError("the spec", problems)
        if self.key.name in schema.names:
            raise DataError(
                f"The source has a column {self.key.name!r}, which is the name of the key of "
                f"{' and '.join(map(repr, self.key.keys))}.",
                hint="Rename it in the source.",
            )
        return schema.append(pa.field(self.key.name, pa.string()))

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``."""
        for batch in self.source.batches(self.key.needed(columns)):
            yield self.key.added(batch, columns)

    def pieces(self, columns: list[str]) -> list[KeyedPiece]:
        """See ``Source.pieces``."""
        pieces = self.source.pieces(self.key.needed(columns))
        return [KeyedPiece(piece, self.key, tuple(columns)) for piece in pieces]

    def fingerprint(self) -> str:
        """See ``Source.fingerprint``."""
        return self.source.fingerprint()

    def rows(self) -> int | None:
        """See ``Source.rows``."""
        return self.source.rows()


class KeyedLiveSource(KeyedSource, LiveDelegate):
    """See ``steps.split.sources.base.LiveSource``."""

    source: LiveSource

    def estimate(self, columns: list[str]) -> int:
        """See ``LiveSource.estimate``."""
        return self.source.estimate(self.key.needed(columns))
