"""The end of a job that many workers did: their parts become a data set."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from steps.contract import ProjectLayout
from steps.records import PartitionIndex
from steps.runtime.lost_artifacts import complete_index
from steps.runtime.progress import Progress
from steps.split.dataset.part_files import partition_entries
from steps.split.dataset.plan import SplitPlan
from steps.split.dataset.writer import DatasetWriter
from steps.split.engines.job_output import JobOutput, Table
from steps.storage.base import Storage

_READERS = 16


def assemble_dataset(
    plan: SplitPlan,
    handover: JobOutput,
    project: ProjectLayout,
    storage: Storage,
    progress: Progress,
) -> PartitionIndex:
    """Write statistics, sample and index of a data set whose parts are there, unless it is done.

    Raises:
        MissingInputError: the job has left nothing.
        DamagedError: it has left less than it wrote.
    """
    table = handover.table()
    layout = project.dataset(table.dataset)
    built = complete_index(layout, storage)
    if built is not None:
        return built
    progress.begin("index", "partitions", sum(len(group.keys) for group in table.groups))
    with DatasetWriter(plan, layout, storage) as writer:
        _add_all(writer, handover, table, progress)
        writer.finish(table.sample, table.summary)
    progress.end()
    return writer.commit((table.dataset, table.content))


def _add_all(writer: DatasetWriter, handover: JobOutput, table: Table, progress: Progress) -> None:
    with ThreadPoolExecutor(_READERS) as pool:  # far away, each of them is a request
        for start in range(0, len(table.groups), _READERS):
            some = list(enumerate(table.groups))[start : start + _READERS]
            found = pool.map(lambda item: handover.read_group(*item), some)
            for (_, group), parts in zip(some, found, strict=True):
                writer.add(*partition_entries(parts, writer.plan.schema))
                progress.advance(len(group.keys))
