"""Split a source with Refeed, and compare the dataset with the expected one."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from steps.contract import DatasetLayout, ProjectLayout
from steps.errors import RefeedError
from steps.runtime.progress import NoProgress
from steps.split.config import DatasetConfig
from steps.split.sources.base import open_source
from steps.split.step import SplitRequest, SplitResult, source_types, split
from steps.storage.base import storage_for
from steps.table.types import PrecisionWarning
from tests.fuzz.expectation import Expectation, Partition, sort_key
from tests.fuzz.inference import Inferred
from tests.fuzz.table import Cell, Table

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Folder for temporary files; None for the default. Removing thousands of folders takes time."""
GRID_POINTS = 5
_RELATIVE = 1e-9


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk.

    Attributes:
        result: what the split step returned.
        layout: paths of its files.
    """

    result: SplitResult
    layout: DatasetLayout

    def part(self, position: int) -> pa.Table:
        """Return the rows of a partition."""
        parts = self.result.index.entries[position].parts
        return pa.concat_tables(
            pq.read_table(f"{self.layout.base}/{part}", use_threads=False) for part in parts
        )


def dataset_section(table: Table, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the ``dataset`` section of a spec.

    Args:
        table: the table.
        settings: how its source is read.
    """
    roles = {"partition_by": table.partition_by, "target": table.target, "min_rows": 2}
    features = {"features": table.features} if table.listed else {}
    return {**settings, **roles, **features}


def build(section: dict[str, Any], group: str, time: str, root: Path) -> Dataset:
    """Split a source.

    Raises:
        RefeedError: the source is refused.
    """
    project = ProjectLayout(str(root), "fuzz")
    config = DatasetConfig.model_validate(section)
    request = SplitRequest(config, group or None, time or None, "auto", GRID_POINTS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PrecisionWarning)
        result = split(request, project, storage_for(str(root)), NoProgress())
    return Dataset(result, project.dataset(result.index.dataset))


def inference_problems(
    settings: dict[str, Any], table: Table, inferred: dict[str, Inferred]
) -> Iterator[str]:
    """Yield the differences of the types that Refeed infers by itself."""
    section = dataset_section(table, settings) | {"types": {}, "features": None}
    errors = sorted(name for name, kind in inferred.items() if kind.startswith("error"))
    source = open_source(DatasetConfig.model_validate(section))
    try:
        found = source_types(source)
    except RefeedError as error:
        if not errors:
            yield f"types: refused, though every column has a type: {error}"
        elif not any(repr(name) in str(error) for name in errors):
            yield f"types: the error names none of {errors}: {error}"
        return
    if errors:
        yield f"types: {errors} should be an error, but are {[found[name] for name in errors]}"
        return
    if found.keys() != inferred.keys() and table.features:
        yield f"types: the columns are {list(found)}, not {list(inferred)}"
        return
    for name, kind in inferred.items():
        if found[name] != kind and table.column(name).known:
            yield f"types: {name!r} is {found[name]}, not {kind}"


def dataset_problems(dataset: Dataset, expected: Expectation) -> Iterator[str]:
    """Yield the differences between a dataset and the expected one."""
    index = dataset.result.index
    types = {column.name: column.type for column in index.columns}
    wanted = {name: kind for name, kind in expected.types.items() if name in types}
    if types != wanted:
        yield f"columns: {types} instead of {wanted}"
        return
    keys = [(entry.key.kind, entry.key.text) for entry in index.entries]
    expected_keys = [(each.kind, each.key) for each in expected.partitions]
    if sorted(keys) != sorted(expected_keys):
        yield f"keys: {sorted(keys)} instead of {sorted(expected_keys)}"
        return
    by_key = {(each.kind, each.key): each for each in expected.partitions}
    statistics = _statistics(dataset.layout)
    names = sorted(expected.types)
    kept = [names.index(name) for name in types]
    for position, (key, entry) in enumerate(zip(keys, index.entries, strict=True)):
        partition = by_key[key]
        if entry.rows != partition.rows:
            yield f"rows of {key}: {entry.rows} instead of {partition.rows}"
            continue
        missing = dict(zip(types, entry.missing, strict=True))
        if missing != {name: partition.missing[name] for name in types}:
            yield f"missing of {key}: {missing} instead of {partition.missing}"
        found = sorted(_cells(dataset.part(position)), key=sort_key)
        cells = sorted(([row[i] for i in kept] for row in partition.cells), key=sort_key)
        if found != cells:
            yield f"cells of {key}: {_first_difference(found, cells)}"
        yield from _statistics_problems(statistics[entry.key.partition_id], partition, types)


def _first_difference(found: list[list[Cell]], wanted: list[list[Cell]]) -> str:
    for one, other in zip(found, wanted, strict=True):
        if one != other:
            return f"{one} instead of {other}"
    return ""


def _cells(table: pa.Table) -> list[list[Cell]]:
    columns = [_plain(table.column(name)) for name in sorted(table.schema.names)]
    return [list(row) for row in zip(*columns, strict=True)]


def _plain(column: pa.ChunkedArray) -> list[Cell]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.int64())
    elif pa.types.is_date(column.type):
        column = column.cast(pa.int32())
    cells: list[Cell] = column.to_pylist()
    return cells


def _statistics(layout: DatasetLayout) -> dict[str, dict[str, dict[str, Any]]]:
    """Return the statistics of each column, by partition id."""
    table = pq.read_table(
        layout.statistics_table("column_statistics", "parquet"), use_threads=False
    )
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for row in table.to_pylist():
        if row["scope"] == "partition":
            found.setdefault(row["partition_id"], {})[row["column"]] = row
    return found


def _statistics_problems(
    found: dict[str, dict[str, Any]], partition: Partition, types: dict[str, str]
) -> Iterator[str]:
    for name, kind in types.items():
        row = found[name]
        where = f"statistics of {name!r} in {partition.key!r}"
        if (row["rows"], row["missing"]) != (partition.rows, partition.missing[name]):
            yield f"{where}: {row['rows']} rows, {row['missing']} missing"
        if kind == "string":
            continue
        wanted = partition.statistics.get(name)
        if wanted is None:
            if any(row[each] is not None for each in ("min", "max", "mean")):
                yield f"{where}: {row} of no cells"
            continue
        scale = max(abs(wanted[0]), abs(wanted[1]))
        for each, value in zip(("min", "max", "mean"), wanted, strict=True):
            if row[each] is None or not math.isclose(
                row[each], value, rel_tol=_RELATIVE, abs_tol=_RELATIVE * scale
            ):
                yield f"{where}: {each} is {row[each]} instead of {value}"
