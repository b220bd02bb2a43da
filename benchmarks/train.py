"""Overhead of the train step over the same fits and explanations alone.

Ours is the train step as `refeed run` calls it: pool, part files read, metrics, models, cards,
explanations and records written, progress. The limit is a bare loop on all cores: one plain process
per core calls the same library functions on frames that it has loaded before, and writes nothing.
Both times hold the start of the processes and their imports; the loop's hold no loading. All
compute in one thread per process. Rounds alternate; ours is their median, but the limit is the
fastest loop: other load on the machine can only make it slower. CPU seconds of both are shown too;
they hardly depend on other load, but leave out waiting.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import yaml

from benchmarks.common import (
    Row,
    in_new_process,
    median,
    result_of,
    scratch,
    seconds,
    show_progress,
    start_fresh,
    write_table,
)
from refeed import RowSubset

TARGET = 0.95
FROZEN, FROZEN_TARGET = "6928035", 1.15
"""The commit whose loop is a peer, with its functions and defaults, and the target against it."""
ROWS, FEATURES = 2000, 30
PARAMS = {"num_leaves": 15, "rounds": 30}
"""Small models: our own overhead weighs the more."""
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_NO_EXPLANATION = {"partial_dependence": False, "shap": False, "permutation_importance": 0}


# --- what is measured, each in a process of its own -------------------------------------------


class _Done(Exception):  # noqa: N818 - stops a run when its train step has ended
    pass


class _Watch:
    """Progress that times the train step, then ends the run."""

    def begin(self, step: str, unit: str, total: int | None) -> None:
        del unit, total
        self.step, self.began = step, time.perf_counter()
        self.processor = processor_seconds()

    def advance(self, units: int, note: str = "", *, failed: int = 0) -> None:  # noqa: ARG002
        assert not note, f"a partition was not trained: {units} {note}"

    def end(self) -> None:
        self.took = time.perf_counter() - self.began
        self.processor = processor_seconds() - self.processor
        if self.step == "train":
            raise _Done


def processor_seconds() -> float:
    """Return the CPU seconds of this process, its children and their ended children."""
    me = psutil.Process()
    own = sum(me.cpu_times()[:2])
    return float(own + sum(sum(child.cpu_times()[:4]) for child in me.children()))


def ours(spec: str, output: str) -> tuple[float, float]:
    """Seconds of the train step of a run, and of processor time."""
    from workflows.local import run as run_refeed

    watch = _Watch()
    try:
        run_refeed(spec, overrides=[f"output={output}"], progress=watch)
    except _Done:
        return watch.took, watch.processor
    raise AssertionError("the run had no train step")


def build_dataset(spec: str) -> None:
    """Split, so that the loops find part files to load."""
    from workflows.local import split_only
    from workflows.spec.load import load_spec

    split_only(load_spec(spec))


def context_of(spec: str) -> Any:  # noqa: ANN401 - a TrainContext, whose import is heavy
    """Return the context of training a spec, whose dataset is built unless it exists."""
    from steps.contract import ProjectLayout
    from steps.storage.base import storage_for
    from steps.table.grid import Grid
    from steps.train.context import TrainContext
    from steps.train.registry import make_trainer
    from workflows.local import split_only
    from workflows.planning.run_request import run_request
    from workflows.planning.trainer_info import trainer_info
    from workflows.spec.load import load_spec

    loaded = load_spec(spec)
    made = split_only(loaded)
    request = run_request(loaded.spec, made, "", trainer_info(loaded.spec))
    layout = ProjectLayout(loaded.spec.output, request.project)
    dataset, storage = layout.dataset(request.dataset), storage_for(loaded.spec.output)
    return TrainContext(
        request=request,
        index=made.index,
        grid=Grid.from_json(storage.read(dataset.grid(request.grid))),
        trainer=make_trainer(request.trainer["name"], request.trainer["params"]),
        dataset=dataset,
        storage=storage,
        cache=layout.cache,
    )


def _load(work: Any, entry: Any) -> tuple[Any, Any]:  # noqa: ANN401 - a frame and its folds
    from steps.table.part_codec import decode_part
    from steps.train.evaluation.folds import make_folds
    from steps.train.frame import target_rows
    from steps.train.reading import frame_of

    content = work.storage.read(f"{work.dataset.base}/{entry.parts[0]}")
    table = decode_part(content, work.index.format, work.schema)
    frame = frame_of(work, target_rows(table, work.request.roles))
    return frame, make_folds(frame, work.evaluation).parts


def _data(work: Any, frame: Any, rows: Any) -> Any:  # noqa: ANN401 - TrainingData
    from steps.train.trainer import TrainingData

    features = frame.features.take(rows)
    return TrainingData(features, frame.target[rows], None, work.task, (), work.evaluation.seed)


def _fit(work: Any, frame: Any, folds: Any) -> list[Any]:  # noqa: ANN401
    """Return the fold models, and the final model last."""
    subsets = [RowSubset(rows) for rows in _wanted(frame, folds)]
    return list(work.trainer.fit_subsets(_data(work, frame, slice(None)), subsets))


def _wanted(frame: Any, folds: Any) -> list[Any]:  # noqa: ANN401
    return [*(fold.train for fold in folds), np.arange(len(frame.target))]


def _explain(work: Any, frame: Any, folds: Any, models: list[Any], config: Any) -> None:  # noqa: ANN401
    from steps.train.explanation.context import ExplainContext, seen_rows
    from steps.train.explanation.explain import explain

    seen = seen_rows(frame, folds, models[: len(folds)], config.rows)
    explain(
        ExplainContext(
            work.trainer, work.task, frame, seen, work.grid, config, work.evaluation.seed
        )
    )


def bare(spec: str, part: int, parts: int) -> tuple[float, float]:
    """Fit one process's share of the partitions, as a lower limit; wait for a line to start."""
    imports, processor = time.time() - psutil.Process().create_time(), time.process_time()
    work = context_of(spec)
    loaded = [_load(work, entry) for entry in work.index.entries[part::parts]]
    print("ready", flush=True)
    sys.stdin.readline()
    began, loaded_at = time.perf_counter(), time.process_time()
    for frame, folds in loaded:
        _explain(work, frame, folds, _fit(work, frame, folds), work.explanation)
    processor += time.process_time() - loaded_at
    return imports + time.perf_counter() - began, processor


