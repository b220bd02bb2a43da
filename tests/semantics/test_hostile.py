"""Hostile partition keys, column names and cells: no collision, no escape, no injection."""

from __future__ import annotations

import csv
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from steps.records import PartitionKey
from steps.results.writer import escape_formula
from tests.workspace import Workspace, small_table
from tests.writers import write_workbook
from workflows.local import run

KEYS = [
    "../../x", "/", ".", "..", "", "two words", "a\nnewline", "a\x00nul", "x" * 300, "🦆 emoji",
    "A", "a", "1", "1.0", "{{workflow.name}}", "{{=1+1}}", "=cmd()", "+1+1", "@SUM(A1)",
    "<script>alert(1)</script>", "a,b\"c'd", "-5", "é", "e\u0301", "\u202ertl", "null", "NA",
]  # fmt: skip
COLUMNS = ["../up", "=1+1", "<blink onload=x>", "a\nb", "{{x}}", "", 'col,umn"quote', '{"json": 1}']
ROWS = 40


def hostile_table() -> pa.Table:
    table = small_table(len(KEYS), rows=ROWS)
    columns = {
        "key": pa.array(np.repeat(KEYS, ROWS).tolist(), pa.string()),
        "target": table["target"],
        "day": table["day"],
    }
    rng = np.random.default_rng(0)
    for i, name in enumerate(COLUMNS):
        if i % 2:
            columns[name] = pa.array(rng.choice(KEYS[:6], table.num_rows).tolist(), pa.string())
        else:
            columns[name] = pa.array(rng.normal(size=table.num_rows).round(2))
    return pa.table(columns)


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen |= {tag, *(name for name, _ in attrs)}


@pytest.mark.parametrize("part_format", ["parquet", "csv"])
def test_hostile_values(part_format: str, lab: Workspace) -> None:
    lab.write_table(hostile_table())
    before = set(lab.folder.rglob("*"))
    result = run(
        lab.write_spec(dataset__features=COLUMNS, dataset__format=part_format, dataset__min_rows=5)
    )
    assert result.outcome.counts == {"trained": len(KEYS), "skipped": 0, "failed": 0}
    inside = lab.folder / "runs" / "lab"
    for path in set(lab.folder.rglob("*")) - before:
        assert path in {inside.parent, inside, lab.folder / "spec.yaml"} or inside in path.parents
    assert not list(lab.folder.parent.glob("x")) + list(Path("/").glob("x"))
    found = lab.read(result.layout.base, "partitions")
    assert sorted(found["partition"].to_pylist()) == sorted(KEYS)
    assert len(set(found["partition_id"].to_pylist())) == len(KEYS)
    assert set(lab.read(result.layout.base, "features")["feature"].to_pylist()) == set(COLUMNS)
    levels = set(lab.read(result.layout.base, "partial_dependence")["grid_value"].to_pylist())
    assert set(KEYS[:6]) <= levels
    tags = Tags()
    tags.feed(Path(result.layout.report).read_text(encoding="utf-8", errors="surrogatepass"))
    assert not {"script", "blink"} & tags.seen
    assert not [name for name in tags.seen if name.startswith("on")]


def pairs_table() -> pa.Table:
    """A table with two hostile keys, whose texts also look alike when joined by `` / ``."""
    pairs = [*zip(KEYS, KEYS[::-1], strict=True), ("a / b", "c"), ("a", "b / c")]
    table = small_table(len(pairs), rows=ROWS)
    for name, texts in zip(("=key", "<b>"), zip(*pairs, strict=True), strict=True):
        table = table.append_column(name, pa.array(np.repeat(texts, ROWS).tolist(), pa.string()))
    return table.drop_columns("key")


def test_two_hostile_keys(lab: Workspace) -> None:
    table = pairs_table()
    lab.write_table(table)
    before = set(lab.folder.rglob("*"))
    result = run(lab.write_spec(dataset__partition_by=["=key", "<b>"], dataset__min_rows=5))
    count = len(table) // ROWS
    assert result.outcome.counts == {"trained": count, "skipped": 0, "failed": 0}
    inside = lab.folder / "runs" / "lab"
    for path in set(lab.folder.rglob("*")) - before:
        assert path in {inside.parent, inside, lab.folder / "spec.yaml"} or inside in path.parents
    found = lab.read(result.layout.base, "partitions")
    keys = set(zip(table["=key"].to_pylist(), table["<b>"].to_pylist(), strict=True))
    shown = zip(found["key_=key"].to_pylist(), found["key_<b>"].to_pylist(), strict=True)
    assert set(shown) == keys
    assert len(set(found["partition"].to_pylist())) == len(keys) == count
    content = Path(result.layout.table("partitions", "csv")).read_text(encoding="utf-8")
    cells = [cell for row in csv.reader(io.StringIO(content, newline="")) for cell in row]
    assert not [cell for cell in cells if cell[:1] in "=+@" and cell]
    tags = Tags()
    tags.feed(Path(result.layout.report).read_text(encoding="utf-8", errors="surrogatepass"))
    assert not {"script", "blink"} & tags.seen


