"""A fitted additive model: scores, curves and SHAP values by look-up. Numpy only."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Integers = NDArray[np.intp]


@dataclass(frozen=True)
class NumericTerm:
    """The curve of a number, constant between two cuts; ``cuts[i]`` begins bin i + 1.

    Attributes:
        cuts: bounds of the bins, ascending.
        scores: what each bin adds, and as the last row a missing value; shape (bins + 1, outputs).
    """

    cuts: tuple[float, ...]
    scores: Floats

    def bins(self, values: Floats) -> Integers:
        """Return the row of ``scores`` for each value."""
        found = np.searchsorted(self.cuts, values, side="right")
        return np.where(np.isnan(values), len(self.cuts) + 1, found)


@dataclass(frozen=True)
class CategoricalTerm:
    """What each level of a category adds.

    Attributes:
        scores: by code; then a level without training rows, then a missing value; shape
            (levels + 2, outputs).
    """

    scores: Floats

    def bins(self, values: Floats) -> Integers:
        """Return the row of ``scores`` for each code."""
        unseen = len(self.scores) - 2
        known = np.where(np.isnan(values), unseen + 1, np.minimum(values, unseen))
        return known.astype(np.intp)


Term = NumericTerm | CategoricalTerm


@dataclass(frozen=True)
class AdditiveModel:
    """Scores are the intercept and one term per column.

    Attributes:
        terms: terms of the columns, in the order of the feature matrix.
        intercept: shape (outputs,).
        background: mean of each term over the training rows; shape (columns, outputs).
        rounds: rounds of boosting of each part that the model is the mean of.
    """

    terms: tuple[Term, ...]
    intercept: Floats
    background: Floats
    rounds: tuple[int, ...]

    def effect(self, column: int, values: Floats) -> Floats:
        """Return what values of one column add to the scores; shape (values, outputs)."""
        term = self.terms[column]
        added: Floats = term.scores[term.bins(values)]
        return added

    def scores(self, values: Floats) -> Floats:
        """Return the scores of rows of shape (rows, columns); shape (rows, outputs)."""
        total = np.tile(self.intercept, (len(values), 1))
        for column in range(len(self.terms)):
            total += self.effect(column, values[:, column])
        return total

    def curves(self, values: Floats, column: int, points: Floats) -> Floats:
        """Return the scores with one column set to each point; shape (rows, points, outputs)."""
        others = self.scores(values) - self.effect(column, values[:, column])
        return others[:, None, :] + self.effect(column, points)[None, :, :]

    def contributions(self, values: Floats) -> tuple[Floats, Floats]:
        """Return SHAP values, and the mean score of the training rows.

        Of a sum of one effect per feature, with features taken as independent, the Shapley value is
        the effect less its mean over the background (Lundberg and Lee 2017, corollary 1).

        Returns:
            Shapes (rows, columns, outputs) and (outputs,).
        """
        effects = [
            self.effect(column, values[:, column]) - self.background[column]
            for column in range(len(self.terms))
        ]
        return np.stack(effects, axis=1), self.intercept + self.background.sum(axis=0)

    def to_json(self) -> bytes:
        """Return JSON; Python writes floats so that they are read back bit by bit."""
        content = {
            "terms": [
                {name: np.asarray(value).tolist() for name, value in asdict(term).items()}
                for term in self.terms
            ],
            "intercept": self.intercept.tolist(),
            "background": self.background.tolist(),
            "rounds": self.rounds,
        }
        return json.dumps(content, allow_nan=False).encode()

    @classmethod
    def from_json(cls, content: bytes) -> AdditiveModel:
        """Read what ``to_json`` wrote."""
        read = json.loads(content)
        intercept = np.array(read["intercept"], np.float64)
        background = np.array(read["background"], np.float64).reshape(-1, len(intercept))
        terms = tuple(_term(fields) for fields in read["terms"])
        return cls(terms, intercept, background, tuple(read["rounds"]))


def _term(fields: dict[str, Any]) -> Term:
    scores = np.array(fields["scores"], np.float64)
    if "cuts" in fields:
        return NumericTerm(tuple(fields["cuts"]), scores)
    return CategoricalTerm(scores)
