"""Statistics of columns against numpy, pyarrow and Apache DataSketches."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, date, datetime
from typing import Any

import datasketches
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.table import group_stats
from steps.table.grid import numbers_of
from steps.table.group_stats import QUANTILES, sorted_groups
from steps.table.hashing import row_hashes, value_hashes
from steps.table.kmv import SKETCH_SIZE, KmvUnion, estimate, is_exact, sketch_of, union
from steps.table.merging import WholeTable, merge_parts
from steps.table.sample import BottomSample, Sample
from steps.table.statistics import GroupStatistics, Statistics, group_statistics
from steps.table.summaries import TableSummary
from steps.table.types import canonical_text

KINDS: dict[str, st.SearchStrategy[Any]] = {
    "float64": st.floats(allow_nan=False, allow_infinity=False).map(lambda x: x + 0.0),
    "int64": st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3),
    "string": st.text(max_size=3) | st.sampled_from(["a", "b", ""]),
    "bool": st.booleans(),
    "date": st.dates(),
    "timestamp": st.datetimes(timezones=st.just(UTC)),
}
TYPES = {
    "float64": pa.float64(),
    "int64": pa.int64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us", "UTC"),
}


@st.composite
def columns(draw: st.DrawFn) -> pa.Array:
    kind = draw(st.sampled_from(sorted(KINDS)))
    values = draw(st.lists(st.none() | KINDS[kind], min_size=1, max_size=40))
    return pa.array(values, TYPES[kind])


def batch_of(column: pa.Array) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([column], names=["x"])


def of_rows(column: pa.Array) -> Statistics:
    return group_statistics(batch_of(column), np.array([0])).groups[0]


def same(one: Statistics, other: Statistics) -> None:
    for field in fields(Statistics):
        here, there = getattr(one, field.name), getattr(other, field.name)
        if isinstance(here, np.ndarray):
            np.testing.assert_array_equal(here, there, field.name)
        else:
            assert here == there, field.name


@given(columns())
def test_counts_are_exact(column: pa.Array) -> None:
    found = of_rows(column)
    known = column.drop_null()
    assert found.rows == len(column)
    assert found.missing[0] == column.null_count
    assert found.distinct[0] == len(known.unique())
    assert found.exact[0]
    counts = {
        canonical_text(e["values"].as_py()): e["counts"].as_py() for e in known.value_counts()
    }
    ordered = [canonical_text(value) for value in known.unique().sort().to_pylist()]
    expected = sorted(ordered, key=lambda text: (-counts[text], ordered.index(text)))[:5]
    assert [text for text, _ in found.top[0]] == expected
    assert [count for _, count in found.top[0]] == [counts[text] for text in expected]
    if pa.types.is_string(column.type):
        assert found.letters[0] == sum(len(t.encode()) for t in known.to_pylist())
        assert np.isnan([found.low[0], found.mean[0], *found.quantiles[0]]).all()


@given(columns())
def test_numbers_are_those_of_numpy(column: pa.Array) -> None:
    if pa.types.is_string(column.type) or column.null_count == len(column):
        return
    found, numbers = of_rows(column), numbers_of(column.drop_null())
    assert (found.low[0], found.high[0]) == (numbers.min(), numbers.max())
    assert found.zeros[0] == (numbers == 0).sum()
    with np.errstate(over="ignore", invalid="ignore"):
        scale = np.abs(numbers).max()
        if np.isfinite(scale * len(numbers)):
            assert found.mean[0] == pytest.approx(numbers.mean(), rel=1e-12, abs=1e-12 * scale)
        if len(numbers) > 1 and scale < 1e150:
            deviation = numbers.std(ddof=1)
            assert found.deviation[0] == pytest.approx(deviation, rel=1e-9, abs=1e-9 * scale)
    expected = np.quantile(numbers, QUANTILES, method="lower")
    np.testing.assert_array_equal(found.quantiles[0], expected)
    bounds = found.bounds[0]
    assert (np.diff(bounds) >= 0).all()
    inside = [
        ((numbers >= low) & ((numbers < high) | (last & (numbers <= high)))).sum()
        for low, high, last in zip(bounds[:-1], bounds[1:], [False] * 9 + [True], strict=True)
    ]
    if (np.diff(bounds) > 0).all():
        assert found.buckets[0].tolist() == inside
    assert found.buckets[0].sum() == len(numbers)


@given(columns(), st.randoms(use_true_random=False))
def test_order_changes_nothing(column: pa.Array, random: Any) -> None:
    order = list(range(len(column)))
    random.shuffle(order)
    same(of_rows(column), of_rows(column.take(pa.array(order))))


@given(columns(), st.data())
def test_neighbours_change_nothing(column: pa.Array, data: st.DataObject) -> None:
    cuts = data.draw(st.sets(st.integers(1, max(1, len(column) - 1)), max_size=4))
    starts = np.array([0, *sorted(cut for cut in cuts if cut < len(column))])
    seen = group_statistics(batch_of(column), starts)
    ends = [*starts[1:], len(column)]
    for group, start, end in zip(seen.groups, starts, ends, strict=True):
        same(group, of_rows(column.slice(start, end - start)))


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(KINDS)), min_size=2, max_size=7), st.data())
def test_other_columns_change_nothing(kinds: list[str], data: st.DataObject) -> None:
    """Columns of one type are looked at together; each has its own facts, and its own values."""
    rows = data.draw(st.integers(1, 12))
    found = [
        data.draw(st.lists(st.none() | KINDS[kind], min_size=rows, max_size=rows))
        for kind in sorted(kinds)  # those of one type side by side
    ]
    arrays = [pa.array(each, TYPES[k]) for each, k in zip(found, sorted(kinds), strict=True)]
    starts = np.array(sorted({0, data.draw(st.integers(0, rows - 1))}))
    together = group_statistics(
        pa.RecordBatch.from_arrays(arrays, names=[str(i) for i in range(len(arrays))]), starts
    )
    for i, array in enumerate(arrays):
        alone = group_statistics(batch_of(array), starts)
        np.testing.assert_array_equal(together.sketches[i], alone.sketches[0])
        for one, other in zip(together.groups, alone.groups, strict=True):
            same(_column(one, i), other)


def _column(statistics: Statistics, position: int) -> Statistics:
    """Of one column alone."""
    names = [each.name for each in fields(Statistics) if each.name != "rows"]
    own = {name: getattr(statistics, name)[position : position + 1] for name in names}
    return replace(statistics, **own)


@pytest.mark.parametrize("different", [100, SKETCH_SIZE - 1, SKETCH_SIZE, 30_000])
def test_a_sketch_holds_the_smallest_hashes_however_often_they_come(different: int) -> None:
    """Most are left out by a bound; where too few of the different ones lie below it, none."""
    rng = np.random.default_rng(different)
    hashes = rng.integers(0, 2**64, different, np.uint64)
    many = hashes[np.append(np.arange(different), rng.integers(0, different, 40_000))]
    np.testing.assert_array_equal(sketch_of(many), np.unique(hashes)[:SKETCH_SIZE])


@given(columns(), st.data())
def test_merged_parts_are_the_whole(column: pa.Array, data: st.DataObject) -> None:
    cut = data.draw(st.integers(1, max(1, len(column) - 1)))
    if cut >= len(column):
        return
    parts = [
        group_statistics(batch_of(part), np.array([0])) for part in (column[:cut], column[cut:])
    ]
    found, whole = merge_parts(parts).groups[0], of_rows(column)
    for name in ("rows", "missing", "zeros", "low", "high", "letters", "distinct", "exact"):
        np.testing.assert_array_equal(getattr(found, name), getattr(whole, name), name)
    scale = np.nan_to_num(np.abs([whole.low, whole.high])).max()
    if scale < 1e150:
        np.testing.assert_allclose(found.mean, whole.mean, rtol=1e-9, atol=1e-12 * scale)
        np.testing.assert_allclose(
            found.deviation, whole.deviation, rtol=1e-7, atol=1e-7 * (scale or 1)
        )


def test_the_moments_of_far_away_numbers_keep_their_digits() -> None:
    """Where the textbook's sum of squares loses all of them."""
    numbers = 1e9 + np.random.default_rng(1).normal(size=10_000)
    parts = [
        group_statistics(batch_of(pa.array(p)), np.array([0])) for p in np.array_split(numbers, 7)
    ]
    assert merge_parts(parts).groups[0].deviation[0] == pytest.approx(numbers.std(ddof=1), rel=1e-7)


