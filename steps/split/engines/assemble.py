"""Assemble a dataset from the parts that the workers of a job wrote."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from steps.contract import ProjectLayout
from steps.records import PartitionIndex
from steps.runtime.lost_artifacts import complete_index
from steps.runtime.progress import Progress
from steps.split.dataset.part_files import partition_entries
from steps.split.dataset.plan import SplitPlan
from steps.split.dataset.writer import DatasetWriter
from steps.split.engines.job_output import FirstPassResult, JobOutput
from steps.storage.base import Storage

_READERS = 16


def assemble_dataset(
    plan: SplitPlan,
    output: JobOutput,
    project: ProjectLayout,
    storage: Storage,
    progress: Progress,
) -> PartitionIndex:
    """Write statistics, sample and index of a dataset whose parts exist, unless it is complete.

    Raises:
        MissingInputError: the job has no output.
        DamagedError: the job's output is incomplete.
    """
    first_pass = output.first_pass()
    layout = project.dataset(first_pass.dataset)
    complete = complete_index(layout, storage)
    if complete is not None:
        return complete
    progress.begin("index", "partitions", sum(len(group.keys) for group in first_pass.groups))
    with DatasetWriter(plan, layout, storage) as writer:
        _add_groups(writer, output, first_pass, progress)
        writer.finish(first_pass.sample, first_pass.summary)
    progress.end()
    return writer.commit((first_pass.dataset, first_pass.content))


def _add_groups(
    writer: DatasetWriter, output: JobOutput, first_pass: FirstPassResult, progress: Progress
) -> None:
    with ThreadPoolExecutor(_READERS) as pool:  # in remote storage, each group is a request
        for start in range(0, len(first_pass.groups), _READERS):
            batch = list(enumerate(first_pass.groups))[start : start + _READERS]
            written = pool.map(lambda item: output.read_group(*item), batch)
            for (_, group), parts in zip(batch, written, strict=True):
                writer.add(*partition_entries(parts, writer.plan.schema))
                progress.advance(len(group.keys))