def test_hostile_names_of_folders(lab: Workspace) -> None:
    """A folder's name is a value, decoded once: no path, no pattern, no second decoding."""
    values = ["../../x", "/", "..", "a*b", "[a]", "%2e%2e", "=1+1", "<script>", "a=b", "{{x}}"]
    table = small_table(len(values), rows=ROWS).drop_columns("key")
    for number, value in enumerate(values):
        folder = lab.folder / "hive" / f"key={quote(value, safe='*[]={} ')}"
        folder.mkdir(parents=True)
        pq.write_table(table.slice(number * ROWS, ROWS), folder / "0.parquet")
    result = run(lab.write_spec(dataset__source="hive", dataset__min_rows=5))
    found = lab.read(result.layout.base, "partitions")
    assert sorted(found["partition"].to_pylist()) == sorted(values)
    assert set(found["status"].to_pylist()) == {"trained"}


def test_hostile_cells_of_a_workbook(lab: Workspace) -> None:
    """Texts that begin a formula are texts, control characters and links of a sheet do nothing."""
    texts = [key for key in KEYS if key.isprintable() and key]
    table = small_table(len(texts), rows=ROWS)
    keys = pa.array(np.repeat(texts, ROWS).tolist(), pa.string())
    table = table.set_column(0, "key", keys).rename_columns({"level": "=HYPERLINK(A1)"})
    write_workbook(table, lab.folder / "table.xlsx")
    spec = lab.write_spec(
        dataset__source="table.xlsx",
        dataset__features=["number", "=HYPERLINK(A1)"],
        dataset__null_values=[],
        dataset__min_rows=5,
    )
    found = lab.read(run(spec).layout.base, "partitions")
    assert sorted(found["partition"].to_pylist()) == sorted(texts)


def test_csv_tables_are_rfc_4180_and_harmless(lab: Workspace) -> None:
    lab.write_table(hostile_table())
    result = run(lab.write_spec(dataset__features=COLUMNS[:3], dataset__min_rows=5))
    content = Path(result.layout.table("partitions", "csv")).read_bytes()
    assert content.decode("utf-8").startswith('"partition_id","partition","status"')
    rows = list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))
    assert len(rows) == 1 + len(KEYS)
    assert {len(row) for row in rows} == {len(rows[0])}
    assert content.count(b"\r\n") == 1 + len(KEYS)
    shown = {row[1] for row in rows[1:]}
    assert {"'=cmd()", "'+1+1", "'@SUM(A1)", "-5", "a\u2400nul"} <= shown
    assert not any(cell[:1] in "=+@\t\r" for cell in shown if cell)


@given(st.text() | st.text("+-=@ 12.,'e%$"))
@example("-")
def test_a_harmless_cell_begins_no_formula_and_can_be_undone(text: str) -> None:
    cell = escape_formula(text)
    stripped = cell.lstrip()
    # One sign, then digits and their separators: no name, no reference and no second operand.
    number = re.fullmatch(r"[+-]?[\s\d.,'$€£¥%]*|[+-]?[\d.]+[eE][+-]?\d+", stripped)
    assert not stripped.startswith(("=", "@")) or cell.startswith("'")
    assert not stripped.startswith(("+", "-")) or number or cell.startswith("'")
    undone = cell.removeprefix("'")
    assert undone == text.replace("\x00", "\u2400")


@given(st.lists(st.tuples(st.sampled_from(["string", "int64", "null"]), st.text()), unique=True))
def test_ids_are_unique_and_safe(parts: list[tuple[str, str]]) -> None:
    ids = [PartitionKey(*part).partition_id for part in parts]
    assert len(set(ids)) == len(ids)
    assert all(one.isascii() and one.isalnum() and len(one) == 21 for one in ids)