# --- distinct counts ------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, SKETCH_SIZE - 1, SKETCH_SIZE, 10_000, 1_000_000])
def test_distinct_counts_are_within_their_error(count: int) -> None:
    """Three standard errors, 3 / sqrt(k - 2) = 6.6 %; compared with DataSketches' theta sketch."""
    hashes = value_hashes(pa.array(np.arange(count)))
    sketch = sketch_of(hashes)
    assert is_exact(sketch) == (count < SKETCH_SIZE)
    theirs = datasketches.update_theta_sketch(11)  # 2 ** 11 hashes, as many as ours
    for number in range(count if count <= 10_000 else 0):
        theirs.update(number)
    error = 3 / np.sqrt(SKETCH_SIZE - 2)
    assert estimate(sketch) == pytest.approx(count, rel=error)
    if 0 < count <= 10_000:
        assert estimate(sketch) == pytest.approx(theirs.get_estimate(), rel=2 * error)


def test_distinct_count_error_is_as_documented() -> None:
    """Its spread over 200 tables of 20,000 values: 2.2 % give or take three of its own errors."""
    rng = np.random.default_rng(7)
    errors = []
    for _ in range(200):
        values = rng.integers(-(2**62), 2**62, 20_000)
        errors.append(estimate(sketch_of(value_hashes(pa.array(values)))) / 20_000 - 1)
    promised = 1 / np.sqrt(SKETCH_SIZE - 2)
    assert abs(np.mean(errors)) < 3 * promised / np.sqrt(200)
    assert np.std(errors) < promised * (1 + 3 / np.sqrt(2 * 200))


