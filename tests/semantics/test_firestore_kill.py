"""Collect killed at random instants while it writes to Firestore: run again, nothing is doubled."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing import forkserver, get_context
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

import pytest

from tests.fakes import SOAK
from tests.fakes.firestore import all_documents
from tests.semantics import collecting
from tests.semantics.collecting import collect_and_tell
from tests.storage.conftest import firestore, firestore_address
from tests.workspace import Workspace, small_table
from workflows.local import RunSummary, run

__all__ = ["firestore", "firestore_address"]

PARTITIONS, DATABASES, KILLS = 8, 4 * SOAK, 5
CONTEXT = get_context("forkserver")
Documents = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> RunSummary:
    """A run that has come to its end, with a store of its own."""
    lab = Workspace(tmp_path_factory.mktemp("done"))
    lab.write_table(small_table(PARTITIONS, rows=60))
    return run(lab.write_spec(trainer={"name": "linear"}, explain__rows=20))


@pytest.fixture(scope="module", autouse=True)
def _warm(done: RunSummary) -> Iterator[None]:
    """Processes that begin with their imports done, and without any client."""
    stop: Callable[[], None] = forkserver._forkserver._stop  # type: ignore[attr-defined]
    stop()
    CONTEXT.set_forkserver_preload([collecting.__name__])
    yield
    stop()


def start(done: RunSummary, uri: str) -> tuple[ForkServerProcess, Connection]:
    ours, theirs = CONTEXT.Pipe(duplex=False)
    root, address = done.layout.base.split("/lab/")[0], os.environ["FIRESTORE_EMULATOR_HOST"]
    process = CONTEXT.Process(target=collect_and_tell, args=(root, done.run, uri, address, theirs))
    process.start()
    theirs.close()
    return process, ours


def finish(process: ForkServerProcess, messages: Connection) -> float:
    """Wait for a collect; the seconds for which it wrote."""
    assert messages.recv() == "begun"
    began = time.monotonic()
    assert messages.recv() == "ended"
    seconds = time.monotonic() - began
    process.join(60)
    assert process.exitcode == 0
    return seconds


def written(uri: str) -> Documents:
    """All documents, without the time at which the run ended."""
    found = all_documents(uri)
    for path, fields in found.items():
        if path.split("/")[-2] == "runs":
            fields["ended"] = bool(fields["ended"])
    return found


def check_whole(found: Documents) -> None:
    """What a page sees of a partition is whole: its own document comes last."""
    for path, fields in found.items():
        if path.split("/")[-2] == "results":
            wanted = [f"{path}/tables/{name}-00000" for name in fields["tables"]]
            assert len(wanted) == 5
            assert set(wanted) <= found.keys()


@pytest.mark.slow
@pytest.mark.soak
def test_killed_while_it_writes(done: RunSummary, firestore: str) -> None:
    whole = f"{firestore}/undisturbed"
    seconds = min(finish(*start(done, whole)) for _ in range(3))  # the first warms the emulator
    wanted = written(whole)
    kinds = Counter(path.split("/")[-2] for path in wanted)
    assert (kinds["runs"], kinds["results"], kinds["tables"]) == (1, PARTITIONS, 5 * PARTITIONS)
    counts = set()
    for number in range(DATABASES):
        killed = f"{firestore}/killed-{number}"
        chances = random.Random(number)
        for share in sorted(chances.uniform(0, 0.9) for _ in range(KILLS)):
            while not kill(done, killed, share * seconds):
                seconds *= 0.8  # it was quicker
            found = written(killed)
            check_whole(found)
            assert all(wanted[path] == fields for path, fields in found.items())
            counts.add(len(found))
        finish(*start(done, killed))
        assert written(killed) == wanted
    assert len(counts) > 3  # it was killed at different instants


def kill(done: RunSummary, uri: str, after: float) -> bool:
    """Kill a collect some seconds after it has begun to write; whether it was still at work."""
    process, messages = start(done, uri)
    assert messages.recv() == "begun"
    time.sleep(after)
    process.kill()
    process.join(60)
    return process.exitcode == -signal.SIGKILL


@pytest.mark.slow
def test_two_at_once_write_one_result(done: RunSummary, firestore: str) -> None:
    whole, shared = f"{firestore}/undisturbed", f"{firestore}/shared"
    finish(*start(done, whole))
    both = [start(done, shared) for _ in range(2)]
    for each in both:
        finish(*each)
    assert written(shared) == written(whole)
