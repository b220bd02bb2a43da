"""Make the artifact roots in ``tests/compat/roots`` with the code of a checkout.

    .venv/bin/python -m tests.compat.make_roots CHECKOUT

The checkout needs its own ``.venv`` (``make install``). The committed roots come from commit
6928035, whose modules had other names: they were made by this script as of commit 0d42bd3. Make new
ones only when old roots are given up on purpose: with a raised SPLIT_VERSION, TRAIN_VERSION,
SCHEMA_VERSION or trainer version. Each archive is an artifact root of four trained partitions and a
skipped one, made from ``table.csv``:

- ``finished.tar.xz``: runs of two trainers on a laptop, both finished.
- ``stopped.tar.xz``: a run on a laptop, killed (SIGKILL) while it trained.
- ``cluster.tar.xz``: the objects of a bucket, in which fake pods finished one run; the second run
  was stopped after the first of its shards.
"""

# ruff: noqa: ARG002 - a port has arguments that not every adapter needs

from __future__ import annotations

import os
import shutil
import signal
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.fakes import gcs_server, make_bucket
from tests.pods.fake_project import FakeProject, FakeWorkflow
from workflows.local import run

ROOTS = Path(__file__).parent / "roots"
TABLE = ROOTS / "table.csv"
BUCKET = "old-root"
TRAINERS: dict[str, dict[str, Any]] = {
    "linear": {"name": "linear"},
    "lightgbm": {"name": "lightgbm", "params": {"num_leaves": 4, "rounds": 8}},
}
SPEC: dict[str, Any] = {
    "project": "lab",
    "dataset": {
        "source": TABLE.name,
        "partition_by": "key",
        "target": "target",
        "features": ["number", "level", "whole", "flag"],
        "min_rows": 20,
    },
    "evaluate": {"method": "kfold", "folds": 3, "seed": 1, "group": "day"},
    "explain": {"partial_dependence": {"grid": 5}, "rows": 60},
    "execution": {"workers": 1},
    "output": "runs",
}


def write_spec(folder: Path, trainer: str) -> Path:
    """Write the source and a spec."""
    shutil.copy(TABLE, folder)
    path = folder / f"{trainer}.yaml"
    spec = {"name": f"old-{trainer}", **SPEC, "trainer": TRAINERS[trainer]}
    path.write_text(yaml.safe_dump(spec, sort_keys=False))
    return path


def in_new_process(function: Callable[[Path], None], path: Path) -> int | None:
    """Call a function in a process with workers of its own; return its exit code."""
    process = get_context("spawn").Process(target=function, args=[path])
    process.start()
    process.join()
    return process.exitcode


def make_finished(folder: Path) -> None:
    """Finish a run of each trainer."""
    for trainer in TRAINERS:
        run(write_spec(folder, trainer))


class Killer:
    """Progress of a run that kills its process after two trained partitions and a skipped one."""

    def __init__(self) -> None:
        self.step = ""
        self.done = 0

    def begin(self, step: str, unit: str, total: int | None) -> None:
        """Remember the step."""
        self.step = step

    def advance(self, units: int, note: str = "", *, failed: int = 0) -> None:
        """Count partitions that have a record."""
        self.done += units if self.step == "train" else 0
        if self.done == 3:
            os.kill(os.getpid(), signal.SIGKILL)

    def end(self) -> None:
        """Do nothing at the end of a step."""


def run_until_killed(spec: Path) -> None:
    """Run on this machine, with its process killed on the way."""
    run(spec, progress=Killer())


def make_stopped(folder: Path) -> None:
    """Kill a run in train; its worker may have begun a third partition."""
    spec = write_spec(folder, "lightgbm")
    assert in_new_process(run_until_killed, spec) == -signal.SIGKILL
    time.sleep(1)  # the worker ends when its parent is gone


def make_cluster(folder: Path) -> None:
    """Finish a run, and stop another one after a shard; then copy the bucket."""
    with gcs_server() as server, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", server)
        worth = {"time": 1e-3}  # for more than one shard
        patch.setattr("workflows.planning.packing.WORTH_SECONDS", worth)
        make_bucket(server, BUCKET)
        outside = folder / "outside"
        outside.mkdir()
        world = FakeProject(f"gs://{BUCKET}", outside, patch)
        world.storage.write(f"{world.root}/sources/{TABLE.name}", TABLE.read_bytes())
        cluster_workflow(world, "trial-1", seed=2).run_all()
        stop_after_a_shard(cluster_workflow(world, "trial-2", seed=1))
        for name in world.files():
            path = folder / "bucket" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(world.storage.read(f"{world.root}/{name}"))
        platform = world.platform.model_dump(mode="json", exclude_defaults=True)
        (folder / "installation.yaml").write_text(yaml.safe_dump(platform, sort_keys=False))
        shutil.rmtree(outside)


def cluster_workflow(world: FakeProject, name: str, seed: int) -> FakeWorkflow:
    """Make a Workflow of the spec; another seed makes other models."""
    source = f"{world.root}/sources/{TABLE.name}"
    changes: dict[str, Any] = {
        "dataset__source": source,
        "trainer": TRAINERS["linear"],
        "evaluate__seed": seed,
    }
    return world.workflow(name, **changes)


def stop_after_a_shard(workflow: FakeWorkflow) -> None:
    """Train one shard, then run the exit handler of a Workflow that was stopped."""
    workflow.run_check()
    shards = workflow.run_split()
    assert len(shards) > 1
    workflow.train(shards[:1])
    workflow.status = "Failed"
    workflow.failures = [{"displayName": "train", "message": "Stopped with strategy 'Stop'"}]
    workflow.run("finish")


def pack(folder: Path, archive: Path) -> None:
    """Write an archive that depends on the files' names and contents alone."""

    def anonymous(info: tarfile.TarInfo) -> tarfile.TarInfo | None:
        info.mtime, info.uid, info.gid, info.uname, info.gname = 1_700_000_000, 0, 0, "", ""
        info.mode = 0o755 if info.isdir() else 0o644
        return None if info.name == TABLE.name else info

    with tarfile.open(archive, "w:xz", preset=9) as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name, filter=anonymous)


def main() -> None:
    """Make all roots with the code of the checkout that the command line names."""
    if len(sys.argv) == 2:
        checkout = Path(sys.argv[1]).resolve()
        python = str(checkout / ".venv" / "bin" / "python")
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        os.execve(python, [python, str(Path(__file__).resolve())], environment)
    for make in (make_finished, make_stopped, make_cluster):
        archive = ROOTS / f"{make.__name__.removeprefix('make_')}.tar.xz"
        with tempfile.TemporaryDirectory() as folder:
            assert in_new_process(make, Path(folder)) == 0
            pack(Path(folder), archive)
        sys.stdout.write(f"{archive}: {archive.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
