"""What is wrong in a spec whatever its data, every command reports, with its line and column."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.argo.cases import SMALL
from tests.command import refeed

ROOT = Path(__file__).parents[2]
INSTALLATION = ROOT / "manifests" / "installation.example.yaml"
ROOT_URI = "gs://my-project-refeed-demo"

FEATURES = ["number", "level"]
CURVES = {"partial_dependence": {"features": ["numbr"]}}

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "s3": ({"dataset__source": "s3://bucket/x.csv"}, "dataset.source: s3:// is not supported"),
    "https": ({"dataset__source": "https://x.org/x.csv"}, "https:// is not supported"),
    "bq": (
        {"dataset__source": "bq://project.d.t"},
        "bq:// is not supported\n    Did you mean bigquery://?",
    ),
    "gcs": (
        {"dataset__source": "gcs://bucket/x.csv"},
        "gcs:// is not supported\n    Did you mean gs://?",
    ),
    "no bucket": ({"dataset__source": "gs://Sales/x.csv"}, "has no valid bucket: 'Sales'"),
    "two stars": ({"dataset__source": "gs://bucket/**/*.csv"}, "contains '**'"),
    "wildcard table": (
        {"dataset__source": "bigquery://my-project.logs.events_*"},
        "dataset.query: SELECT * FROM `my-project.logs.events_*`",
    ),
    "table without a dataset": ({"dataset__source": "bigquery://p.d"}, "does not have the form"),
    "setting of text files": (
        {"dataset__source": "gs://bucket/x.parquet", "dataset__delimiter": ";"},
        "dataset.delimiter: delimiter has no effect on a source in the format Parquet",
    ),
    "setting of workbooks": (
        {"dataset__source": "gs://bucket/*.csv.gz", "dataset__sheet": "One"},
        "dataset.sheet: sheet has no effect on a CSV file",
    ),
    "setting of files": (
        {"dataset__source": "bigquery://my-project.d.t", "dataset__encoding": "cp1252"},
        "dataset.encoding: encoding has no effect on a BigQuery table",
    ),
    "filter of a file": ({"dataset__filter": "x > 1"}, "filter is only for bigquery:// sources"),
    "type": ({"dataset__types": {"x": "money"}}, "dataset.types"),
    "output": ({"output": "s3://bucket"}, "output: s3:// is not supported"),
    "explained feature": (
        {"dataset__features": FEATURES, "explain": CURVES},
        "explain.partial_dependence.features.0: 'numbr' is not a feature\n"
        "    Did you mean 'number'?",
    ),
    "explained target": (
        {"explain": {"partial_dependence": {"features": ["y"]}}},
        "explain.partial_dependence.features.0: 'y' is not a feature",
    ),
    "excluded category": (
        {"dataset__features": {"exclude": ["level"]}, "dataset__categorical": ["level"]},
        "dataset.categorical.0: 'level' is not a feature",
    ),
    "category that is the key": (
        {"dataset__categorical": ["key"]},
        "dataset.categorical.0: 'key' is not a feature",
    ),
    "positive class of a regression": (
        {"task": "regression", "dataset__positive": "yes"},
        "dataset.positive: positive names a class of a target of two classes",
    ),
    "parameter": (
        {"trainer__params": {"num_leafs": 3}},
        "trainer.params.num_leafs: unknown parameter\n    Did you mean 'num_leaves'?",
    ),
    "parameter of another task": (
        {"task": "binary", "trainer__params": {"objective": "poisson"}},
        "trainer.params.objective: has no effect without a regression",
    ),
    "constraint on no feature": (
        {
            "task": "regression",
            "dataset__features": FEATURES,
            "trainer__params": {"monotone_constraints": {"numbr": 1}},
        },
        "trainer.params.monotone_constraints.numbr: there is no feature 'numbr'",
    ),
    "exposure without a log link": (
        {"task": "regression", "dataset__exposure": "days"},
        "dataset.exposure: needs a loss with a log link",
    ),
    "offset that the trainer cannot add": (
        {"task": "multiclass", "dataset__offset": "days"},
        "dataset.offset: the trainer 'lightgbm' cannot add it",
    ),
    "quantile": (
        {
            "task": "regression",
            "evaluate__quantile": 0.9,
            "trainer__params": {"objective": "quantile", "alpha": 0.2},
        },
        "evaluate.quantile: 0.9 is not the quantile that the models predict",
    ),
}

Command = Callable[[Path], tuple[int, str, str]]


def write(folder: Path, **changes: Any) -> Path:
    """Write a spec of the project demo, with changes whose keys have __ for dots."""
    spec: dict[str, Any] = {
        **SMALL,
        "dataset": {**SMALL["dataset"], "source": f"{ROOT_URI}/x.csv"},
        "trainer": {"name": "lightgbm", "params": {}},
        "evaluate": {},
        "output": ROOT_URI,
    }
    for dotted, value in changes.items():
        *parents, last = dotted.split("__")
        inner = spec
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "wrong.yaml"
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


def overlay(path: Path) -> Path:
    """Return the overlay that a spec lies in."""
    return path.parents[3]


COMMANDS: dict[str, Command] = {
    "validate": lambda path: refeed("validate", path),
    "validate --spec-only": lambda path: refeed("validate", path, "--spec-only"),
    "compile": lambda path: refeed("compile", path, "--installation", INSTALLATION),
    "project render": lambda path: refeed(
        *("project", "render", "--overlay", overlay(path), "--installation", INSTALLATION)
    ),
    "submit": lambda path: refeed("submit", path, "--installation", INSTALLATION),
    "submit --upload": lambda path: refeed(
        "submit", path, "--upload", "--installation", INSTALLATION
    ),
}


@pytest.fixture
def experiments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a project's specs in an overlay; there is no cluster."""
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    monkeypatch.delenv("ARGO_SERVER", raising=False)
    project = tmp_path / "overlay" / "projects" / "demo"
    (project / "experiments").mkdir(parents=True)
    for folder in (tmp_path / "overlay", project):
        (folder / "kustomization.yaml").write_text("resources: []\n")
    return project / "experiments"


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", WRONG)
def test_every_command_rejects_it(name: str, command: str, experiments: Path) -> None:
    changes, message = WRONG[name]
    path = write(experiments, **changes)
    code, output, errors = COMMANDS[command](path)
    assert code == 65, errors
    assert output == ""
    assert message in errors.replace("\n      ", "\n    ")
    assert re.search(r"wrong\.yaml:[1-9]\d*:[1-9]\d*: ", errors)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dataset__source": f"{ROOT_URI}/sales/*/*.csv", "dataset__delimiter": ";"},
        {"dataset__source": f"{ROOT_URI}/region=*/", "dataset__sheet": "One"},
        {"task": "binary", "trainer__params": {"class_weight": {"yes": 2.0}}},
        {"trainer__params": {"monotone_constraints": {"number": 1}}},
        {"dataset__features": FEATURES, "explain": {"partial_dependence": {"features": FEATURES}}},
    ],
)
def test_what_only_data_decides_is_compiled(changes: dict[str, Any], experiments: Path) -> None:
    path = write(experiments, **changes)
    for command in ("compile", "validate --spec-only", "project render"):
        code, _, errors = COMMANDS[command](path)
        assert code == 0, errors
    shutil.rmtree(overlay(path))
