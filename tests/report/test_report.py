"""The report: safe, whole, the same each time, and right about what the tables say."""

from __future__ import annotations

import json
import re
import time
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest

from steps.collect.report import RunInfo, build_report
from tests.report.pages import (
    CASES,
    FORBIDDEN_TAGS,
    RUN,
    Tags,
    body_of,
    replaced,
    section,
    text_of,
)
from tests.report.synthetic import Synthetic


@pytest.fixture(scope="module", params=CASES, name="html")
def _html(request: pytest.FixtureRequest) -> str:
    return build_report(CASES[request.param].read, RUN)


def test_page_is_well_formed_and_self_contained(html: str) -> None:
    parser = Tags()
    parser.feed(html)
    for tag, attributes in parser.seen:
        assert tag not in FORBIDDEN_TAGS
        assert not [name for name in attributes if name.startswith("on")]
        assert not {"src", "srcset", "xlink:href", "action"} & attributes.keys()
        assert (attributes.get("href") or "#").startswith("#")
        assert "url(" not in (attributes.get("style") or "")
    style = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert len(style) == 1
    assert not re.search(r"url\(|@import|data:|https?:", style[0])
    assert {tag for tag, _ in parser.seen} >= {"meta", "main", "h1", "h2"}


def test_body_is_xml_with_unique_ids_and_live_links(html: str) -> None:
    body = body_of(html)
    ids = [each.attrib["id"] for each in body.iter() if "id" in each.attrib]
    assert len(ids) == len(set(ids))
    links = [each.attrib["href"].removeprefix("#") for each in body.iter("a")]
    assert len(links) == 8
    assert set(links) <= set(ids)


