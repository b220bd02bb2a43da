"""The distance to the consensus, against computations by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from steps.charts.curves import (
    Floats,
    common_cells,
    consensus,
    distances,
    spread_floor,
    usable_cells,
)

# Four partitions, three cells. Partition 3 has no rows in cell 2; partition 0 rises against all.
CENTRED = np.array(
    [[-4.0, 0.0, 4.0], [1.0, 0.0, -1.0], [1.0, 0.0, -1.0], [2.0, -2.0, 0.0]], dtype=np.float64
)
SUPPORT = np.array([[10.0, 20.0, 10.0], [10.0, 10.0, 10.0], [10.0, 10.0, 10.0], [30.0, 10.0, 0.0]])
FOLD_SD = np.array([[0.0, 2.0, 0.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 9.0]])
NOWHERE = np.zeros((4, 3), dtype=bool)


def _usable(support: Floats = SUPPORT) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    return np.asarray(usable_cells(CENTRED, support, NOWHERE)).reshape(4, 3)


def test_usable_needs_rows_range_and_value() -> None:
    centred = np.array([[1.0, 1.0, 1.0, np.nan]])
    support = np.array([[1.0, 0.0, 1.0, 1.0]])
    extrapolated = np.array([[False, False, True, False]])
    assert usable_cells(centred, support, extrapolated).tolist() == [[True, False, False, False]]


def test_consensus_is_the_median_over_those_with_rows() -> None:
    # Cell 0: median of -4, 1, 1, 2. Cell 1: of 0, 0, 0, -2. Cell 2: of 4, -1, -1, as the fourth
    # has no rows there.
    assert consensus(CENTRED, _usable()).tolist() == [1.0, 0.0, -1.0]


def test_consensus_is_empty_where_nobody_has_rows() -> None:
    support = SUPPORT * np.array([1.0, 1.0, 0.0])
    assert math.isnan(consensus(CENTRED, _usable(support))[2])


def test_floor_is_the_median_of_readable_cells() -> None:
    # 0, 2, 0, six times 1, and 1, 1 of the fourth; its 9 is not readable. Median of 11 values: 1.
    assert spread_floor(FOLD_SD, _usable()) == 1.0


def test_floor_of_a_feature_that_most_models_ignore() -> None:
    fold_sd = np.zeros((4, 3))
    fold_sd[0] = [0.0, 3.0, 5.0]
    assert spread_floor(fold_sd, _usable()) == 4.0


def test_distance_by_hand() -> None:
    # Partition 0: weights 1/4, 1/2, 1/4; gaps -5, 0, 5, of weighted mean 0.
    # Spread: sqrt(0 + 1), sqrt(4 + 1), sqrt(0 + 1). Distance: sqrt(25/4 + 0 + 25/4).
    # Partition 3: cells 0 and 1, weights 3/4, 1/4; gaps 1, -2, of weighted mean 1/4: so 3/4, -9/4.
    # Spread sqrt(2). Distance: sqrt((3/4 * 9/16 + 1/4 * 81/16) / 2).
    expected = [math.sqrt(12.5), 0.0, 0.0, math.sqrt((27 / 64 + 81 / 64) / 2)]
    assert distances(CENTRED, FOLD_SD, SUPPORT, _usable()) == pytest.approx(expected)


def test_distance_ignores_a_constant_offset() -> None:
    moved = CENTRED + np.array([[0.0], [0.0], [0.0], [100.0]])
    # The consensus would move with it, were it not for the majority in each cell.
    moved[:3] = CENTRED[1]
    still = np.vstack([CENTRED[1]] * 3 + [CENTRED[3]])
    before = distances(still, FOLD_SD, SUPPORT, _usable())[3]
    assert before > 0
    assert distances(moved, FOLD_SD, SUPPORT, _usable())[3] == pytest.approx(before)


def test_what_happens_without_rows_does_not_count() -> None:
    wild = CENTRED.copy()
    wild[3, 2] = 1e6
    calm = distances(CENTRED, FOLD_SD, SUPPORT, _usable())
    assert distances(wild, FOLD_SD, SUPPORT, _usable()) == pytest.approx(calm)


def test_a_tiny_fold_sd_makes_no_discovery() -> None:
    fold_sd = np.ones((4, 3))
    fold_sd[0] = 1e-9
    assert distances(CENTRED, fold_sd, SUPPORT, _usable())[0] < 5.0


def test_a_cell_is_common_with_half_of_the_others() -> None:
    usable = np.array(
        [[True, True, True], [True, True, False], [True, False, False], [False, False, True]]
    )
    # Three others each, so two are needed. Cell 1 is shared by one other only, and so is cell 2.
    expected = [[True, False, False], [True, False, False], [True, False, False], [False] * 3]
    assert common_cells(usable).tolist() == expected


def test_a_partition_without_a_curve_is_no_other() -> None:
    usable = np.array([[True, True], [True, True], [False, False], [False, False], [False, False]])
    assert common_cells(usable)[:2].all()


def test_not_judged_on_a_minority_of_its_rows() -> None:
    support = SUPPORT.copy()
    support[3] = [10.0, 10.0, 0.0]
    assert np.isfinite(distances(CENTRED, FOLD_SD, support, _usable(support))[3])
    hidden = _usable(support)
    support[3, 2] = 30.0  # rows in a cell that may not be read
    assert np.isnan(distances(CENTRED, FOLD_SD, support, hidden)[3])


def test_not_judged_on_one_cell() -> None:
    support = SUPPORT.copy()
    support[3] = [30.0, 0.0, 0.0]
    assert np.isnan(distances(CENTRED, FOLD_SD, support, _usable(support))[3])


@pytest.mark.parametrize("fold_sd", [np.zeros((4, 3)), np.full((4, 3), np.nan)])
def test_not_judged_without_any_spread(fold_sd: Floats) -> None:
    assert np.isnan(distances(CENTRED, fold_sd, SUPPORT, _usable())).all()


def test_alone_there_is_nothing_to_compare_with() -> None:
    one = distances(CENTRED[:1], FOLD_SD[:1], SUPPORT[:1], _usable()[:1])
    assert np.isnan(one).all()
