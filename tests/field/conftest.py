"""Inputs from public bug reports and real tables, each in a folder of its own."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from tests.command import refeed

CASES = Path(__file__).parent / "cases"


@dataclass(frozen=True)
class Outcome:
    """A run as its tables have it.

    Attributes:
        code: exit code.
        output: standard output and standard error.
        tables: the folder of its tables; empty if it wrote none.
    """

    code: int
    output: str
    tables: Path

    def table(self, name: str) -> pd.DataFrame:
        """Return a result table with text as text."""
        assert self.tables.name == "tables", self.output
        path = self.tables / f"{name}.csv"
        return pd.read_csv(path, dtype={"partition": str, "grid_value": str}, keep_default_na=True)

    @property
    def skill(self) -> dict[str, float]:
        """Skill by partition, of those that are trained."""
        table = self.table("partitions")
        trained = table[table["status"] == "trained"]
        return dict(zip(trained["partition"], trained["skill"], strict=True))

    @property
    def rows(self) -> dict[str, int]:
        """Rows by partition."""
        table = self.table("partitions")
        return dict(zip(table["partition"], table["rows"], strict=True))


@dataclass
class Case:
    """A folder with an input and the spec of an analyst."""

    folder: Path

    @property
    def spec(self) -> Path:
        """The spec's file."""
        return self.folder / "spec.yaml"

    def write(self, spec: dict[str, Any]) -> None:
        """Write a spec."""
        small = {"name": "lightgbm", "params": {"num_leaves": 7, "rounds": 40}}
        whole = {"name": "case", "project": "field", "trainer": small, "output": "runs", **spec}
        self.spec.write_text(yaml.safe_dump(whole, allow_unicode=True), encoding="utf-8")

    def validate(self, *changes: str) -> tuple[int, str]:
        """Return exit code and messages of ``refeed validate``."""
        return self._call("validate", changes)

    def run(self, *changes: str, output: str = "runs") -> Outcome:
        """Run the spec with changes such as ``dataset.min_rows=40``."""
        code, text = self._call("run", (*changes, f"output={self.folder / output}"))
        runs = sorted((self.folder / output).glob("*/runs/*/*/tables"))
        return Outcome(code, text, runs[-1] if runs else Path())

    def _call(self, command: str, changes: tuple[str, ...]) -> tuple[int, str]:
        options = [item for change in changes for item in ("--set", change)]
        code, output, errors = refeed(command, self.spec, *options)
        return code, output + errors


@pytest.fixture
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    """The input that the test's marker ``input`` names, or an empty folder."""
    marker = request.node.get_closest_marker("input")
    folder = tmp_path / "case"
    if marker:
        shutil.copytree(CASES / marker.args[0], folder)
    else:
        folder.mkdir()
    monkeypatch.chdir(folder)
    return Case(folder)
