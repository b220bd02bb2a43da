"""`refeed submit --upload`: what cannot be copied is rejected before anything is written."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from steps.errors import DataError, MissingInputError
from steps.split.sources.base import open_source
from tests.workspace import Workspace
from workflows.installation.model import load_installation
from workflows.runs.submit import upload
from workflows.spec.load import load_spec

EXAMPLE = Path(__file__).parents[2] / "manifests" / "installation.example.yaml"


def try_upload(lab: Workspace, source: str) -> None:
    spec = load_spec(lab.write_spec(project="demo", dataset__source=source)).spec
    upload(spec, load_installation(EXAMPLE))


def test_files_that_would_get_the_same_name_are_rejected(lab: Workspace) -> None:
    folder = lab.folder / "sales"
    folder.mkdir()
    for name in ("a b.csv", "a?b.csv", "c.csv"):
        (folder / name).write_text("key,target\nx,1\n")
    with pytest.raises(DataError, match=r"2 files of .* as .sales/a_b\.csv'"):
        try_upload(lab, "sales")


FILES = {
    "one file": ("t/sales 1.csv", ["t/sales 1.csv"], "sales_1.csv"),
    "a folder": ("t", ["t/a.csv", "t/b.csv"], "t"),
    "a pattern": ("t/*.csv", ["t/a.csv", "t/b.csv"], "*"),
    "a pattern of folders": ("t/20*/[ab].txt", ["t/2023/a.txt", "t/2024/b.txt"], "*/*"),
    "folders of Hive": ("t", ["t/region=a%2Fb/0.csv", "t/region=__x y__/0.csv"], "t"),
    "a pattern in a folder of Hive": ("region=eu/t*/*.csv", ["region=eu/t1/a.csv"], "*/*/*"),
}


@pytest.mark.parametrize("case", FILES)
def test_the_copy_is_the_same_table(case: str, lab: Workspace, tmp_path: Path) -> None:
    """And the names of its files hold no character that a URI or a pattern treats apart."""
    source, names, copied = FILES[case]
    for number, name in enumerate(names):
        path = lab.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("key,target\n" + f"x,{number}\n" * (number + 1))
    installation = load_installation(EXAMPLE)
    root = str(tmp_path / "root")
    demo = installation.projects["demo"].model_copy(update={"root": root})
    local = installation.model_copy(update={"projects": {"demo": demo}})
    spec = load_spec(lab.write_spec(project="demo", dataset__source=source)).spec
    found = upload(spec, local).dataset
    assert found.source.startswith(f"{root}/demo/uploads/")
    assert found.source.split("/", len(Path(root).parts) + 3)[-1] == copied
    tables = []
    for config in (spec.dataset, found):
        opened = open_source(config)
        columns = opened.schema().names
        tables.append(
            pa.Table.from_batches(opened.batches(columns)).sort_by(
                [(name, "ascending") for name in columns]
            )
        )
    assert tables[0].equals(tables[1])
    assert len(tables[0]) == sum(range(1, len(names) + 1))


def test_missing_source_is_rejected(lab: Workspace) -> None:
    with pytest.raises(MissingInputError, match="does not exist"):
        try_upload(lab, "nowhere.csv")