def stages(spec: str) -> dict[str, float]:
    """Seconds per partition of each stage; each explanation starts from models as they are read."""
    work = context_of(spec)
    configs = {
        "SHAP": {"partial_dependence": False, "permutation_importance": 0},
        "permutation importance": {"partial_dependence": False, "shap": False},
        "partial dependence": {"shap": False, "permutation_importance": 0},
        "all explanations together": {},
    }
    took: dict[str, list[float]] = {name: [] for name in ("fits", *configs)}
    for entry in work.index.entries:
        frame, folds = _load(work, entry)
        models = _timed(took["fits"], partial(_fit, work, frame, folds))
        for name, changes in configs.items():
            config = work.explanation.model_copy(update=changes)
            again = [work.trainer.load(work.trainer.save(model)) for model in models]
            _timed(took[name], partial(_explain, work, frame, folds, again, config))
    return {name: median(values) for name, values in took.items()}


def _timed(into: list[float], call: Callable[[], Any]) -> Any:  # noqa: ANN401
    began = time.perf_counter()
    result = call()
    into.append(time.perf_counter() - began)
    return result


def fits_elsewhere(spec: str, peer: str) -> float:
    """Seconds of the fits alone on another pool, workers' start and imports included."""
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    from loky import get_reusable_executor

    work = context_of(spec)
    tasks = [
        (
            work.request.trainer["params"],
            [_data(work, frame, rows) for rows in _wanted(frame, folds)],
        )
        for frame, folds in (_load(work, entry) for entry in work.index.entries)
    ]
    cores = os.cpu_count() or 1
    began = time.perf_counter()
    if peer == "loky":
        executor: Any = get_reusable_executor(cores)
    else:
        executor = ProcessPoolExecutor(cores, get_context("spawn"), max_tasks_per_child=1)
    with executor:
        sizes = list(executor.map(_fit_sizes, tasks))
    assert all(sizes)
    return time.perf_counter() - began


def _fit_sizes(task: tuple[dict[str, Any], list[Any]]) -> int:
    from steps.train.registry import make_trainer

    params, parts = task
    trainer = make_trainer("lightgbm", params)
    whole = [trainer.fit(data) for data in parts]
    return sum(len(trainer.save(model)) for model in whole)


