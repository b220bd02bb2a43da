"""Tables whose partitions are named by the fault that their trainer has."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from steps.storage.base import storage_for
from tests.workspace import small_table

ROWS = 60
FAULTS = {
    "raises": 101.0,
    "eats some": 108.0,
    "eats all": 109.0,
    "transient twice": 110.0,
    "fills disk": 111.0,
}


def table_of(names: list[str], rows: int = ROWS) -> pa.Table:
    """Partitions named by their fault; all others are healthy, and larger."""
    sizes = [rows if name in FAULTS else rows + 10 + i for i, name in enumerate(names)]
    table = small_table(1, rows=sum(sizes))
    code = np.repeat([FAULTS.get(name, 1.0) for name in names], sizes)
    table = table.set_column(0, "key", pa.array(np.repeat(names, sizes)))
    return table.set_column(1, "number", pa.array(code))


def healthy(count: int) -> list[str]:
    return [f"healthy {i:04d}" for i in range(count)]


def rows_of(folder: str) -> dict[str, dict[str, object]]:
    content = storage_for(folder).read(f"{folder}/tables/partitions.parquet")
    rows = pq.read_table(pa.BufferReader(content)).to_pylist()
    return {str(row["partition"]): row for row in rows}
