"""The Python API gives a notebook the same numbers as the tables, and models that predict."""

from __future__ import annotations

from pathlib import Path

import lightgbm
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import refeed
from refeed import Run
from tests.workspace import Workspace, small_table

FEATURES = ["number", "level", "whole", "flag"]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    lab = Workspace(tmp_path_factory.mktemp("api"))
    lab.write_table(small_table(3))
    return lab


@pytest.fixture(scope="module")
def done(lab: Workspace) -> Run:
    return refeed.run(lab.write_spec())


@pytest.fixture(scope="module")
def rows(lab: Workspace) -> pa.Table:
    table = pq.read_table(lab.folder / "table.parquet")
    return table.filter(pa.compute.field("key") == table["key"][0])


@pytest.fixture(scope="module")
def key(rows: pa.Table) -> str:
    return str(rows["key"][0].as_py())


def test_tables_are_the_files(done: Run, lab: Workspace) -> None:
    assert done.tables["metrics"].equals(lab.read(done.folder, "metrics"))
    assert "partitions" in done.tables
    with pytest.raises(KeyError, match="There is no table 'metric'"):
        done.tables["metric"]


def test_partitions_are_ordered_by_rank(done: Run) -> None:
    ranks = [each.rank for each in done.partitions]
    assert ranks == [1, 2, 3]
    assert done.partition(done.partitions[0].key) is done.partitions[0]
    with pytest.raises(refeed.RefeedError, match="no partition 'nowhere'"):
        done.partition("nowhere")


def test_model_predicts_as_lightgbm_itself(done: Run, rows: pa.Table, key: str) -> None:
    """The native model, on codes that are computed here: position among the sorted levels."""
    model = done.partition(key).model
    frame = rows.select(FEATURES).to_pandas()
    levels = sorted(frame["level"].dropna().unique())
    frame["level"] = frame["level"].map({level: float(i) for i, level in enumerate(levels)})
    matrix = frame.astype("float64").to_numpy()
    assert isinstance(model.native.booster, lightgbm.Booster)
    expected = model.native.booster.predict(matrix)
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(model.predict(rows), expected, rtol=1e-12)


def test_rows_may_be_arrow_pandas_or_lists(done: Run, rows: pa.Table, key: str) -> None:
    model = done.partition(key).model
    expected = model.predict(rows)
    frame: pd.DataFrame = rows.to_pandas()
    np.testing.assert_array_equal(model.predict(frame), expected)
    np.testing.assert_array_equal(model.predict(rows.select(FEATURES).to_pydict()), expected)


def test_unseen_level_and_missing_values_are_accepted(done: Run, key: str) -> None:
    model = done.partition(key).model
    row = {"number": [None], "level": ["never seen"], "whole": [3], "flag": [None]}
    assert np.isfinite(model.predict(row)).all()


def test_missing_column_is_named(done: Run, key: str) -> None:
    with pytest.raises(refeed.DataError, match="no column 'level'"):
        done.partition(key).model.predict({"number": [1.0]})


def test_text_in_a_numeric_column_is_an_error(done: Run, key: str) -> None:
    row = {"number": ["many"], "level": ["a"], "whole": [3], "flag": [True]}
    with pytest.raises(refeed.DataError, match="do not have the types of the training data"):
        done.partition(key).model.predict(row)


def test_card_names_the_partition(done: Run, key: str) -> None:
    assert key in done.partition(key).card


def test_importance_and_curve_are_rows_of_the_tables(done: Run, key: str) -> None:
    partition = done.partition(key)
    importance = partition.importance
    assert set(importance.table["partition"].to_pylist()) == {key}
    curve = partition.curve("number")
    assert curve.table["grid_index"].to_pylist() == list(range(curve.table.num_rows))
    assert "data:image/svg+xml;base64," in curve._repr_html_()
    assert curve.svg.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
    with pytest.raises(refeed.RefeedError, match="no partial dependence on 'weight'"):
        partition.curve("weight")


def test_notebook_shows_the_headline(done: Run) -> None:
    html = done._repr_html_()
    assert done.report in html
    assert done.partitions[0].key in html


def test_open_run_by_id_and_by_path(done: Run, lab: Workspace) -> None:
    by_id = refeed.open_run(done.id, root=lab.folder / "runs")
    assert refeed.open_run(Path(done.folder)).outcome == by_id.outcome == done.outcome
    with pytest.raises(refeed.RefeedError, match="There is no run 'x'"):
        refeed.open_run("x", root=lab.folder / "runs")
    with pytest.raises(refeed.RefeedError, match="There is no run in"):
        refeed.open_run(lab.folder)


def test_runs_of_a_project(done: Run, lab: Workspace) -> None:
    (record,) = refeed.runs(lab.folder / "runs" / "lab")
    assert (record.run, record.status) == (done.id, "finished")
    with pytest.raises(refeed.RefeedError, match="There is no folder"):
        refeed.runs(lab.folder / "nowhere")


def test_edited_spec_can_be_run(done: Run, lab: Workspace) -> None:
    spec = refeed.load_spec(lab.folder / "spec.yaml")
    again = refeed.run(spec.edit({"evaluate.folds": 2}))
    assert again.spec.evaluate.folds == 2
    assert again.id != done.id
    with pytest.raises(refeed.SpecError, match=r"evaluate\.folds"):
        spec.edit({"evaluate.folds": 1})


def test_skipped_partition_has_no_model(tmp_path: Path) -> None:
    lab = Workspace(tmp_path)
    lab.write_table(small_table(2))
    done = refeed.run(lab.write_spec(dataset__min_rows=10_000, trainer={"name": "linear"}))
    with pytest.raises(refeed.RefeedError, match="has no model: too_few_rows"):
        _ = done.partitions[0].importance


def test_public_names_are_typed_and_exported() -> None:
    for name in refeed.__all__:
        assert getattr(refeed, name) is not None
