"""Pages to look at, and how a test looks at one."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from typing import Any

import pyarrow as pa

from steps.collect.report import RunInfo
from tests.report.synthetic import Synthetic

RUN = RunInfo(
    run="20261124T020304-ab12",
    started="2026-11-24T02:03:04Z",
    ended="2026-11-24T02:09:44Z",
    seconds=400.0,
    cached=60,
    fitted=29,
    source="flights.parquet",
    tables="artifacts/runs/delays/tables",
    version="0.1.0",
)
HOSTILE = (
    "<script>alert(1)</script>",
    'line\nbreak\x00nul"quote',
    "",
    "x" * 300,
    "👩‍👩‍👧 family",
    "\u202eabc\u200f",
    "' onload='alert(1)",
    "{{ 7 * 7 }}",
    "</title></svg></style>",
)
FORBIDDEN_TAGS = {
    "script",
    "link",
    "img",
    "image",
    "iframe",
    "object",
    "embed",
    "form",
    "use",
    "base",
}


def body_of(html: str) -> ET.Element:
    """The body as XML: stricter than HTML about nesting, quoting and control characters."""
    body = re.search(r"<body>.*</body>", html, re.DOTALL)
    assert body
    return ET.fromstring(body[0].replace("&nbsp;", "\u00a0"))


def text_of(element: ET.Element) -> str:
    return re.sub(r"\s+", " ", "".join(element.itertext()))


def section(html: str, ident: str) -> ET.Element:
    found = body_of(html).find(f".//section[@aria-labelledby='{ident}']")
    assert found is not None
    return found


def replaced(data: Synthetic, table: str, **columns: Any) -> Synthetic:
    """``data`` with columns of a table replaced."""
    old = data.tables[table]
    for name, values in columns.items():
        at = old.schema.get_field_index(name)
        old = old.set_column(at, name, pa.array(values, old.schema.field(name).type))
    data.tables[table] = old
    return data


class Tags(HTMLParser):
    """Collects each tag with its attributes, as a browser's tokenizer would."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


CASES = {
    "five": Synthetic(partitions=5, features=5),
    "columns": Synthetic(partitions=60, features=15),
    "strip": Synthetic(partitions=200, features=8),
    "binary": Synthetic(partitions=12, task="binary"),
    "multiclass": Synthetic(partitions=12, task="multiclass"),
    "hostile": Synthetic(partitions=14, names=HOSTILE, feature_names=HOSTILE, features=9),
    "hostile-strip": Synthetic(partitions=140, names=HOSTILE, feature_names=HOSTILE[::-1]),
    "one-partition": Synthetic(partitions=1),
    "two-partitions": Synthetic(partitions=2),
    "one-feature": Synthetic(partitions=8, features=1),
    "no-shap": Synthetic(without=("shap_summary", "shap_by_value")),
    "no-dependence": Synthetic(without=("partial_dependence",)),
    "no-importance": Synthetic(without=("importance",)),
    "no-explanation": Synthetic(
        without=("importance", "partial_dependence", "shap_summary", "shap_by_value")
    ),
    "gain-only": Synthetic(methods=("gain",)),
    "no-partitions": Synthetic(partitions=12, without=("partitions",)),
    "no-experiment": Synthetic(without=("experiment", "features")),
    "no-statistics": Synthetic(
        without=("column_statistics", "column_top_values", "column_histograms", "data_warnings")
    ),
    "many-features": Synthetic(partitions=3, features=70),
}
