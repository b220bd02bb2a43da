"""Grids and samples against brute force."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.table.grid import FeatureGrid, Grid, build_grid, cells
from steps.table.hashing import row_hashes, seeded
from steps.table.sample import BottomSample, Sample
from steps.train.explanation.dependence import support_of
from tests.science.truth import grid_of, read, roles_of, table_of

numbers = st.one_of(
    st.sampled_from([0.0, 1.0, 1.5, -2.0, 1e9, 1e-9]),
    st.floats(-100, 100, allow_subnormal=False).map(lambda number: number + 0.0),
)


def numeric_grid(values: list[float | None], points: int) -> FeatureGrid:
    table = pa.table({"x": pa.array(values, pa.float64())})
    return build_grid(Sample.whole(table), ["x"], set(), points)["x"]


# --- grids -----------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.one_of(st.none(), numbers), max_size=60),
    st.integers(2, 20),
    st.randoms(use_true_random=False),
)
def test_numbers_are_lower_quantiles(values: list[float | None], points: int, random: Any) -> None:
    grid = numeric_grid(values, points)
    known = sorted(value for value in values if value is not None)
    distinct = sorted(set(known))
    if len(distinct) <= points:
        assert list(grid.numbers) == distinct
    else:
        # The value at position floor(share * (n - 1)) of the sorted ones, without interpolation.
        # Where that product is whole, rounding may leave it one below.
        assert list(grid.numbers) == sorted(set(grid.numbers))
        allowed = []
        for i in range(points):
            rank, rest = divmod((2 * i + 1) * (len(known) - 1), 2 * points)
            allowed.append({known[rank], known[rank] if rest else known[rank - 1]})
        assert all(some & set(grid.numbers) for some in allowed)
        assert set(grid.numbers) <= set().union(*allowed)
    assert [float(text) for text in grid.values] == list(grid.numbers)
    shuffled = list(values)
    random.shuffle(shuffled)
    assert numeric_grid(shuffled, points) == grid


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(["a", "b", "c", "", "é", None]), max_size=40), st.integers(2, 4))
def test_levels_are_the_most_frequent(values: list[str | None], points: int) -> None:
    table = pa.table({"x": pa.array(values, pa.string())})
    grid = build_grid(Sample.whole(table), ["x"], {"x"}, points)["x"]
    counts = Counter(value for value in values if value is not None)
    ranked = sorted(counts, key=lambda level: (-counts[level], level))
    assert list(grid.values) == ranked[:points]
    assert grid.numbers == ()


def test_a_grid_survives_its_json() -> None:
    table = table_of(x=[1.5, 2.0, None], level=["a", "", "é"], flag=[True, False, None])
    grid = build_grid(Sample.whole(table), ["x", "level", "flag"], {"level"}, 5)
    assert Grid.from_json(grid.to_json()) == grid
    assert grid["flag"].values == ("false", "true")


# --- cells -----------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(-40, 40), min_size=1, max_size=12, unique=True),
    st.lists(st.one_of(st.just(float("nan")), st.integers(-90, 90)), min_size=1, max_size=30),
)
def test_cells_are_of_the_nearest_value(points: list[int], values: list[float]) -> None:
    ordered = sorted(points)
    grid = FeatureGrid("x", False, tuple(map(str, ordered)), tuple(map(float, ordered)))
    actual = cells(np.array(values, np.float64) / 2, grid)
    for value, cell in zip(values, actual, strict=True):
        if np.isnan(value):
            assert cell == -1
        else:
            distances = [abs(value / 2 - point) for point in ordered]
            assert cell == distances.index(min(distances))  # the lower one of equally near


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_support_and_extrapolation_by_brute_force(data: st.DataObject) -> None:
    """The grid is the whole table's, the frame is one of two partitions."""
    rows = data.draw(st.integers(2, 40))

    def draw(values: Any) -> list[Any]:
        drawn: list[Any] = data.draw(st.lists(values, min_size=rows, max_size=rows))
        return drawn

    key = draw(st.sampled_from(["k", "other"]))
    key[0] = "k"
    number = draw(st.one_of(st.none(), st.integers(-9, 9).map(float)))
    level = draw(st.sampled_from(["a", "b", "c", "d", None]))
    table = table_of(
        key=key,
        target=np.arange(float(rows)),
        x=pa.array(number, pa.float64()),
        level=pa.array(level, pa.string()),
    )
    roles = roles_of(("x", "level"), categorical=("level",))
    grid = grid_of(table, roles, 5)
    mine = [i for i in range(rows) if key[i] == "k"]
    frame = read(table.take(mine), roles)

    own = [number[i] for i in mine if number[i] is not None]
    support, extrapolated = support_of(frame, 0, grid["x"])
    expected = [0] * len(grid["x"].numbers)
    for value in own:
        distances = [abs(value - point) for point in grid["x"].numbers]
        expected[distances.index(min(distances))] += 1
    assert list(support) == expected
    for i, point in enumerate(grid["x"].numbers):
        inside = bool(own) and min(own) <= point <= max(own)
        assert extrapolated[i] == (expected[i] == 0 or not inside)

    support, extrapolated = support_of(frame, 1, grid["level"])
    counts = Counter(level[i] for i in mine)
    assert list(support) == [counts[value] for value in grid["level"].values]
    assert list(extrapolated) == [counts[value] == 0 for value in grid["level"].values]


