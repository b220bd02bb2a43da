"""Properties of folds, for every partition of a dataset."""

from __future__ import annotations

from collections.abc import Iterator

from tests.fuzz.splitting import Dataset
from tests.fuzz.table import Table


def fold_problems(table: Table, dataset: Dataset) -> Iterator[str]:
    yield from ()
