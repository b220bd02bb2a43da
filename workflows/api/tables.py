"""Result tables of a run as a mapping from names to Arrow tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa
import pyarrow.parquet as pq

from steps.contract import RunLayout
from steps.errors import MissingInputError
from steps.results.dataset_tables import local_file
from steps.results.schema import COLUMN_STATISTICS, DATA_WARNINGS, TABLES
from steps.storage.base import Storage

NAMES = (*TABLES, COLUMN_STATISTICS.name, DATA_WARNINGS.name)


class Tables(Mapping[str, pa.Table]):
    """The result tables of a run, read on access: ``run.tables["metrics"]``.

    The columns are described in the reference of tables.
    """

    def __init__(self, run: RunLayout, storage: Storage) -> None:
        self._run, self._storage = run, storage
        self._read: dict[str, pa.Table] = {}

    def __getitem__(self, name: str) -> pa.Table:
        if name not in NAMES:
            raise KeyError(f"There is no table {name!r}. A run has {', '.join(NAMES)}.")
        if name not in self._read:
            uri = self._run.table(name, "parquet")
            if not self._storage.exists(uri):
                raise MissingInputError(
                    f"The run has no table {name!r} yet.", hint="Run it again to finish it."
                )
            with local_file(uri, self._storage) as path:
                self._read[name] = pq.read_table(path)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(NAMES)

    def __len__(self) -> int:
        return len(NAMES)

    def __repr__(self) -> str:
        return f"Tables({', '.join(NAMES)})"
