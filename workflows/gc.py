"""What no kept run refers to any more."""

from __future__ import annotations

import fcntl
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from steps.contract import ProjectLayout
from steps.errors import OutputError, TransientError, UsageError
from steps.records import PartitionRecord, RunRequest
from steps.split.engines.embedded import alive
from steps.storage.base import scheme_of
from workflows.spec.model import ExperimentSpec


@dataclass(frozen=True)
class Garbage:
    """Folders (and files) that may go, and their size in bytes."""

    folders: list[str]
    bytes: int


def find_garbage(spec: ExperimentSpec, keep: int | None) -> Garbage:
    """What no kept run of the spec's project refers to.

    Args:
        spec: names artifact root and project; all experiments of the project are looked at.
        keep: newest runs to keep per experiment; None for all. An unfinished run is always kept.

    Raises:
        TransientError: a run or split of the project is in progress.
        UsageError: the artifact root is no local folder.
    """
    if scheme_of(spec.output):
        raise UsageError(
            f"{spec.output!r} is no local folder: gc removes from local folders only.",
            hint="Give the bucket a lifecycle rule, such as one that removes cache/ after 90 days.",
        )
    base = Path(ProjectLayout(spec.output, spec.project).base)
    _refuse_while_busy(base)
    kept, dropped = _runs(base / "runs", keep)
    datasets = {RunRequest.from_json((run / "run.json").read_bytes()).dataset for run in kept}
    keys = {key for run in kept for key in _keys(run)}
    garbage = [
        *dropped,
        *(
            p
            for p in _children(base / "datasets")
            if p.name not in {*datasets, "sources", "pins", ".scratch"}
        ),
        *(p for p in _stale_links(base / "datasets", datasets)),
        *(p for two in _children(base / "cache") for p in _children(two) if p.name not in keys),
        *base.rglob(".tmp-*"),
    ]
    folders = sorted(map(str, garbage))
    return Garbage(folders, sum(_size(path) for path in garbage))


def remove(garbage: Garbage) -> None:
    """Remove it; a link goes, what it points to stays.

    Raises:
        OutputError: something could not be removed.
    """
    for folder in garbage.folders:
        path = Path(folder)
        try:
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"Cannot remove {error.filename}: {error.strerror}.") from error


def _refuse_while_busy(base: Path) -> None:
    """What a running split or train step has just written is not referred to yet."""
    splits = [p for p in _children(base / "datasets" / ".scratch") if alive(p.name.split("-")[0])]
    busy = splits or [p for p in base.glob("runs/*/*/.lock") if _locked(p)]
    if busy:
        raise TransientError(
            f"Something of this project is being made just now: {busy[0].parent}.",
            hint="Try again when it has ended.",
        )


def _locked(path: Path) -> bool:
    with path.open() as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _runs(folder: Path, keep: int | None) -> tuple[list[Path], list[Path]]:
    kept, dropped = [], []
    for experiment in _children(folder):
        runs = [run for run in _children(experiment) if (run / "run.json").is_file()]
        done = [run for run in runs if (run / "done.json").is_file()]
        old = done[:-keep] if keep else []
        dropped += old
        kept += [run for run in runs if run not in old]
    return kept, dropped


def _keys(run: Path) -> list[str]:
    records = [PartitionRecord.from_json(p.read_bytes()) for p in _children(run / "records")]
    return [key for record in records for key in (record.fit, record.explanation) if key]


def _stale_links(datasets: Path, kept: set[str]) -> list[Path]:
    links = _children(datasets / "sources")
    return [link for link in links if json.loads(link.read_bytes())["dataset"] not in kept]


def _children(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
