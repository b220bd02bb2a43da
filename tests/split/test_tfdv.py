"""Compare statistics for TensorFlow Data Validation, read with its own schema, with numpy."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2 as tfdv

from steps.split.dataset import tfdv as ours
from tests.workspace import Workspace, small_table
from workflows.local import split_only
from workflows.profile import write_tfdv
from workflows.spec.load import LoadedSpec, load_spec

HOSTILE = ["", "a/b.c", "<script>", "=1+1", "\u202ex\x00", "x" * 300]


FEATURES = ["number", "level", "whole", "flag", "day", "weight", "moment", "gone", *HOSTILE]
"""All columns but key and target; a column without a name is a feature only where it is listed."""


def hostile_table() -> pa.Table:
    rows = small_table()
    rng = np.random.default_rng(1)
    moments = [datetime(2013, 1, 1, int(hour), tzinfo=UTC) for hour in rng.integers(0, 24, 450)]
    rows = rows.append_column("moment", pa.array(moments, pa.timestamp("us", "UTC")))
    rows = rows.append_column("gone", pa.nulls(450, pa.float64()))
    for name in HOSTILE:
        rows = rows.append_column(name, pa.array(rng.choice(HOSTILE, 450)))
    return rows


@pytest.fixture(scope="module", name="made")
def _made(tmp_path_factory: pytest.TempPathFactory) -> tuple[LoadedSpec, str, Path]:
    lab = Workspace(tmp_path_factory.mktemp("tfdv"))
    lab.write_table(hostile_table())
    loaded = load_spec(lab.write_spec(dataset__features=FEATURES))
    dataset = split_only(loaded).index.dataset
    return loaded, dataset, lab.folder / "runs/lab/datasets" / dataset / "statistics" / "tfdv.pb"


def parsed(content: bytes) -> tfdv.DatasetFeatureStatisticsList:
    return tfdv.DatasetFeatureStatisticsList.FromString(content)


def check(found: tfdv.DatasetFeatureStatistics, rows: pa.Table) -> None:
    """Compare each number of a slice with its rows."""
    assert found.num_examples == rows.num_rows
    assert [list(feature.path.step) for feature in found.features] == [
        [name] for name in sorted(rows.column_names)
    ]
    for feature in found.features:
        column = rows.column(feature.path.step[0])
        text = pa.types.is_string(column.type)
        stats = feature.string_stats if text else feature.num_stats
        common, known = stats.common_stats, column.drop_null()
        assert common.num_non_missing == common.tot_num_values == len(known)
        assert common.num_missing == column.null_count
        once = 1 if len(known) else 0
        assert common.min_num_values == common.max_num_values == common.avg_num_values == once
        assert tfdv.FeatureNameStatistics.Type.Name(feature.type) == kind_of(column.type)
        if len(known):
            (check_text if text else check_numbers)(stats, known)


def kind_of(kind: pa.DataType) -> str:
    if pa.types.is_string(kind):
        return "STRING"
    return "FLOAT" if pa.types.is_floating(kind) else "INT"


def check_text(stats: Any, known: pa.ChunkedArray) -> None:
    texts = known.to_pylist()
    assert stats.unique == len(set(texts))
    assert stats.avg_length == pytest.approx(np.mean([len(t.encode()) for t in texts]), rel=1e-6)
    counts = {text: texts.count(text) for text in texts}
    expected = sorted(counts, key=lambda text: (-counts[text], text.encode()))[:5]
    assert [each.value for each in stats.top_values] == expected
    assert [each.frequency for each in stats.top_values] == [counts[text] for text in expected]
    ranks = [(each.low_rank, each.high_rank, each.label) for each in stats.rank_histogram.buckets]
    assert ranks == [(at, at, text) for at, text in enumerate(expected)]


def check_numbers(stats: Any, known: pa.ChunkedArray) -> None:
    if pa.types.is_timestamp(known.type):
        known = pc.divide(known.cast(pa.int64()), 1_000_000)
    elif pa.types.is_date(known.type):
        known = known.cast(pa.int32())
    numbers = known.cast(pa.float64()).to_numpy()
    assert stats.mean == pytest.approx(numbers.mean())
    assert stats.std_dev == pytest.approx(numbers.std())  # of the population, as TFDV has it
    assert stats.num_zeros == (numbers == 0).sum()
    assert (stats.min, stats.max) == (numbers.min(), numbers.max())
    assert stats.median == np.quantile(numbers, 0.5, method="lower")
    standard, quantiles = stats.histograms
    assert (standard.type, quantiles.type) == (tfdv.Histogram.STANDARD, tfdv.Histogram.QUANTILES)
    widths = [each.high_value - each.low_value for each in standard.buckets]
    assert widths == pytest.approx([(numbers.max() - numbers.min()) / 10] * 10)
    assert sum(each.sample_count for each in standard.buckets) == len(numbers)
    shares = np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1], method="lower").tolist()
    bounds = [(each.low_value, each.high_value) for each in quantiles.buckets]
    assert bounds == list(pairwise(shares))
    assert {each.sample_count for each in quantiles.buckets} == {len(numbers) / 4}


def test_split_writes_the_statistics_of_the_table(made: tuple[LoadedSpec, str, Path]) -> None:
    (found,) = parsed(made[2].read_bytes()).datasets
    assert found.name == "All Examples"
    check(found, hostile_table())


def test_each_partition_is_a_slice(
    made: tuple[LoadedSpec, str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ours, "SLICES_PER_FILE", 2)
    files = write_tfdv(made[0], made[1], str(tmp_path / "out"))
    names = ["tfdv.pb", *(f"tfdv-partitions-0000{at}.pb" for at in range(3))]
    assert files == [str(tmp_path / "out" / name) for name in names]
    assert Path(files[0]).read_bytes() == made[2].read_bytes()
    slices = [each for file in files[1:] for each in parsed(Path(file).read_bytes()).datasets]
    assert [each.name for each in slices] == [f"part {at}" for at in range(5)]
    rows = hostile_table()
    for each in slices:
        check(each, rows.filter(pc.equal(rows["key"], each.name)))


def test_equal_rows_give_equal_bytes(made: tuple[LoadedSpec, str, Path], lab: Workspace) -> None:
    rows = hostile_table()
    lab.write_table(rows.take(pa.array(np.random.default_rng(0).permutation(450))))
    dataset = split_only(load_spec(lab.write_spec(dataset__features=FEATURES))).index.dataset
    again = lab.folder / "runs/lab/datasets" / dataset / "statistics" / "tfdv.pb"
    assert again.read_bytes() == made[2].read_bytes()
