"""A fitted linear model: scores, curves and SHAP values in closed form. Numpy only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from containers.linear.encoding import CategoricalColumn, Column, Encoding, NumericColumn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LinearModel:
    """Scores are ``intercept + terms @ coefficients``.

    Attributes:
        encoding: conversion of features to terms.
        coefficients: coefficients of the terms; shape (terms, outputs).
        intercept: score of a row whose terms are all 0; shape (outputs,).
        background: mean of the training terms, shape (terms,).
    """

    encoding: Encoding
    coefficients: Floats
    intercept: Floats
    background: Floats

    def scores(self, values: Floats) -> Floats:
        """Return the scores of rows of shape (rows, columns); shape (rows, outputs)."""
        scores: Floats = self.encoding.encode(values) @ self.coefficients + self.intercept
        return scores

    def effect(self, column: int, values: Floats) -> Floats:
        """Return how much values of one column add to the scores; shape (values, outputs)."""
        own = self.encoding.slices[column]
        effect: Floats = self.encoding.columns[column].encode(values) @ self.coefficients[own]
        return effect

    def curves(self, values: Floats, column: int, points: Floats) -> Floats:
        """Return the scores with one column set to each point; shape (rows, points, outputs)."""
        others = self.scores(values) - self.effect(column, values[:, column])
        return others[:, None, :] + self.effect(column, points)[None, :, :]

    def contributions(self, values: Floats) -> tuple[Floats, Floats]:
        """Return SHAP values, and the score at the background.

        Of a sum of one effect per feature, with features taken as independent, the Shapley value is
        the effect less its mean over the background (Lundberg & Lee 2017, corollary 1). Effects are
        linear in the terms, so the mean of the training terms is background enough.

        Returns:
            Shapes (rows, columns, outputs) and (outputs,).
        """
        effects = [
            self.effect(position, values[:, position])
            - self.background[own] @ self.coefficients[own]
            for position, own in enumerate(self.encoding.slices)
        ]
        base: Floats = self.intercept + self.background @ self.coefficients
        return np.stack(effects, axis=1), base

    def to_json(self) -> bytes:
        """Return JSON; Python writes floats so that they are read back bit by bit."""
        content = {
            "columns": [asdict(column) for column in self.encoding.columns],
            "coefficients": self.coefficients.tolist(),
            "intercept": self.intercept.tolist(),
            "background": self.background.tolist(),
        }
        return json.dumps(content, allow_nan=False).encode()

    @classmethod
    def from_json(cls, content: bytes) -> LinearModel:
        """Read what ``to_json`` wrote."""
        read = json.loads(content)
        intercept = np.array(read["intercept"], dtype=np.float64)
        columns: list[Column] = [
            CategoricalColumn(tuple(fields["levels"]))
            if "levels" in fields
            else NumericColumn(**fields)
            for fields in read["columns"]
        ]
        encoding = Encoding(tuple(columns))
        coefficients = np.array(read["coefficients"], dtype=np.float64)
        return cls(
            encoding=encoding,
            coefficients=coefficients.reshape(encoding.terms, len(intercept)),
            intercept=intercept,
            background=np.array(read["background"], dtype=np.float64),
        )