def one_fit(rounds: int) -> dict[str, float]:
    """Return the processor seconds of a fit of four fifths of the rows, by how they are binned."""
    from containers.lightgbm.params import LightGBMParams
    from containers.lightgbm.trainer import LightGBMTrainer
    from refeed import Features, TrainingData

    rng = np.random.default_rng(0)
    values = rng.normal(size=(ROWS, FEATURES))
    target = values[:, 0] + np.abs(values[:, 1]) * values[:, 2] + rng.normal(size=ROWS)
    features = Features(tuple(map(str, range(FEATURES))), values, (None,) * FEATURES)
    data = TrainingData(features, target, None, "regression", (), seed=0)
    fold = rng.permutation(ROWS) % 5
    subsets = [RowSubset(np.flatnonzero(fold != number)) for number in range(5)]

    def trainer(max_bin: int) -> LightGBMTrainer:
        params = {**PARAMS, "learning_rate": 0.1, "max_bin": max_bin}
        return LightGBMTrainer(LightGBMParams.model_validate(params))

    many, few = trainer(255), trainer(63)
    calls: dict[str, Callable[[], Any]] = {
        "own bins": lambda: [many.fit(data.subset(subset)) for subset in subsets],
        "shared bins": lambda: many.fit_subsets(data, subsets),
        "63 shared bins": lambda: few.fit_subsets(data, subsets),
    }
    took: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds + 1):
        for name, call in calls.items():
            began = time.process_time()
            call()
            if number:  # the first round loads LightGBM
                took[name].append((time.process_time() - began) / len(subsets))
    return {name: median(values) for name, values in took.items()}


# --- the question ---------------------------------------------------------------------------


def write_spec(folder: Path, partitions: int, name: str, **explain: Any) -> str:  # noqa: ANN401
    """Write a spec and its table, whose partitions are equal in size."""
    source = folder / f"{name}.parquet"
    write_table(source, partitions * ROWS, FEATURES + 1, partitions, even=True)
    spec = {
        "name": name,
        "project": "bench",
        "dataset": {"source": str(source), "partition_by": "k", "target": "f00"},
        "trainer": {"name": "lightgbm", "params": PARAMS},
        "explain": explain,
        "output": str(folder / name),
    }
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(spec), encoding="utf-8")
    return str(path)


Times = tuple[float, float]
"""Seconds, and seconds of processor time."""


def time_ours(spec: str) -> Times:
    with scratch() as folder:
        took, processor = in_new_process(ours, spec, str(folder))
        return took, processor


def time_bare(spec: str, **env: str) -> Times:
    """Until the last process is done; its imports are counted, its loading is not."""
    cores, env = os.cpu_count() or 1, ONE_THREAD | env
    processes = [start_fresh(bare, spec, core, cores, **env) for core in range(cores)]
    try:
        for process in processes:
            _wait_until_ready(process)
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        times = [result_of(process) for process in processes]
        return max(took for took, _ in times), sum(processor for _, processor in times)
    finally:
        for process in processes:
            process.kill()


def frozen_tree(folder: Path) -> Path | None:
    """Extract the code of the frozen commit; None if the clone has no history."""
    root, tree = Path(__file__).resolve().parent.parent, folder / "frozen"
    command = ["git", "-C", str(root), "archive", FROZEN]
    archive = subprocess.run(command, capture_output=True, check=False)
    if archive.returncode:
        return None
    tree.mkdir()
    subprocess.run(["tar", "-x", "-C", str(tree)], input=archive.stdout, check=True)
    return tree


def time_frozen(spec: str, tree: Path) -> Times:
    """Time the bare loop of the frozen commit with its own functions, on today's libraries."""
    return time_bare(spec, PYTHONPATH=str(tree), PYTHONSAFEPATH="1")


