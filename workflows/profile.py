"""``refeed profile``: what is in the data, and what a run on them would take; no training."""

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
from steps.table.data_warnings import DataWarning, find_data_warnings
from workflows.installation.model import Installation
from workflows.local import split_only
from workflows.planning.cost import basis_of, rows_with_target, shape_of
from workflows.planning.estimate import Preflight, load_of, preflight
from workflows.spec.load import LoadedSpec
from workflows.spec.model import ExperimentSpec

_BARS = 10


@dataclass(frozen=True)
class Profile:
    """What there is to tell of a data set and of a run on it.

    Attributes:
        dataset: its hash.
        folder: where it lies.
        page: where the page about it lies.
        reused: no source row was read.
        rows: of the data set.
        rows_without_target: that could not be used.
        partitions: how many there are.
        sizes: rows with a target of a partition: least, quartiles, most.
        bars: partitions by rows with a target: from, up to and including, how many.
        skipped: partitions that would be skipped, by reason, as far as the index and statistics
            tell: that there are fewer groups than folds, training finds out.
        task: resolved.
        features: the row of ``column_statistics`` about all rows, of each.
        warnings: in the order in which they are told.
        preflight: what training would take.
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
    preflight: Preflight

    def as_json(self) -> dict[str, Any]:
        """The same for scripts."""
        return asdict(self)


def profile(
    loaded: LoadedSpec, installation: Installation | None = None, progress: Progress | None = None
) -> Profile:
    """Make or find the data set of a spec, and tell of it; writes a page beside it.

    Raises:
        RefeedError: see ``steps.errors``.
    """
    made = split_only(loaded, progress or NoProgress())
    spec = loaded.spec
    project, storage = ProjectLayout(spec.output, spec.project), storage_for(spec.output)
    dataset = project.dataset(made.index.dataset)
    facts = facts_of(dataset, storage)
    warnings = find_data_warnings(facts, made.roles, made.task)
    skipped = skipped_of(spec, made, one_valued(dataset, made.roles.target, storage))
    rows = rows_with_target(made.index, made.roles.target)
    found = Profile(
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
        features=tuple(facts.columns[name] for name in made.roles.features),
        warnings=tuple(warnings),
        preflight=_preflight(spec, made, skipped, installation, project, storage),
    )
    page = build_profile(_reader(dataset, warnings, storage), _page_facts(spec, made, found))
    write_text(storage, dataset.profile, page)
    return found


def _preflight(
    spec: ExperimentSpec,
    made: SplitResult,
    skipped: Mapping[str, str],
    installation: Installation | None,
    project: ProjectLayout,
    storage: Storage,
) -> Preflight:
    shape = shape_of(
        spec.trainer.model_dump(mode="json"),
        spec.evaluate.model_dump(mode="json"),
        spec.explain.model_dump(mode="json"),
        len(made.roles.features),
        len(made.classes),
    )
    basis = basis_of(spec, project, storage)
    load = load_of(made.index, made.roles.target, skipped, shape, basis)
    return preflight(spec, load, installation)


# --- what would be skipped ------------------------------------------------------------------


def skipped_of(spec: ExperimentSpec, made: SplitResult, one_valued: set[str]) -> dict[str, str]:
    """By partition id, why it would be skipped: what can be told without reading its rows.

    Args:
        spec: of the experiment.
        made: the data set.
        one_valued: ids of partitions whose target has one value only.
    """
    index, roles = made.index, made.roles
    rows = rows_with_target(index, roles.target)
    features = [index.column_position(name) for name in roles.features]
    constant = "constant_target" if made.task == "regression" else "one_class"
    reasons = {}
    for entry in index.entries:
        key = entry.key.partition_id
        told = {
            "null_key": entry.key.kind == "null",
            "target_missing": not rows[key],
            "too_few_rows": rows[key] < spec.dataset.min_rows,
            "all_features_missing": all(entry.missing[at] == entry.rows for at in features),
            constant: key in one_valued,
        }
        reason = next((name for name, applies in told.items() if applies), None)
        if reason is not None:
            reasons[key] = reason
    return reasons


def one_valued(dataset: DatasetLayout, column: str, storage: Storage) -> set[str]:
    """Ids of the partitions in which a column has one value only."""
    uri = dataset.statistics_table(COLUMN_STATISTICS.name, "parquet")
    wanted = [("scope", "==", "partition"), ("column", "==", column), ("distinct", "==", 1)]
    with local_file(uri, storage) as path:
        found = pq.read_table(path, columns=["partition_id"], filters=wanted)
    return set(found["partition_id"].to_pylist())


def bars_of(rows: Sequence[int]) -> tuple[tuple[int, int, int], ...]:
    """At most ten ranges that grow by one factor, from the least to the most, and their counts."""
    least, most = max(min(rows), 1), max(*rows, 1)
    edges = np.unique(np.geomspace(least, most, _BARS + 1).round().astype(int))
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
    told = {name: [row[name] for row in rows] for name in DATA_WARNINGS.names}

    def read(name: str, columns: list[str]) -> Iterator[pa.Table]:
        if name == DATA_WARNINGS.name:
            yield arrow_table(DATA_WARNINGS, told).select(columns)
        else:
            yield whole_table(dataset.statistics_table(name, "parquet"), columns, storage)

    return read


def _page_facts(spec: ExperimentSpec, made: SplitResult, found: Profile) -> ProfileInfo:
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
    """Write the statistics of all rows and of each partition for TFDV; returns the files.

    A few partitions are held at a time. The folder may be on any storage.

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
