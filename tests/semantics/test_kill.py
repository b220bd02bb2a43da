"""``kill -9`` at any instant, run again: nothing missing, nothing doubled.

What is stored is not fitted again; with ``make soak`` there are 1,000 kills.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tests.segment_surgery import member_names, read_members
from tests.workspace import Workspace, small_table
from tests.writers import WRITERS

PARTITIONS = 10
KILLS_PER_RUN = 20 * int(os.environ.get("REFEED_SOAK", "1"))
SOURCES = ["parquet", "csv.gz", "xlsx", "arrow", "parquet"]
FLUSH_SECONDS = 0.05
"""So that kills come before, during and after the writing of segments."""
CODE = f"""
from steps.segments.writer import SegmentWriter
SegmentWriter.__init__.__defaults__ = ({FLUSH_SECONDS},)
from workflows.cli.app import main
main()
"""


def numbered_table() -> pa.Table:
    """The first feature is the partition's number, so that the fit log shows which were fitted."""
    table = small_table(PARTITIONS, rows=60)
    number = np.repeat(np.arange(PARTITIONS, dtype=float), 60)
    return table.set_column(table.column_names.index("number"), "number", pa.array(number))


def write_source(lab: Workspace, suffix: str) -> dict[str, Any]:
    """Write the table in a format; the others than Parquet as folders that name a second key."""
    table = numbered_table()
    if suffix == "parquet":
        lab.write_table(table)
        return {}
    for half in range(2):
        folder = lab.folder / "source" / f"half={half}"
        folder.mkdir(parents=True)
        part = table.slice(half * len(table) // 2, len(table) // 2)
        WRITERS[suffix](part, folder / f"0.{suffix}")
    return {"dataset__source": "source", "dataset__partition_by": ["key", "half"]}


def fits(log: Path) -> Counter[str]:
    """Fits by partition, from outside: the trainer itself writes them down."""
    if not log.exists():
        return Counter()
    return Counter(line.split()[0] for line in log.read_text().splitlines())


def fitted(folder: Path) -> set[str]:
    """Partitions whose fit is committed; the model is the mean, its card names the partition."""
    return {
        str(float(line.split("part ")[1].split()[0]))
        for card in read_members(str(folder / "runs"), "model-card/*").values()
        for line in card.decode().splitlines()
        if line.startswith("| Of the partition")
    }


def start(lab: Workspace, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", CODE, "run", str(lab.folder / "spec.yaml"), "--json"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def finish(lab: Workspace, environment: dict[str, str]) -> dict[str, object]:
    process = start(lab, environment)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()
    result: dict[str, object] = json.loads(output)
    return result


@pytest.mark.slow
@pytest.mark.soak
@pytest.mark.parametrize(("seed", "source"), list(enumerate(SOURCES)))
def test_killed_at_random_instants(
    seed: int, source: str, tmp_path: Path, faulty: Callable[[], dict[str, str]]
) -> None:
    log = tmp_path / "killed.log"
    environment = faulty() | {"FAULTY_FIT_LOG": str(log)}
    labs = [Workspace(tmp_path / name) for name in ("killed", "whole")]
    for lab in labs:
        lab.folder.mkdir()
        lab.write_spec(
            trainer={"name": "faulty", "params": {"seconds": 0.01}},
            execution__shards=2,
            **write_source(lab, source),
        )
    killed, whole = labs
    instants = random.Random(seed)
    kills = 0
    while kills < KILLS_PER_RUN:
        done, before = fitted(killed.folder), fits(log)
        process = start(killed, environment)
        time.sleep(instants.uniform(0.3, 2.4))
        if kills % 2:
            os.killpg(process.pid, signal.SIGKILL)  # everything at once, as when a node goes
        else:
            os.kill(process.pid, signal.SIGKILL)  # the command only: its workers must notice
        process.communicate()
        kills += process.returncode == -signal.SIGKILL
        time.sleep(0.2)  # orphans end with their parent
        assert {name: fits(log)[name] for name in done} == {name: before[name] for name in done}
    done, before = fitted(killed.folder), fits(log)
    result = finish(killed, environment)
    assert {name: fits(log)[name] for name in done} == {name: before[name] for name in done}
    assert result["counts"] == {"trained": PARTITIONS, "skipped": 0, "failed": 0}
    reference = finish(whole, environment)
    assert killed.tables(str(result["folder"])) == whole.tables(str(reference["folder"]))
    records = member_names(str(killed.folder / "runs"), f"record/*/{result['run']}/*")
    assert len({name.rpartition("/")[2] for name in records}) == PARTITIONS
