"""What a trainer sees: levels coded by value, rare ones merged, numbers as numbers."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.table.grid import FeatureGrid
from steps.table.hashing import row_hashes
from steps.train.frame import OTHER_LEVELS, Frame, level_codes
from tests.science.truth import grid_of, read, roles_of, table_of


def frame_with(levels: list[Any], max_levels: int = 100) -> Frame:
    """A frame whose one category has these values; the target is the position."""
    rows = len(levels)
    table = table_of(key=["k"] * rows, target=np.arange(float(rows)), x=levels)
    return read(table, roles_of(("x",), categorical=("x",)), max_levels=max_levels)


def coded(frame: Frame) -> list[float]:
    """Codes in the order of the list that the frame was made of."""
    return list(frame.features.values[np.argsort(frame.target), 0])


# --- codes -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (["b", "a", "", "B", "é"], ("", "B", "a", "b", "é")),
        ([10, 9, -1, 100], ("-1", "9", "10", "100")),
        ([2**53 + 1, 2**53, -(2**53) - 1, -(2**53)],) * 1
        + (("-9007199254740993", "-9007199254740992", "9007199254740992", "9007199254740993"),),
        ([1e-7, 0.5, 1e22, -2.0], ("-2.0", "1e-07", "0.5", "1e+22")),
        ([True, False], ("false", "true")),
        ([date(2013, 2, 1), date(2012, 12, 31)], ("2012-12-31", "2013-02-01")),
        (
            [datetime(2013, 1, 1, 0, 0, 0, 500, UTC), datetime(2013, 1, 1, tzinfo=UTC)],
            ("2013-01-01T00:00:00Z", "2013-01-01T00:00:00.000500Z"),
        ),
    ],
)
def test_codes_are_in_order_of_value(values: list[Any], names: tuple[str, ...]) -> None:
    frame = frame_with([*values, None, values[0]])
    codes = frame.codes[0]
    assert codes is not None
    assert codes.names == names
    assert frame.features.levels == (names,)
    actual = coded(frame)
    assert actual[: len(values)] == [float(sorted(values).index(value)) for value in values]
    assert np.isnan(actual[-2])
    assert actual[-1] == actual[0]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(st.characters(codec="utf-8"), max_size=2), min_size=1, max_size=40),
    st.integers(2, 8),
    st.randoms(use_true_random=False),
)
def test_rare_levels_are_merged_whatever_the_order(
    levels: list[str], most: int, random: Any
) -> None:
    counts = Counter(levels)
    actual = level_codes(counts, pa.string(), most)
    shuffled = list(levels)
    random.shuffle(shuffled)
    assert level_codes(Counter(shuffled), pa.string(), most) == actual
    ranked = sorted(counts, key=lambda level: (-counts[level], level))
    kept = ranked if len(ranked) <= most else ranked[: most - 1]
    assert {actual.codes[level] for level in kept} == set(range(len(kept)))
    assert sorted(kept) == list(actual.names[: len(kept)])
    assert {actual.codes[level] for level in ranked[len(kept) :]} <= {len(kept)}
    assert len(actual.names) == min(most, len(counts))
    assert actual.code("never seen") == len(actual.names)


def test_merging_is_by_the_partitions_own_counts() -> None:
    frame = frame_with(["a"] * 5 + ["b"] * 3 + ["c"] * 2 + ["d", "e", None], max_levels=3)
    assert frame.features.levels == (("a", "b", OTHER_LEVELS),)
    actual = coded(frame)
    assert actual[:12] == [0] * 5 + [1] * 3 + [2] * 4
    assert np.isnan(actual[12])


def test_absent_levels_get_an_unused_code() -> None:
    frame = frame_with(["b", "d", "b"])
    grid = FeatureGrid("x", True, ("a", "b", "c", "d"), ())
    assert list(frame.points(0, grid)) == [2, 0, 2, 1]
    assert set(coded(frame)) == {0, 1}
    cells = frame.cells(0, grid)[np.argsort(frame.target)]
    assert list(cells) == [1, 3, 1]


@pytest.mark.parametrize("hostile", ["x", OTHER_LEVELS])
def test_merged_levels_lie_in_no_cell(hostile: str) -> None:
    """Also where a rare level bears the name of the merged ones."""
    frame = frame_with(["a"] * 4 + ["b"] * 3 + ["c", hostile, None], max_levels=3)
    grid = FeatureGrid("x", True, (hostile, "a", "c", "b"), ())
    assert list(frame.points(0, grid)) == [2, 0, 2, 1]  # predicted as one of the merged
    cells = frame.cells(0, grid)[np.argsort(frame.target)]
    assert list(cells) == [1] * 4 + [3] * 3 + [-1] * 3


def test_a_frequent_level_may_bear_the_name_of_the_merged_ones() -> None:
    frame = frame_with([OTHER_LEVELS] * 4 + ["b"] * 3 + ["c", "d"], max_levels=3)
    grid = FeatureGrid("x", True, ("b", OTHER_LEVELS), ())
    cells = frame.cells(0, grid)[np.argsort(frame.target)]
    assert list(cells) == [1] * 4 + [0] * 3 + [-1] * 2


# --- numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "numbers"),
    [
        ([True, False, None], [1, 0, np.nan]),
        ([date(1970, 1, 3), date(1969, 12, 31), None], [2, -1, np.nan]),
        (
            [datetime(1970, 1, 1, 0, 1, 0, 250_000, UTC), None, datetime(1969, 12, 31, tzinfo=UTC)],
            [60.25, np.nan, -86_400],
        ),
        ([3, -4, None], [3, -4, np.nan]),
        ([0.1, float("nan"), -0.0], [0.1, np.nan, 0.0]),
    ],
)
def test_each_type_is_a_number(values: list[Any], numbers: list[float]) -> None:
    table = table_of(key=["k"] * 3, target=[0.0, 1.0, 2.0], x=values)
    frame = read(table, roles_of(("x",)))
    assert frame.codes == (None,)
    np.testing.assert_array_equal(coded(frame), numbers)
    grid = grid_of(table, roles_of(("x",)))["x"]
    known = sorted(number for number in numbers if not np.isnan(number))
    assert list(grid.numbers) == known
    cells = frame.cells(0, grid)[np.argsort(frame.target)]
    assert list(cells) == [-1 if np.isnan(n) else known.index(n) for n in numbers]


# --- rows ------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_frame_depends_on_rows_not_on_their_order(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 25))

    def draw(values: Any) -> list[Any]:
        drawn: list[Any] = data.draw(st.lists(values, min_size=rows, max_size=rows))
        return drawn

    table = table_of(
        key=["k"] * rows,
        target=draw(st.sampled_from([0.0, 1.0, 2.5])),
        x=pa.array(draw(st.sampled_from(["a", "b", "", None])), pa.string()),
        y=pa.array(draw(st.sampled_from([1, 2, None])), pa.int64()),
        w=draw(st.sampled_from([1.0, 2.0])),
        g=draw(st.sampled_from([1, 2, 3])),
    )
    order = data.draw(st.permutations(range(rows)))
    columns = data.draw(st.permutations(table.column_names))
    roles = roles_of(("y", "x"), categorical=("x",), weight="w", group="g", time="g")
    one, other = read(table, roles), read(table.take(order).select(columns), roles)
    np.testing.assert_array_equal(one.features.values, other.features.values)
    assert one.codes == other.codes
    for name in ("target", "weight", "groups", "time", "keys"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_rows_without_target_are_left_out_and_their_levels_too() -> None:
    table = table_of(key=["k"] * 3, target=[1.0, None, 3.0], x=["b", "a", "c"])
    frame = read(table, roles_of(("x",), categorical=("x",)))
    assert len(frame.target) == 2
    assert frame.features.levels == (("b", "c"),)


def test_classes_are_those_of_the_partition_in_their_order() -> None:
    table = table_of(key=["k"] * 4, target=[10, 9, 10, None], x=[1, 2, 3, 4])
    frame = read(table, roles_of(("x",)), classes=("8", "9", "10"))
    assert frame.classes == ("9", "10")
    by_x = dict(zip(frame.features.values[:, 0], frame.target, strict=True))
    assert by_x == {1: 1, 2: 0, 3: 1}


def test_keys_tell_copies_apart_and_leave_single_rows_alone() -> None:
    values = [1, 1, 1, 2, 3, 3]
    table = table_of(key=["k"] * 6, target=[0.0] * 6, x=values)
    frame = read(table, roles_of(("x",)))
    hashes = row_hashes(table.combine_chunks().to_batches()[0])
    assert len(set(frame.keys)) == 6
    assert set(hashes) <= set(frame.keys)
    single = frame.features.values[:, 0] == 2
    np.testing.assert_array_equal(frame.keys[single], hashes[[3]])
