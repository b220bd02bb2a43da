"""``refeed profile`` of a dataset in a bucket, with the same result as on a disk."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from steps.storage.base import storage_for
from tests.workspace import Workspace, small_table
from workflows.profile import profile, write_tfdv
from workflows.spec.load import load_spec


def test_profile_is_equal_in_a_bucket(gcs: str, lab: Workspace) -> None:
    lab.write_table(small_table())
    far = load_spec(lab.write_spec(output=f"{gcs}/runs"))
    near = load_spec(lab.write_spec())
    there, here = profile(far), profile(near)
    places = {"folder", "page"}
    found = [{k: v for k, v in asdict(each).items() if k not in places} for each in (there, here)]
    assert found[0] == found[1]
    assert there.page == f"{gcs}/runs/lab/datasets/{there.dataset}/statistics/profile.html"
    assert storage_for(gcs).read(there.page) == Path(here.page).read_bytes()
    files = write_tfdv(far, there.dataset, f"{gcs}/tfdv")
    local = write_tfdv(near, here.dataset, str(lab.folder / "tfdv"))
    for uri, path in zip(files, local, strict=True):
        assert storage_for(gcs).read(uri) == Path(path).read_bytes()
