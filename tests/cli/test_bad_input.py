"""Bad specs and bad data: one clear message, a place, an exit code, no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from tests.command import refeed
from tests.workspace import Workspace, small_table


def spec_with(**changes: Any) -> Callable[[Workspace], Path]:
    return lambda lab: lab.write_spec(**changes)


def spec_text(text: str | bytes) -> Callable[[Workspace], Path]:
    def write(lab: Workspace) -> Path:
        path = lab.folder / "spec.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


BAD_SPECS: dict[str, tuple[Callable[[Workspace], Path], str, int]] = {
    "unknown key": (spec_with(dataset__targt="x"), "Did you mean 'target'?", 65),
    "wrong type": (spec_with(dataset__min_rows="many"), "'many' is not valid", 65),
    "number as text": (spec_with(evaluate__folds="5"), "'5' is not valid", 65),
    "name with capitals": (spec_with(name="Flights"), "lower case letters", 65),
    "name too long": (spec_with(name="a" * 46), "at most 45", 65),
    "path in the name": (spec_with(name="../x"), "'../x' is not valid", 65),
    "path in the project": (spec_with(project=".."), "'..' is not valid", 65),
    "missing column": (spec_with(dataset__target="targets"), "Did you mean 'target'?", 65),
    "missing feature": (spec_with(dataset__features=["numbr"]), "Did you mean 'number'?", 65),
    "missing group": (spec_with(evaluate__group="date"), "there is no column 'date'", 65),
    "target among the features": (
        spec_with(dataset__features=["number", "target"]),
        "the model would see the value it predicts",
        65,
    ),
    "no features": (spec_with(dataset__features=[]), "at least one feature", 65),
    "text not categorical": (spec_with(dataset__categorical=[]), "'level' is text", 65),
    "unknown trainer": (spec_with(trainer={"name": "lightgmb"}), "Did you mean 'lightgbm'?", 65),
    "unknown parameter": (
        spec_with(trainer={"name": "lightgbm", "params": {"num_leafs": 3}}),
        "Did you mean 'num_leaves'?",
        65,
    ),
    "unknown alias": (
        spec_with(trainer={"name": "lightgbm", "params": {"n_estimator": 3}}),
        "Did you mean 'n_estimators', another name of 'rounds'?",
        65,
    ),
    "one parameter twice": (
        spec_with(trainer={"name": "lightgbm", "params": {"rounds": 3, "n_estimators": 4}}),
        "params.rounds: the same parameter as 'n_estimators', which is set too",
        65,
    ),
    "parameter that Refeed sets": (
        spec_with(trainer={"name": "lightgbm", "params": {"n_jobs": 3}}),
        "params.n_jobs: cannot be set: Refeed sets it, so that the same data gives the same bytes",
        65,
    ),
    "constraint on no feature": (
        spec_with(trainer={"name": "lightgbm", "params": {"mc": {"numbr": 1}}}),
        "params.mc.numbr: there is no feature 'numbr' Did you mean 'number'?",
        65,
    ),
    "bad parameter": (
        spec_with(trainer={"name": "lightgbm", "params": {"num_leaves": 1}}),
        "trainer.params.num_leaves",
        65,
    ),
    "text as regression": (
        spec_with(dataset__target="level", dataset__features=["number"], task="regression"),
        "regression predicts a number",
        65,
    ),
    "number as classes": (spec_with(task="multiclass"), "more than 64 distinct values", 65),
    "time without column": (spec_with(evaluate__method="time"), "time: <column>", 65),
    "no yaml": (spec_text("name: [a\nb: 1"), "spec.yaml:2:2: not valid YAML", 65),
    "tab": (spec_text("name: a\n\tb: 1"), "not valid YAML", 65),
    "a list": (spec_text("- a"), "the top level must be a mapping", 65),
    "empty file": (spec_text(""), "the top level must be a mapping", 65),
    "given twice": (spec_text("name: a\nname: b"), "spec.yaml:2:1: 'name' is given twice", 65),
    "invalid utf-8": (spec_text(b"name: a\nx: \xff"), "spec.yaml:2:4: not valid UTF-8", 65),
    "alias bomb": (
        spec_text("a: &a [x]\n" + "".join(f"b{i}: *a\n" for i in range(200))),
        "more than 100 YAML aliases",
        65,
    ),
    "python object": (spec_text("name: !!python/object:os.system x"), "not valid YAML", 65),
    "no source": (spec_with(dataset__source="gone.parquet"), "does not exist", 66),
    "unknown output": (spec_with(output="s3://bucket/x"), "s3:// is not supported", 65),
}


@pytest.mark.parametrize("case", BAD_SPECS)
def test_bad_specs(case: str, lab: Workspace) -> None:
    write, message, code = BAD_SPECS[case]
    lab.write_table(small_table(2))
    found, _, errors = refeed("run", write(lab))
    assert found == code, errors
    assert message in " ".join(errors.split()), errors
    assert not list(lab.folder.rglob("tables"))


def test_spec_errors_have_line_and_column(lab: Workspace) -> None:
    lab.write_table(small_table(2))
    path = lab.write_spec()
    text = path.read_text().replace("target: target", "target: tarket")
    path.write_text(text)
    line = next(i for i, row in enumerate(text.splitlines(), 1) if "tarket" in row)
    _, _, errors = refeed("validate", path)
    assert f"spec.yaml:{line}:11: dataset.target: there is no column 'tarket'" in errors


def test_validate_finds_parameters_that_do_not_fit_the_data(lab: Workspace) -> None:
    lab.write_table(small_table(2))
    path = lab.write_spec(trainer={"name": "lightgbm", "params": {"class_weight": "balanced"}})
    text = path.read_text()
    line = next(i for i, row in enumerate(text.splitlines(), 1) if "class_weight" in row)
    code, _, errors = refeed("validate", path)
    assert code == 65
    place = f"spec.yaml:{line}:19: trainer.params.class_weight: "
    assert f"{place}has no effect without classes" in errors


def parquet(**columns: Any) -> Callable[[Workspace], str]:
    def write(lab: Workspace) -> str:
        table = small_table(2)
        for name, given in columns.items():
            values = given(table.num_rows) if callable(given) else given
            found = table.column_names.index(name) if name in table.column_names else None
            table = (
                table.append_column(name, values)
                if found is None
                else table.set_column(found, name, values)
            )
        lab.write_table(table)
        return "table.parquet"

    return write


def file(name: str, content: bytes) -> Callable[[Workspace], str]:
    def write(lab: Workspace) -> str:
        (lab.folder / name).write_bytes(content)
        return name

    return write


def truncated(lab: Workspace) -> str:
    path = lab.write_table(small_table(2))
    path.write_bytes(path.read_bytes()[:-100])
    return path.name


def broken_inside(lab: Workspace) -> str:
    path = lab.write_table(small_table(2))
    content = bytearray(path.read_bytes())
    content[50:400] = b"\x99" * 350
    path.write_bytes(bytes(content))
    return path.name


def duplicate_columns(lab: Workspace) -> str:
    table = small_table(2)
    pq.write_table(table.append_column("number", table["whole"]), lab.folder / "twice.parquet")
    return "twice.parquet"


def not_utf8(lab: Workspace) -> str:
    bad = pa.Array.from_buffers(
        pa.string(),
        180,
        [None, pa.py_buffer(np.arange(181, dtype=np.int32)), pa.py_buffer(b"\xff" * 180)],
    )  # fmt: skip
    return parquet(level=bad)(lab)


CSV_HEAD = b"key,number,level,whole,flag,day,target\n"
CSV_ROW = b"a,1.5,red,3,true,2020-01-01,2.5\n"
BAD_DATA: dict[str, tuple[Callable[[Workspace], str], str]] = {
    "truncated parquet": (truncated, "cannot be read"),
    "damaged parquet": (broken_inside, "cannot be read"),
    "no parquet at all": (file("table.parquet", b"hello"), "cannot be read"),
    "empty parquet file": (file("table.parquet", b""), "cannot be read"),
    "empty csv file": (file("table.csv", b""), "is empty"),
    "csv without rows": (file("table.csv", CSV_HEAD), "no rows"),
    "ragged csv": (file("table.csv", CSV_HEAD + CSV_ROW + b"a,1\n"), "is not a valid CSV file"),
    "duplicate columns in csv": (
        file("table.csv", b"key,number,number,level,whole,flag,day,target\n"),
        "has more than one column 'number'",
    ),
    "duplicate columns": (duplicate_columns, "has more than one column 'number'"),
    "invalid utf-8 in csv": (
        file("table.csv", CSV_HEAD + CSV_ROW + CSV_ROW.replace(b"red", b"r\xffd")),
        "not valid UTF-8",
    ),
    "invalid utf-8 in parquet": (not_utf8, "'level' contains text that is not valid UTF-8"),
    "infinity": (parquet(number=lambda n: pa.array([np.inf] * n)), "'number' contains an infinite"),
    "infinite target": (
        parquet(target=lambda n: pa.array([1.0, -np.inf] * (n // 2))),
        "'target' contains an infinite",
    ),
    "unsupported type": (
        parquet(number=lambda n: pa.array([[1.0]] * n)),
        "'number' has the type list<",
    ),
    "integer beyond 64 bits": (
        parquet(number=lambda n: pa.array([2**64 - 1] * n, pa.uint64())),
        "'number' (uint64) cannot be read as int64",
    ),
    "text among numbers": (
        file("table.csv", CSV_HEAD + CSV_ROW * 50 + CSV_ROW.replace(b"1.5", b"n/a")),
        "set dataset.null_values: ['', 'n/a']",
    ),
    "a directory without tables": (lambda _lab: ".", "contains no tables"),
    "another kind of file": (file("table.xls", b"PK"), "contains .xls files"),
}


@pytest.mark.parametrize("case", BAD_DATA)
@pytest.mark.parametrize("verb", ["run", "validate"])
def test_bad_data(verb: str, case: str, lab: Workspace) -> None:
    write, message = BAD_DATA[case]
    name = write(lab)
    found, _, errors = refeed(verb, lab.write_spec(dataset__source=name))
    assert found == 65, errors
    assert message in " ".join(errors.split()), errors


def test_numbers_that_turn_into_fractions_late_are_read_as_fractions(lab: Workspace) -> None:
    rows = [f"k,{i % 7},{i % 5}" for i in range(900_000)]
    content = "key,number,target\n" + "\n".join(rows) + "\nk,2.5,1\n"
    (lab.folder / "table.csv").write_text(content)
    spec = lab.write_spec(
        dataset__source="table.csv", dataset__features=["number"], evaluate={"folds": 2}
    )
    found, output, errors = refeed("split", spec, "--json")
    assert found == 0, errors
    index = next(lab.folder.rglob("index.json")).read_text()
    assert '{"name":"number","type":"float64"}' in index, output


def test_unwritable_output_is_reported(lab: Workspace) -> None:
    lab.write_table(small_table(2))
    blocked = lab.folder / "blocked"
    blocked.write_text("a file where a folder should be")
    found, _, errors = refeed("run", lab.write_spec(output="blocked/runs"))
    assert found == 73, errors
    assert "Cannot write" in errors


def test_an_unwanted_column_of_an_unsupported_type_is_no_error(lab: Workspace) -> None:
    table = small_table(2)
    lab.write_table(table.append_column("lists", pa.array([[1]] * table.num_rows)))
    assert refeed("validate", lab.write_spec())[0] == 0
    everything = lab.write_spec(dataset__features={"exclude": ["weight"]})
    found, _, errors = refeed("validate", everything)
    assert found == 65
    assert "'lists' has the type list" in errors


def test_overrides_reach_every_field_and_are_checked(lab: Workspace) -> None:
    lab.write_table(small_table(2), "other.parquet")
    spec = lab.write_spec()
    source = f"dataset.source={lab.folder / 'other.parquet'}"
    assert refeed("validate", spec, "--set", source)[0] == 0
    found, _, errors = refeed("validate", spec, "--set", source, "--set", "evaluate.folds=1")
    assert found == 65
    assert "--set evaluate.folds: 1 is not valid" in errors
    found, _, errors = refeed("validate", spec, "--set", "nonsense")
    assert found == 2
    assert "a.b=value" in errors
    assert yaml.safe_load(spec.read_text())["dataset"]["source"] == "table.parquet"
