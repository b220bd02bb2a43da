"""Encode and decode part files, as Parquet or CSV, without loss."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from steps.errors import DamagedError
from steps.records import Column
from steps.table.hashing import Hashes, row_hashes
from steps.table.types import ARROW_TYPES


def arrow_schema(columns: tuple[Column, ...]) -> pa.Schema:
    """Return the Arrow schema of a dataset."""
    return pa.schema([(column.name, ARROW_TYPES[column.type]) for column in columns])


def encode_part(table: pa.Table, file_format: str) -> bytes:
    """Return the bytes of a part file.

    Parquet has no dictionaries, which take twice the time on a few thousand rows and save nothing.
    CSV has one header line, quotes every string (so an empty string is not null) and writes floats
    in their shortest exact form.
    """
    sink = pa.BufferOutputStream()
    if file_format == "parquet":
        pq.write_table(table, sink, use_dictionary=False)
    else:
        pa_csv.write_csv(table, sink)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def decode_part(
    content: bytes, file_format: str, schema: pa.Schema, name: str = "a part file"
) -> pa.Table:
    """Return the rows of a part file; CSV is read with ``schema``, and errors contain ``name``.

    Raises:
        DamagedError: the file is damaged.
    """
    try:
        if file_format == "parquet":
            return pq.read_table(pa.BufferReader(content), use_threads=False).cast(schema)
        return pa_csv.read_csv(
            pa.BufferReader(content),
            read_options=pa_csv.ReadOptions(
                column_names=schema.names, skip_rows_after_names=1, use_threads=False
            ),
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types=schema,
                null_values=[""],
                strings_can_be_null=True,
                quoted_strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, OSError) as error:
        raise DamagedError(name, " ".join(str(error).split())[:200]) from error


def canonical_order(batch: pa.RecordBatch, hashes: Hashes) -> np.ndarray:
    """Return positions that sort rows by hash, and rows with equal hashes by content."""
    order = np.argsort(hashes, kind="stable")
    ordered = hashes[order]
    if not (ordered[1:] == ordered[:-1]).any():
        return order
    names = [str(position) for position in range(batch.num_columns + 1)]
    table = pa.table([pa.array(hashes), *batch.columns], names=names)
    keys = [(name, "ascending") for name in table.column_names]
    positions: np.ndarray = pa.compute.sort_indices(table, sort_keys=keys).to_numpy()
    return positions


def in_canonical_order(table: pa.Table) -> tuple[pa.RecordBatch, Hashes]:
    """Return all rows as one batch in canonical order, with their hashes."""
    batch = one_batch(table)
    hashes = row_hashes(batch)
    order = canonical_order(batch, hashes)
    return batch.take(pa.array(order)), hashes[order]


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """Return the table as a single batch, even if it has no rows."""
    combined = table.combine_chunks()
    arrays = [
        column.chunk(0) if column.num_chunks else pa.array([], column.type)
        for column in combined.columns
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema)
