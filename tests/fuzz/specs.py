"""Check that a mutated spec is a valid plan or one clear error."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

from steps.errors import (
    DataError,
    ForbiddenError,
    MissingInputError,
    RefeedError,
    SpecError,
    TrainerError,
    UsageError,
)
from steps.runtime.progress import NoProgress
from steps.train.registry import trainer_of
from tests.fuzz.spec_mutations import ROOT, TABLE, SpecInput, mutate
from tests.fuzz.splitting import MEMORY
from tests.fuzz.training import in_process, read_table
from workflows.argo.compile import KINDS, Kind, compile_spec, to_yaml
from workflows.installation.model import Installation, load_installation
from workflows.local import run, split_only
from workflows.spec.load import LoadedSpec, load_spec
from workflows.spec.validate import advise

_EXPECTED = (SpecError, DataError, MissingInputError, TrainerError, UsageError)
_EXIT_CODES = {2, 65, 66}
_JARGON = re.compile(
    r"Traceback|pydantic|input_value|type=|errors\.|<class |object at 0x|\bNoneType\b"
)
_LONGEST = 20_000
_TRAINED = 8
"""Of so many seeds, one is trained if its spec is valid; the others are split."""


@cache
def _installation() -> Installation:
    return load_installation(ROOT / "tests" / "argo" / "installation.yaml")


def spec_problems(seed: int) -> list[str]:
    """Return what is wrong with the answer to the mutated spec of a seed."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz", dir=MEMORY))
    before = Path.cwd()
    try:
        os.chdir(folder)
        return [f"spec {seed}: {each}" for each in _problems(seed, folder)]
    finally:
        os.chdir(before)
        shutil.rmtree(folder)


def _problems(seed: int, folder: Path) -> Iterator[str]:
    given = mutate(seed)
    path = folder / "spec.yaml"
    path.write_bytes(given.content)
    (folder / "table.csv").write_text(TABLE, encoding="utf-8")
    loaded: LoadedSpec | None = None
    try:
        loaded = load_spec(path, given.overrides)
    except Exception as error:  # noqa: BLE001 - any crash is a finding
        yield from _error_problems(error, path)
        return
    local = "://" not in loaded.spec.dataset.source and loaded.spec.dataset.query is None
    try:
        if local:
            _validate(loaded)
    except Exception as error:  # noqa: BLE001 - any crash is a finding
        for each in _error_problems(_located(loaded, error), path):
            yield f"validate: {each}"
    else:
        if local and loaded.spec.split.engine == "embedded":
            yield from _run_problems(loaded, folder, train=not seed % _TRAINED)
    try:
        _compile(path, given, KINDS[seed % len(KINDS)])
    except Exception as error:  # noqa: BLE001 - any crash is a finding
        for each in _error_problems(_located(loaded, error), path, placed=False):
            yield f"compile: {each}"


def _located(loaded: LoadedSpec, error: Exception) -> Exception:
    return loaded.locate(error) if isinstance(error, SpecError) else error


def _validate(loaded: LoadedSpec) -> None:
    trainer_of(loaded.spec.trainer, loaded.spec.evaluate)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        advise(loaded.spec, NoProgress())


def _run_problems(loaded: LoadedSpec, folder: Path, *, train: bool) -> Iterator[str]:
    """Yield what a run refuses although ``validate`` accepted it, and partitions that fail."""
    spec = loaded.spec.model_copy(update={"output": str(folder / "runs"), "store": None})
    try:
        with in_process(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if not train:
                split_only(replace(loaded, spec=spec))
                return
            summary = run(replace(loaded, spec=spec))
    except Exception as error:  # noqa: BLE001 - any crash is a finding
        yield f"run refuses what validate accepts: {type(error).__name__}: {error}"
        return
    if summary.outcome.counts.get("failed"):
        reasons = {row["message"] for row in read_table(summary, "partitions")} - {"", None}
        yield f"run: partitions failed: {reasons}"


def _compile(path: Path, given: SpecInput, kind: Kind) -> None:
    """Compile the spec, with its source and output in the project's bucket."""
    moved = ["dataset.source=gs://refeed-demo/sources/table.csv", "output=gs://refeed-demo"]
    loaded = load_spec(path, [*given.overrides, *moved])
    if kind != "cron-workflow" or loaded.spec.schedule is not None:
        to_yaml(compile_spec(loaded.spec, _installation(), kind), loaded.path)


def _error_problems(error: Exception, path: Path, *, placed: bool = True) -> Iterator[str]:
    """Yield what is wrong with an error.

    Args:
        error: the error.
        path: the spec's file.
        placed: each problem of a spec must have a line, unless ``--set`` gave the value.
    """
    if not isinstance(error, _EXPECTED) or not isinstance(error, RefeedError):
        trace = "".join(traceback.format_exception(error, limit=-3))
        yield f"crash: {type(error).__name__}: {error}"[:500] + f"\n{trace[-1500:]}"
        return
    text = str(error)
    if error.exit_code not in _EXIT_CODES or isinstance(error, ForbiddenError):
        yield f"exit code {error.exit_code}: {text}"
    if not error.message.strip() or len(text) > _LONGEST:
        yield f"a message of {len(text)} characters"
    plain = text.replace(str(path.parent), "")
    if found := _JARGON.search(plain):
        yield f"{found[0]!r} in the message: {text[:600]}"
    if isinstance(error, SpecError):
        for problem in error.problems:
            override = problem.where.startswith("--set") or error.path == "--set"
            if placed and not override and not (problem.line and problem.column):
                yield f"no line for {problem.where!r}: {text[:600]}"
            if not problem.message.strip():
                yield f"an empty message for {problem.where!r}"
