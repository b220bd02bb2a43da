"""Every split engine makes the same dataset, file by file."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from steps.contract import ProjectLayout
from steps.errors import DataError
from steps.records import PartitionKey
from steps.runtime.progress import NoProgress
from steps.split.config import DatasetConfig
from steps.split.dataset import part_files
from steps.split.dataset.part_files import PART_ROWS
from steps.split.engines.assemble import assemble_dataset
from steps.split.engines.beam import local
from steps.split.engines.choose import Engine
from steps.split.engines.embedded import build_dataset
from steps.split.step import SplitRequest, SplitResult, split
from steps.storage.local import LocalStorage
from tests.fakes import SOAK
from tests.workspace import small_table
from tests.writers import WRITERS

ENGINES: dict[str, Engine] = {"embedded": build_dataset, "beam": local.build_dataset}


def split_by(engine: Engine, source: Path, root: Path, **config: Any) -> SplitResult:
    roles: dict[str, Any] = {"partition_by": "key", "target": "target"} | config
    whole = DatasetConfig(source=str(source), **roles)
    request = SplitRequest(whole, None, None, "auto", 5)
    return split(request, ProjectLayout(str(root), "p"), LocalStorage(), NoProgress(), engine)


def files(folder: Path) -> dict[str, str]:
    """Return the digest of each file's bytes, by path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def assert_same(source: Path, folder: Path, **config: Any) -> SplitResult:
    made = {}
    for name, engine in ENGINES.items():
        result = split_by(engine, source, folder / name, **config)
        made[name] = files(folder / name / "p")
    assert made["beam"] == made["embedded"]
    assert len(made["beam"]) > len(result.index.entries)
    return result


def hot_table(rows: int, partitions: int) -> pa.Table:
    """Return a table in which half of all rows have the same key."""
    rng = np.random.default_rng(5)
    keys = np.where(rng.random(rows) < 0.5, 0, rng.integers(0, partitions, rows))
    return pa.table(
        {
            "key": pa.array([f"k{key}" for key in keys]),
            "target": rng.normal(size=rows),
            "level": pa.array([None if n % 7 == 0 else f"l{n % 5}" for n in range(rows)]),
            "whole": rng.integers(-5, 2**60, rows),
        }
    )


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_engines_write_identical_files(file_format: str, tmp_path: Path) -> None:
    pq.write_table(small_table(), tmp_path / "table.parquet")
    assert_same(tmp_path / "table.parquet", tmp_path, format=file_format)


def test_directory_of_many_pieces(tmp_path: Path) -> None:
    folder = tmp_path / "source"
    folder.mkdir()
    table = small_table(30, rows=40)
    for number, start in enumerate(range(0, len(table), 100)):
        pq.write_table(table.slice(start, 100), folder / f"{number}.parquet")
    assert_same(folder, tmp_path)


@pytest.mark.parametrize("suffix", ["csv.gz", "xlsx", "arrow"])
def test_folders_of_other_formats_with_two_keys(suffix: str, tmp_path: Path) -> None:
    """One key is a column, the other is in the folders' names; types come from all files."""
    table = small_table(3, rows=60)
    for number, size in enumerate(("01", "1", "__HIVE_DEFAULT_PARTITION__")):
        folder = tmp_path / "source" / f"size={size}"
        folder.mkdir(parents=True)
        part = table.slice(number * 50, 70)
        if number:  # the first file's whole numbers and the others' fractions are one column
            part = part.set_column(3, "whole", pa.compute.add(part["whole"].cast("double"), 0.5))
        WRITERS[suffix](part, folder / f"0.{suffix}")
    made = assert_same(tmp_path / "source", tmp_path, partition_by=["key", "size"])
    assert {entry.key.text for entry in made.index.entries} >= {"part 0 / 01", "part 0 / 1"}
    assert {column.name: column.type for column in made.index.columns}["whole"] == "float64"


