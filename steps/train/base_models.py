"""The base models: one model of all partitions per fold, with which own models are compared."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from steps.records import Roles, canonical_json
from steps.train.evaluation.shared_folds import SharedFolds
from steps.train.explanation.context import AnyTrainer
from steps.train.frame import LevelCodes, TargetRows, encode_features
from steps.train.trainer import Floats

_ABOUT = "base.json"


@dataclass(frozen=True)
class BaseModels:
    """Models of all partitions together, one per fold.

    Attributes:
        features: names of the features.
        codes: the codes of the levels per feature, over all partitions; None if it is numeric.
        classes: the classes that they know, in order of their value; empty for a regression.
        folds: which model predicts a row.
        models: the model of each fold; empty if there is a reason.
        rows: rows that the folds were made of.
        all_rows: rows of all partitions that have a target; more than ``rows`` if these are a
            sample.
        reason: why there are no models; empty if there are some.
    """

    features: tuple[str, ...]
    codes: tuple[LevelCodes | None, ...]
    classes: tuple[str, ...]
    folds: SharedFolds
    models: tuple[Any, ...]
    rows: int
    all_rows: int
    reason: str = ""

    def predict(
        self, trainer: AnyTrainer, rows: TargetRows, roles: Roles
    ) -> tuple[Floats, NDArray[np.bool_]]:
        """Return raw scores by models that have not seen the rows, without offset.

        Returns:
            Scores, shape (rows, outputs), and whether a row has one, shape (rows,): with method
            time, no model predicts the first rows.
        """
        features = encode_features(rows.batch, self.features, self.codes)
        fold = self.folds.held_out(rows, roles)
        scores = [
            (held, trainer.predict(model, features.take(held)))
            for number, model in enumerate(self.models)
            for held in [np.flatnonzero(fold == number)]
            if len(held)
        ]
        raw = np.full((features.rows, scores[0][1].shape[1] if scores else 1), np.nan)
        for held, score in scores:
            raw[held] = score
        return raw, np.asarray(fold >= 0)

    def save(self, trainer: AnyTrainer) -> bytes:
        """Return a zip archive; the same models give the same bytes."""
        about = {
            name: value
            for name, value in asdict(self).items()
            if name not in {"models", "folds", "codes"}
        }
        about["folds"] = asdict(self.folds)
        about["codes"] = [None if each is None else asdict(each) for each in self.codes]
        members = {_ABOUT: canonical_json(about).encode("utf-8", "surrogatepass")}
        members |= {f"{i:03d}": trainer.save(model) for i, model in enumerate(self.models)}
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
            for name, content in members.items():
                # A ZipInfo without clock and owner: the archive depends on its contents only.
                writer.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
        return archive.getvalue()

    @classmethod
    def parse(cls, content: bytes, trainer: AnyTrainer) -> Self:
        """Read what ``save`` wrote."""
        archive = zipfile.ZipFile(io.BytesIO(content))
        about = json.loads(archive.read(_ABOUT))
        folds = about.pop("folds")
        return cls(
            features=tuple(about.pop("features")),
            codes=tuple(_codes(about.pop("codes"))),
            classes=tuple(about.pop("classes")),
            folds=SharedFolds(folds["count"], folds["seed"], tuple(folds["starts"])),
            models=tuple(
                trainer.load(archive.read(name))
                for name in sorted(archive.namelist())
                if name != _ABOUT
            ),
            **about,
        )


def _codes(raw: Sequence[dict[str, Any] | None]) -> list[LevelCodes | None]:
    return [
        None if each is None else LevelCodes(tuple(each["names"]), each["codes"]) for each in raw
    ]
