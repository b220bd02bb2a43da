"""Assemble a dataset from the parts that the workers of a job wrote."""

from __future__ import annotations

from steps.contract import ProjectLayout
from steps.records import PartitionIndex
from steps.runtime.lost_artifacts import complete_index
from steps.runtime.parallel import REQUESTS, map_ordered
from steps.runtime.progress import Progress
from steps.split.dataset.part_files import partition_entries
from steps.split.dataset.plan import SplitPlan
from steps.split.dataset.writer import DatasetWriter
from steps.split.engines.job_output import JobOutput
from steps.storage.base import Storage


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
    groups = first_pass.groups
    progress.begin("index", "partitions", sum(len(group.keys) for group in groups))
    with DatasetWriter(plan, layout, storage) as writer:
        written = map_ordered(lambda item: output.read_group(*item), enumerate(groups), REQUESTS)
        for group, parts in zip(groups, written, strict=True):
            writer.add(*partition_entries(parts, plan.schema))
            progress.advance(len(group.keys))
        writer.finish(first_pass.sample, first_pass.summary)
    progress.end()
    return writer.commit((first_pass.dataset, first_pass.content))
