"""A trainer that needs several CPUs per fit gets fewer workers, each with so many threads."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from steps.train import step
from steps.train.registry import load_class
from steps.train.workers import pool
from steps.train.workers.server import _THREADS, environment_of_workers
from tests.workspace import Workspace, small_table
from workflows.local import run


@pytest.mark.parametrize(("cpus", "threads", "workers"), [(5, 2, 2), (2, 4, 1), (3, 1, 3)])
def test_workers_are_cpus_divided_by_threads(
    cpus: int, threads: int, workers: int, lab: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[pool.Pool] = []

    class Recorded(pool.Pool):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr(step, "Pool", Recorded)
    trainer = load_class("lightgbm")
    monkeypatch.setattr(trainer, "threads_per_fit", threads)
    lab.write_table(small_table(2))
    result = run(lab.write_spec(execution__workers=cpus))
    assert [(each.size, each.threads) for each in made] == [(workers, threads)]
    assert f'"threads":{threads}' in Path(result.layout.trainer).read_text()


def test_libraries_of_a_worker_use_its_threads() -> None:
    with environment_of_workers(3):
        assert {os.environ[name] for name in _THREADS} == {"3"}
