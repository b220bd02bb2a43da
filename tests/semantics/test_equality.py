"""``tables/`` are a function of rows, resolved spec and library versions: to the byte."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from tests.objectives import SPECS, claims_table
from tests.workspace import Workspace, small_table
from workflows.local import RunSummary, run

TYPES = {
    "key": "string", "number": "float64", "level": "string", "whole": "int64", "flag": "bool",
    "day": "date", "weight": "float64", "target": "float64",
}  # fmt: skip


def shuffled(table: pa.Table) -> pa.Table:
    """The rows in another order, columns too."""
    order = pc.sort_indices(table, sort_keys=[("weight", "descending"), ("target", "ascending")])
    return table.take(order).select(table.column_names[::-1])


def write_csv(lab: Workspace, table: pa.Table) -> dict[str, Any]:
    pa_csv.write_csv(table, lab.folder / "table.csv")
    return {"dataset__source": "table.csv", "dataset__types": TYPES}


def write_dictionary(lab: Workspace, table: pa.Table) -> dict[str, Any]:
    columns = {
        name: column.dictionary_encode() if name in {"key", "level"} else column
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    columns["whole"] = columns["whole"].cast(pa.int32())
    pq.write_table(pa.table(columns), lab.folder / "coded.parquet")
    return {"dataset__source": "coded.parquet"}


def write_directory(lab: Workspace, table: pa.Table) -> dict[str, Any]:
    folder = lab.folder / "many"
    folder.mkdir()
    for start in range(0, table.num_rows, 100):
        pq.write_table(table.slice(start, 100), folder / f"{start}.parquet")
    return {"dataset__source": "many"}


def write_shuffled(lab: Workspace, table: pa.Table) -> dict[str, Any]:
    lab.write_table(shuffled(table), "shuffled.parquet")
    return {"dataset__source": "shuffled.parquet"}


Variant = Callable[[Workspace, pa.Table], dict[str, Any]]
VARIANTS: dict[str, Variant] = {
    "one worker": lambda _lab, _table: {"execution__workers": 1},
    "seven shards": lambda _lab, _table: {"execution__shards": 7},
    "csv partitions": lambda _lab, _table: {"dataset__format": "csv"},
    "row order": write_shuffled,
    "typed csv source": write_csv,
    "dictionary and int32": write_dictionary,
    "directory": write_directory,
}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, RunSummary]:
    lab = Workspace(tmp_path_factory.mktemp("reference"))
    lab.write_table(small_table())
    return lab, run(lab.write_spec())


@pytest.mark.parametrize("variant", VARIANTS)
def test_how_rows_come_changes_no_byte(
    variant: str, lab: Workspace, reference: tuple[Workspace, RunSummary]
) -> None:
    lab.write_table(small_table())
    changes = VARIANTS[variant](lab, small_table())
    result = run(lab.write_spec(**changes))
    assert result.outcome.counts == {"trained": 5, "skipped": 0, "failed": 0}
    assert lab.tables(result.layout.base) == lab.tables(reference[1].layout.base)


def two_keys() -> pa.Table:
    """The table with a second key, of numbers, some of them missing."""
    table = small_table(2, rows=180)
    number = pa.array([None if i % 90 == 7 else 10 * (i % 2) for i in range(360)], pa.int64())
    return table.append_column("size", number)


def write_folders(lab: Workspace, table: pa.Table) -> dict[str, Any]:
    """Folders name both keys, as Hive and Spark write them."""
    for key in table["key"].unique().to_pylist():
        for size in (0, 10, None):
            match = pc.is_null(table["size"]) if size is None else pc.equal(table["size"], size)
            rows = table.filter(pc.and_(pc.equal(table["key"], key), match))
            value = "__HIVE_DEFAULT_PARTITION__" if size is None else size
            folder = lab.folder / "hive" / f"key={key}" / f"size={value}"
            folder.mkdir(parents=True)
            pq.write_table(rows.drop_columns(["key", "size"]), folder / "0.parquet")
    return {"dataset__source": "hive"}


def write_inferred_csv(lab: Workspace, table: pa.Table) -> dict[str, Any]:
    pa_csv.write_csv(shuffled(table), lab.folder / "table.csv")
    return {"dataset__source": "table.csv"}


KEY_VARIANTS: dict[str, Variant] = VARIANTS | {
    "folders": write_folders,
    "inferred csv source": write_inferred_csv,
}
del KEY_VARIANTS["typed csv source"]  # its types name no second key


@pytest.fixture(scope="module")
def two_key_reference(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, RunSummary]:
    lab = Workspace(tmp_path_factory.mktemp("two-keys"))
    lab.write_table(two_keys())
    return lab, run(lab.write_spec(dataset__partition_by=["key", "size"]))


@pytest.mark.parametrize("variant", KEY_VARIANTS)
def test_how_rows_come_changes_no_byte_with_two_keys(
    variant: str, lab: Workspace, two_key_reference: tuple[Workspace, RunSummary]
) -> None:
    lab.write_table(two_keys())
    changes = KEY_VARIANTS[variant](lab, two_keys())
    result = run(lab.write_spec(dataset__partition_by=["key", "size"], **changes))
    assert result.outcome.counts == {"trained": 4, "skipped": 1, "failed": 0}
    assert lab.tables(result.layout.base) == lab.tables(two_key_reference[1].layout.base)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_how_rows_come_changes_no_byte_of_any_objective(name: str, lab: Workspace) -> None:
    """Another order, another format of source and partitions, one process; then from the cache."""
    table = claims_table()
    lab.write_table(table)
    first = run(lab.write_spec(**SPECS[name]))
    assert first.outcome.counts == {"trained": 3, "skipped": 0, "failed": 0}
    pa_csv.write_csv(shuffled(table), lab.folder / "table.csv")
    other: dict[str, Any] = {"dataset__source": "table.csv", "dataset__format": "csv"}
    spec = lab.write_spec(**SPECS[name], **other, execution__workers=1, output="elsewhere")
    second = run(spec)
    assert lab.tables(second.layout.base) == lab.tables(first.layout.base)
    again = run(spec)
    assert again.trained.cached == {"full": 3}
    assert lab.tables(again.layout.base) == lab.tables(first.layout.base)


def test_a_cached_run_changes_no_byte_and_reads_no_row(
    reference: tuple[Workspace, RunSummary],
) -> None:
    lab, first = reference
    again = run(lab.folder / "spec.yaml")
    assert again.run != first.run
    assert again.reused
    assert again.trained.cached == {"full": 5}
    assert lab.tables(again.layout.base) == lab.tables(first.layout.base)


def test_tables_follow_from_the_rows(
    lab: Workspace, reference: tuple[Workspace, RunSummary]
) -> None:
    """The comparison above is not empty: another row gives other tables."""
    table = small_table()
    changed = pc.if_else(pc.equal(pa.array(range(table.num_rows)), 3), 99.0, table["target"])
    lab.write_table(table.set_column(table.column_names.index("target"), "target", changed))
    result = run(lab.write_spec())
    tables = lab.tables(result.layout.base)
    assert tables["metrics.csv"] != lab.tables(reference[1].layout.base)["metrics.csv"]


def test_another_trainer_reads_no_source_row(
    lab: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.write_table(small_table())
    run(lab.write_spec())
    monkeypatch.setattr(
        "steps.split.sources.parquet.ParquetFormat.batches", None
    )  # reading would raise
    result = run(lab.write_spec(trainer__name="linear", trainer__params={}))
    assert result.reused
    assert result.outcome.counts["trained"] == 5


def test_rows_added_to_some_partitions_fit_only_these(lab: Workspace) -> None:
    table = small_table(partitions=8)
    lab.write_table(table)
    run(lab.write_spec())
    extra = small_table(partitions=8, rows=4, seed=9)
    extra = extra.filter(pc.is_in(extra["key"], pa.array(["part 1", "part 4", "part 6"])))
    lab.write_table(pa.concat_tables([table, extra]))
    grown = run(lab.write_spec())
    assert grown.trained.cached["none"] == 3
    assert (
        grown.trained.cached["none"] + grown.trained.cached["fit"] + grown.trained.cached["full"]
        == 8
    )
    fresh = run(lab.write_spec(output="elsewhere"))
    assert fresh.trained.cached == {"none": 8}
    assert lab.tables(grown.layout.base) == lab.tables(fresh.layout.base)


def test_a_moved_grid_explains_anew_without_fitting(lab: Workspace) -> None:
    lab.write_table(small_table())
    run(lab.write_spec())
    finer = run(lab.write_spec(explain__partial_dependence={"grid": 7}))
    assert finer.trained.cached == {"fit": 5}
    fresh = run(lab.write_spec(explain__partial_dependence={"grid": 7}, output="elsewhere"))
    assert lab.tables(finer.layout.base) == lab.tables(fresh.layout.base)


def test_tables_name_no_run_clock_or_path(reference: tuple[Workspace, RunSummary]) -> None:
    lab, summary = reference
    for name, content in lab.tables(summary.layout.base).items():
        assert summary.run.encode() not in content, name
        assert str(Path(summary.layout.base).parent).encode() not in content, name
