"""``refeed init``: always a draft, with marks where a person must decide."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.command import refeed
from tests.field.conftest import CASES, Case
from tests.field.suite.tables import TABLES, Table
from workflows.spec.guess import ALTERNATIVES


def draft(*arguments: str | Path) -> tuple[dict[str, object], str]:
    """Return the draft as YAML and as text."""
    code, text, errors = refeed("init", *arguments)
    assert code == 0, errors
    parsed: dict[str, object] = yaml.safe_load(text)
    return parsed, text


def dataset_of(*arguments: str | Path) -> dict[str, object]:
    """Return the section ``dataset`` of a draft."""
    section = draft(*arguments)[0]["dataset"]
    assert isinstance(section, dict)
    return section


@pytest.mark.input("14-init-float16")
def test_a_column_of_float16(case: Case) -> None:
    found = dataset_of("ok.parquet", "--target", "y", "--partition-by", "store")
    assert "f16" in str(found["features"])
    (case.folder / "spec.yaml").write_text(
        draft("ok.parquet", "--target", "y", "--partition-by", "store")[1]
    )
    assert case.run("dataset.min_rows=50").code == 0


@pytest.mark.input("17-init-dead-end")
def test_a_column_of_ranges_is_drafted_as_text_with_a_mark(case: Case) -> None:
    found, text = draft("strikes.csv", "--partition-by", "phase", "--target", "cost")
    assert found["dataset"]["types"]["struck"] == "string"  # type: ignore[index]
    (line,) = [words for words in text.splitlines() if "struck: string" in words]
    assert "<-" in line
    assert "2-10" in line
    assert "%m/%d/%Y %H:%M:%S" in text
    case.spec.write_text(text)
    assert case.validate("dataset.min_rows=50")[0] == 0


def plain(rows: int = 200) -> pd.DataFrame:
    """Return a small table of a key, a number and a target."""
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {"city": rng.choice(["a", "b"], rows), "n": range(rows), "y": rng.normal(size=rows)}
    )


@pytest.mark.parametrize(
    ("cell", "setting", "value"),
    [
        ("#DIV/0!", "null_values", "#DIV/0!"),
        ("unknown", "null_values", "unknown"),
        ("kEUR", "types", "string"),
        ("12-14", "types", "string"),
        ("12345678901234567890.5", "types", None),
    ],
)
def test_one_odd_cell_is_drafted_with_a_setting(
    case: Case, cell: str, setting: str, value: str | None
) -> None:
    table = plain().astype({"n": object})
    table.loc[3, "n"] = cell
    table.to_csv(case.folder / "t.csv", index=False)
    found = dataset_of("t.csv")
    if value is not None:
        assert value in str(found[setting])
    case.spec.write_text(draft("t.csv")[1])
    assert case.validate("dataset.min_rows=20")[0] == 0


@pytest.mark.parametrize(
    ("content", "setting"),
    [
        (
            plain().to_csv(index=False).replace("a,", "Köln,").encode("cp1252"),
            {"encoding": "cp1252"},
        ),
        (b"Report of Monday\n" + plain().to_csv(index=False).encode(), {"skip_lines": 1}),
        (plain().to_csv(index=False, sep=";", decimal=",").encode(), {}),
    ],
)
def test_a_dialect_is_drafted(case: Case, content: bytes, setting: dict[str, object]) -> None:
    (case.folder / "t.csv").write_bytes(content)
    found = dataset_of("t.csv")
    assert {name: found[name] for name in setting} == setting
    assert (found["partition_by"], found["target"]) == ("city", "y")
    case.spec.write_text(draft("t.csv")[1])
    assert case.validate("dataset.min_rows=20")[0] == 0


def test_a_draft_is_the_same_once_hera_is_imported(case: Case) -> None:
    """Its import changes for the whole process how PyYAML writes y and n."""
    plain().to_csv(case.folder / "t.csv", index=False)
    arguments = ("init", "t.csv", "--target", "y", "--partition-by", "city")
    code = "from workflows.cli.app import main; main()"
    texts = [
        subprocess.run(
            [sys.executable, "-c", before + code, *arguments],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for before in ("", "import hera.workflows; ")
    ]
    assert "target: y " in texts[0]
    assert texts[0] == texts[1]


def test_columns_that_tell_nothing_are_left_out_as_comments(case: Case) -> None:
    rng = np.random.default_rng(0)
    table = plain().assign(
        note=[f"text {i}" for i in range(200)], empty=np.nan, z=rng.normal(size=200)
    )
    table.to_csv(case.folder / "t.csv")
    found, text = draft("t.csv", "--target", "y", "--partition-by", "city")
    assert found["dataset"]["features"] == ["z"]  # type: ignore[index]
    for name in ("''", "n", "note", "empty"):
        assert f"# - {name} #" in text


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.iterdir()))
def test_every_case_gets_a_draft(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sources = [p for p in CASES.joinpath(name).rglob("*") if p.suffix in {".csv", ".parquet"}]
    assert sources
    for source in sources:
        assert dataset_of(source)["partition_by"]


def ranked(text: str, field: str, names: list[str]) -> list[str]:
    """Return the candidates that a draft names for a field, the best first."""
    (line,) = [words for words in text.splitlines() if words.startswith(f"  {field}: ")]
    first = yaml.safe_load(line)[field]
    others = line.partition("or ")[2]
    return [first, *(name for name in others.split(", ") if name in names)]


def score(table: Table, folder: Path) -> bool:
    """Return True if partition and target are right, or among the alternatives."""
    table.write(folder)
    source = folder / yaml.safe_load(table.spec.read_text())["dataset"]["source"]
    code, text, errors = refeed("init", source)
    assert code == 0, errors
    names = [str(name) for name in table.read().columns]
    found = {field: ranked(text, field, names) for field in ("partition_by", "target")}
    assert all(1 <= len(each) <= ALTERNATIVES for each in found.values())
    return bool(
        set(found["partition_by"]) & set(table.init["partition"])
        and set(found["target"]) & set(table.init["target"])
    )


def test_partition_and_target_are_among_three_for_four_of_five_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    right = []
    for table in TABLES:
        folder = tmp_path / table.name
        folder.mkdir()
        right.append(score(table, folder))
    assert len(right) >= 25
    assert sum(right) >= 0.8 * len(right), dict(zip((t.name for t in TABLES), right, strict=True))
