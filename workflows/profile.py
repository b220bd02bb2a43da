"""``refeed profile``: describe the data and estimate the cost of a run, without training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from steps.collect.report import ProfileInfo, Reader, build_profile
from steps.contract import DatasetLayout, ProjectLayout, join
from steps.results.dataset_tables import facts_of, local_file, partitions, whole_table
from steps.results.schema import COLUMN_STATISTICS, DATA_WARNINGS
from steps.results.writer import arrow_table
from steps.runtime.progress import NoProgress, Progress
from steps.split.dataset.tfdv import Slice, encode_many
from steps.split.step import SplitResult
from steps.storage.base import Storage, storage_for, write_text
from steps.stores.base import open_store
from steps.table.data_warnings import DataWarning, find_data_warnings
from steps.train.registry import installed
from workflows.installation.isolation import inside
from workflows.installation.model import Installation
from workflows.local import split_only
from workflows.planning.cost import History, cost_model, rows_with_target, with_measured_cost
from workflows.planning.estimate import Load, TrainingEstimate, estimate_training
from workflows.planning.run_request import run_request
from workflows.planning.trainer_info import TrainerInfo, trainer_info, with_trainer_defaults
from workflows.spec.load import LoadedSpec
from workflows.spec.model import ExperimentSpec

_MAX_BARS = 10


@dataclass(frozen=True)
class Profile:
    """Profile of a dataset and estimate of a run on it.

    Attributes:
        dataset: hash of the dataset.
        folder: folder of the dataset.
        page: URI of the HTML page.
        reused: true if no source row was read.
        rows: number of rows.
        rows_without_target: number of rows without a target, which are left out.
        partitions: number of partitions.
        sizes: rows with a target per partition: minimum, quartiles, maximum.
        bars: histogram of partitions by rows with a target: from, to (inclusive), count.
        skipped: number of partitions that would be skipped, by reason, as far as index and
            statistics show; only training detects too few groups.
        task: resolved task.
        features: row of ``column_statistics`` over all rows, for each feature.
        warnings: data warnings, in the order of the report.
        estimate: estimate of training.
    """

    dataset: str
    folder: str
    page: str
    reused: bool
    rows: int
    rows_without_target: int
    partitions: int
    sizes: tuple[int, ...]
    bars: tuple[tuple[int, int, int], ...]
    skipped: dict[str, int]
    task: str
    features: tuple[Mapping[str, Any], ...]
    warnings: tuple[DataWarning, ...]
    estimate: TrainingEstimate

    def as_json(self) -> dict[str, Any]:
        """Return the profile as JSON values."""
        return asdict(self)


def profile(
    loaded: LoadedSpec, installation: Installation | None = None, progress: Progress | None = None
) -> Profile:
    """Profile the dataset of a spec, build it if necessary, and write an HTML page.

    Raises:
        RefeedError: see ``steps.errors``.
    """
    made = split_only(loaded, progress or NoProgress())
    spec = loaded.spec
    project, storage = ProjectLayout(spec.output, spec.project), storage_for(spec.output)
    dataset = project.dataset(made.index.dataset)
    statistics = facts_of(dataset, storage, made.roles.target)
    warnings = find_data_warnings(statistics, made.roles, made.task)
    skipped = skipped_of(spec, made, constant_partitions(dataset, made.roles.target, storage))
    rows = rows_with_target(made.index, made.roles.target)
    result = Profile(
        dataset=made.index.dataset,
        folder=dataset.base,
        page=dataset.profile,
        reused=made.reused,
        rows=made.index.rows,
        rows_without_target=made.index.rows - sum(rows.values()),
        partitions=len(rows),
        sizes=tuple(
            int(each) for each in np.quantile(list(rows.values()), (0, 0.25, 0.5, 0.75, 1))
        ),
        bars=bars_of(list(rows.values())),
        skipped=dict(sorted(Counter(skipped.values()).items())),
        task=made.task,
        features=tuple(statistics.columns[name] for name in made.roles.features),
        warnings=tuple(warnings),
        estimate=_estimate(spec, made, skipped, installation, project, storage),
    )
    page = build_profile(_reader(dataset, warnings, storage), _profile_info(spec, made, result))
    write_text(storage, dataset.profile, page)
    return result


def _estimate(
    spec: ExperimentSpec,
    made: SplitResult,
    skipped: Mapping[str, str],
    installation: Installation | None,
    project: ProjectLayout,
    storage: Storage,
) -> TrainingEstimate:
    known = spec.trainer.name in installed()
    history = History(project, storage, open_store(project, _store(spec, installation)))
    if known and installation and spec.trainer.name in installation.trainers:
        spec = with_trainer_defaults(spec, installation.trainers[spec.trainer.name].rules())
    trainer = with_measured_cost(spec, trainer_info(spec), history) if known else None
    stated = trainer or TrainerInfo(spec.trainer.model_dump(mode="json"), {}, ())
    request = run_request(spec, made, "", stated)
    costs = cost_model(spec, request, stated.cost, history)
    works = costs.works(made.index, made.roles.target, request.min_rows, skipped)
    return estimate_training(spec, Load(works, costs.basis, stated.threads), installation)


def _store(spec: ExperimentSpec, installation: Installation | None) -> str | None:
    """Return the URI of the experiment store: the spec's, or the project's on the cluster."""
    platform = installation.projects.get(spec.project) if installation else None
    uses_platform = platform is not None and inside(platform.root, spec.output)
    return spec.store or (platform.store if platform and uses_platform else None)


# --- what would be skipped ------------------------------------------------------------------


def skipped_of(spec: ExperimentSpec, made: SplitResult, constant: set[str]) -> dict[str, str]:
    """Return the reasons why partitions would be skipped, by id, without reading their rows.

    Args:
        spec: spec of the experiment.
        made: result of the split.
        constant: ids of partitions whose target has one value only.
    """
    index, roles = made.index, made.roles
    rows = rows_with_target(index, roles.target)
    features = [index.column_position(name) for name in roles.features]
    constant_reason = "constant_target" if made.task == "regression" else "one_class"
    reasons = {}
    for entry in index.entries:
        key = entry.key.partition_id
        conditions = {
            "null_key": entry.key.kind == "null",
            "target_missing": not rows[key],
            "too_few_rows": rows[key] < spec.dataset.min_rows,
            "all_features_missing": all(entry.missing[at] == entry.rows for at in features),
            constant_reason: key in constant,
        }
        reason = next((name for name, applies in conditions.items() if applies), None)
        if reason is not None:
            reasons[key] = reason
    return reasons


def constant_partitions(dataset: DatasetLayout, column: str, storage: Storage) -> set[str]:
    """Return the ids of the partitions in which a column has one value only."""
    uri = dataset.statistics_table(COLUMN_STATISTICS.name, "parquet")
    filters = [("scope", "==", "partition"), ("column", "==", column), ("distinct", "==", 1)]
    with local_file(uri, storage) as path:
        table = pq.read_table(path, columns=["partition_id"], filters=filters)
    return set(table["partition_id"].to_pylist())


def bars_of(rows: Sequence[int]) -> tuple[tuple[int, int, int], ...]:
    """Return a histogram with at most ten geometric ranges."""
    smallest, largest = max(min(rows), 1), max(*rows, 1)
    edges = np.unique(np.geomspace(smallest, largest, _MAX_BARS + 1).round().astype(int))
    edges[0] = min(rows)
    if len(edges) == 1:
        return ((int(edges[0]), int(edges[0]), len(rows)),)
    counts, _ = np.histogram(rows, edges)
    ranges = [(int(low), int(high)) for low, high in pairwise(edges)]
    lows = [low for low, _ in ranges]
    highs = [low - 1 for low in lows[1:]] + [ranges[-1][1]]
    return tuple(zip(lows, highs, map(int, counts), strict=True))


# --- page -----------------------------------------------------------------------------------


def _reader(dataset: DatasetLayout, warnings: Sequence[DataWarning], storage: Storage) -> Reader:
    rows = [asdict(each) for each in warnings]
    columns_of_warnings = {name: [row[name] for row in rows] for name in DATA_WARNINGS.names}

    def read(name: str, columns: list[str]) -> Iterator[pa.Table]:
        if name == DATA_WARNINGS.name:
            yield arrow_table(DATA_WARNINGS, columns_of_warnings).select(columns)
        else:
            yield whole_table(dataset.statistics_table(name, "parquet"), columns, storage)

    return read


def _profile_info(spec: ExperimentSpec, made: SplitResult, found: Profile) -> ProfileInfo:
    return ProfileInfo(
        source=spec.dataset.title,
        partition_by=made.roles.partition_by,
        target=made.roles.target,
        task=made.task,
        dataset=made.index.content,
        features=made.roles.features,
        rows=found.rows,
        rows_without_target=found.rows_without_target,
        partitions=found.partitions,
        sizes=found.sizes,
        bars=found.bars,
        skipped=found.skipped,
        min_rows=spec.dataset.min_rows,
    )


# --- TFDV -----------------------------------------------------------------------------------


def write_tfdv(loaded: LoadedSpec, dataset_hash: str, folder: str) -> list[str]:
    """Write the statistics of all rows and of each partition for TFDV; return the files.

    A few partitions are in memory at a time. The folder may be on any storage.

    Raises:
        OutputError: the folder cannot be written.
    """
    spec = loaded.spec
    dataset = ProjectLayout(spec.output, spec.project).dataset(dataset_hash)
    source, target = storage_for(spec.output), storage_for(folder)
    whole = join(folder, "tfdv.pb")
    target.write(whole, source.read(dataset.tfdv))
    files = [whole]
    for number, content in enumerate(encode_many(_slices(dataset, source))):
        files.append(join(folder, f"tfdv-partitions-{number:05d}.pb"))
        target.write(files[-1], content)
    return files


def _slices(dataset: DatasetLayout, storage: Storage) -> Iterator[Slice]:
    for partition_id, tables in partitions(dataset, storage):
        if partition_id:
            rows = {name: table.to_pylist() for name, table in tables.items()}
            yield rows[COLUMN_STATISTICS.name][0]["partition"], rows