# --- the sample ------------------------------------------------------------------------------


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.integers(0, 30), max_size=60),
    st.integers(1, 12),
    st.lists(st.integers(0, 60), max_size=6),
    st.integers(0, 3),
)
def test_the_bottom_sample_is_the_head_of_all_distinct_rows(
    values: list[int], size: int, cuts: list[int], seed: int
) -> None:
    """However the rows come in batches; few values, so that many rows are equal."""
    table = pa.table({"x": pa.array(values, pa.int64())})
    sample = BottomSample(size)
    edges = sorted({0, len(values), *(cut for cut in cuts if cut < len(values))})
    for start, end in pairwise(edges):
        batch = pa.record_batch({"x": pa.array(values[start:end], pa.int64())})
        sample.add(batch, seeded(row_hashes(batch), seed))
        if start == edges[0]:
            sample.sample(table.schema)  # to look at it early is harmless
    found = sample.sample(table.schema)
    counts = Counter(values)
    expected: list[int] = []
    if values:
        hashes = seeded(row_hashes(table.to_batches()[0]), seed)
        by_hash = {int(h): value for h, value in zip(hashes, values, strict=True)}
        expected = [by_hash[h] for h in sorted(by_hash)][:size]
    assert found.rows.column("x").to_pylist() == expected
    assert found.counts.tolist() == [counts[value] for value in expected]
    again = Sample.from_ipc(found.to_ipc())
    assert again.rows.equals(found.rows)
    assert again.counts.tolist() == found.counts.tolist()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=200), st.integers(2, 9))
def test_a_sample_of_distinct_rows_gives_the_grid_of_all_rows(
    values: list[int], points: int
) -> None:
    """Repeats are counted, so a grid is that of the rows, not of the distinct ones."""
    table = pa.table({"x": pa.array(values, pa.int64())})
    sample = BottomSample(1000)
    sample.add(table.to_batches()[0], row_hashes(table.to_batches()[0]))
    for categorical in (set(), {"x"}):
        found = build_grid(sample.sample(table.schema), ["x"], categorical, points)
        assert found == build_grid(Sample.whole(table), ["x"], categorical, points)


@pytest.mark.parametrize("rows", [20_000])
def test_the_sample_is_uniform(rows: int) -> None:
    """Its mean and its quantiles are those of the table, to the accuracy of a random sample."""
    values = np.arange(rows)
    batch = pa.record_batch({"x": pa.array(values)})
    sample = BottomSample(2000)
    sample.add(batch, row_hashes(batch))
    chosen = sample.sample(batch.schema).rows.column("x").to_numpy()
    assert len(set(chosen)) == 2000
    for share in (0.1, 0.25, 0.5, 0.9):
        error = np.sqrt(share * (1 - share) / 2000)
        assert abs((chosen < share * rows).mean() - share) < 3.5 * error
