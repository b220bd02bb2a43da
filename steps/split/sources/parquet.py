"""Parquet files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from steps.errors import DataError
from steps.split.sources.files import BATCH_ROWS

_BUFFER_BYTES = 1 << 20


@dataclass(frozen=True)
class ParquetFormat:
    """See ``FileFormat``."""

    text: bool = False
    parses: bool = False

    @staticmethod
    def _open(path: Path) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(
                path,
                # Else Arrow keeps all that it has read, and row groups can be large.
                pre_buffer=False,
                buffer_size=_BUFFER_BYTES,
                # As nanoseconds, Spark's INT96 timestamps of the year 9999 would overflow to 1816.
                coerce_int96_timestamp_unit="us",
            )
        except (pa.ArrowInvalid, OSError) as error:
            raise damaged(path, error) from error

    def schema(self, path: Path) -> pa.Schema:
        """See ``FileFormat.schema``."""
        return self._open(path).schema_arrow

    def rows(self, path: Path) -> int | None:
        """See ``FileFormat.rows``."""
        return int(self._open(path).metadata.num_rows)

    def batches(
        self, path: Path, columns: Sequence[str], types: Mapping[str, pa.DataType]
    ) -> Iterator[pa.RecordBatch]:
        """See ``FileFormat.batches``."""
        del types
        try:
            yield from self._open(path).iter_batches(BATCH_ROWS, columns=list(columns))
        except (pa.ArrowInvalid, OSError) as error:
            raise damaged(path, error) from error

    def decimal_comma(self, path: Path) -> bool | None:
        """See ``FileFormat.decimal_comma``."""
        del path
        return False


def damaged(path: Path, error: Exception) -> DataError:
    """Return the error for a file that cannot be read."""
    return DataError(
        f"{str(path)!r} cannot be read: {' '.join(str(error).split())}.",
        hint="It may be truncated or have another format than its name says. Write or copy it "
        "again.",
    )
