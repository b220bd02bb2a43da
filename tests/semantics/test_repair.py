"""Artifacts that are deleted or damaged are computed again, with the same result."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from steps.errors import (
    DamagedError,
    LargerClassError,
    LostArtifactError,
    OutputError,
    Problem,
    RefeedError,
    SpecError,
)
from tests.segment_surgery import damage_member, delete_member
from tests.tables import Tables
from tests.workspace import Workspace, small_table
from workflows import local
from workflows.local import RunSummary

Lose = Callable[[Path], None]


def delete(path: Path) -> None:
    path.unlink()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def cut_at_a_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[: len(lines) // 2]))


DATASET = [
    "datasets/*/index.json",
    "datasets/*/statistics.json",
    "datasets/*/sample.arrow",
    "datasets/*/grids/*.json",
    "datasets/*/parts/*/*",
    "datasets/*/statistics/column_statistics.parquet",
]


@pytest.fixture
def spec(lab: Workspace) -> Path:
    lab.write_table(small_table())
    return lab.write_spec(trainer={"name": "linear"})


@pytest.fixture
def before(spec: Path) -> RunSummary:
    return local.run(spec)


@pytest.fixture(scope="module")
def undamaged(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Tables]:
    """Return the tables of a run of the same spec in which nothing is lost."""

    @cache
    def run(*overrides: str) -> Tables:
        lab = Workspace(tmp_path_factory.mktemp("undamaged"))
        lab.write_table(small_table())
        path = lab.write_spec(trainer={"name": "linear"})
        return lab.tables(local.run(path, overrides=overrides).layout.base)

    return run


def lose(lab: Workspace, pattern: str, how: Lose) -> None:
    how(next(iter(sorted(lab.folder.glob(f"runs/lab/{pattern}")))))


@pytest.mark.parametrize("how", [delete, cut])
@pytest.mark.parametrize("pattern", [*DATASET, "datasets/sources/*.json"])
def test_lost_part_of_a_dataset_is_built_again(
    lab: Workspace,
    spec: Path,
    before: RunSummary,
    undamaged: Callable[..., Tables],
    pattern: str,
    how: Lose,
) -> None:
    lose(lab, pattern, how)
    again = local.run(spec, overrides=["evaluate.seed=9"])
    assert lab.tables(again.layout.base) == undamaged("evaluate.seed=9")
    assert not list(lab.folder.glob("runs/lab/datasets/*/rebuild.json"))
    assert before.outcome.counts == again.outcome.counts


def test_csv_part_that_ends_at_a_line_is_built_again(lab: Workspace) -> None:
    lab.write_table(small_table())
    spec = lab.write_spec(trainer={"name": "linear"}, dataset__format="csv")
    local.run(spec)
    lose(lab, "datasets/*/parts/*/*.csv", cut_at_a_line)
    again = local.run(spec, overrides=["evaluate.seed=9"])
    fresh = local.run(spec, overrides=["evaluate.seed=9", f"output={lab.folder / 'fresh'}"])
    assert lab.tables(again.layout.base) == lab.tables(fresh.layout.base)


@pytest.mark.parametrize("lose_member", [delete_member, damage_member])
@pytest.mark.parametrize("kind", ["fit", "explanation", "record", "fold-models"])
def test_lost_result_is_computed_again_by_the_next_run(
    lab: Workspace,
    spec: Path,
    before: RunSummary,
    kind: str,
    lose_member: Callable[[str, str], None],
) -> None:
    lose_member(str(lab.folder / "runs"), f"{kind}/*")
    again = local.run(spec)
    assert lab.tables(again.layout.base) == lab.tables(before.layout.base)
    assert again.outcome.counts == before.outcome.counts


@pytest.fixture
def between_train_and_collect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return a function that has something done once, when train has ended."""
    collect = local.collect  # type: ignore[attr-defined]  # where it is called

    def arrange(do: Callable[[], None]) -> None:
        waiting = [do]

        def first_do(*args: object) -> object:
            while waiting:
                waiting.pop()()
            return collect(*args)  # type: ignore[arg-type]

        monkeypatch.setattr(local, "collect", first_do)

    return arrange


RESULTS = ["fit/*", "explanation/*", "record/*", "model/*"]


@pytest.mark.parametrize("how", [delete_member, damage_member])
@pytest.mark.parametrize("pattern", RESULTS)
def test_result_lost_between_train_and_collect_is_computed_again(
    lab: Workspace,
    spec: Path,
    between_train_and_collect: Callable[..., None],
    undamaged: Callable[..., Tables],
    pattern: str,
    how: Callable[[str, str], None],
) -> None:
    expected = undamaged()
    between_train_and_collect(lambda: how(str(lab.folder / "runs"), pattern))
    run = local.run(spec)
    assert lab.tables(run.layout.base) == expected


@pytest.mark.parametrize("how", [delete, cut])
@pytest.mark.parametrize("pattern", [*DATASET, "cache/segments/*/*.zip"])
def test_artifact_lost_between_train_and_collect_is_computed_again(
    lab: Workspace,
    spec: Path,
    between_train_and_collect: Callable[..., None],
    undamaged: Callable[..., Tables],
    pattern: str,
    how: Lose,
) -> None:
    expected = undamaged()
    between_train_and_collect(lambda: lose(lab, pattern, how))
    run = local.run(spec)
    assert lab.tables(run.layout.base) == expected


def test_run_ends_when_its_artifacts_are_deleted_every_time(
    lab: Workspace, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect = local.collect  # type: ignore[attr-defined]  # where it is called

    def losing(*args: object) -> object:
        delete_member(str(lab.folder / "runs"), "fit/*")
        return collect(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(local, "collect", losing)
    with pytest.raises(LostArtifactError, match="The results of 1 of 5 partitions were deleted"):
        local.run(spec)


@pytest.mark.parametrize(
    "error",
    [
        DamagedError("gs://b/x", "cut short"),
        OutputError("Cannot write.", hint="Free some space."),
        LargerClassError(2),
        SpecError("spec.yaml", [Problem("a.b", "wrong", "Fix it.", line=3, column=1)]),
    ],
)
def test_error_crosses_processes_whole(error: RefeedError) -> None:
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error)
    assert arrived.__dict__ == error.__dict__
    assert str(arrived) == str(error)
    assert arrived.exit_code == error.exit_code