@given(st.lists(st.integers(0, 6000), max_size=5000), st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_a_union_does_not_mind_how_values_were_dealt(values: list[int], parts: int) -> None:
    def hashes(some: list[int]) -> Any:
        return np.unique(value_hashes(pa.array(some, pa.int64())))

    dealt = [sketch_of(hashes(values[i::parts])) for i in range(parts)]
    collected = KmvUnion(1)
    for sketch in dealt:
        collected.add([sketch])
    whole = sketch_of(hashes(values))
    np.testing.assert_array_equal(union(dealt), whole)
    np.testing.assert_array_equal(collected.sketches()[0], whole)


# --- the whole table ------------------------------------------------------------------------


def whole_of(batch: pa.RecordBatch, groups: int, size: int) -> tuple[Statistics, Sample]:
    names = batch.schema.names
    summary, bottom = TableSummary(names), BottomSample(size)
    summary.add(batch)
    bottom.add(batch, row_hashes(batch))
    sample = bottom.sample(batch.schema)
    table = WholeTable(len(names))
    starts = np.linspace(0, batch.num_rows, groups, endpoint=False).astype(int)
    seen: GroupStatistics = group_statistics(batch, starts)
    table.add_values(seen.sketches)
    for group in seen.groups:
        table.add(group)
    levels = {name: column.levels for name, column in summary.columns.items()}
    return table.statistics(sample, levels), sample


@given(columns(), st.integers(1, 4))
def test_a_table_that_its_sample_holds_is_exact(column: pa.Array, groups: int) -> None:
    found, _ = whole_of(batch_of(column), min(groups, len(column)), 1000)
    exact = of_rows(column)
    for name in ("quantiles", "distinct", "bounds", "low", "high"):
        np.testing.assert_array_equal(getattr(found, name), getattr(exact, name), name)
    np.testing.assert_allclose(found.buckets, exact.buckets, rtol=1e-12)
    assert [text for text, _ in found.top[0]] == [text for text, _ in exact.top[0]]


def test_quantiles_of_a_large_table_are_within_their_error() -> None:
    """Three standard errors of a rank in a sample of n: 3 * sqrt(q (1 - q) / n), and no worse
    than a KLL sketch of DataSketches of about the same promise."""
    rng = np.random.default_rng(3)
    numbers = rng.gamma(0.7, size=400_000)
    batch = batch_of(pa.array(numbers))
    found, sample = whole_of(batch, 50, 20_000)
    kll = datasketches.kll_doubles_sketch(512)  # a rank error of 0.5 %
    kll.update(numbers)
    ascending = np.sort(numbers)
    for share, value in zip(QUANTILES, found.quantiles[0], strict=True):
        rank = np.searchsorted(ascending, value) / len(numbers)
        theirs = np.searchsorted(ascending, kll.get_quantile(share)) / len(numbers)
        error = 3 * np.sqrt(share * (1 - share) / sample.rows.num_rows)
        assert abs(rank - share) < error
        assert abs(rank - theirs) < error + 0.0132
    expected, _ = np.histogram(numbers, found.bounds[0])
    assert np.abs(found.buckets[0] - expected).max() < 3 * np.sqrt(0.25 / 20_000) * len(numbers)
    assert found.mean[0] == pytest.approx(numbers.mean(), rel=1e-12)


def test_copies_count_in_quantiles_and_frequent_values() -> None:
    """A sample of distinct rows stands for all rows by their counts."""
    numbers = np.append(np.zeros(30_000), np.arange(1, 10_001))
    found, sample = whole_of(batch_of(pa.array(numbers)), 7, 2_000)
    assert sample.rows.num_rows == 2_000
    assert found.zeros[0] == 30_000
    if 0.0 in sample.rows.column(0).to_pylist():
        assert found.quantiles[0][QUANTILES.index(0.5)] == 0


@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("kind", [pa.float64(), pa.int64(), pa.timestamp("us", "UTC")])
def test_frequent_values_of_many_are_counted_in_the_sample(kind: pa.DataType, copies: int) -> None:
    """More values than are counted one by one; the sample holds all rows, and their copies."""
    numbers = np.concatenate([np.arange(500), np.full(8, 7), np.full(8, 3), np.full(3, 11)])
    found, sample = whole_of(batch_of(pa.array(np.repeat(numbers, copies)).cast(kind)), 3, 1_000)
    assert sample.counts.sum() == len(numbers) * copies
    values = [canonical_text(value) for value in pa.array([3, 7, 11, 0, 1]).cast(kind).to_pylist()]
    counts = [9 * copies, 9 * copies, 4 * copies, copies, copies]
    assert found.top[0] == tuple(zip(values, counts, strict=True))


def test_dates_and_timestamps_read_back() -> None:
    day, moment = date(2013, 1, 31), datetime(2013, 1, 31, 23, 59, 59, 123456, tzinfo=UTC)
    assert of_rows(pa.array([day], pa.date32())).top[0] == (("2013-01-31", 1),)
    found = of_rows(pa.array([moment], TYPES["timestamp"]))
    assert found.top[0] == (("2013-01-31T23:59:59.123456Z", 1),)


@pytest.mark.parametrize("seed", range(5))
def test_positions_in_groups_are_numpys(seed: int) -> None:
    """Groups of all sizes up to 130, some without numbers; values at, between and beyond them."""
    rng = np.random.default_rng(seed)
    sizes = rng.permutation(np.arange(1, 131))
    numbers = rng.integers(-20, 20, sizes.sum()).astype(np.float64)
    numbers[rng.random(len(numbers)) < 0.2] = np.nan
    starts = np.cumsum(sizes) - sizes
    numbers[starts[0] : starts[0] + sizes[0]] = np.nan
    groups = sorted_groups(numbers, starts)
    values = rng.integers(-44, 44, (len(sizes), 9)) / 2
    values[:, 0], values[:, 1] = -np.inf, np.inf
    found = group_stats._positions(groups, values)
    for at, (start, end) in enumerate(zip(groups.starts, groups.ends, strict=True)):
        expected = start + np.searchsorted(groups.numbers[start:end], values[at])
        assert np.array_equal(found[at], expected), sizes[at]
