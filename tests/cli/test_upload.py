"""`refeed submit --upload`: what cannot be copied is rejected before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from steps.errors import DataError, MissingInputError
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
    with pytest.raises(DataError, match=r"2 files of .* as 'a_b\.csv'"):
        try_upload(lab, "sales")


def test_missing_source_is_rejected(lab: Workspace) -> None:
    with pytest.raises(MissingInputError, match="There is no source"):
        try_upload(lab, "nowhere.csv")
