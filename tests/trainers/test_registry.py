"""Errors of trainers that cannot be loaded."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steps.errors import SpecError, TrainerError
from steps.train import registry
from steps.train.trainer import DataShape, Task
from tests.trainers.support import CLASSES, TASKS


@pytest.mark.parametrize(
    ("name", "hint"),
    [("lightgbm", "pip install 'refeed[lightgbm]'"), ("ridge", "the package's entry point")],
)
def test_hint_names_an_extra_only_if_there_is_one(
    name: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = EntryPoint(name, "no_such_module:Trainer", registry.GROUP)
    monkeypatch.setattr(registry, "installed", lambda: {name: point})
    with pytest.raises(TrainerError, match="No module named 'no_such_module'") as error:
        registry.load_class(name)
    assert hint in error.value.hint


values = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**20), 10**20),
        st.floats(),
        st.sampled_from(["", "auto", "poisson", "balanced", "rmse", "gbdt", "x", "-1"]),
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["x", "", 1, True, None, 1.5, "yes"]), inner, max_size=3)
    ),
    max_leaves=6,
)
"""Anything that YAML may hold."""


@settings(max_examples=150)
@given(st.sampled_from(["lightgbm", "linear", "ebm"]), st.data())
def test_any_value_of_any_parameter_is_valid_or_one_clear_error(
    name: str, data: st.DataObject
) -> None:
    model = registry.load_class(name).Params
    names = [*model.model_fields, *model.aliases, *model.refused, "nonsense"]  # type: ignore[attr-defined]
    params = data.draw(st.dictionaries(st.sampled_from(names), values, min_size=1, max_size=3))
    task: Task = data.draw(st.sampled_from(TASKS))
    shape = DataShape(task, ("x", "y"), ("y",), CLASSES[task])
    try:
        problems = registry.conflicts(name, params, shape)
    except SpecError as error:
        problems = error.problems
    assert all(problem.where.startswith("trainer.params") for problem in problems)
    assert len({problem.where for problem in problems}) == len(problems)
