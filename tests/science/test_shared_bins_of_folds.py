"""Which models of a partition share their bins."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from containers.lightgbm.params import LightGBMParams
from containers.lightgbm.trainer import LightGBMTrainer
from steps.train.config import EvaluateConfig
from steps.train.evaluation.folds import Fold, make_folds
from steps.train.loss import LOSSES
from steps.train.partition import _fit_models
from tests.science.truth import frame_of
from tests.trainers.support import mixed_data

ROWS = 300


@pytest.mark.parametrize("method", ["kfold", "holdout", "time"])
def test_bins_are_shared_unless_later_rows_would_make_them(method: str) -> None:
    """With method time, each model is that of its own rows alone: later ones have no effect."""
    config = EvaluateConfig.model_validate(
        {"method": method, "folds": 3} | ({"time": "t"} if method == "time" else {})
    )
    data = mixed_data("regression", ROWS)
    frame = frame_of(data.target, values=data.features.values)
    frame = replace(frame, features=data.features)
    if method == "time":
        frame = replace(frame, time=np.arange(ROWS) + 1)
    folds = make_folds(frame, config).parts
    trainer = LightGBMTrainer(LightGBMParams(num_leaves=7, rounds=15, max_bin=20))
    context: Any = SimpleNamespace(
        trainer=trainer, task="regression", evaluation=config, loss=LOSSES["regression"]
    )
    found = [model.text for model in _fit_models(context, frame, folds)]
    wanted = [*folds, Fold(np.arange(ROWS), np.arange(0))]
    whole = replace(data, seed=config.seed)
    alone = [trainer.fit(whole.take(fold.train)).text for fold in wanted]
    assert [a == b for a, b in zip(found, alone, strict=True)] == [
        *[method == "time"] * len(folds),
        True,
    ]
