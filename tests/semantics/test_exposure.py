"""Runs with an offset or exposure: refusals, values, keys and models that predict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pyarrow as pa
import pytest

import refeed
from refeed import DataError
from tests.command import refeed as command
from tests.segment_surgery import member_names
from tests.workspace import Workspace
from workflows.local import run
from workflows.spec.load import load_spec


def claims(rows: int = 120) -> pa.Table:
    """Claims of two segments; each row has its own time at risk."""
    rng = np.random.default_rng(5)
    age, kind = rng.normal(size=(2, rows)).round(3), rng.choice(["car", "van"], (2, rows))
    years = rng.uniform(0.05, 3, (2, rows)).round(3)
    target = rng.poisson(years * np.exp(0.4 * age + (kind == "van")))
    return pa.table(
        {
            "key": np.repeat(["a", "b"], rows),
            "age": age.ravel(),
            "kind": kind.ravel(),
            "years": years.ravel(),
            "log_years": np.log(years.ravel()),
            "target": target.ravel(),
            "sold": np.where(target.ravel() > 0, "yes", "no"),
        }
    )


def spec_of(lab: Workspace, objective: str = "poisson", **changes: Any) -> Path:
    params: dict[str, Any] = {"num_leaves": 4, "rounds": 8}
    if objective != "l2":
        params["objective"] = objective
    fields = {
        "dataset__features": {"exclude": ["sold", "log_years"]},
        "trainer": {"name": "lightgbm", "params": params},
        "evaluate__group": None,
    }
    return lab.write_spec(**{**fields, **changes})


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    lab = Workspace(tmp_path_factory.mktemp("offset"))
    lab.write_table(claims())
    return lab


def test_an_exposure_is_the_offset_of_its_logarithm(lab: Workspace) -> None:
    """All numbers are the same but for partial dependence, which is a rate with an exposure."""
    excluded = {"exclude": ["sold", "log_years", "years"]}
    identity: dict[str, Any] = {"dataset__identity": ["age", "kind", "target"]}
    one = run(spec_of(lab, dataset__exposure="years", **identity))
    two = run(spec_of(lab, dataset__offset="log_years", dataset__features=excluded, **identity))
    for table in ("metrics", "importance", "shap_by_value"):
        first, second = (lab.read(each.layout.base, table).to_pylist() for each in (one, two))
        for left, right in zip(first, second, strict=True):
            for name in left:
                if isinstance(left[name], float):
                    assert left[name] == pytest.approx(right[name], abs=1e-7), (table, name)
                elif name != "scale":
                    assert left[name] == right[name], (table, name)
    scales = lab.read(one.layout.base, "partial_dependence")["scale"].unique().to_pylist()
    assert scales == ["target_per_exposure"]


def test_predictions_of_held_out_rows_have_their_exposure(lab: Workspace) -> None:
    """A model that is nearly a constant has the skill of the constant rate, which is 0."""
    trainer = {"name": "linear", "params": {"objective": "poisson", "alpha": 1e5}}
    result = run(spec_of(lab, dataset__exposure="years", trainer=trainer))
    metrics = lab.read(result.layout.base, "metrics").to_pylist()
    for row in metrics:
        if row["metric"] == "poisson_deviance":
            assert abs(row["skill"]) < 1e-3
            assert row["value"] > 0.5


def test_the_column_is_no_feature(lab: Workspace) -> None:
    result = run(spec_of(lab, dataset__exposure="years"))
    features = lab.read(result.layout.base, "features")["feature"].to_pylist()
    assert features == ["age", "kind"]


def test_a_model_needs_the_exposure_to_predict(lab: Workspace) -> None:
    done = refeed.run(spec_of(lab, dataset__exposure="years"))
    model = done.partition("a").model
    rows = claims().filter(pa.compute.field("key") == "a")
    codes = [["car", "van"].index(kind) for kind in rows["kind"].to_pylist()]
    plain = lightgbm.Booster(model_str=model.native.text)
    rate = plain.predict(np.column_stack([rows["age"].to_numpy(), codes]))
    np.testing.assert_allclose(model.predict(rows), rate * rows["years"].to_numpy(), rtol=1e-12)
    with pytest.raises(DataError, match="no column 'years'"):
        model.predict(rows.drop_columns(["years"]))
    zero = rows.set_column(3, "years", pa.array(np.zeros(rows.num_rows)))
    with pytest.raises(DataError, match="'years' must be a positive number in every row"):
        model.predict(zero)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"dataset__exposure": "years", "trainer": {"name": "lightgbm"}},
            "dataset.exposure: needs a loss with a log link, such as poisson, but the loss is",
        ),
        (
            {"dataset__offset": "log_years", "dataset__target": "kind", "task": "multiclass",
             "trainer": {"name": "lightgbm"}, "dataset__features": ["age"]},
            "dataset.offset: the trainer 'lightgbm' cannot add it to the score of a multiclass",
        ),
        (
            {"dataset__exposure": "years", "dataset__offset": "log_years"},
            "set one of offset and exposure",
        ),
        (
            {"dataset__exposure": "yeers"},
            "dataset.exposure: there is no column 'yeers' Did you mean 'years'?",
        ),
        (
            {"dataset__exposure": "kind", "dataset__features": ["age"]},
            "dataset.exposure: the column 'kind' has the type string, but an exposure must be",
        ),
        (
            {"dataset__exposure": "years", "dataset__features": ["age", "years"]},
            "features contains 'years', which is the exposure",
        ),
        (
            {"dataset__exposure": "target"},
            "exposure is 'target', which has another role",
        ),
    ],
)  # fmt: skip
def test_validate_and_run_refuse(changes: dict[str, Any], message: str, lab: Workspace) -> None:
    path = spec_of(lab, **changes)
    for verb in ("validate", "run"):
        code, _, errors = command(verb, path)
        assert code == 65, errors
        assert message in " ".join(errors.split())


@pytest.mark.parametrize(
    ("role", "value", "message"),
    [
        (
            "exposure",
            0.0,
            "dataset.exposure: the exposure 'years' must be a positive number in every row",
        ),
        ("exposure", None, "and 1 rows have none"),
        ("offset", None, "dataset.offset: the offset 'years' must be a number in every row"),
    ],
)
def test_wrong_values_are_refused(
    role: str, value: float | None, message: str, lab: Workspace
) -> None:
    years = claims()["years"].to_pylist()
    years[7] = value
    lab.write_table(claims().set_column(3, "years", pa.array(years)), "wrong.parquet")
    path = spec_of(lab, **{"dataset__source": "wrong.parquet", f"dataset__{role}": "years"})
    for verb in ("validate", "run"):
        code, _, errors = command(verb, path)
        assert code == 65, errors
        assert message in " ".join(errors.split())


def test_without_an_offset_the_spec_and_its_hash_have_no_new_field(lab: Workspace) -> None:
    spec = load_spec(spec_of(lab)).spec
    assert {"offset", "exposure"}.isdisjoint(json.loads(spec.model_dump_json())["dataset"])
    assert {"offset", "exposure"}.isdisjoint(spec.identity()["dataset"])
    changed = load_spec(spec_of(lab, dataset__exposure="years")).spec
    assert changed.digest() != spec.digest()


def test_another_exposure_is_another_fit(lab: Workspace) -> None:
    def fits() -> set[str]:
        return set(member_names(str(lab.folder / "runs"), "fit/*"))

    features: dict[str, Any] = {"dataset__features": ["age", "kind"]}
    run(spec_of(lab, dataset__exposure="years", **features))
    before = fits()
    run(spec_of(lab, dataset__offset="years", **features))
    assert len(fits() - before) == 2
