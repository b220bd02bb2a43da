"""The parts of the report's charts, each on its own."""

from __future__ import annotations

import re

import numpy as np
import pytest

from steps.charts import svg, text
from steps.charts.heatmap import (
    MOST_CLUSTERED,
    MOST_OPTIMAL,
    clustered_order,
    colour_cells,
    colour_edges,
    colour_path,
)
from steps.charts.panel import Panel, line_panel

MINUS = text.MINUS


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("", "(empty)"),
        ("a\x00b\x7f", "a␀b␡"),
        (" a b ", "␣a b␣"),
        ("\u202eabc", "⟨U+202E⟩abc"),
        ("JFK\u200d", "JFK⟨U+200D⟩"),  # would look just like JFK
        ("👩‍👩‍👧", "👩‍👩‍👧"),  # here the joiner is spelling
        ("\u2028", "⟨U+2028⟩"),
        ("שלום", "שלום"),
    ],
)
def test_visible(raw: str, shown: str) -> None:
    assert text.visible(raw) == shown


@pytest.mark.parametrize("columns", [3, 8, 9, 40])
@pytest.mark.parametrize("raw", ["x" * 300, "日本" * 30, "a b" * 20])
def test_elide_keeps_both_ends_and_the_width(raw: str, columns: int) -> None:
    shown = text.elide(raw, columns)
    assert text.width(shown) <= columns
    assert "…" in shown
    assert shown[-1] == raw[-1] or columns == 3


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.123456, "0.123"),
        (-1234.5, f"{MINUS}1,234"),
        (0.0, "0"),
        (-0.0, "0"),
        (1.5e-7, f"1.50e{MINUS}7"),
        (None, text.NONE),
        (float("nan"), text.NONE),
    ],
)
def test_number(value: float | None, shown: str) -> None:
    assert text.number(value) == shown


def test_fixed_has_no_negative_zero() -> None:
    assert text.fixed(-0.0001) == "0.000"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (2013, "2013"),
        (1230.4, "1230"),
        (50000, "50,000"),
        (0.5, "0.5"),
        (3.0, "3"),
        (-7, f"{MINUS}7"),
    ],
)
def test_plain(value: float, shown: str) -> None:
    assert text.plain(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(9.5, "9.5 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")]
)
def test_duration(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0, 1, [0, 0.5, 1]),
        (-0.3, 0.9, [0, 0.5]),
        (0, 100, [0, 50, 100]),
        (3e-7, 9e-7, [4e-7, 6e-7, 8e-7]),
    ],
)
def test_nice_ticks(low: float, high: float, ticks: list[float]) -> None:
    assert svg.nice_ticks(low, high, 4) == pytest.approx(ticks)


@pytest.mark.parametrize("seed", range(50))
def test_ticks_are_few_within_and_written_apart(seed: int) -> None:
    rng = np.random.default_rng(seed)
    low = float(rng.normal() * 10 ** rng.uniform(-6, 6))
    high = low + float(10 ** rng.uniform(-6, 6)) + abs(low) * 1e-3
    ticks = svg.nice_ticks(low, high)
    assert 1 <= len(ticks) <= 5
    assert all(low - 1e-9 * abs(low) <= tick <= high + 1e-9 * abs(high) for tick in ticks)


def test_line_breaks_where_a_point_is_missing() -> None:
    points = [(0.0, 0.0), (10.0, 5.0), None, (20.0, 1.0), None]
    assert svg.line_path(points) == "M0 0h0l10 5M20 1h0"


def _panel(labels: list[str], numbers: list[float], line: list[float]) -> str:
    curve = np.array(line)
    return line_panel(Panel("p", "title", labels, np.array(numbers), np.array([line, line]), curve))


@pytest.mark.parametrize(
    ("labels", "numbers", "line", "dashes", "joined"),
    [
        (["1", "2", "(missing)"], [1, 2, np.nan], [0.5, 1, 3], 1, 1),
        (["1", "(missing)"], [1, np.nan], [0.5, 3], 2, 0),
        (["1", "2", "3", "(missing)"], [1, 2, 3, np.nan], [0.5, np.nan, 1, np.nan], 2, 0),
        (["1", "2", "3"], [1, 2, 3], [0.5, 0.7, 1], 0, 2),
    ],
)
def test_a_cell_without_a_neighbour_is_a_dash(
    labels: list[str], numbers: list[float], line: list[float], dashes: int, joined: int
) -> None:
    """And no line joins the largest value to the cell for missing values."""
    drawn = _panel(labels, numbers, line)
    (middle,) = re.findall(r'<path d="([^"]*)" class="middle"', drawn)
    assert len(re.findall(r"M[\d. -]+h[1-9]", middle)) == dashes
    assert middle.count("l") == joined


def test_the_label_of_missing_values_is_within_the_panel() -> None:
    drawn = _panel(["1", "2", "(missing)"], [1, 2, np.nan], [0.5, 1, 3])
    (x,) = re.findall(r'<text x="([\d.]+)"[^>]*>\(missing\)', drawn)
    assert float(x) + text.width("(missing)") * 7 / 2 <= 400


def test_rounding_does_not_add_up() -> None:
    path = svg.line_path([(index * 0.04, 0.0) for index in range(101)])
    steps = [float(step) for step in path.removeprefix("M0 0").split("h")[1:]]
    assert sum(steps) == pytest.approx(4.0)


def test_spread_keeps_order_distance_and_bounds() -> None:
    moved = svg.spread([50.0, 51.0, 49.0, 99.0], 10, 0, 100)
    assert sorted(range(4), key=lambda index: moved[index]) == [2, 0, 1, 3]
    assert np.diff(sorted(moved)).min() >= 10
    assert min(moved) >= 0
    assert max(moved) <= 100


def test_element_escapes_text_and_attributes() -> None:
    made = svg.element("text", "<b>\x00", class_='"x"', stroke_width=1.25)
    assert made == '<text class="&#34;x&#34;" stroke-width="1.2">&lt;b&gt;␀</text>'


def test_colours_of_a_heat_map() -> None:
    values = np.array([[np.nan, -1.0, 0.0, 1e-9, 64.0]])
    edges = colour_edges(np.array([[64.0]]))
    assert edges[1] == 1.0  # (1 / 8)^2 of the top
    assert colour_cells(values, edges).tolist() == [[-1, 0, 0, 1, 8]]


def test_one_path_for_each_colour_merges_neighbours() -> None:
    cells = np.array([[1, 1, 0], [0, 1, 1]])
    assert colour_path(cells, 1) == "M0 0h2v1H0zM1 1h2v1H1z"
    assert colour_path(cells, 5) == ""


def test_like_stands_beside_like() -> None:
    rng = np.random.default_rng(0)
    group = np.arange(40) % 2
    order = clustered_order(np.c_[group, 1 - group] * 5 + rng.normal(0, 0.1, (40, 2)))
    assert int(np.abs(np.diff(group[order])).sum()) == 1


@pytest.mark.parametrize("rows", [0, 1, 2, 3, MOST_OPTIMAL + 1, MOST_CLUSTERED + 1])
@pytest.mark.parametrize("value", [0.0, 1.0, np.nan])
def test_order_is_a_permutation(rows: int, value: float) -> None:
    matrix = np.full((rows, 2), value)
    matrix[: rows // 2] = 0.5
    assert sorted(clustered_order(matrix)) == list(range(rows))
