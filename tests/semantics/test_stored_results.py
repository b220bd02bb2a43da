"""What is stored: equal bytes for equal keys, and keys that only decisive settings change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import refeed
from steps.records import RunRequest
from steps.storage.base import read_parsed, storage_for
from steps.train.keys import keys_of
from steps.train.workers.worker import open_context
from tests.segment_surgery import member_names, read_members
from tests.workspace import Workspace, small_table
from workflows import local
from workflows.local import RunSummary

RESULTS = "[!ar]*"
"""Members by cache key: all but attempts and records."""


@pytest.mark.parametrize("trainer", ["lightgbm", "linear"])
def test_two_runs_store_equal_bytes_under_equal_names(lab: Workspace, trainer: str) -> None:
    """So that readers can take either, if both stored it at the same time."""
    lab.write_table(small_table(4))
    changes: dict[str, Any] = {"trainer": {"name": trainer}}
    local.run(lab.write_spec(execution__workers=1, output="one", **changes))
    other: dict[str, Any] = {
        "execution__workers": 2,
        "execution__shards": 3,
        "dataset__format": "csv",
    }
    local.run(lab.write_spec(output="two", **other, **changes))
    one, two = (read_members(str(lab.folder / name), RESULTS) for name in ("one", "two"))
    assert len(one) == 5 * 4  # fit, fold models, model, card and explanation
    assert one == two


def test_a_child_run_with_another_grid_fits_nothing(lab: Workspace) -> None:
    lab.write_table(small_table(3))
    local.run(lab.write_spec())
    again = local.run(lab.write_spec(explain__partial_dependence={"grid": 7}))
    assert again.trained.cached == {"fit": 3}
    assert len(member_names(str(lab.folder / "runs"), "fit/*")) == 3


def test_without_fold_models_another_grid_fits_again_and_nothing_else_changes(
    lab: Workspace,
) -> None:
    lab.write_table(small_table(3))
    kept = local.run(lab.write_spec(output="kept"))
    dropped = local.run(lab.write_spec(output="dropped", execution__fold_models="drop"))
    assert lab.tables(kept.layout.base) == lab.tables(dropped.layout.base)
    root = str(lab.folder / "dropped")
    assert member_names(root, "fold-models/*") == []
    assert len(member_names(root, "model/*")) == 3
    assert local.run(lab.write_spec(output="dropped")).trained.cached == {"full": 3}
    grid: dict[str, Any] = {"explain__partial_dependence": {"grid": 7}}
    finer = local.run(lab.write_spec(output="dropped", execution__fold_models="drop", **grid))
    assert finer.trained.cached == {"none": 3}
    same = local.run(lab.write_spec(output="kept", **grid))
    assert lab.tables(finer.layout.base) == lab.tables(same.layout.base)


def request_of(run: RunSummary) -> RunRequest:
    uri = run.layout.request
    return read_parsed(storage_for(uri), uri, RunRequest.from_json)


@pytest.mark.parametrize(
    "change",
    [
        {"execution__label": "again"},
        {"execution__max_failed_fraction": 0.5},
        {"execution__fold_models": "drop"},
        {"execution__workers": 1},
        {"execution__shards": 2},
    ],
)
def test_settings_that_decide_nothing_are_in_no_key(lab: Workspace, change: dict[str, Any]) -> None:
    lab.write_table(small_table(2))
    first = local.run(lab.write_spec())
    second = local.run(lab.write_spec(**change))
    assert second.trained.cached == {"full": 2}
    assert request_of(first).spec_hash == request_of(second).spec_hash
    assert request_of(first).fit_context == request_of(second).fit_context


@pytest.mark.parametrize(
    ("change", "fits", "explanations"),
    [
        ({"evaluate__seed": 2}, 4, 4),
        ({"trainer__params": {"num_leaves": 5, "rounds": 8}}, 4, 4),
        ({"explain__rows": 50}, 2, 4),
        ({"explain__shap": False}, 2, 4),
    ],
)
def test_what_changes_a_key(
    lab: Workspace, change: dict[str, Any], fits: int, explanations: int
) -> None:
    lab.write_table(small_table(2))
    local.run(lab.write_spec())
    local.run(lab.write_spec(**change))
    root = str(lab.folder / "runs")
    assert len(member_names(root, "fit/*")) == fits
    assert len(member_names(root, "explanation/*")) == explanations


def test_keys_of_a_request_without_newer_fields_are_the_same(lab: Workspace) -> None:
    """A field that an earlier version did not have, at its default, changes no key."""
    lab.write_table(small_table(1))
    done = refeed.run(lab.write_spec())
    context = open_context(done._context.address)
    entry = context.index.entries[0]
    uri = done._context.run.request
    storage = storage_for(uri)
    text = storage.read(uri).decode()
    assert '"fold_models":"keep",' in text
    storage.write(uri, text.replace('"fold_models":"keep",', "").encode())
    earlier = open_context(done._context.address)
    assert keys_of(earlier, entry) == keys_of(context, entry)
    assert earlier.request.fit_context == context.request.fit_context


def test_members_are_below_the_limit_of_a_path(lab: Workspace) -> None:
    lab.write_table(small_table(1))
    result = local.run(lab.write_spec())
    names = member_names(str(Path(result.layout.base).parents[3]))
    assert max(map(len, names)) < 200
