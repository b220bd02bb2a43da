"""``refeed models`` writes final models in their library's own format."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import lightgbm
import numpy as np
import pyarrow as pa
import pytest

import refeed as api
from tests.cli.test_commands import refeed
from tests.segment_surgery import delete_member
from tests.workspace import Workspace, small_table


@pytest.fixture(scope="module", name="lab")
def _lab(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    lab = Workspace(tmp_path_factory.mktemp("models"))
    table = small_table(4)
    names = np.array(["part 0", "../../etc", "=cmd|' /C calc'!A0", "part 3"])
    key = names[np.repeat(np.arange(4), 90)]
    key[-80:] = "small"  # too few rows for a model of part 3
    lab.write_table(table.set_column(0, "key", pa.array(key)))
    api.run(lab.write_spec())
    return lab


def written(lab: Workspace, folder: Path, *words: str) -> list[dict[str, str]]:
    done = refeed("models", lab.folder / "spec.yaml", *words, "-o", folder, "--json")
    assert done.returncode == 0, done.stderr
    models: list[dict[str, str]] = json.loads(done.stdout)["models"]
    return models


def test_each_model_predicts_as_the_run_does(lab: Workspace, tmp_path: Path) -> None:
    models = written(lab, tmp_path)
    trained = {each["partition"]: each for each in models if each["status"] == "trained"}
    assert set(trained) == {"part 0", "../../etc", "=cmd|' /C calc'!A0", "small"}
    for name, each in trained.items():
        assert f"| Of the partition | key = {name[:4]}" in (tmp_path / each["card"]).read_text()
        booster = lightgbm.Booster(model_file=str(tmp_path / each["model"]))
        assert booster.num_trees() == 8
    (skipped,) = [each for each in models if each["status"] == "skipped"]
    assert (skipped["partition"], skipped["model"]) == ("part 3", "")


def test_hostile_names_stay_in_the_folder_and_are_no_formulas(
    lab: Workspace, tmp_path: Path
) -> None:
    written(lab, tmp_path / "deep" / "models")
    files = {path.relative_to(tmp_path).parts[:2] for path in tmp_path.rglob("*.txt")}
    assert files == {("deep", "models")}
    with (tmp_path / "deep" / "models" / "models.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 5
    assert not any(row["partition"].startswith("=") for row in rows)


def test_partitions_are_selected_by_key_or_id(lab: Workspace, tmp_path: Path) -> None:
    (one,) = written(lab, tmp_path / "one", "part 0")
    assert one["partition"] == "part 0"
    (same,) = written(lab, tmp_path / "same", one["partition_id"])
    assert same == one
    unknown = refeed("models", lab.folder / "spec.yaml", "part 9", "-o", tmp_path)
    assert unknown.returncode == 66, unknown.stderr
    assert "no partition 'part 9'" in unknown.stderr
    assert "Did you mean one of these? part 3, part 0" in " ".join(unknown.stderr.split())


def test_a_deleted_model_is_an_error(tmp_path: Path) -> None:
    lab = Workspace(tmp_path)
    lab.write_table(small_table(2))
    spec = lab.write_spec(trainer={"name": "linear"})
    api.run(spec)
    delete_member(str(lab.folder / "runs"), "model/*")
    done = refeed("models", spec, "-o", tmp_path / "models")
    assert done.returncode == 66, done.stderr
    assert "was deleted" in done.stderr
