"""Types that follow from all rows of all files, whatever their order and format."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tests.field.conftest import CASES, Case, Outcome
from tests.field.direct import codes, direct_skill


def types_of(found: Outcome) -> dict[str, str]:
    """Return the type of each feature."""
    table = found.table("features")
    return dict(zip(table["feature"], table["type"], strict=True))


def write_table(case: Case, table: pd.DataFrame, **dataset: object) -> None:
    """Write a table as CSV, and its spec."""
    table.to_csv(case.folder / "t.csv", index=False)
    case.write({"dataset": {"source": "t.csv", "min_rows": 50, **dataset}})


def noisy(rows: int, seed: int = 0) -> pd.DataFrame:
    """Return a feature, a key of two values and a target that follows from the feature."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=rows).round(3)
    y = (x + rng.normal(size=rows)).round(3)
    return pd.DataFrame({"part": np.where(np.arange(rows) % 2, "a", "b"), "x": x, "y": y})


# --- codes that look like numbers -------------------------------------------------------------


@pytest.mark.input("03-ids-beyond-int64")
@pytest.mark.parametrize("source", ["t.csv", "quoted.csv"])
def test_whole_numbers_beyond_64_bits_are_text(case: Case, source: str) -> None:
    found = case.run(f"dataset.source={source}")
    assert found.rows == {
        "89490200001234567890": 290,
        "89490200001234567891": 285,
        "89490200001234567892": 325,
    }
    table = pd.read_csv(case.folder / "t.csv", dtype={"iccid": str})
    for name, rows in table.groupby("iccid"):
        features = [c for c in table if c not in {"iccid", "mb"}]
        assert direct_skill(codes(rows, *features), rows["mb"]).agrees(found.skill[str(name)])


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(["0x1F", "0x2A"], id="hexadecimal"),
        pytest.param(["+4915112345678", "+4915112345679"], id="telephone numbers"),
        pytest.param(
            ["99999999999999999999", "100000000000000000000"], id="beyond, even in float64"
        ),
        pytest.param(["007", "1.5"], id="leading zeros next to fractions"),
    ],
)
def test_codes_stay_as_they_are_written(case: Case, keys: list[str]) -> None:
    table = noisy(300)
    write_table(
        case,
        table.assign(part=np.where(table["part"] == "a", *keys)),
        partition_by="part",
        target="y",
    )
    assert case.run().rows == dict.fromkeys(keys, 150)


def test_a_number_of_too_many_digits_among_fractions_is_an_error(case: Case) -> None:
    table = noisy(300).assign(n="0.5")
    table.loc[7, "n"] = "12345678901234567"
    write_table(case, table, partition_by="part", target="y")
    code, text = case.validate()
    assert code == 65
    assert "12345678901234567, which has more digits than a decimal number can hold" in text
    assert case.validate("dataset.types={n: string}")[0] == 0


# --- from a prefix, or from the first file ----------------------------------------------------


@pytest.mark.input("05-csv-column-empty-in-first-file")
def test_a_column_that_is_empty_in_the_first_file_is_a_number(case: Case) -> None:
    found = case.run()
    assert types_of(found)["temperature"] == "float64"
    table = pd.concat([pd.read_csv(path) for path in sorted((case.folder / "stores").iterdir())])
    features = [c for c in table if c not in {"store", "units"}]
    for name, rows in table.groupby("store"):
        assert direct_skill(codes(rows, *features), rows["units"]).agrees(found.skill[str(name)])
    assert found.skill["b"] > 0.8


@pytest.mark.input("06-leading-zeros-by-file-order")
def test_leading_zeros_do_not_depend_on_the_order_of_files(case: Case) -> None:
    found = case.run()
    assert found.rows == {"02134": 134, "02139": 166, "75001": 150, "75002": 150}
    renamed = case.folder / "renamed"
    renamed.mkdir()
    for path in (case.folder / "s").iterdir():
        shutil.copy(path, renamed / f"{9 - int(path.name[0])}{path.name}")
    other = case.run("dataset.source=renamed", output="other")
    assert other.table("metrics").equals(found.table("metrics"))
    again = case.run("dataset.source=renamed", "execution.force=true")
    assert again.table("metrics").equals(found.table("metrics"))