def test_large_partition_has_several_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_files, "PART_ROWS", 1 << 10)
    monkeypatch.setattr(part_files, "GROUP_ROWS", 1 << 9)
    monkeypatch.setattr("steps.split.engines.shuffle.BUDGET", 1 << 14)
    pq.write_table(hot_table(9_000, 40), tmp_path / "table.parquet")
    made = assert_same(tmp_path / "table.parquet", tmp_path)
    parts = {entry.key.text: len(entry.parts) for entry in made.index.entries}
    assert parts.pop("k0") == 8
    assert set(parts.values()) == {1}
    statistics = pq.read_table(
        tmp_path
        / "beam"
        / "p"
        / "datasets"
        / made.index.dataset
        / "statistics"
        / "column_statistics.parquet"
    ).to_pylist()
    hot = next(r for r in statistics if r["partition"] == "k0" and r["column"] == "target")
    table = pq.read_table(tmp_path / "table.parquet")
    partition_rows = table.filter(pa.compute.equal(table["key"], "k0"))["target"].to_numpy()
    assert hot["rows"] == len(partition_rows)
    assert (hot["min"], hot["max"]) == (partition_rows.min(), partition_rows.max())
    assert hot["mean"] == pytest.approx(partition_rows.mean(), rel=1e-12)
    assert hot["sd"] == pytest.approx(partition_rows.std(ddof=1), rel=1e-12)
    assert hot["distinct"] == pytest.approx(len(partition_rows), rel=0.07)


@pytest.mark.soak
def test_many_partitions_and_one_large_partition(tmp_path: Path) -> None:
    """With `make soak`, the table has 10,000 partitions and one more with 10 million rows."""
    rows, partitions = 20_000 * SOAK**3, 1000 * SOAK
    pq.write_table(hot_table(rows, partitions), tmp_path / "table.parquet")
    made = assert_same(tmp_path / "table.parquet", tmp_path)
    assert len(made.index.entries) == partitions
    largest = max(made.index.entries, key=lambda entry: entry.rows)
    assert largest.rows == pytest.approx(rows / 2, rel=0.05)
    assert len(largest.parts) == 2 ** max(0, math.ceil(math.log2(largest.rows / PART_ROWS)))


def test_job_output_is_deleted_after_build(tmp_path: Path) -> None:
    pq.write_table(small_table(), tmp_path / "table.parquet")
    split_by(local.build_dataset, tmp_path / "table.parquet", tmp_path / "runs")
    work = tmp_path / "runs" / "p" / "datasets" / "work"
    assert not [path for path in work.rglob("*") if path.is_file()]


def test_worker_error_is_raised_unchanged(tmp_path: Path) -> None:
    table = small_table()
    infinite = pa.array([float("inf")] * len(table))
    pq.write_table(table.append_column("bad", infinite), tmp_path / "table.parquet")
    with pytest.raises(DataError, match="'bad' contains an infinite value") as caught:
        split_by(local.build_dataset, tmp_path / "table.parquet", tmp_path / "runs")
    assert "Replace infinite values" in caught.value.hint
    pq.write_table(table, tmp_path / "table.parquet")
    split_by(local.build_dataset, tmp_path / "table.parquet", tmp_path / "runs")


def test_source_without_rows_is_an_error(tmp_path: Path) -> None:
    pq.write_table(small_table().slice(0, 0), tmp_path / "table.parquet")
    for engine in ENGINES.values():
        with pytest.raises(DataError, match="has no rows"):
            split_by(engine, tmp_path / "table.parquet", tmp_path / "runs")


def test_missing_job_output_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_files, "GROUP_ROWS", 100)
    pq.write_table(small_table(), tmp_path / "table.parquet")

    def lose(*arguments: Any) -> Any:
        groups = sorted((tmp_path / "runs").rglob("group-*.zip"))
        groups[1].unlink()
        return assemble_dataset(*arguments)

    monkeypatch.setattr("steps.split.engines.beam.local.assemble_dataset", lose)
    with pytest.raises(DataError, match="have 0 rows instead of"):
        split_by(local.build_dataset, tmp_path / "table.parquet", tmp_path / "runs")
    assert not list((tmp_path / "runs").rglob("index.json"))


def test_partitions_with_equal_hashes_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """A collision of 80-bit hashes cannot be constructed, so the property is replaced."""
    monkeypatch.setattr(PartitionKey, "partition_id", "p0")
    part_files.check_collisions([PartitionKey("string", "a")])
    with pytest.raises(DataError, match="'a' and 'b' have the same hash"):
        part_files.check_collisions([PartitionKey("string", "a"), PartitionKey("string", "b")])
