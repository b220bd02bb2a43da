"""The Beam engine on this machine, with Beam's own portable runner."""

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
    """Build a dataset from a source, with files identical to those of the embedded engine.

    The runner is explicit, because Beam's default runner first looks for another one on the
    network. It holds all rows in memory: this engine is for testing the pipeline, not for large
    tables.

    Raises:
        DataError: the source cannot be used.
        OutputError: the artifact root cannot be written.
        TransientError: a worker failed for another reason.
    """
    context = JobContext(plan, project, secrets.token_hex(4))
    progress.begin("run", "pipeline", None)
    # Beam's modules are 200,000 objects that live as long as the process. Scanning them repeatedly
    # for garbage took 0.4 of the 4.0 seconds of a split of half a million rows.
    gc.freeze()
    try:
        with (
            _silence_beam(),
            beam.Pipeline(FnApiRunner(), PipelineOptions([])) as pipeline,
        ):
            build(pipeline, source.pieces(plan.schema.names), context)
    except Exception as error:
        worker_error = context.output.error()
        if worker_error:
            raise worker_error from error
        raise TransientError(
            f"The Beam pipeline of the split failed: {error}",
            hint="Run again. If it fails again, use the other engine: --set split.engine=embedded",
        ) from error
    finally:
        gc.unfreeze()
    progress.end()
    return assemble_dataset(plan, context.output, project, storage, progress)


@contextmanager
def _silence_beam() -> Iterator[None]:
    """Suppress Beam's log, which repeats a traceback for each step that an error passes."""
    logger = logging.getLogger("apache_beam")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
