"""Errors of trainers that cannot be loaded."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from steps.errors import TrainerError
from steps.train import registry


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
