"""Local files and objects as sources: one table gives one dataset."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from steps.contract import ProjectLayout
from steps.errors import DataError, MissingInputError, SpecError, TransientError
from steps.runtime.progress import NoProgress
from steps.split.config import DatasetConfig
from steps.split.sources.base import open_source
from steps.split.step import SplitRequest, SplitResult, split
from steps.storage.base import storage_for
from steps.storage.local import LocalStorage
from tests.workspace import small_table

Write = Callable[[pa.Table, Path], None]
FORMATS: dict[str, Write] = {"parquet": pq.write_table, "csv": pa_csv.write_csv}


def config(source: str) -> DatasetConfig:
    return DatasetConfig(source=source, partition_by="key", target="target")


def split_into(root: str, source: str) -> SplitResult:
    request = SplitRequest(config(source), "day", None, "auto", 5)
    return split(request, ProjectLayout(root, "lab"), storage_for(root), NoProgress())


def upload(path: Path, uri: str) -> str:
    storage_for(uri).write(uri, path.read_bytes())
    return uri


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a separate temporary folder, in which leftover files are visible."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture(params=FORMATS)
def local(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Write a file of each format."""
    path = tmp_path / f"table.{request.param}"
    FORMATS[request.param](small_table(), path)
    return path


def test_remote_file_equals_local_file(
    local: Path, gcs: str, tmp_path: Path, scratch: Path
) -> None:
    here = split_into(str(tmp_path / "runs"), str(local))
    there = split_into(f"{gcs}/runs", upload(local, f"{gcs}/data/{local.name}"))
    assert there == here
    assert len(there.index.entries) == 5
    gc.collect()
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("slash", ["", "/"])
def test_remote_directory_equals_local_directory(
    local: Path, slash: str, gcs: str, tmp_path: Path
) -> None:
    table, folder = small_table(), tmp_path / "parts"
    folder.mkdir()
    for number, start in enumerate(range(0, len(table), 100)):
        path = folder / f"part-{number}{local.suffix}"
        FORMATS[local.suffix[1:]](table.slice(start, 100), path)
        upload(path, f"{gcs}/parts/{path.name}")
    storage_for(gcs).write(f"{gcs}/parts/_SUCCESS", b"")
    storage_for(gcs).write(f"{gcs}/parts/", b"")
    whole = split_into(str(tmp_path / "a"), str(local))
    here = split_into(str(tmp_path / "b"), str(folder))
    there = split_into(str(tmp_path / "c"), f"{gcs}/parts{slash}")
    assert there == here
    assert there == whole


def test_existing_dataset_needs_no_download(
    local: Path, gcs: str, tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = upload(local, f"{gcs}/{local.name}")
    first = split_into(str(tmp_path / "runs"), uri)
    assert not first.reused

    def refuse(*_: object) -> None:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr("steps.storage.gcs.GcsStorage.download", refuse)
        again = split_into(str(tmp_path / "runs"), uri)
    assert again.reused
    assert again.index == first.index
    upload(local, uri)
    written_again = split_into(str(tmp_path / "runs"), uri)
    assert not written_again.reused
    assert written_again.index == first.index


def test_source_changed_while_reading_is_transient(
    gcs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(small_table(), path)
    source = open_source(config(upload(path, f"{gcs}/table.parquet")))
    source.fingerprint()
    upload(path, f"{gcs}/table.parquet")
    with pytest.raises(TransientError, match="changed while it was read"):
        source.schema()


def test_errors_contain_the_uri(gcs: str, scratch: Path) -> None:
    storage = storage_for(gcs)
    storage.write(f"{gcs}/bad.parquet", b"PAR1 no more")
    with pytest.raises(DataError, match=f"{gcs}/bad.parquet") as caught:
        open_source(config(f"{gcs}/bad.parquet")).schema()
    assert str(scratch) not in str(caught.value)
    rows = "".join(f"{n}\n" for n in range(50))
    storage.write(f"{gcs}/bad.csv", f"key\n{rows}oops\n".encode())
    source = open_source(config(f"{gcs}/bad.csv"))
    with pytest.raises(DataError, match=f"{gcs}/bad.csv.*'oops'"):
        list(source.batches(["key"]))


def test_long_object_names(gcs: str, tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(small_table(), path)
    source = open_source(config(upload(path, f"{gcs}/{'x' * 400} ä?.PARQUET")))
    assert source.rows() == len(small_table())


def test_missing_sources(gcs: str) -> None:
    for name in ("gone.parquet", "gone", "gone/"):
        with pytest.raises(MissingInputError, match="does not exist"):
            open_source(config(f"{gcs}/{name}"))
    with pytest.raises(MissingInputError, match="does not exist"):
        open_source(config("gs://never-made/x.parquet"))
    with pytest.raises(SpecError, match=r"dataset\.source: s3:// is not supported"):
        open_source(config("s3://bucket/x.parquet"))


def test_unsupported_file_formats(gcs: str) -> None:
    storage = storage_for(gcs)
    storage.write(f"{gcs}/x.json", b"{}")
    with pytest.raises(DataError, match=r"contains \.json files"):
        open_source(config(f"{gcs}/x.json"))
    with pytest.raises(DataError, match=r"contains no tables"):
        open_source(config(gcs))
    storage.write(f"{gcs}/x.csv", b"")
    storage.write(f"{gcs}/x.parquet", b"")
    with pytest.raises(DataError, match=r"contains \.csv, \.parquet files"):
        open_source(config(gcs))


def test_remote_root_creates_no_local_folder(
    gcs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "table.parquet"
    pq.write_table(small_table(), path)
    empty = tmp_path / "here"
    empty.mkdir()
    monkeypatch.chdir(empty)
    result = split_into(f"{gcs}/runs", str(path))
    assert list(empty.iterdir()) == []
    storage = storage_for(gcs)
    layout = ProjectLayout(f"{gcs}/runs", "lab").dataset(result.index.dataset)
    assert storage.exists(layout.index)
    assert not LocalStorage().exists(layout.index)
