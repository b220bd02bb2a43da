"""The page about a dataset before training: partition sizes, columns, warnings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from steps.charts import text
from steps.charts.features import data_section
from steps.charts.svg import coordinate, element, label, picture
from steps.charts.tables import Reader
from steps.collect.report.page import environment

_WIDTH, _LINE, _LEFT, _RIGHT = 560.0, 24.0, 130.0, 60.0


@dataclass(frozen=True)
class ProfileInfo:
    """Facts of the page that are not in the dataset's tables.

    Attributes:
        source: description of the source for people.
        partition_by: the column that names the partition of a row.
        target: the column to predict.
        task: regression, binary or multiclass.
        dataset: digest of the content.
        features: names of the features, in the order of the spec.
        rows: number of rows of the dataset.
        rows_without_target: number of rows that cannot be used.
        partitions: number of partitions.
        sizes: rows with a target of a partition: least, quartiles, most.
        bars: partitions by rows with a target: from, up to and including, how many.
        skipped: partitions that would be skipped, by reason.
        min_rows: rows with a target that a partition must have.
    """

    source: str
    partition_by: str
    target: str
    task: str
    dataset: str
    features: Sequence[str]
    rows: int
    rows_without_target: int
    partitions: int
    sizes: Sequence[int]
    bars: Sequence[tuple[int, int, int]]
    skipped: Mapping[str, int]
    min_rows: int


def build_profile(read: Reader, facts: ProfileInfo) -> str:
    """Return the page as one HTML document; equal input gives equal bytes.

    Args:
        read: returns columns of a table, by its name; of tables of the dataset, the rows about
            all rows.
        facts: facts that are not in the tables.
    """
    size_names = ("least", "lower quartile", "median", "upper quartile", "most")
    content = {
        "facts": facts,
        "skipped_total": sum(facts.skipped.values()),
        "data": data_section(read, facts.features, ()),
        "chart": _bars(facts),
        "sizes": [
            (name, text.count(size)) for name, size in zip(size_names, facts.sizes, strict=True)
        ],
        "warnings_place": "refeed profile --json",
        "statistics_place": "column_statistics.csv",
        "made_pairs": [
            ("source", facts.source),
            ("digest of the data", facts.dataset),
            ("task", facts.task),
        ],
    }
    return environment().get_template("profile.html.j2").render(content)


def _bars(facts: ProfileInfo) -> Markup:
    """Return a bar for each range of sizes; darker ink where all of it is below ``min_rows``."""
    largest = max(count for _, _, count in facts.bars)
    room = _WIDTH - _LEFT - _RIGHT
    marks: list[Markup] = []
    for at, (low, high, count) in enumerate(facts.bars):
        y = at * _LINE
        size = max(room * count / largest, 1.0 if count else 0.0)
        named = text.count(low) if low == high else f"{text.count(low)} to {text.count(high)}"
        kind = "bar few" if high < facts.min_rows else "bar"
        box = {"x": _LEFT, "y": y + 3, "width": size, "height": _LINE - 6}
        marks += [
            label(_LEFT - 8, y + 16, named, "tick end"),
            element("rect", class_=kind, **box),
            label(_LEFT + size + 6, y + 16, text.count(count), "tick"),
        ]
    height = _LINE * len(facts.bars)
    base = element("path", d=f"M{coordinate(_LEFT)} 0V{coordinate(height)}", class_="base")
    return picture(
        "sizes-chart",
        (_WIDTH, height),
        "Partitions by their rows with a target",
        f"From {text.count(facts.sizes[0])} to {text.count(facts.sizes[-1])} rows; half of the "
        f"partitions have at most {text.count(facts.sizes[2])}.",
        *marks,
        base,
    )
