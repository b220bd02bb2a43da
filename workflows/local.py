"""Run an experiment on this machine, with the same steps that pods run on a cluster."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from steps.base.step import fit_base
from steps.collect.outcome import Outcome
from steps.collect.ranking import PartitionRow
from steps.collect.step import collect
from steps.contract import ProjectLayout, RunAddress, RunLayout
from steps.errors import DamagedError, LostArtifactError, SpecError, TransientError
from steps.records import RunRequest
from steps.run_context import RunContext
from steps.runtime.log import RunLog
from steps.runtime.progress import NoProgress, Progress
from steps.split.step import SplitResult, split
from steps.storage.base import Storage, check_writable, read_parsed, scheme_of, storage_for
from steps.storage.file_lock import file_lock
from steps.train.step import TrainLimits, TrainResult, train
from workflows.planning.cost import History, cost_model
from workflows.planning.packing import pack
from workflows.planning.predicted import Predicted
from workflows.planning.run_files import now, put_running, write_request, write_start
from workflows.planning.run_request import run_request, split_engine, split_request
from workflows.planning.trainer_info import TrainerInfo, trainer_info
from workflows.spec.load import LoadedSpec, load_spec
from workflows.spec.model import ExperimentSpec


@dataclass(frozen=True)
class RunSummary:
    """The result of a run.

    Attributes:
        run: id of the run.
        layout: paths of its artifacts.
        resumed: true if a stopped run was resumed.
        reused: true if the dataset existed and no source row was read.
        partitions: number of partitions of the dataset.
        rows: number of rows of the dataset.
        trained: result of the train step.
        outcome: counts, reasons, and the best and worst partitions.
        ranking: trained partitions, best first.
    """

    run: str
    layout: RunLayout
    resumed: bool
    reused: bool
    partitions: int
    rows: int
    trained: TrainResult
    outcome: Outcome
    ranking: list[PartitionRow]

    def raise_for_failures(self) -> None:
        """Raise if more partitions failed than the spec allows.

        Raises:
            TooManyFailuresError: more partitions failed; the message has the share.
            NothingTrainedError: no partition has a model.
        """
        self.outcome.raise_for_failures()


def run(
    spec: LoadedSpec | str | Path,
    *,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> RunSummary:
    """Run an experiment on this machine, or resume a run of it that was stopped.

    Args:
        spec: path of a spec file, or the result of ``load_spec``.
        overrides: overrides such as ``dataset.source=other.parquet``; only with a path.
        progress: receives the progress of each step.

    Raises:
        RefeedError: see ``steps.errors``; finished work is kept.
    """
    loaded = spec if isinstance(spec, LoadedSpec) else load_spec(spec, overrides)
    try:
        return _LocalRun(loaded, progress or NoProgress()).run()
    except SpecError as error:
        raise loaded.locate(error) from None


def split_only(spec: LoadedSpec, progress: Progress | None = None) -> SplitResult:
    """Build the dataset only, or find it; ``run`` reuses it.

    Raises:
        RefeedError: see ``steps.errors``.
    """
    try:
        return _LocalRun(spec, progress or NoProgress()).split()
    except SpecError as error:
        raise spec.locate(error) from None


_MAX_REPAIRS = 2
"""Limit on computing lost artifacts again, in case something keeps deleting them."""


class _LocalRun:
    def __init__(self, loaded: LoadedSpec, progress: Progress) -> None:
        self.spec: ExperimentSpec = loaded.spec
        self.progress = progress
        self.project = ProjectLayout(self.spec.output, self.spec.project)
        self.storage: Storage = storage_for(self.spec.output)

    def split(self) -> SplitResult:
        with self._project_lock():
            return self._split()

    @contextmanager
    def _project_lock(self) -> Iterator[None]:
        """Keep ``refeed gc`` from removing artifacts that no run refers to yet.

        Raises:
            TransientError: ``refeed gc`` is running.
        """
        check_writable(self.project.base)
        if scheme_of(self.spec.output):
            yield
            return
        with file_lock(self.project.lock, shared=True) as locked:
            if not locked:
                raise TransientError(
                    f"`refeed gc` is running in {self.project.base!r}.",
                    hint="Try again when it has ended.",
                )
            yield

    def _split(self) -> SplitResult:
        engine = split_engine(self.spec, f"{platform.node()} {os.getpid()}")
        return split(split_request(self.spec), self.project, self.storage, self.progress, engine)

    def run(self) -> RunSummary:
        trainer = trainer_info(self.spec)  # report wrong parameters before the split
        with self._project_lock():
            for _ in range(_MAX_REPAIRS):
                with suppress(LostArtifactError):
                    return self._run(trainer)
            return self._run(trainer)

    def _run(self, trainer: TrainerInfo) -> RunSummary:
        built = self._split()
        request = run_request(self.spec, built, "", trainer)
        with self._lock_run(request) as (request, resumed):
            address = RunAddress(self.spec.output, request.project, request.experiment, request.run)
            context = RunContext.open(address, self.spec.store)
            if resumed:
                self.storage.sweep(context.run.base)
            else:
                started = now()
                write_start(context.run, self.storage, self.spec, started)
                self._plan(context, request, built, trainer)
                put_running(context.store, request, started)
            self._fit_base(context)
            trained = self._train(context)
            with RunLog(self.storage, context.run.log("collect"), "collect") as log:
                ids = {entry.key.partition_id for entry in built.index.entries}
                collected = collect(context, self.spec.dataset.title, self.progress, ids)
                outcome = collected.outcome
                log.event("collected", counts=outcome.counts, reasons=outcome.reasons)
        return RunSummary(
            run=request.run,
            layout=context.run,
            resumed=resumed,
            reused=built.reused,
            partitions=len(built.index.entries),
            rows=built.index.rows,
            trained=trained,
            outcome=outcome,
            ranking=collected.ranking,
        )

    def _plan(
        self, context: RunContext, request: RunRequest, built: SplitResult, trainer: TrainerInfo
    ) -> None:
        history = History(self.project, self.storage, context.store)
        costs = cost_model(self.spec, request, trainer.cost, history)
        works = costs.works(built.index, request.roles.target, request.min_rows)
        shards = {"local": pack(works, self.spec.execution.shards)}
        self.storage.write(context.run.trainer, trainer.to_json().encode())
        predicted = Predicted(works, costs.basis)
        write_request(context.run, self.storage, request, shards, predicted)

    def _fit_base(self, context: RunContext) -> None:
        threads = self.spec.execution.workers or os.cpu_count() or 1
        with RunLog(self.storage, context.run.log("base"), "base") as log:
            fitted = fit_base(context.address, threads, self.progress)
            log.event("base models", **asdict(fitted))

    def _train(self, context: RunContext) -> TrainResult:
        total = TrainResult()
        limits = TrainLimits(self.spec.execution.workers)
        with RunLog(self.storage, context.run.log("train"), "train") as log:
            for name in self.storage.names(context.run.shards):
                shard = name.removesuffix(".json")
                part = train(context.address, shard, limits, self.progress, log)
                total.statuses += part.statuses
                total.cached += part.cached
                total.finished += part.finished
                log.event("shard", shard=shard, statuses=part.statuses, cached=part.cached)
        return total

    @contextmanager
    def _lock_run(self, request: RunRequest) -> Iterator[tuple[RunRequest, bool]]:
        """Lock the latest unfinished run with the same request, or a new run.

        Yields the request with its run id, and whether the run is resumed.
        """
        folder = self.project.runs(request.experiment)
        if scheme_of(self.spec.output):  # without locks, start a new run and rely on the cache
            yield replace(request, run=new_run_id()), False
            return
        for run_id in reversed(self.storage.names(folder)):
            if self._can_resume(request, run_id):
                with file_lock(self.project.run(request.experiment, run_id).lock) as locked:
                    if locked and self._can_resume(request, run_id):
                        yield replace(request, run=run_id), True
                        return
        run_id = new_run_id()
        with file_lock(self.project.run(request.experiment, run_id).lock):
            yield replace(request, run=run_id), False

    def _can_resume(self, request: RunRequest, run_id: str) -> bool:
        layout = self.project.run(request.experiment, run_id)
        if self.storage.exists(layout.done) or not self.storage.exists(layout.request):
            return False
        try:
            stored = read_parsed(self.storage, layout.request, RunRequest.from_json)
        except DamagedError:  # its request is unknown, so start another run
            return False
        return stored == replace(
            request,
            run=run_id,
            max_failed_fraction=stored.max_failed_fraction,
            label=stored.label,
            fold_models=stored.fold_models,
        )


def new_run_id() -> str:
    """Return an id that sorts by time: the second, and its fraction in four hex digits."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%S}-{now.microsecond * 0x10000 // 1_000_000:04x}"