def test_headings_skip_no_level(html: str) -> None:
    levels = [int(each.tag[1]) for each in body_of(html).iter() if re.fullmatch("h[1-6]", each.tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_each_chart_has_a_text_alternative(html: str) -> None:
    body = body_of(html)
    parents = {child: parent for parent in body.iter() for child in parent}
    for chart in body.iter("svg"):
        if parents[chart].tag in {"svg", "g"} or chart.get("aria-hidden"):
            continue
        assert chart.get("role") == "img"
        named = [chart.find("title"), chart.find("desc")]
        assert [each.get("id") for each in named if each is not None] == chart.attrib[
            "aria-labelledby"
        ].split()
        assert all(each is not None and each.text for each in named)


def test_no_number_in_a_chart_is_undefined(html: str) -> None:
    geometry = {"d", "x", "y", "cx", "cy", "r", "width", "height", "viewBox", "transform"}
    values = [
        value
        for chart in body_of(html).iter("svg")
        for each in chart.iter()
        for name, value in each.attrib.items()
        if name in geometry
    ]
    assert not [value for value in values if re.search("nan|inf|e[-+]", value)]
    assert "nan" not in re.findall(r"[a-z]+", text_of(body_of(html)).lower())


def test_no_hidden_character_survives(html: str) -> None:
    assert not re.search(
        "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", html
    )


def test_equal_input_gives_equal_bytes() -> None:
    first, second = (build_report(Synthetic(partitions=40).read, RUN) for _ in range(2))
    assert first == second
    assert first != build_report(Synthetic(partitions=40, seed=1).read, RUN)


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_size_at_a_thousand_partitions(task: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = Synthetic(partitions=1000, features=30, task=task, piece_rows=50_000)
    began = time.perf_counter()
    html = build_report(data.read, RUN)
    seconds = time.perf_counter() - began
    size = len(html.encode())
    with capsys.disabled():
        print(f" [{task}: {size / 1e6:.2f} MB in {seconds:.1f} s]", end="")  # noqa: T201
    assert size < 5_000_000


def test_hostile_names_are_shown_as_they_are() -> None:
    html = build_report(CASES["hostile"].read, RUN)
    rows = {text_of(row) for row in section(html, "all").iter("bdi")}
    assert "<script>alert(1)</script>" in rows
    assert 'line␊break␀nul"quote' in rows
    assert "(empty)" in rows
    assert "👩‍👩‍👧 family" in rows
    assert "⟨U+202E⟩abc⟨U+200F⟩" in rows
    assert "{{ 7 * 7 }}" in rows


def test_a_long_name_is_elided_and_whole_in_a_title() -> None:
    html = build_report(CASES["hostile"].read, RUN)
    labels = [each for each in section(html, "skill").iter("text") if "xx…xx" in text_of(each)]
    assert labels
    assert "x" * 300 in [each.text for label in labels for each in label.iter("title")]
    shown = "".join(child.tail or "" for child in labels[0])
    assert len(shown) <= 20


def test_headline_counts() -> None:
    data = Synthetic(partitions=12)  # eleven are trained, the last but one is skipped
    skill = [0.5, 0.4, 0.3, 0.2, 0.1, 0.05, -0.1, -0.2, 0.6, None, None, 0.0]
    low = [0.4, 0.3, 0.2, -0.1, -0.1, -0.2, -0.3, -0.4, 0.1, None, None, -0.5]
    high = [0.6, 0.5, 0.4, 0.5, 0.3, 0.3, 0.1, -0.1, 1.1, None, None, 0.5]
    html = build_report(
        replaced(data, "partitions", skill=skill, skill_low=low, skill_high=high).read, RUN
    )
    header = text_of(body_of(html).findall(".//header")[0])
    # Ten have a skill, seven of them above 0, four with the whole interval; median of 0.1, 0.2.
    assert "In 7 of 10 partitions the model beats a constant prediction (4 clearly)" in header
    assert "median skill 0.15" in header
    # P008 has the largest skill, but P000 the highest lower bound.
    assert (
        "Best is P000 (skill at least 0.40), worst is P007 (at most \N{MINUS SIGN}0.10)" in header
    )
    assert "1 trained partition without a defined skill" in text_of(section(html, "skill"))


def test_headline_names_the_most_important_feature() -> None:
    data = Synthetic(partitions=3, features=3, methods=("permutation",))
    values = [0.1, 0.3, 0.2, 0.1, 0.3, 0.4, 0.2, 0.3, 0.1]
    html = build_report(replaced(data, "importance", value=values).read, RUN)
    header = text_of(body_of(html).findall(".//header")[0])
    expected = "feature_01 (by permutation importance); it ranks first in 2 of 3 partitions"
    assert expected in header


@pytest.mark.parametrize(
    ("methods", "words"),
    [(("gain", "mean_abs_shap"), "mean |SHAP|"), (("gain",), "share of gain")],
)
def test_says_so_without_permutation_importance(methods: tuple[str, ...], words: str) -> None:
    html = build_report(Synthetic(methods=methods).read, RUN)
    shown = text_of(section(html, "importance"))
    assert f"There is no permutation importance in this run; shown is {words}" in shown


def test_permutation_importance_needs_no_apology() -> None:
    shown = text_of(section(build_report(Synthetic().read, RUN), "importance"))
    assert "There is no permutation importance" not in shown
    assert "both are inflated by noise in small partitions" in shown


def test_no_model_at_all() -> None:
    data = Synthetic(partitions=12)
    skipped, nothing = ["skipped"] * 12, [None] * 12
    columns = dict.fromkeys(["skill", "skill_low", "skill_high", "rank", "value"], nothing)
    data = replaced(data, "partitions", status=skipped, reason=["one_class"] * 12, **columns)
    html = build_report(data.read, RUN)
    shown = text_of(body_of(html))
    assert "No model was trained: none of 12 partitions could be used." in shown
    assert "skipped: one_class12" in text_of(section(html, "without"))
    assert "No partition was trained." in text_of(section(html, "all"))


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("partitions", "skill"),
        ("partitions", "skill_low"),
        ("partitions", "rows"),
        ("importance", "value"),
        ("partial_dependence", "centred"),
        ("partial_dependence", "centred_fold_sd"),
        ("partial_dependence", "support"),
        ("partial_dependence", "grid_value"),
        ("shap_summary", "mean_abs"),
        ("shap_by_value", "mean"),
    ],
)
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_a_column_may_be_empty(table: str, column: str, share: float) -> None:
    data = Synthetic(partitions=30, features=5)
    values = data.tables[table][column].to_pylist()
    gone = np.random.default_rng(0).random(len(values)) < share
    holes = [None if hole else value for value, hole in zip(values, gone, strict=True)]
    html = build_report(replaced(data, table, **{column: holes}).read, RUN)
    test_no_number_in_a_chart_is_undefined(html)


def test_undefined_skill_everywhere() -> None:
    nothing = [None] * 12
    data = replaced(Synthetic(), "partitions", skill=nothing, skill_low=nothing, skill_high=nothing)
    html = build_report(data.read, RUN)
    assert "skill is not defined for any of them" in text_of(body_of(html))
    assert "There is no skill to show." in text_of(section(html, "skill"))


def test_all_importance_zero() -> None:
    data = Synthetic(partitions=10)
    zeros = np.zeros(len(data.tables["importance"]))
    body = body_of(build_report(replaced(data, "importance", value=zeros).read, RUN))
    cells = body.find(".//g[@class='cells']")
    assert cells is not None
    assert [each.get("class") for each in cells] == ["h0"]


def _panel(html: str, feature: str) -> ET.Element:
    for panel in section(html, "dependence").findall("./div/div"):
        if text_of(panel[0]).strip().startswith(feature):
            return panel
    raise AssertionError(feature)


def test_each_feature_has_a_line_with_its_values() -> None:
    shown = section(build_report(Synthetic().read, RUN), "data")
    rows = {text_of(row[0]): row for row in shown.iterfind(".//tbody/tr")}
    assert list(rows) == [f"feature_{at:02d}" for at in range(6)]
    number, day, level, gone = (rows[f"feature_0{at}"] for at in (0, 1, 3, 5))
    assert [text_of(cell) for cell in number[1:3]] == ["float64", "< 0.1 %"]
    assert text_of(number[4]) == "0.000100 ± 0.00100"
    assert len(list(number.iter("rect"))) == 8  # of ten buckets, two are empty
    assert text_of(day[4]) == "1970-01-01"
    assert text_of(level[4]) == "AA 40.0 %, B6 20.0 %"
    assert len(list(level.iter("rect"))) == 5
    assert text_of(gone[2]) == "100 %"
    assert not list(gone.iter("svg"))
    assert [rows[name].get("class") for name in ("feature_00", "feature_01")] == ["worse", None]


def test_warnings_of_the_data_come_first_and_are_counted_in_the_head() -> None:
    html = build_report(CASES["hostile"].read, RUN)
    assert "Data (3 warnings)" in text_of(body_of(html).findall(".//nav")[0])
    items = [text_of(item) for item in section(html, "data").iter("li")]
    assert items[0] == "leakage '<script>alert(1)</script>' is not as it should be."
    shown = text_of(section(html, "data"))
    assert "⟨U+202E⟩level" in shown
    assert "<script>alert(2)</script>: 40.0 %" in shown


def test_of_many_features_those_that_matter_are_shown() -> None:
    shown = section(build_report(CASES["many-features"].read, RUN), "data")
    names = [text_of(row[0]) for row in shown.iterfind(".//tbody/tr")]
    assert len(names) == 60
    assert names[:3] == ["feature_00", "feature_69", "feature_01"]
    assert "10 features more, and all partitions, in column_statistics.csv" in text_of(shown)


def test_without_statistics_the_section_says_so() -> None:
    shown = text_of(section(build_report(CASES["no-statistics"].read, RUN), "data"))
    assert "There are no statistics of the data." in shown


def test_the_unusual_partition_is_named_in_its_panel() -> None:
    html = build_report(Synthetic(partitions=30).read, RUN)
    panel = _panel(html, "feature_00")
    assert re.search(r"furthest P002 \(|namely P002 \(", text_of(panel))
    assert "P002" in [each.text for each in panel.iter("text")]
    assert panel.findall(".//path[@class='n0 named']")


def test_few_partitions_have_no_unusual_one() -> None:
    panel = _panel(build_report(Synthetic(partitions=4).read, RUN), "feature_00")
    assert "unusual" not in text_of(panel)


def test_extrapolated_values_are_not_drawn() -> None:
    data = Synthetic(partitions=20)
    before = build_report(data.read, RUN)
    table = data.tables["partial_dependence"]
    beyond = np.array(table["extrapolated"].to_pylist())
    centred = np.array(table["centred"].to_pylist())
    assert 0 < beyond.sum() < len(beyond)
    data = replaced(data, "partial_dependence", centred=np.where(beyond, 1e6, centred))
    assert build_report(data.read, RUN) == before
    data = replaced(data, "partial_dependence", centred=np.where(beyond, centred, centred * 2))
    assert build_report(data.read, RUN) != before


def test_six_features_by_median_importance() -> None:
    data = Synthetic(partitions=10, features=9, methods=("permutation",))
    values = [float(index % 9) for index in range(len(data.tables["importance"]))]
    html = build_report(replaced(data, "importance", value=values).read, RUN)
    titles = [text_of(each) for each in section(html, "dependence").iter("h3")]
    assert titles == [f"feature_{index:02d}" for index in (8, 7, 6, 5, 4, 3)]


def test_binary_shows_the_positive_class_only() -> None:
    html = build_report(CASES["binary"].read, RUN)
    titles = [text_of(each) for each in section(html, "dependence").iter("h3")]
    assert len(titles) == 6
    assert all(title.endswith("class yes") for title in titles)
    assert [text_of(each) for each in section(html, "shap").findall(".//figure/h3")] == [
        "Class yes"
    ]


def test_multiclass_shows_the_three_most_frequent_classes() -> None:
    html = build_report(CASES["multiclass"].read, RUN)  # class a is predicted least
    titles = [text_of(each) for each in section(html, "dependence").iter("h3")]
    assert [title[-1] for title in titles[:3]] == ["d", "c", "b"]
    assert "raw margin" in text_of(section(html, "shap"))


def test_tables_end_in_a_pointer() -> None:
    data = Synthetic(partitions=800)
    html = build_report(data.read, RUN)
    count = data.status.count
    assert len(section(html, "all").findall(".//tbody/tr")) == 200
    assert f"The first 200 of {count('trained')}" in text_of(section(html, "all"))
    assert len(section(html, "without").findall(".//tbody/tr")) == 50 + count("failed")
    assert f"And {count('skipped') - 50} more" in text_of(section(html, "without"))


def test_table_is_sorted_by_rank() -> None:
    rows = section(build_report(Synthetic(partitions=50).read, RUN), "all").findall(".//tbody/tr")
    ranks = [int(row[0].text or "") for row in rows]
    assert ranks == list(range(1, len(ranks) + 1))


def test_how_it_was_made() -> None:
    shown = text_of(section(build_report(Synthetic().read, RUN), "made"))
    for word in ("a1b2" * 8, "5f0c" * 8, RUN.run, RUN.source, "6 min 40 s", "4.6.0", "num_leaves"):
        assert word in shown
    assert "29 fitted, 60 from the cache" in shown
    assert "partial_dependence.grid" in shown


def test_only_declared_columns_are_read() -> None:
    data, asked = Synthetic(partitions=6), []

    def read(name: str, columns: list[str]) -> pa.Table:
        asked.append(name)
        return data.read(name, columns)

    build_report(read, RUN)
    assert "metrics" not in asked
    assert asked.count("partial_dependence") == 1


def test_every_text_of_the_tables_and_the_run_is_escaped() -> None:
    bad = '</p><script>alert("\u202e\x00")</script>'
    data = Synthetic(partitions=40)
    data = replaced(data, "partitions", message=[bad] * 40, reason=[bad] * 40, metric=[bad] * 40)
    texts = ("project", "experiment", "spec_hash", "dataset", "partition_by", "target", "trainer")
    data = replaced(data, "experiment", **{name: [bad] for name in (*texts, "task", "versions")})
    data = replaced(data, "experiment", trainer_params=[json.dumps({bad: bad})])
    data = replaced(
        data, "partial_dependence", scale=[bad] * len(data.tables["partial_dependence"])
    )
    data = replaced(data, "shap_summary", scale=[bad] * len(data.tables["shap_summary"]))
    html = build_report(data.read, RunInfo(bad, bad, bad, 1.0, 0, 0, bad, bad, bad))
    test_page_is_well_formed_and_self_contained(html)
    test_no_hidden_character_survives(html)
    shown = '</p><script>alert("⟨U+202E⟩␀")</script>'
    assert text_of(body_of(html)).count(shown) >= 20


def test_a_named_curve_may_end_before_the_grid_does() -> None:
    data = Synthetic(partitions=30)
    table = data.tables["partial_dependence"]
    cells, names = table["grid_index"].to_pylist(), table["partition"].to_pylist()
    cut = [name == "P002" and cell > 15 for name, cell in zip(names, cells, strict=True)]
    support = np.where(cut, 0, table["support"].to_pylist())
    html = build_report(replaced(data, "partial_dependence", support=support).read, RUN)
    assert "P002" in [each.text for each in _panel(html, "feature_00").iter("text")]
    test_no_number_in_a_chart_is_undefined(html)
