"""The split step: spilling changes no byte, packing is balanced, and the index is correct."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.contract import ProjectLayout
from steps.records import Column, PartitionEntry, PartitionIndex, PartitionKey
from steps.runtime.progress import NoProgress
from steps.split.config import DatasetConfig
from steps.split.dataset.plan import SplitPlan
from steps.split.engines.embedded import build_dataset
from steps.split.sources.base import open_source
from steps.split.step import SplitRequest, split
from steps.storage.local import LocalStorage
from steps.table.part_codec import arrow_schema, decode_part
from steps.table.types import PrecisionWarning, canonical_array
from tests.workspace import Workspace, small_table
from workflows.planning.packing import Work, pack

PLAN = SplitPlan(
    (Column("key", "string"), Column("number", "float64"), Column("whole", "int64")),
    "key",
    "parquet",
)


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_spilling_changes_no_byte(lab: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    path = lab.write_table(small_table(20, rows=400))
    made = {}
    monkeypatch.setattr(
        "steps.split.sources.parquet.BATCH_ROWS", 300
    )  # else all would be one batch
    for name, budget in (("memory", 1 << 30), ("disk", 20_000)):
        source = open_source(DatasetConfig(source=str(path), partition_by="key", target="whole"))
        project = ProjectLayout(str(lab.folder / name), "p")
        index = build_dataset(source, PLAN, project, LocalStorage(), NoProgress(), budget)
        made[name] = files(Path(project.dataset(index.dataset).base))
        assert not list(Path(project.scratch).iterdir())
    assert (
        len(made["memory"]) == 20 + 3 + 6 + 1
    )  # parts; index, sample, statistics; three tables; TFDV's
    assert made["memory"] == made["disk"]


def test_file_digest_is_computed_once(lab: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file can be very large, and its rows are read in addition."""
    read: list[Path] = []

    def digest(path: Path) -> str:
        read.append(path)
        return path.name

    monkeypatch.setattr("steps.split.sources.files._file_digest", digest)
    path = lab.write_table(small_table())
    config = DatasetConfig(source=str(path), partition_by="key", target="whole")
    project = ProjectLayout(str(lab.folder / "out"), "p")
    split(SplitRequest(config, None, None, "auto", 5), project, LocalStorage(), NoProgress())
    assert read == [path]


def test_only_dataset_without_index_is_rebuilt(lab: Workspace) -> None:
    lab.write_table(small_table())
    config = DatasetConfig(
        source=str(lab.folder / "table.parquet"), partition_by="key", target="target"
    )
    project = ProjectLayout(str(lab.folder), "p")
    request = SplitRequest(config, None, None, "auto", 5)
    first = split(request, project, LocalStorage(), NoProgress())
    layout = project.dataset(first.index.dataset)
    whole = files(Path(layout.base))
    Path(layout.index).unlink()
    part = Path(layout.base, first.index.entries[0].parts[0])
    part.write_bytes(b"half")
    again = split(request, project, LocalStorage(), NoProgress())
    assert not again.reused
    assert files(Path(layout.base)) == whole
    assert split(request, project, LocalStorage(), NoProgress()).reused


def test_index_contains_rows_nulls_and_parts(lab: Workspace) -> None:
    table = small_table()
    lab.write_table(table)
    config = DatasetConfig(
        source=str(lab.folder / "table.parquet"), partition_by="key", target="target"
    )
    project = ProjectLayout(str(lab.folder), "p")
    made = split(SplitRequest(config, None, None, "auto", 5), project, LocalStorage(), NoProgress())
    index = made.index
    assert PartitionIndex.from_json(index.to_json()) == index
    schema = arrow_schema(index.columns)
    for entry in index.entries:
        content = Path(project.dataset(index.dataset).base, entry.parts[0]).read_bytes()
        rows = decode_part(content, index.format, schema)
        mine = table.filter(pa.compute.equal(table["key"], entry.key.text))
        assert entry.rows == rows.num_rows == mine.num_rows
        assert entry.missing == tuple(rows[name].null_count for name in schema.names)
        for name in ("number", "level", "day"):
            assert sorted(map(str, rows[name].to_pylist())) == sorted(
                map(str, mine[name].to_pylist())
            )
    statistics = json.loads(Path(project.dataset(index.dataset).statistics).read_text())
    assert statistics["target"]["missing"] == table["target"].null_count
    mean = pa.compute.mean(table["target"]).as_py()
    assert statistics["target"]["mean"] == pytest.approx(mean, rel=1e-12)


def entry(number: int, rows: int) -> PartitionEntry:
    return PartitionEntry(PartitionKey("int64", str(number)), rows, (), "", (), 0)


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=60), st.integers(1, 9))
def test_packing_is_complete_and_near_optimal(rows: list[int], shards: int) -> None:
    entries = [entry(i, n) for i, n in enumerate(rows)]
    works = [Work(entry, entry.rows) for entry in entries]
    packed = pack(works, shards)
    assert sorted(i for shard in packed for i in shard) == sorted(
        e.key.partition_id for e in entries
    )
    cost = {e.key.partition_id: e.rows for e in entries}
    longest = max(sum(cost[i] for i in shard) for shard in packed)
    bound = max([sum(cost.values()) / shards, *cost.values()])
    assert longest <= bound * 4 / 3 + max(cost.values()) / 3  # Graham's bound, against a lower one
    assert pack(reversed(works), shards) == packed


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        (pa.array([1, None], pa.int8()), "int64", [1, None]),
        (pa.array([0.5, None], pa.float32()), "float64", [0.5, None]),
        (pa.array([np.nan, -0.0, 1.0]), "float64", [None, 0.0, 1.0]),
        (pa.array(["", None], pa.large_string()), "string", ["", None]),
        (pa.array(["a", "b"]).dictionary_encode(), "string", ["a", "b"]),
        (pa.array([None, None]), "float64", [None, None]),
        (pa.array([0, 86_400_000], pa.date64()), "date", None),
        (pa.array([1_000_000], pa.timestamp("us")), "timestamp", None),
    ],
)
def test_canonical_types(values: pa.Array, kind: str, expected: list[object] | None) -> None:
    from steps.table.types import ARROW_TYPES, canonical_type  # noqa: PLC0415

    found = canonical_array("x", values)
    assert canonical_type("x", values.type) == kind
    assert found.type == ARROW_TYPES[kind]
    if expected is not None:
        assert found.to_pylist() == expected
        assert all(str(value) != "-0.0" for value in found.to_pylist())


def test_precision_loss_warns() -> None:
    with pytest.warns(PrecisionWarning, match="15 digits"):
        canonical_array("price", pa.array([1], pa.decimal128(38, 0)))
    with pytest.warns(PrecisionWarning, match="nanoseconds"):
        canonical_array("when", pa.array([1], pa.timestamp("ns")))