def test_leading_zeros_at_the_end_of_a_large_file_are_kept(case: Case) -> None:
    """10 MB, more than the block from which Arrow guesses a type."""
    rows = 200_000
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"zip": "75001", "note": "x" * 40, "x": rng.normal(size=rows).round(6)})
    table["y"] = (table["x"] + rng.normal(size=rows)).round(6)
    table.loc[rows - 150 :, "zip"] = "02134"
    table.to_csv(case.folder / "t.csv", index=False)
    assert (case.folder / "t.csv").stat().st_size > 8 << 20
    spec = {"source": "t.csv", "partition_by": "zip", "target": "y", "features": ["x"]}
    case.write({"dataset": {**spec, "min_rows": 100}, "explain": {"shap": False}})
    assert case.run().rows == {"02134": 150, "75001": rows - 150}


@pytest.mark.parametrize(
    ("early", "late", "expected"),
    [
        ("", "2024-03-01", "date"),
        ("2024-03-01", "2024-03-01 10:30:00", "timestamp"),
        ("0", "true", "bool"),
        ("7", "8.25", "float64"),
        ("7", "seven or so", "string"),
    ],
)
def test_the_order_of_two_files_does_not_matter(
    case: Case, early: str, late: str, expected: str
) -> None:
    table = noisy(400)
    for folder, order in (("one", (early, late)), ("two", (late, early))):
        (case.folder / folder).mkdir()
        for number, cell in enumerate(order):
            half = table[:200] if cell == early else table[200:]
            extra = (
                cell
                if expected != "string"
                else [f"{cell}{i % 9}" if cell == late else cell for i in range(200)]
            )
            half.assign(f=extra).to_csv(case.folder / folder / f"{number}.csv", index=False)
    case.write(
        {"dataset": {"source": "one", "partition_by": "part", "target": "y", "min_rows": 50}}
    )
    found = case.run()
    assert types_of(found)["f"] == expected
    other = case.run("dataset.source=two", output="other")
    for name in ("metrics", "features", "shap_summary"):
        assert other.table(name).equals(found.table(name))


# --- Parquet files that disagree --------------------------------------------------------------


@pytest.mark.input("04-parquet-files-other-types")
def test_parquet_files_have_one_common_type(case: Case) -> None:
    case = Case(case.folder / "02-mixed-types")
    found = case.run()
    files = sorted(case.folder.glob("*/*.parquet"))
    table = pd.concat([pd.read_parquet(path) for path in files])
    assert found.rows == table["store"].value_counts().to_dict()
    statistics = found.table("column_statistics").query("column == 'promo' and scope == 'table'")
    assert statistics["missing"].item() == table["promo"].isna().sum() == 200
    assert types_of(found)["promo"] == "string"
    features = [c for c in table if c not in {"store", "units"}]
    for name, rows in table.groupby("store"):
        assert direct_skill(codes(rows, *features), rows["units"]).agrees(found.skill[str(name)])


@pytest.mark.input("04-parquet-files-other-types")
def test_whole_numbers_join_fractions(case: Case) -> None:
    case = Case(case.folder / "02b-int-then-fraction")
    found = case.run()
    table = pd.concat([pd.read_parquet(path) for path in sorted(case.folder.glob("*/*.parquet"))])
    means = found.table("column_statistics").query("scope == 'partition' and column == 'units'")
    expected = table.groupby("store")["units"].mean()
    assert dict(zip(means["partition"], means["mean"], strict=True)) == pytest.approx(
        dict(expected)
    )


