"""Shapes of a source: dialects of CSV, compression, patterns, folders, Arrow, Excel."""

from __future__ import annotations

import gzip
import importlib
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.command import refeed
from tests.field.conftest import Case
from tests.field.direct import codes, direct_skill

DATASET = {"partition_by": "part", "target": "y", "min_rows": 50}


def table_of(rows: int = 300, seed: int = 0) -> pd.DataFrame:
    """Return a table with text, fractions and whole numbers."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows).round(3)
    return pd.DataFrame(
        {
            "part": rng.choice(["Köln", "Bern"], rows),
            "x": x,
            "n": rng.integers(0, 2000, rows),
            "y": (2 * x + rng.normal(size=rows)).round(3),
        }
    )


def same_as_plain(case: Case, table: pd.DataFrame, source: str, **dataset: object) -> None:
    """Check that a source gives the result tables of the same table as plain CSV."""
    table.to_csv(case.folder / "plain.csv", index=False)
    case.write({"dataset": {**DATASET, "source": "plain.csv"}})
    plain = case.run(output="plain")
    case.write({"dataset": {**DATASET, "source": source, **dataset}})
    found = case.run()
    assert found.code == 0, found.output
    assert found.table("metrics").equals(plain.table("metrics"))
    assert found.table("features").equals(plain.table("features"))


# --- dialects ---------------------------------------------------------------------------------


@pytest.mark.input("15-semicolons-and-decimal-commas")
def test_the_csv_of_excel_in_most_of_europe(case: Case) -> None:
    found = case.run()
    table = pd.read_csv(case.folder / "umsatz.csv", sep=";", decimal=",", encoding="utf-8-sig")
    assert found.rows == table["Filiale"].value_counts().to_dict()
    means = found.table("column_statistics").query("column == 'Umsatz' and scope == 'partition'")
    expected = table.groupby("Filiale")["Umsatz"].mean()
    assert dict(zip(means["partition"], means["mean"], strict=True)) == pytest.approx(
        dict(expected)
    )
    assert expected["Bern"] == pytest.approx(148.1658, abs=1e-4)
    for name, rows in table.groupby("Filiale"):
        assert direct_skill(codes(rows, "Preis"), rows["Umsatz"]).agrees(found.skill[str(name)])


@pytest.mark.parametrize(
    ("write", "settings"),
    [
        pytest.param({"sep": ";", "decimal": ","}, {}, id="semicolons, decimal comma"),
        pytest.param({"sep": ";"}, {}, id="semicolons, decimal point"),
        pytest.param({"sep": "\t"}, {}, id="tabs"),
        pytest.param({"sep": "|"}, {}, id="bars"),
        pytest.param({"sep": "\t", "decimal": ","}, {"decimal": ","}, id="tabs, decimal comma"),
        pytest.param({"encoding": "utf-16"}, {}, id="UTF-16"),
        pytest.param({"encoding": "utf-8-sig"}, {}, id="a byte order mark"),
        pytest.param({"encoding": "cp1252"}, {"encoding": "cp1252"}, id="Windows"),
        pytest.param({"sep": "~"}, {"delimiter": "~"}, id="another separator"),
        pytest.param({"quoting": 1}, {}, id="every cell quoted"),
        pytest.param({"lineterminator": "\r\n"}, {}, id="line ends of Windows"),
    ],
)
def test_a_dialect(case: Case, write: dict[str, object], settings: dict[str, object]) -> None:
    table = table_of()
    table.to_csv(case.folder / "t.csv", index=False, **write)
    same_as_plain(case, table, "t.csv", **settings)


@pytest.mark.parametrize(
    ("above", "settings"),
    [
        ("sep=;\n", {}),
        ("Sales of 2024\n\n", {"skip_lines": 2}),
        ("# made by export\n# on Monday\n", {"skip_lines": 2}),
    ],
)
def test_lines_above_the_header(case: Case, above: str, settings: dict[str, int]) -> None:
    table = table_of()
    body = table.to_csv(index=False, sep=";" if "sep" in above else ",")
    (case.folder / "t.csv").write_text(above + body, encoding="utf-8")
    same_as_plain(case, table, "t.csv", **settings)
    if settings:
        case.write({"dataset": {**DATASET, "source": "t.csv"}})
        code, text = case.validate()
        assert code == 65
        words = " ".join(text.split())
        assert repr(above.splitlines()[0]) in words
        assert f"dataset.skip_lines: {settings['skip_lines']}" in words


@pytest.mark.parametrize("decimal", [".", ","])
def test_a_title_above_semicolons(case: Case, decimal: str) -> None:
    """Decimal commas must not pass for separators: the title has no cells in either dialect."""
    table = table_of()
    body = table.to_csv(index=False, sep=";", decimal=decimal)
    (case.folder / "t.csv").write_text("Sales of 2024\n" + body, encoding="utf-8")
    case.write({"dataset": {**DATASET, "source": "t.csv"}})
    code, text = case.validate()
    assert code == 65
    words = " ".join(text.split())
    assert "in line 2: 'part;x;n;y'" in words
    assert "dataset.skip_lines: 1" in words
    same_as_plain(case, table, "t.csv", skip_lines=1)


@pytest.mark.parametrize("missing", ["", "NA", "#DIV/0!"])
def test_missing_cells_of_a_file_whose_cells_are_all_quoted(case: Case, missing: str) -> None:
    """The setting that the error names reads them, and ``init`` writes it."""
    table = table_of()
    table.loc[::10, "x"] = np.nan
    table.to_csv(case.folder / "t.csv", index=False, quoting=1, na_rep=missing)
    case.write({"dataset": {**DATASET, "source": "t.csv"}})
    code, text = case.validate()
    assert code == 65
    nulls = [""] if not missing else ["", missing]
    assert f"dataset.null_values: {nulls}." in " ".join(text.split())
    same_as_plain(case, table, "t.csv", null_values=nulls)
    _, draft, _ = refeed("init", "t.csv")
    assert yaml.safe_load(draft)["dataset"]["null_values"] == nulls


def test_thousands_with_points_in_a_file_with_decimal_commas(case: Case) -> None:
    table = table_of().assign(n=lambda t: t["n"] + 1000)
    written = table.assign(
        n=table["n"].map("{:,}".format).str.replace(",", "."),
        x=table["x"].astype(str).str.replace(".", ","),
        y=table["y"].astype(str).str.replace(".", ","),
    )
    written.to_csv(case.folder / "t.csv", index=False, sep=";")
    case.write({"dataset": {**DATASET, "source": "t.csv"}})
    features = case.run().table("features").set_index("feature")
    assert features.loc["n", "mean"] == pytest.approx(table["n"].mean())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("part,x,y\na,1,2,\nb,2,3,\n", "ends with ','"),
        ('part,x,y\n"a\\"b,c",1,2\n', 'written as ""'),
        ("part,x,y\na,1\n", "as many cells"),
        ("", "is empty"),
        ("part,x,y\n\xe9,1,2\n", "dataset.encoding"),
    ],
)
def test_what_is_no_table_is_explained(case: Case, content: str, words: str) -> None:
    (case.folder / "t.csv").write_bytes(content.encode("latin-1"))
    case.write({"dataset": {**DATASET, "source": "t.csv"}})
    code, text = case.validate()
    assert code == 65
    assert words in " ".join(text.split())


# --- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["t.csv.gz", "t.csv.zst", "t.tsv", "t.TXT", "t.pq", "t.feather", "t.arrow", "t.xlsx"]
)
def test_a_format(case: Case, name: str) -> None:
    table = table_of()
    path = case.folder / name
    content = table.to_csv(index=False).encode()
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(content))
    elif name.endswith(".zst"):
        with pa.output_stream(path, compression="zstd") as stream:
            stream.write(content)
    elif name == "t.tsv":
        table.to_csv(path, index=False, sep="\t")
    elif name == "t.TXT":
        path.write_bytes(content)
    elif name == "t.pq":
        table.to_parquet(path, index=False)
    elif name == "t.xlsx":
        write_workbook(path, {"Sheet1": table})
    else:
        stream = pa.OSFile(str(path), "wb")
        plain = pa.Table.from_pandas(table, preserve_index=False)
        new = pa.ipc.new_file if name == "t.feather" else pa.ipc.new_stream
        with stream, new(stream, plain.schema) as writer:
            writer.write_table(plain, 100)
    same_as_plain(case, table, name)


def write_workbook(path: Path, sheets: dict[str, pd.DataFrame]) -> None:
    """Write a workbook with another library than the one that reads it."""
    openpyxl = importlib.import_module("openpyxl")
    workbook = openpyxl.Workbook()
    workbook.remove(workbook.active)
    for name, table in sheets.items():
        sheet = workbook.create_sheet(name)
        sheet.append(list(table.columns))
        for row in table.astype(object).where(table.notna(), None).itertuples(index=False):
            sheet.append(list(row))
    workbook.save(path)


def test_a_sheet_of_a_workbook_with_dates_codes_and_gaps(case: Case) -> None:
    table = table_of().assign(
        when=pd.date_range("2024-01-01", periods=300), code=[f"{i % 7:03d}" for i in range(300)]
    )
    table.loc[5:20, "x"] = np.nan
    write_workbook(case.folder / "t.xlsx", {"notes": table[:3], "data": table})
    case.write({"dataset": {**DATASET, "source": "t.xlsx", "sheet": "data"}})
    features = case.run().table("features").set_index("feature")
    assert features["type"].to_dict() == {
        "code": "string",
        "n": "int64",
        "when": "date",
        "x": "float64",
    }
    assert features.loc["x", "missing"] == 16
    code, text = case.validate("dataset.sheet=date")
    assert code == 65
    assert "'notes', 'data'" in text


def test_a_large_number_of_a_workbook_is_a_number(case: Case) -> None:
    """Digits of whole numbers beyond int64 would make the column text."""
    table = table_of().assign(x=1e20, n=np.arange(300) * 1e17)
    write_workbook(case.folder / "t.xlsx", {"data": table})
    case.write({"dataset": {**DATASET, "source": "t.xlsx"}})
    features = case.run().table("features").set_index("feature")
    assert set(features["type"]) == {"float64"}


@pytest.mark.parametrize("source", ["parts", "parts/*.csv", "p*ts/[01].csv", "parts/"])
def test_a_pattern(case: Case, source: str) -> None:
    table = table_of()
    (case.folder / "parts").mkdir()
    for number in range(2):
        part = table[number * 150 : (number + 1) * 150]
        part.to_csv(case.folder / "parts" / f"{number}.csv", index=False)
    (case.folder / "parts" / "README.txt").write_text("two halves")
    same_as_plain(case, table, source)


def test_the_home_folder(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(case.folder))
    table = table_of()
    table.to_csv(case.folder / "home.csv", index=False)
    same_as_plain(case, table, "~/home.csv")


# --- folders that name a column ---------------------------------------------------------------


@pytest.mark.input("16-hive-directory")
@pytest.mark.parametrize("source", ["sales", "sales/region=*/*.parquet"])
def test_folders_of_hive(case: Case, source: str) -> None:
    found = case.run(f"dataset.source={source}")
    table = pd.concat(
        pd.read_parquet(path, partitioning=None).assign(
            region=path.parent.name.removeprefix("region=")
        )
        for path in sorted((case.folder / "sales").glob("*/*.parquet"))
    )
    assert (
        found.rows
        == table["region"].value_counts().to_dict()
        == {"apac": 206, "eu": 198, "us": 196}
    )
    features = [c for c in table if c not in {"region", "y"}]
    for name, rows in table.groupby("region"):
        assert direct_skill(codes(rows, *features), rows["y"]).agrees(found.skill[str(name)])


def test_folders_of_two_columns_with_missing_and_encoded_values(case: Case) -> None:
    table = table_of(400)
    folders = [
        "year=2023/city=K%C3%B6ln",
        "year=2024/city=a%2Fb",
        "year=2024/city=__HIVE_DEFAULT_PARTITION__",
    ]
    for number, folder in enumerate(folders):
        (case.folder / "t" / folder).mkdir(parents=True)
        part = table[number * 130 : (number + 1) * 130].drop(columns="part")
        part.to_csv(case.folder / "t" / folder / "part.csv", index=False)
    (case.folder / "t" / "_SUCCESS").touch()
    case.write({"dataset": {**DATASET, "partition_by": "city", "source": "t"}})
    found = case.run()
    rows = found.table("partitions").set_index("partition")["rows"]
    assert rows["Köln"] == rows["a/b"] == 130
    assert found.table("partitions")["partition"].isna().sum() == 1
    assert found.table("features").set_index("feature").loc["year", "type"] == "int64"


def test_folders_that_name_different_columns_are_refused(case: Case) -> None:
    for folder in ("a=1", "b=1"):
        (case.folder / "t" / folder).mkdir(parents=True)
        pq.write_table(pa.table({"x": [1.0]}), case.folder / "t" / folder / "part.parquet")
    case.write({"dataset": {**DATASET, "source": "t"}})
    code, text = case.validate()
    assert code == 65
    assert "name different columns" in text
