"""A run on this machine: the same steps that containers run elsewhere, one after the other."""

from __future__ import annotations

import fcntl
import os
import platform
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from steps.collect.step import CollectResult, collect
from steps.contract import ProjectLayout, RunAddress, RunLayout
from steps.errors import SpecError, TooManyFailuresError
from steps.records import RunRequest
from steps.runtime.log import RunLog
from steps.runtime.progress import Progress, Silent
from steps.split.step import SplitResult, split
from steps.storage.base import Storage, check_writable, read_parsed, scheme_of, storage_for
from steps.stores.base import open_store
from steps.train.step import TrainLimits, TrainResult, train
from workflows.planning.packing import pack
from workflows.planning.run_files import now, put_running, write_request, write_start
from workflows.planning.run_request import run_request, split_engine, split_request, trainer_info
from workflows.spec.load import LoadedSpec, load_spec
from workflows.spec.model import ExperimentSpec


@dataclass(frozen=True)
class RunSummary:
    """What a run did and where it is.

    Attributes:
        run: its id.
        layout: where its artifacts lie.
        resumed: it went on with a run that had been stopped.
        reused: the data set was there already; no source row was read.
        partitions: of the data set.
        rows: of the data set.
        trained: what the train step did.
        collected: what came of it.
    """

    run: str
    layout: RunLayout
    resumed: bool
    reused: bool
    partitions: int
    rows: int
    trained: TrainResult
    collected: CollectResult

    def raise_for_failures(self) -> None:
        """Raise if more partitions failed than the spec allows.

        Raises:
            TooManyFailuresError: with the share.
        """
        if self.collected.too_many_failed:
            failed = self.collected.counts["failed"]
            raise TooManyFailuresError(
                f"{failed} of {self.partitions} partitions failed, more than "
                "execution.max_failed_fraction allows. The tables are written all the same.",
                hint=f"The reasons are in {self.layout.table('partitions', 'csv')}.",
            )


def run(
    spec: LoadedSpec | str | Path,
    *,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> RunSummary:
    """Run an experiment on this machine, or go on with a run of it that was stopped.

    Args:
        spec: path of a spec file, or the spec as ``load_spec`` returned it.
        overrides: such as ``dataset.source=other.parquet``; only with a path.
        progress: told how far it has come.

    Raises:
        RefeedError: see ``steps.errors``; all that is finished is kept.
    """
    loaded = spec if isinstance(spec, LoadedSpec) else load_spec(spec, overrides)
    try:
        return _Local(loaded, progress or Silent()).run()
    except SpecError as error:
        raise loaded.locate(error) from None


def split_only(spec: LoadedSpec, progress: Progress | None = None) -> SplitResult:
    """Make the data set alone; ``run`` finds it.

    Raises:
        RefeedError: see ``steps.errors``.
    """
    local = _Local(spec, progress or Silent())
    try:
        return local.split()
    except SpecError as error:
        raise spec.locate(error) from None


class _Local:
    def __init__(self, loaded: LoadedSpec, progress: Progress) -> None:
        self.spec: ExperimentSpec = loaded.spec
        self.progress = progress
        self.project = ProjectLayout(self.spec.output, self.spec.project)
        self.storage: Storage = storage_for(self.spec.output)
        self.store = open_store(self.project, self.spec.store)

    def split(self) -> SplitResult:
        check_writable(self.project.base)
        engine = split_engine(self.spec, f"{platform.node()} {os.getpid()}")
        return split(split_request(self.spec), self.project, self.storage, self.progress, engine)

    def run(self) -> RunSummary:
        trainer = trainer_info(self.spec)  # a wrong parameter should not cost a split first
        made = self.split()
        request = run_request(self.spec, made, "", trainer)
        with self._claim(request) as (request, resumed):
            layout = self.project.run(request.experiment, request.run)
            if resumed:
                self.storage.sweep(layout.base)
            else:
                self._begin(request, made, layout)
            trained = self._train(request, layout)
            with RunLog(self.storage, layout.log("collect"), "collect") as log:
                title = self.spec.dataset.title
                collected = collect(
                    self.project, layout, self.storage, self.store, self.progress, title
                )
                log.event("collected", counts=collected.counts, reasons=collected.reasons)
        index = made.index
        return RunSummary(
            request.run,
            layout,
            resumed,
            made.reused,
            len(index.entries),
            index.rows,
            trained,
            collected,
        )

    def _begin(self, request: RunRequest, made: SplitResult, layout: RunLayout) -> None:
        started = now()
        write_start(layout, self.storage, self.spec, started)
        entries = made.index.entries
        shards = {"local": pack(entries, self.spec.execution.shards)}
        write_request(layout, self.storage, request, len(entries), shards)
        put_running(self.store, request, started)

    def _train(self, request: RunRequest, layout: RunLayout) -> TrainResult:
        address = RunAddress(self.spec.output, request.project, request.experiment, request.run)
        total = TrainResult()
        means = TrainLimits(self.spec.execution.workers)
        with RunLog(self.storage, layout.log("train"), "train") as log:
            for name in self.storage.names(layout.shards):
                shard = name.removesuffix(".json")
                part = train(address, shard, means, self.progress, log)
                total.statuses += part.statuses
                total.cached += part.cached
                total.finished += part.finished
                log.event("shard", shard=shard, statuses=part.statuses, cached=part.cached)
        return total

    @contextmanager
    def _claim(self, request: RunRequest) -> Iterator[tuple[RunRequest, bool]]:
        """A run of this request that was stopped, else a new one; nobody else works on it."""
        folder = self.project.runs(request.experiment)
        if scheme_of(self.spec.output):  # no lock there: a new run, for which the cache is as good
            yield replace(request, run=new_run_id()), False
            return
        for run_id in reversed(self.storage.names(folder)):
            if self._is_unfinished(request, run_id):
                with _lock(Path(folder, run_id)) as mine:
                    if mine and self._is_unfinished(request, run_id):
                        yield replace(request, run=run_id), True
                        return
        run_id = new_run_id()
        with _lock(Path(folder, run_id)):
            yield replace(request, run=run_id), False

    def _is_unfinished(self, request: RunRequest, run_id: str) -> bool:
        layout = self.project.run(request.experiment, run_id)
        if self.storage.exists(layout.done) or not self.storage.exists(layout.request):
            return False
        found = read_parsed(self.storage, layout.request, RunRequest.from_json)
        same = replace(
            request,
            run=run_id,
            max_failed_fraction=found.max_failed_fraction,
            label=found.label,
        )
        return found == same


def new_run_id() -> str:
    """An id that sorts by time and is unlike any other of the same second."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(2)}"


@contextmanager
def _lock(folder: Path) -> Iterator[bool]:
    """Whether this process now holds the run; the system lets go of it when the process ends."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