def write_parts(case: Case, *columns: pa.Array) -> None:
    """Write a Parquet file per column, which is called f."""
    (case.folder / "parts").mkdir()
    for number, column in enumerate(columns):
        table = pa.Table.from_pandas(noisy(len(column), seed=number), preserve_index=False)
        pq.write_table(
            table.append_column("f", column), case.folder / "parts" / f"{number}.parquet"
        )
    case.write(
        {"dataset": {"source": "parts", "partition_by": "part", "target": "y", "min_rows": 50}}
    )


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (pa.nulls(200), pa.array([True, False] * 100), "bool"),
        (pa.nulls(200), pa.array([dt.date(2024, 1, 1)] * 200), "date"),
        (pa.array([1] * 200, pa.int8()), pa.array([0.5] * 200, pa.float32()), "float64"),
        (
            pa.array(["a"] * 200).dictionary_encode(),
            pa.array(["b"] * 200, pa.large_string()),
            "string",
        ),
    ],
)
def test_types_that_can_be_joined(
    case: Case, one: pa.Array, other: pa.Array, expected: str
) -> None:
    write_parts(case, one, other)
    assert types_of(case.run())["f"] == expected


def test_types_that_cannot_be_joined_name_both_files(case: Case) -> None:
    write_parts(case, pa.nulls(200), pa.array([1] * 200), pa.array(["x"] * 200))
    code, text = case.validate()
    assert code == 65
    words = " ".join(text.split())
    assert "1.parquet" in words
    assert "2.parquet" in words
    assert "'f' is int64 in" in words
    assert case.run("dataset.types={f: string}").code == 0


# --- dates ------------------------------------------------------------------------------------

LAST = dt.datetime(9999, 12, 31, 23, 59, 59, tzinfo=dt.UTC).timestamp()


@pytest.mark.input("08-far-dates")
def test_int96_timestamps_reach_the_year_9999(case: Case) -> None:
    features = case.run().table("features").set_index("feature").loc["valid_to"]
    assert features["max"] == LAST == 253402300799
    assert dt.datetime.fromtimestamp(features["min"], dt.UTC).year == 2020


@pytest.mark.input("08-far-dates")
def test_milliseconds_of_the_year_9999_are_a_timestamp(case: Case) -> None:
    changes = ("dataset.source=far.csv", "dataset.partition_by=store", "dataset.target=y")
    code, text = case.validate(*changes)
    assert code == 0
    assert "4 features, 1 of them categorical" in text
    found = case.run(*changes).table("features").set_index("feature")
    assert found.loc["valid_to", "type"] == "timestamp"
    assert found.loc["valid_to", "max"] == pytest.approx(LAST + 0.999)


@pytest.mark.parametrize(
    ("cells", "earliest", "latest"),
    [
        pytest.param(
            ["0001-01-01", "9999-12-31"],
            (dt.date(1, 1, 1) - dt.date(1970, 1, 1)).days,
            (dt.date(9999, 12, 31) - dt.date(1970, 1, 1)).days,
            id="years 1 to 9999",
        ),
        pytest.param(
            ["2024-01-31T23:30:00+02:00", "2024-02-01T00:30:00Z"],
            dt.datetime(2024, 1, 31, 21, 30, tzinfo=dt.UTC).timestamp(),
            dt.datetime(2024, 2, 1, 0, 30, tzinfo=dt.UTC).timestamp(),
            id="time zones",
        ),
        pytest.param(
            ["1677-01-01 00:00:00.123456", "2300-01-01 00:00:00"],
            dt.datetime(1677, 1, 1, 0, 0, 0, 123456, tzinfo=dt.UTC).timestamp(),
            dt.datetime(2300, 1, 1, tzinfo=dt.UTC).timestamp(),
            id="beyond nanoseconds",
        ),
    ],
)
def test_dates_are_the_same_from_csv_and_parquet(
    case: Case, cells: list[str], earliest: float, latest: float
) -> None:
    table = noisy(300)
    write_table(case, table.assign(t=np.tile(cells, 150)), partition_by="part", target="y")
    found = case.run()
    features = found.table("features").set_index("feature")
    assert (features.loc["t", "min"], features.loc["t", "max"]) == (earliest, latest)
    if isinstance(earliest, int):
        values = pa.array([dt.date.fromisoformat(cell) for cell in cells] * 150)
    else:
        times = [dt.datetime.fromisoformat(cell) for cell in cells] * 150
        aware = [t if t.tzinfo else t.replace(tzinfo=dt.UTC) for t in times]
        values = pa.array(aware, pa.timestamp("us", "UTC"))
    columns = pa.Table.from_pandas(table, preserve_index=False).append_column("t", values)
    pq.write_table(columns, case.folder / "t.parquet")
    other = case.run("dataset.source=t.parquet", output="other")
    assert other.table("metrics").equals(found.table("metrics"))


