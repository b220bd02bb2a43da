"""All checks of one table: its dataset in each variant, and the folds of its partitions."""

from __future__ import annotations

import shutil
import tempfile
import traceback
from collections.abc import Iterator
from pathlib import Path

from steps.errors import RefeedError
from tests.fuzz.expectation import expect
from tests.fuzz.folds import class_problems, fold_problems
from tests.fuzz.generator import generate
from tests.fuzz.sources import write_source
from tests.fuzz.splitting import (
    MEMORY,
    Dataset,
    build,
    dataset_problems,
    dataset_section,
    inference_problems,
)
from tests.fuzz.table import Table


def table_problems(seed: int) -> list[str]:
    """Return what is wrong with the table of a seed."""
    table = generate(seed)
    return [f"table {table.seed}: {each}" for each in problems(table)]


def problems(table: Table) -> list[str]:
    """Return what is wrong with Refeed's datasets and folds of a table; empty if nothing is."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz", dir=MEMORY))
    try:
        return list(_problems(table, folder))
    finally:
        shutil.rmtree(folder)


def _problems(table: Table, folder: Path) -> Iterator[str]:
    expected = expect(table)
    datasets: list[tuple[str, Dataset]] = []
    for number, variant in enumerate(table.variants):
        name = f"variant {number} ({variant.format})"
        source = write_source(table, variant, folder / str(number))
        section = dataset_section(table, source.settings)
        try:
            if variant.format in {"csv", "xlsx"}:
                for each in inference_problems(section, table, source.inferred):
                    yield f"{name}: {each}"
            dataset = build(section, table.group, table.time, folder / f"root{number}")
            for each in dataset_problems(dataset, expected):
                yield f"{name}: {each}"
            datasets.append((name, dataset))
        except RefeedError as error:
            yield f"{name}: refused: {type(error).__name__}: {error}"
        except Exception as error:  # noqa: BLE001 - any crash is a finding
            trace = traceback.format_exc(limit=-3)
            yield f"{name}: crash: {type(error).__name__}: {error}\n{trace}"
    yield from _equality_problems(datasets)
    if datasets:
        yield from fold_problems(table, datasets[0][1])
        yield from class_problems(table, datasets[0][1])


def _equality_problems(datasets: list[tuple[str, Dataset]]) -> Iterator[str]:
    """Yield variants whose dataset has another digest than that of the first."""
    for name, dataset in datasets[1:]:
        first, one = datasets[0]
        for what in ("content", "columns"):
            if getattr(dataset.result.index, what) != getattr(one.result.index, what):
                yield f"{name} and {first} have different {what}"
        if (dataset.result.task, dataset.result.classes) != (one.result.task, one.result.classes):
            yield f"{name} and {first} have different tasks or classes"
        if dataset.result.grid != one.result.grid:
            yield f"{name} and {first} have different grids"
