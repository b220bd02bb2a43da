"""Parquet files as a source."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steps.errors import DataError
from steps.split.sources.files import BATCH_ROWS, Files

_PARQUET_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class ParquetPiece:
    """One file."""

    path: Path
    columns: tuple[str, ...]

    def batches(self) -> Iterator[pa.RecordBatch]:
        """See ``SourcePiece.batches``."""
        return ParquetSource([self.path]).batches(list(self.columns))

    def at(self, path: Path) -> ParquetPiece:
        """Return the piece of a copy of the file."""
        return ParquetPiece(path, self.columns)


class ParquetSource(Files):
    """One or more Parquet files."""

    def _schema_of(self, path: Path) -> pa.Schema:
        return self._open(path).schema_arrow

    @staticmethod
    def _open(path: Path) -> pq.ParquetFile:
        try:
            # Without these options Arrow keeps all that it has read, and row groups can be large.
            return pq.ParquetFile(path, pre_buffer=False, buffer_size=_PARQUET_BUFFER_BYTES)
        except (pa.ArrowInvalid, OSError) as error:
            raise _damaged(path, error) from error

    def rows(self) -> int | None:
        """See ``Source.rows``."""
        return sum(int(self._open(path).metadata.num_rows) for path in self.files)

    def batches(self, columns: list[str]) -> Iterator[pa.RecordBatch]:
        """See ``Source.batches``."""
        for path in self.files:
            try:
                yield from self._open(path).iter_batches(BATCH_ROWS, columns=columns)
            except (pa.ArrowInvalid, OSError) as error:
                raise _damaged(path, error) from error

    def pieces(self, columns: list[str]) -> list[ParquetPiece]:
        """See ``Source.pieces``."""
        return [ParquetPiece(path, tuple(columns)) for path in self.files]


def _damaged(path: Path, error: Exception) -> DataError:
    return DataError(
        f"{str(path)!r} cannot be read: {' '.join(str(error).split())}.",
        hint="It may be truncated or not a Parquet file. Write or copy it again.",
    )