# --- settings that work on every source -------------------------------------------------------


@pytest.mark.input("10-types-ignored-on-parquet")
def test_types_and_null_values_apply_to_parquet(case: Case) -> None:
    found = case.run()
    features = found.table("features").set_index("feature")
    table = pd.read_parquet(case.folder / "t.parquet")
    assert features.loc["zip", "type"] == "string"
    levels = set(found.table("shap_by_value").query("feature == 'zip'")["grid_value"])
    assert levels == {"10115", "20095", "80331"}
    assert features.loc["kind", "missing"] == (table["kind"] == "NA").sum() > 0
    assert "NA" not in set(found.table("shap_by_value").query("feature == 'kind'")["grid_value"])


@pytest.mark.input("10-types-ignored-on-parquet")
def test_the_same_spec_reads_the_same_table_from_csv_with_quoted_text(case: Case) -> None:
    found = case.run()
    pyarrow.csv.write_csv(pq.read_table(case.folder / "t.parquet"), case.folder / "t.csv")
    assert '"NA"' in (case.folder / "t.csv").read_text()
    other = case.run("dataset.source=t.csv", output="other")
    for name in ("features", "metrics", "partial_dependence"):
        assert other.table(name).equals(found.table(name)), name


@pytest.mark.input("10-types-ignored-on-parquet")
def test_codes_that_are_text_on_purpose_are_not_simply_called_numbers(case: Case) -> None:
    words = " ".join(case.validate()[1].split())
    assert "Unless they are codes, set dataset.types: {'zip': int64}." in words


@pytest.mark.parametrize(
    ("column", "kind", "expected"),
    [
        (pa.array(["1,234.50", "7"] * 150), "number(1,234.5)", ("float64", 7.0, 1234.5)),
        (pa.array(["31/01/2024", "1/2/2024"] * 150), "date(%d/%m/%Y)", ("date", 19753, 19754)),
        (pa.array([10115.0, 20095.0] * 150), "string", ("string", None, None)),
        (pa.array(["1", "2"] * 150), "int64", ("int64", 1, 2)),
    ],
)
def test_a_type_converts_a_parquet_column(
    case: Case, column: pa.Array, kind: str, expected: tuple[str, float | None, float | None]
) -> None:
    table = pa.Table.from_pandas(noisy(300), preserve_index=False).append_column("f", column)
    pq.write_table(table, case.folder / "t.parquet")
    dataset = {"source": "t.parquet", "partition_by": "part", "target": "y", "types": {"f": kind}}
    case.write({"dataset": {**dataset, "min_rows": 50}})
    features = case.run().table("features").set_index("feature").loc["f"]
    assert features["type"] == expected[0]
    if expected[1] is not None:
        assert (features["min"], features["max"]) == expected[1:]


@pytest.mark.parametrize("setting", ["delimiter=;", "decimal=','", "encoding=cp1252", "sheet=a"])
def test_a_setting_without_effect_is_refused_at_its_line(case: Case, setting: str) -> None:
    pq.write_table(pa.Table.from_pandas(noisy(300)), case.folder / "t.parquet")
    case.write({"dataset": {"source": "t.parquet", "partition_by": "part", "target": "y"}})
    code, text = case.validate(f"dataset.{setting}")
    assert code == 65
    assert f"dataset.{setting.split('=', maxsplit=1)[0]}" in text
    assert "has no effect" in text


def test_cases_are_the_ones_of_the_reports() -> None:
    assert len(list(Path(CASES).iterdir())) == 21