def _wait_until_ready(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    if process.stdout.readline().strip() != "ready":
        raise RuntimeError("a process of the bare loop did not begin")


def throughput(folder: Path, partitions: int, rounds: int) -> list[Row]:
    spec = write_spec(folder, partitions, "train")
    in_new_process(build_dataset, spec)
    ours_, bare_, frozen = [], [], []
    tree = frozen_tree(folder)
    old = write_spec(folder, partitions, "frozen")
    for _ in range(rounds):
        ours_.append(time_ours(spec))
        bare_.append(time_bare(spec))
        show_progress(f"train: ours {_words(ours_[-1])}; bare loop {_words(bare_[-1])}")
        if tree is not None:
            frozen.append(time_frozen(old, tree))
            show_progress(f"train: bare loop of {FROZEN}: {_words(frozen[-1])}")
    mine, limit = median([took for took, _ in ours_]), min(took for took, _ in bare_)
    spent, least = median([cpu for _, cpu in ours_]), median([cpu for _, cpu in bare_])
    what = f"train {partitions} partitions of {ROWS:,} rows x {FEATURES} features"
    return [
        *_against_frozen(what, partitions, mine, [took for took, _ in frozen]),
        Row(
            what,
            f"{partitions / mine:.2f} partitions/s",
            f"bare loop {partitions / limit:.2f} partitions/s",
            f"{limit / mine:.2f} of the limit",
            f"at least {TARGET:g}",
            limit / mine >= TARGET,
        ),
        Row(
            f"{what}, every round",
            ", ".join(seconds(took) for took, _ in ours_),
            "bare loop " + ", ".join(seconds(took) for took, _ in bare_),
        ),
        Row(
            f"{what}, processor time",
            seconds(spent),
            f"bare loop {seconds(least)}",
            f"{least / spent:.2f} of the limit",
        ),
    ]


def _against_frozen(what: str, partitions: int, mine: float, frozen: list[float]) -> Iterator[Row]:
    if not frozen:
        yield Row(f"{what}, against the loop of {FROZEN}", "", "not run: no history in this clone")
        return
    before = min(frozen)
    yield Row(
        f"{what}, against the loop of {FROZEN}",
        f"{partitions / mine:.2f} partitions/s",
        f"that loop {partitions / before:.2f} partitions/s",
        f"{before / mine:.2f} of its speed",
        f"at least {FROZEN_TARGET:g}",
        before / mine >= FROZEN_TARGET,
    )


def _words(times: Times) -> str:
    return f"{times[0]:.1f} s (processor {times[1]:.1f} s)"


def shares(folder: Path, partitions: int) -> Iterator[Row]:
    spec = write_spec(folder, partitions, "stages")
    took = in_new_process(stages, spec, **ONE_THREAD)
    whole = took["fits"] + took["all explanations together"]
    for name, value in took.items():
        share = f"{value / whole:.0%} of fits and explanations"
        yield Row(f"train, per partition and core: {name}", seconds(value), ratio=share)


def fits_alone(folder: Path, partitions: int, peers: list[str]) -> Iterator[Row]:
    """Ours with every explanation off (it still writes models, metrics and cards)."""
    spec = write_spec(folder, partitions, "fits", **_NO_EXPLANATION)
    mine, _ = time_ours(spec)
    in_new_process(build_dataset, spec)
    for peer in peers:
        theirs = float(in_new_process(fits_elsewhere, spec, peer, **ONE_THREAD))
        show_progress(f"train: fits alone: ours {mine:.1f} s, {peer} {theirs:.1f} s")
        yield Row(
            f"train {partitions} partitions, fits alone",
            seconds(mine),
            f"{peer} {seconds(theirs)}",
            f"{mine / theirs:.2f} times the time",
        )


def bins(rounds: int) -> Iterator[Row]:
    """Folds that share their bins, with all other parameters as LightGBM's own."""
    took = in_new_process(one_fit, rounds, **ONE_THREAD)
    what = f"one fit of {ROWS * 4 // 5:,} rows x {FEATURES} features, 15 leaves x 30 rounds"
    for name in ("shared bins", "63 shared bins"):
        yield Row(
            f"{what}, processor time",
            f"{name} {seconds(took[name])}",
            f"255 bins per fold {seconds(took['own bins'])}",
            f"{took[name] / took['own bins']:.2f} times the time",
        )


def run(*, quick: bool) -> list[Row]:
    with scratch() as folder:
        return [
            *bins(1 if quick else 15),
            *throughput(folder, 8 if quick else 200, 1 if quick else 3),
            *shares(folder, 2 if quick else 10),
            *fits_alone(
                folder,
                2 if quick else 40,
                ["loky"] if quick else ["loky", "one process per partition"],
            ),
        ]
