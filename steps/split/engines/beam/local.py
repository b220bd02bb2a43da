"""The split in a Beam pipeline on this machine, with Beam's own portable runner."""

from __future__ import annotations

import gc
import logging
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from steps.contract import ProjectLayout
from steps.errors import TransientError
from steps.records import PartitionIndex
from steps.runtime.progress import Progress
from steps.split.dataset.plan import SplitPlan
from steps.split.engines.assemble import assemble_dataset
from steps.split.engines.beam.pipeline import JobContext, build
from steps.split.sources.base import Source
from steps.storage.base import Storage


def build_dataset(
    source: Source,
    plan: SplitPlan,
    project: ProjectLayout,
    storage: Storage,
    progress: Progress,
) -> PartitionIndex:
    """Split a source into a data set: the same files as those of the embedded engine.

    The runner is named, since Beam's default one looks for another on the network first. It holds
    all rows in memory once: this engine is for trying the pipeline, not for large tables.

    Raises:
        DataError: the source cannot be used.
        OutputError: the artifact root cannot be written.
        TransientError: a worker gave up for another reason.
    """
    work = JobContext(plan, project, secrets.token_hex(4))
    progress.begin("run", "pipeline", None)
    try:
        with _quiet(), _imports_kept():
            _run(source, work)
    except Exception as error:
        told = work.handover.error()
        if told:
            raise told from error
        raise TransientError(f"The pipeline failed: {error}") from error
    progress.end()
    return assemble_dataset(plan, work.handover, project, storage, progress)


def _run(source: Source, work: JobContext) -> None:
    with beam.Pipeline(FnApiRunner(), PipelineOptions([])) as pipeline:
        build(pipeline, source.pieces(work.plan.schema.names), work)


@contextmanager
def _quiet() -> Iterator[None]:
    """Beam logs an error with a traceback for each step that it passes through."""
    logger = logging.getLogger("apache_beam")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextmanager
def _imports_kept() -> Iterator[None]:
    """Have garbage collection pass over what is there already.

    That is Beam's modules, 200,000 objects that live as long as the process. Looking at them again
    and again took 0.4 of the 4.0 seconds that a split of half a million rows needed.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
