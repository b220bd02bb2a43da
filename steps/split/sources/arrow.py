"""Arrow IPC files: ``.arrow``, ``.feather`` (version 2) and streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from steps.split.sources.parquet import damaged

_MAGIC = b"ARROW1"


@dataclass(frozen=True)
class ArrowFormat:
    """See ``FileFormat``."""

    text: bool = False
    parses: bool = False

    def schema(self, path: Path) -> pa.Schema:
        """See ``FileFormat.schema``."""
        with _opened(path) as reader:
            return reader.schema

    def rows(self, path: Path) -> int | None:
        """See ``FileFormat.rows``; unknown."""
        del path
        return None

    def batches(
        self, path: Path, columns: Sequence[str], types: Mapping[str, pa.DataType]
    ) -> Iterator[pa.RecordBatch]:
        """See ``FileFormat.batches``."""
        del types
        with _opened(path) as reader:
            if isinstance(reader, pa.RecordBatchFileReader):
                batches = map(reader.get_batch, range(reader.num_record_batches))
            else:
                batches = iter(reader)
            for batch in batches:
                yield batch.select(list(columns))

    def decimal_comma(self, path: Path) -> bool | None:
        """See ``FileFormat.decimal_comma``."""
        del path
        return False


@contextmanager
def _opened(path: Path) -> Iterator[pa.RecordBatchFileReader | pa.RecordBatchStreamReader]:
    try:
        with pa.OSFile(str(path)) as stream:
            is_file = stream.read(len(_MAGIC)) == _MAGIC
            stream.seek(0)
            yield pa.ipc.open_file(stream) if is_file else pa.ipc.open_stream(stream)
    except (pa.ArrowInvalid, OSError) as error:
        raise damaged(path, error) from error
